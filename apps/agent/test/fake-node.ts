import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHostProcesses } from '@k8s-gpu-mcp/host-linux';
import {
  compileFakeLibrary,
  configText,
  ensureBuilt,
  type NodeConfig,
  noCompiler,
} from '../../../packages/nvml/test/fake/rig.ts';

export { helperPids, type NodeConfig, noCompiler, until } from '../../../packages/nvml/test/fake/rig.ts';

const { seesAllProcesses } = await createHostProcesses().describe([], AbortSignal.timeout(10_000));
/** Why nothing can be ended on this machine; undefined where it can. */
export const cannotKill =
  noCompiler ?? (seesAllProcesses ? undefined : 'not every process of this machine can be seen from here');

/** A node of the C fake library, whose state is a file that tests rewrite while the agent runs. */
export function createFakeNode(config: NodeConfig = { gpus: [{}] }) {
  ensureBuilt();
  const folder = mkdtempSync(join(tmpdir(), 'agent-node-'));
  const path = (name: string) => join(folder, name);
  const write = (name: string, next: NodeConfig) => {
    writeFileSync(path(name), configText(next, path('calls')));
    return path(name);
  };
  const configure = (next: NodeConfig) => renameSync(write('config.new', next), path('config'));
  configure(config);
  let prepared = 0;
  return {
    path,
    configure,
    /** Written but not in force until it is renamed to `config`. */
    prepare(next: NodeConfig) {
      prepared += 1;
      return { from: write(`config.${prepared}`, next), to: path('config') };
    },
    env: { FAKE_NVML_CONFIG: path('config') },
    args: ['--nvml-library', compileFakeLibrary()],
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export type FakeNode = ReturnType<typeof createFakeNode>;

/** Bytes that a victim holds of its GPU. */
export const heldBytes = 4 * 2 ** 30;

/** A node of one GPU with these in its process list. */
export const heldBy = (...pids: readonly number[]): NodeConfig => ({
  gpus: [{ 'process.compute': pids.map((pid) => `${pid}:${heldBytes}`).join(',') || 'none' }],
});

const victims = new Set<ChildProcess>();

/**
 * A process of ours that the fake lists as a holder. When it is told to end it first puts the prepared state of the node in force, as a
 * driver drops a process from its list before the process is gone; a stubborn one does no more than that.
 */
export async function startVictim({
  isStubborn = false,
  after,
}: {
  readonly isStubborn?: boolean;
  readonly after: ReturnType<FakeNode['prepare']>;
}) {
  const script = `process.on('SIGTERM', () => {
    require('node:fs').renameSync(process.argv[1], process.argv[2]);
    ${isStubborn ? '' : 'process.exit(0);'}
  });
  setInterval(() => {}, 1_000_000);
  console.log('ready');`;
  const child = spawn(process.execPath, ['-e', script, after.from, after.to], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  victims.add(child);
  const exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  await once(child.stdout, 'data');
  const { pid } = child;
  if (pid === undefined) throw new Error('the victim did not start');
  return {
    pid,
    exited,
    isAlive: () => child.exitCode === null && child.signalCode === null,
    async end() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

export type Victim = Awaited<ReturnType<typeof startVictim>>;

export function endVictims(): void {
  for (const child of victims) child.kill('SIGKILL');
  victims.clear();
}

interface AuditLine {
  readonly audit: true;
  readonly caller: string;
  readonly tool: string;
  readonly phase: string;
  readonly outcome: string;
  readonly planId?: string;
  readonly target: Readonly<Record<string, unknown>>;
  readonly detail: string;
}

export const auditOf = (file: string): readonly AuditLine[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditLine);

/** The steps of one plan, as `phase outcome`. */
export const trailOf = (file: string, planId: string) =>
  auditOf(file)
    .filter((line) => line.planId === planId)
    .map(({ phase, outcome }) => `${phase} ${outcome}`);
