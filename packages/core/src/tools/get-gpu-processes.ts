import { z } from 'zod';
import { accountOf, type GpuHolder } from '../diagnosis/gpu-holders.ts';
import type { HolderFinding } from '../diagnosis/holder-findings.ts';
import type { Gap } from '../domain/gap.ts';
import type { GpuReading } from '../domain/gpu.ts';
import { strongestAction, type Verdict, worstVerdict } from '../domain/verdict.ts';
import { byUrgency } from '../health/assess.ts';
import type { HostProcessesReading } from '../ports/host-processes.ts';
import { answerSchema, backendUnreadable, gpuBackendCoverage, makeAnswer, type NextStep } from './answer.ts';
import { detailArgument, gpuArgument } from './arguments.ts';
import { holderSections, lookAgain, lookAtHolders } from './holder-look.ts';
import { cursorArgument, limitArgument, pageOf, parseCursor } from './paging.ts';
import { presentHolder, presentHolderGpu } from './present-holders.ts';
import { defineTool } from './tool.ts';
import { readNode, type Toolkit } from './toolkit.ts';

const maximumFindings = 10;

/** Who holds which GPU, and how much of it. */
export function getGpuProcesses(toolkit: Toolkit) {
  return defineTool({
    name: 'get_gpu_processes',
    title: 'GPU processes',
    description:
      'Who holds which GPU: pid, user, command, container, pod, Slurm job, memory and utilization per process; memory nobody owns, zombie and stuck holders. Says when holders cannot be seen from here.',
    inputSchema: z.strictObject({
      gpu: gpuArgument,
      limit: limitArgument('Processes', 10),
      cursor: cursorArgument,
      detail: detailArgument,
    }),
    outputSchema: answerSchema({
      seesAllProcesses: z.boolean().nullable(),
      gpus: z.array(z.looseObject({ index: z.number(), state: z.string() })),
      processes: z.array(z.looseObject({ pid: z.number() })),
      findings: z.array(z.looseObject({ ruleId: z.string(), what: z.string() })).optional(),
      total: z.number().optional(),
      nextCursor: z.string().optional(),
    }),
    async handle({ gpu, limit, cursor, detail }, signal) {
      const offset = parseCursor(cursor);
      const read = await readNode(toolkit, gpu, holderSections, signal);
      const { node, error } = read;
      if (error) {
        const nothing = { seesAllProcesses: null, gpus: [], processes: [] };
        return backendUnreadable(toolkit, error, nothing);
      }
      const first = await lookAtHolders(toolkit, read.readings, signal);
      const gpus = read.readings.map((reading) => reading.gpu);
      const seen = await lookAgain(toolkit, gpus, first, signal);
      const { readings, host, holders } = seen;
      const findings = [...seen.findings].sort(byUrgency);
      const seesAllProcesses = host?.seesAllProcesses ?? null;
      const hidden = readings.flatMap((reading) => hiddenGap(reading, seesAllProcesses) ?? []);
      const { items, page } = pageOf(holders, offset, limit);
      const verdict = worstVerdict([
        ...readings.map(verdictOf),
        ...findings.map((finding) => finding.verdict),
        ...hidden.map(() => 'unknown' as const),
      ]);
      return makeAnswer(toolkit, detail, {
        verdict,
        summary: summarise(readings, holders, findings, hidden),
        payload: {
          seesAllProcesses,
          gpus: readings.map((reading) => presentHolderGpu(reading, detail)),
          processes: items.map((holder) => presentHolder(holder, detail)),
        },
        findings: (detail === 'full' ? findings : findings.slice(0, maximumFindings)).map(
          ({ pid: _, ...finding }) => finding,
        ),
        gaps: [...node.gaps, ...readings.flatMap(relevantGaps), ...hidden, ...hostGaps(host, holders)],
        gpuCount: readings.length,
        gpuBackend: gpuBackendCoverage(toolkit, undefined),
        nextSteps: nextSteps(readings, findings, hidden),
        page,
      });
    },
  });
}

function verdictOf(reading: GpuReading): Verdict {
  if (reading.state !== 'ok') return reading.state === 'unreadable' ? 'unknown' : 'critical';
  const { processes, memory } = reading;
  const isRead = Boolean(processes?.running) && typeof memory?.usedBytes === 'number';
  return isRead ? 'ok' : 'unknown';
}

/** Memory that no visible process accounts for, where holders may be out of sight. */
function hiddenGap(reading: GpuReading, seesAllProcesses: boolean | null): Gap | undefined {
  const account = accountOf(reading);
  if (account.isHeldByNobody !== true || seesAllProcesses === true) return undefined;
  const why =
    seesAllProcesses === false
      ? 'the driver leaves out processes outside this pid namespace: run with hostPID'
      : 'whether all processes of the machine can be seen from here is not known';
  return {
    gpu: reading.gpu.index,
    field: 'processes.running',
    reason: 'not-observable',
    detail: `memory in use by no visible process; ${why}`,
  };
}

/** Per-process gaps of GPUs; that MIG or accounting is not there does not matter here. */
const relevantGaps = ({ gaps }: GpuReading) =>
  gaps.filter(({ field }) => /^(?:processes|memory)(?:$|\.running|\.usedBytes)/.test(field));

function hostGaps(host: HostProcessesReading | null, holders: readonly GpuHolder[]): readonly Gap[] {
  if (host) return host.gaps;
  if (holders.length === 0) return [];
  const detail = 'names, users and containers: no access to the processes of the operating system';
  return [{ field: 'hostProcesses', reason: 'not-observable', detail }];
}

function summarise(
  readings: readonly GpuReading[],
  holders: readonly GpuHolder[],
  findings: readonly HolderFinding[],
  hidden: readonly Gap[],
): string {
  if (readings.length === 0) return 'The driver counts no GPUs on this node.';
  const unread = readings.filter(({ processes }) => !processes?.running);
  const held = readings.filter(({ processes }) => (processes?.running?.length ?? 0) > 0);
  const known = readings.length - unread.length;
  const parts: string[] = [];
  // Of GPUs whose processes nobody could read, a count would be a zero that was never seen.
  if (known > 0 || holders.length > 0)
    parts.push(
      `${count(holders.length, 'process', 'processes')} on ${held.length} of ${count(known, 'GPU', 'GPUs')}.`,
    );
  if (unread.length > 0) {
    parts.push(`The processes of GPU ${listOf(unread)} could not be read.`);
  }
  for (const { gpu, state } of readings) if (state !== 'ok') parts.push(`GPU ${gpu.index} is ${state}.`);
  if (hidden.length > 0) {
    const gpus = hidden.map(({ gpu }) => gpu).join(', ');
    parts.push(`Memory of GPU ${gpus} is in use by processes that cannot be seen from here.`);
  }
  const [first] = findings;
  if (first) {
    const more = findings.length > 1 ? ` And ${findings.length - 1} more.` : '';
    parts.push(`GPU ${first.gpu}: ${first.what}${more}`);
  }
  return parts.join(' ');
}

const count = (number: number, one: string, many: string) => `${number} ${number === 1 ? one : many}`;
const listOf = (readings: readonly GpuReading[]) => readings.map(({ gpu }) => gpu.index).join(', ');

function nextSteps(
  readings: readonly GpuReading[],
  findings: readonly HolderFinding[],
  hidden: readonly Gap[],
): NextStep[] {
  const steps: NextStep[] = [];
  const action = strongestAction(findings.map((finding) => finding.action));
  const first = findings.find((finding) => finding.action === action);
  if (first) {
    steps.push({
      action,
      reason: `GPU ${first.gpu}: ${first.what}`,
      ...(first.ruleId === 'processes.memory-held-by-nobody' ? { command: 'fuser -v /dev/nvidia*' } : {}),
    });
  }
  if (hidden.length > 0) {
    steps.push({
      action: 'none',
      reason: 'See what hides the holders; in a pod the agent needs hostPID.',
      command: 'k8s-gpu-mcp-server doctor',
    });
  }
  const broken = readings.filter((reading) => reading.state !== 'ok');
  if (broken.length > 0) {
    steps.push({
      action: 'none',
      reason: `GPU ${listOf(broken)} did not answer: see why.`,
      tool: 'get_gpu_health',
    });
  }
  return steps;
}
