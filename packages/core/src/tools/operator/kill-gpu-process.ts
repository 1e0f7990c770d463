import { z } from 'zod';
import type { GpuReading } from '../../domain/gpu.ts';
import type { GpuProcess } from '../../domain/readings/process.ts';
import { GpuError, isGpuError } from '../../errors.ts';
import type { HostProcess } from '../../ports/host-processes.ts';
import type { ProcessControl, ProcessIdentity, TerminationResult } from '../../ports/process-control.ts';
import { resolveGpu } from '../../selector.ts';
import { gpuArgument } from '../arguments.ts';
import { defineTool, destructiveAnnotations } from '../tool.ts';
import type { Toolkit } from '../toolkit.ts';
import type { Facts } from './facts.ts';
import { describeForPerson, describeProcesses, presentProcess } from './host-process.ts';
import { operate } from './operate.ts';
import {
  type Check,
  type Observation,
  type Operation,
  type OperatorDesk,
  operationSchema,
  operatorDeadlineMilliseconds,
  planIdArgument,
} from './operation.ts';

/** Linux: the largest pid a kernel can be set to (4,194,304). */
const maximumPid = 2 ** 22;

/** Ends one process that holds a GPU. */
export function killGpuProcess(desk: OperatorDesk, processControl: ProcessControl) {
  return defineTool({
    name: 'kill_gpu_process',
    title: 'End a GPU process',
    description:
      'Ends one process that holds a GPU: SIGTERM, then SIGKILL. First call without planId: shows exactly which process, changes nothing. Second call with the planId: a person confirms, then it acts and verifies.',
    inputSchema: z.strictObject({
      gpu: gpuArgument.unwrap().describe('GPU that the process holds: index, UUID or PCI address.'),
      pid: z.int().min(1).max(maximumPid).describe('From the process list of that GPU (get_gpu_processes).'),
      graceSeconds: z.int().min(1).max(60).default(10).describe('Between SIGTERM and SIGKILL.'),
      planId: planIdArgument,
    }),
    outputSchema: operationSchema,
    annotations: destructiveAnnotations,
    deadlineMilliseconds: operatorDeadlineMilliseconds,
    handle: ({ planId, ...input }, signal, _progress, context) =>
      operate(killing(desk.toolkit, processControl, input), desk, planId, context, signal),
  });
}

interface KillInput {
  readonly gpu: string | number;
  readonly pid: number;
  readonly graceSeconds: number;
}

interface Victim extends Observation {
  readonly reading: GpuReading;
  /** Null when the process is not to be seen; then there is an obstacle. */
  readonly identity: ProcessIdentity | null;
}

function killing(toolkit: Toolkit, processControl: ProcessControl, input: KillInput): Operation<Victim> {
  const { pid, graceSeconds } = input;
  return {
    tool: 'kill_gpu_process',
    arguments: { ...input },
    observe: (signal) => observe(toolkit, processControl, input, signal),
    async act({ identity }) {
      if (!identity) throw new GpuError('UNAVAILABLE', `Process ${pid} is not to be seen.`);
      const { result, detail } = await processControl.terminate(identity, graceSeconds * 1_000);
      return { ...deeds[result](pid), payload: { result, portDetail: detail } };
    },
    verify: async ({ reading, identity }, signal) => [
      await goneFromHost(toolkit, pid, identity, signal),
      await goneFromGpu(toolkit, reading, pid, signal),
    ],
  };
}

const deeds: Readonly<
  Record<TerminationResult, (pid: number) => { readonly succeeded: boolean; readonly detail: string }>
> = {
  'ended-by-sigterm': (pid) => ({ succeeded: true, detail: `Process ${pid} ended on SIGTERM.` }),
  'ended-by-sigkill': (pid) => ({
    succeeded: true,
    detail: `Process ${pid} did not end on SIGTERM within the grace, and ended on SIGKILL.`,
  }),
  'still-running': (pid) => ({
    succeeded: false,
    detail: `Process ${pid} was sent SIGKILL and is still there: it sleeps in the kernel, often in the driver.`,
  }),
  gone: (pid) => ({ succeeded: true, detail: `Process ${pid} had ended before anything was sent.` }),
  'not-permitted': (pid) => ({
    succeeded: false,
    // Not "nothing was sent": a process can change its user between SIGTERM and SIGKILL.
    detail: `The server may not signal process ${pid} (it needs CAP_KILL or the same user).`,
  }),
  protected: (pid) => ({ succeeded: false, detail: `Process ${pid} is protected. Nothing was sent.` }),
};

async function observe(
  toolkit: Toolkit,
  processControl: ProcessControl,
  { gpu: selector, pid, graceSeconds }: KillInput,
  signal: AbortSignal,
): Promise<Victim> {
  const node = await toolkit.reader.describe(signal);
  if (isGpuError(node)) throw node;
  const gpu = await resolveGpu(selector, node.gpus, toolkit.reader, signal);
  const readings = await toolkit.reader.readGpus(node.gpus, ['processes'], signal);
  const reading = readings.find((each) => each.gpu.index === gpu.index);
  const running = reading?.processes?.running;
  if (!reading || !running) {
    const why = reading?.stateDetail ? `: ${reading.stateDetail}` : '';
    throw new GpuError('UNAVAILABLE', `The process list of GPU ${gpu.index} could not be read${why}.`, {
      hint: 'Only a process in the list of this GPU can be ended; get_gpu_health tells what is wrong with it.',
    });
  }
  if (!running.some((process) => process.pid === pid)) throw notInList(pid, gpu.index, running);
  const { processes, seesAllProcesses, gaps } = await describeProcesses(toolkit, [pid], signal);
  const host = processes.find((process) => process.pid === pid);
  const identity = host ? { pid, startTicks: host.startTicks } : null;
  const refusal = identity ? await processControl.refusal(identity) : undefined;
  const holdings = readings.flatMap((each) => holdingOf(each, pid));
  const name = `process ${pid}${host?.startedAt ? ` (started ${host.startedAt})` : ''}`;
  return {
    reading,
    identity,
    target: { gpu: gpu.uuid ?? gpu.pciAddress ?? gpu.index, pid, startTicks: host?.startTicks ?? null },
    facts: factsOf(pid, host, holdings, gpu.uuid ?? gpu.pciAddress ?? String(gpu.index)),
    intent: `Ends ${name}, which holds ${holdings.map(({ text }) => text).join(', ')}: SIGTERM, then SIGKILL after ${graceSeconds} s.`,
    obstacles: obstaclesOf(pid, host, seesAllProcesses, refusal),
    warnings:
      host?.state === 'D' ? [`Process ${pid} sleeps in the kernel and may not end, even on SIGKILL.`] : [],
    details: host ? [describeForPerson(host)] : [],
    plan: {
      process: host ? presentProcess(host) : null,
      gpus: holdings.map(({ row }) => row),
      graceSeconds,
    },
    gaps: [...gaps, ...readings.flatMap((each) => each.gaps.filter(({ field }) => aboutProcesses(field)))],
  };
}

const aboutProcesses = (field: string) => field === 'processes' || field.startsWith('processes.running');

function obstaclesOf(
  pid: number,
  host: HostProcess | undefined,
  seesAllProcesses: boolean | null,
  refusal: Awaited<ReturnType<ProcessControl['refusal']>>,
): readonly string[] {
  const obstacles: string[] = [];
  if (seesAllProcesses !== true) {
    // Drivers before 535.113 give pids of the machine, whatever the namespace of the reader.
    obstacles.push(
      'The server does not see, or cannot tell that it sees, every process of the machine (a pod needs hostPID), so a pid of the driver could be another process here.',
    );
  }
  if (!host) obstacles.push(`Process ${pid} is in the list of the GPU but not to be seen in /proc.`);
  else if (host.state === 'Z')
    obstacles.push(`Process ${pid} has ended already (a zombie its parent has not collected).`);
  if (refusal) obstacles.push(`Process ${pid} would not be ended (${refusal.result}): ${refusal.detail}`);
  return obstacles;
}

function holdingOf(reading: GpuReading, pid: number) {
  const mine = reading.processes?.running?.filter((process) => process.pid === pid) ?? [];
  if (mine.length === 0) return [];
  const { index, uuid } = reading.gpu;
  const used = mine.map(({ memoryUsedBytes }) => memoryUsedBytes);
  const memoryUsedBytes = used.includes(null)
    ? null
    : used.reduce<number>((sum, each) => sum + (each ?? 0), 0);
  const kinds = [...new Set(mine.flatMap((process) => process.kinds))].sort();
  const amount =
    memoryUsedBytes === null ? 'unknown memory' : `${(memoryUsedBytes / 2 ** 30).toFixed(1)} GiB`;
  const instances = mine.flatMap(({ gpuInstanceId }) => gpuInstanceId ?? []);
  return [
    {
      text: `${amount} of GPU ${index}`,
      row: {
        index,
        uuid,
        kinds,
        memoryUsedBytes,
        ...(instances.length ? { gpuInstanceIds: instances } : {}),
      },
    },
  ];
}

/** Memory in use is shown but not bound to: it changes from one moment to the next. */
function factsOf(
  pid: number,
  host: HostProcess | undefined,
  holdings: readonly ReturnType<typeof holdingOf>[number][],
  gpu: string,
): Facts {
  return {
    gpu,
    pid,
    startTicks: host?.startTicks ?? null,
    userId: host?.userId ?? null,
    name: host?.name ?? null,
    command: host?.command ?? null,
    container: host?.container?.id ?? null,
    podUid: host?.podUid ?? null,
    ...Object.fromEntries(holdings.map(({ row }) => [`use of GPU ${row.index}`, row.kinds.join(' and ')])),
  };
}

function notInList(pid: number, index: number, running: readonly GpuProcess[]): GpuError {
  const pids = [...new Set(running.map((process) => process.pid))];
  const list = pids.length > 0 ? `it is held by ${pids.slice(0, 20).join(', ')}` : 'nobody is in its list';
  return new GpuError(
    'INVALID_INPUT',
    `pid = ${pid} does not hold GPU ${index}; ${list}. Nothing was done.`,
    {
      hint: 'get_gpu_processes lists who holds which GPU.',
    },
  );
}

async function goneFromHost(
  toolkit: Toolkit,
  pid: number,
  identity: ProcessIdentity | null,
  signal: AbortSignal,
): Promise<Check> {
  const check = 'process-gone';
  const { processes, seesAllProcesses } = await describeProcesses(toolkit, [pid], signal);
  const same = processes.find((each) => each.pid === pid && each.startTicks === identity?.startTicks);
  if (same && same.state !== 'Z') return { check, passed: false, detail: `Process ${pid} is still there.` };
  if (seesAllProcesses !== true)
    return { check, passed: null, detail: `Whether process ${pid} is gone cannot be seen.` };
  return { check, passed: true, detail: `Process ${pid} is gone.` };
}

async function goneFromGpu(
  { reader }: Toolkit,
  { gpu }: GpuReading,
  pid: number,
  signal: AbortSignal,
): Promise<Check> {
  const check = 'gpu-released';
  const [reading] = await reader.readGpus([gpu], ['processes'], signal);
  const running = reading?.processes?.running;
  if (!running) {
    const detail = `GPU ${gpu.index} could not be read, so whether it was released cannot be told.`;
    return { check, passed: null, detail };
  }
  return running.some((process) => process.pid === pid)
    ? { check, passed: false, detail: `GPU ${gpu.index} still lists process ${pid}.` }
    : { check, passed: true, detail: `GPU ${gpu.index} no longer lists it.` };
}
