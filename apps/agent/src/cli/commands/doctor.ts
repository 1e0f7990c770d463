import { exitCodeOf, type Style, type Terminal } from '@k8s-gpu-mcp/command-line';
import { composeDoctor } from '../../composition/compose-doctor.ts';
import { checkBackend, checkKernelLogs, checkLibraries } from '../../doctor/backend-checks.ts';
import type { Check, CheckStatus } from '../../doctor/check.ts';
import { checkDevices, checkNode, checkProcess } from '../../doctor/host-checks.ts';
import { readHostFacts } from '../../doctor/host-facts.ts';
import { checkRecorder } from '../../doctor/recorder-check.ts';
import { agentVersion } from '../../version.ts';
import type { CommandContext } from '../command.ts';
import { clean, wrap } from '../render/layout.ts';

/** What this machine lets the agent see, one line a check, and what to do about what is missing. */
export async function doctor({ config, host, terminal, createLogger }: CommandContext): Promise<number> {
  const logger = await createLogger();
  const { provider, kernelLogs, libraries, recorderOptions, openLibrary } = await composeDoctor(
    config,
    logger,
  );
  const facts = readHostFacts(host.env);
  const { checks: backend, gpuCount } = await checkBackend(provider);
  const isReal = !provider.manifest.simulated && config.backend !== 'replay';
  const checks: readonly Check[] = [
    checkNode(process.versions.node),
    ...(isReal ? await checkLibraries(libraries, openLibrary) : []),
    ...backend,
    ...(isReal ? checkDevices(facts, gpuCount) : []),
    ...(await checkKernelLogs(kernelLogs)),
    ...checkProcess(facts),
    ...(await checkRecorder(recorderOptions, gpuCount, config.recordDirectory)),
  ];
  const verdict = verdictOf(checks);
  await terminal.write(
    config.json
      ? `${JSON.stringify({ apiVersion: 'v1', node: config.nodeName, version: agentVersion(), verdict, checks })}\n`
      : checks.map((check) => render(check, terminal)).join(''),
  );
  return exitCodeOf({ verdict });
}

export function verdictOf(checks: readonly Check[]): 'ok' | 'warning' | 'critical' {
  if (checks.some(({ status }) => status === 'fail')) return 'critical';
  return checks.some(({ status }) => status === 'warn') ? 'warning' : 'ok';
}

const styleByStatus: Readonly<Record<CheckStatus, Style>> = { ok: 'green', warn: 'yellow', fail: 'red' };
const nameWidth = 19;

function render({ name, status, detail, fix }: Check, terminal: Terminal): string {
  const indent = '      ';
  const head = `${terminal.style(styleByStatus[status], status.padEnd(4))}  ${name.padEnd(nameWidth)} `;
  const text = wrap(clean(detail), terminal.columns - indent.length - nameWidth, indent);
  const advice =
    fix === undefined ? '' : `${indent}-> ${wrap(clean(fix), terminal.columns - 9, `${indent}   `)}\n`;
  return `${head}${text}\n${advice}`;
}
