import { z } from 'zod';
import { awaitWithin } from '../../await-within.ts';
import type { GpuReading, GpuRef, GpuSection } from '../../domain/gpu.ts';
import { GpuError, isGpuError } from '../../errors.ts';
import type { GpuControl, ResetOutcome, ResetReadiness } from '../../ports/gpu-control.ts';
import type { HostProcess } from '../../ports/host-processes.ts';
import { resolveGpu } from '../../selector.ts';
import { gpuArgument } from '../arguments.ts';
import { defineTool, destructiveAnnotations } from '../tool.ts';
import type { Toolkit } from '../toolkit.ts';
import { quarantine } from '../untrusted-text.ts';
import type { Facts } from './facts.ts';
import { describeForPerson, describeProcesses, presentProcess } from './host-process.ts';
import { operate } from './operate.ts';
import {
  type Deed,
  type Observation,
  type Operation,
  type OperatorDesk,
  operationSchema,
  operatorDeadlineMilliseconds,
  planIdArgument,
} from './operation.ts';
import { type ResetPeers, resetPeers } from './reset-peers.ts';
import { verifyReset } from './verify-reset.ts';

const sections: readonly GpuSection[] = ['identity', 'nvlink', 'fabric', 'processes', 'mig', 'recovery'];
const maximumOutputLength = 2_000;

/** Resets one GPU, and the peers that cannot stay behind. */
export function resetGpu(desk: OperatorDesk, gpuControl: GpuControl) {
  return defineTool({
    name: 'reset_gpu',
    title: 'Reset a GPU',
    description:
      "Resets a GPU through the driver's own tool. First call without planId: shows who holds it, which NVLink peers go along and what is missing, changes nothing. Second call with the planId: a person confirms, then it acts and verifies. Refused while anybody holds the GPU.",
    inputSchema: z.strictObject({
      gpu: gpuArgument.unwrap().describe('GPU to reset: index, UUID or PCI address.'),
      planId: planIdArgument,
    }),
    outputSchema: operationSchema,
    annotations: destructiveAnnotations,
    deadlineMilliseconds: operatorDeadlineMilliseconds,
    handle: ({ planId, ...input }, signal, _progress, context) =>
      operate(resetting(desk.toolkit, gpuControl, input.gpu), desk, planId, context, signal),
  });
}

interface ResetCandidate extends Observation {
  /** The GPU asked for first, then its peers. */
  readonly readings: readonly GpuReading[];
}

function resetting(
  toolkit: Toolkit,
  gpuControl: GpuControl,
  selector: string | number,
): Operation<ResetCandidate> {
  return {
    tool: 'reset_gpu',
    arguments: { gpu: selector },
    observe: (signal) => observe(toolkit, gpuControl, selector, signal),
    act: async ({ readings }) => deedOf(await gpuControl.reset(readings.map(({ gpu }) => gpu))),
    verify: ({ readings }, signal) => verifyReset(toolkit, readings, signal),
  };
}

function deedOf({ succeeded, exitCode, output }: ResetOutcome): Deed {
  const payload = { exitCode, output: quarantine(output, maximumOutputLength) };
  if (succeeded) return { succeeded, detail: "The driver's tool reports that the reset is done.", payload };
  // Source: nvidia-smi exits with 255 when another client holds the GPU.
  const why =
    exitCode === 255 ? ': another client holds the GPU, or it refused for a reason in its output' : '';
  const ended =
    exitCode === null ? 'was ended before it was done' : `failed with exit code ${exitCode}${why}`;
  return { succeeded, detail: `The driver's tool ${ended}.`, payload };
}

async function observe(
  toolkit: Toolkit,
  gpuControl: GpuControl,
  selector: string | number,
  signal: AbortSignal,
): Promise<ResetCandidate> {
  const node = await toolkit.reader.describe(signal);
  if (isGpuError(node)) throw node;
  const asked = await resolveGpu(selector, node.gpus, toolkit.reader, signal);
  const all = await toolkit.reader.readGpus(node.gpus, sections, signal);
  const target = all.find(({ gpu }) => gpu.index === asked.index);
  if (!target) throw new GpuError('GPU_NOT_FOUND', `GPU ${asked.index} is no longer there.`);
  const check = (gpus: readonly GpuRef[]) =>
    awaitWithin(gpuControl.checkReset(gpus, signal), signal, toolkit.clock, () => {
      return new GpuError('TIMEOUT', 'what a reset needs was not checked within the deadline');
    });
  const alone = await check([target.gpu]);
  const peers = resetPeers(target, all, await fabricManagerRuns(alone, all, toolkit, signal));
  const readings = [target, ...(peers.peers ?? [])];
  const readiness = readings.length === 1 ? alone : await check(readings.map(({ gpu }) => gpu));
  const clients = readings.flatMap(({ processes }) => processes?.running?.map(({ pid }) => pid) ?? []);
  const pids = [...new Set([...clients, ...(readiness.holders ?? []).map(({ pid }) => pid)])].sort(
    (a, b) => a - b,
  );
  const { processes, seesAllProcesses, gaps } = await describeProcesses(toolkit, pids, signal);
  const holders = pids.map((pid) => holderOf(pid, clients, readiness, processes));
  const indices = readings.map(({ gpu }) => gpu.index).join(', ');
  return {
    readings,
    target: { gpus: readings.map(({ gpu }) => nameOf(gpu)) },
    facts: factsOf(readings, holders, readiness),
    intent: `Resets GPU ${indices}${readings.length > 1 ? ' together' : ''}: all that is in GPU memory is lost.`,
    obstacles: obstaclesOf(readings, holders, readiness, seesAllProcesses),
    warnings: warningsOf(readings, peers, readiness),
    details: holders.flatMap(({ host }) => (host ? [describeForPerson(host)] : [])),
    plan: {
      gpus: readings.map(presentGpu),
      nvlinkPeers: { gpus: peers.peers?.map(({ gpu }) => gpu.index) ?? null, reason: peers.reason },
      requirements: readiness.requirements,
      holdersVisible: readiness.holders !== null && seesAllProcesses === true,
      holders: holders.map(presentHolder),
    },
    gaps: [
      ...gaps,
      ...readings.flatMap((reading) => reading.gaps.filter(({ field }) => decisive.includes(field))),
    ],
  };
}

/** Gaps that bear on the decision; a reading of all sections has many that do not. */
const decisive = [
  ...sections,
  'identity.persistenceModeEnabled',
  'processes.running',
  'nvlink.links',
  'mig.enabled',
  'recovery.action',
];

interface Holder {
  readonly pid: number;
  readonly paths: readonly string[];
  readonly listedByDriver: boolean;
  readonly host: HostProcess | undefined;
  /** Stands in the way of a reset. */
  readonly blocks: boolean;
}

function holderOf(
  pid: number,
  clients: readonly number[],
  readiness: ResetReadiness,
  processes: readonly HostProcess[],
): Holder {
  const own = readiness.holders?.filter((holder) => holder.pid === pid) ?? [];
  const paths = own.map(({ path }) => path).sort();
  const host = processes.find((process) => process.pid === pid);
  const listedByDriver = clients.includes(pid);
  // The control device and the like belong to the driver as a whole: a job on another GPU has them open too.
  const holdsGpu = paths.some((path) => /nvidia\d+$/.test(path));
  const blocks = listedByDriver || (holdsGpu && !isNamed(host, 'nvidia-persistenced'));
  return { pid, paths, listedByDriver, host, blocks };
}

/** By thread name, which the kernel cuts to 15 bytes. A pretender gains nothing: the driver refuses while it holds the GPU. */
const isNamed = (host: HostProcess | undefined, program: string) => host?.name === program.slice(0, 15);

/** It has the driver's control device open wherever it runs; null when not everything can be seen. */
async function fabricManagerRuns(
  { holders }: ResetReadiness,
  readings: readonly GpuReading[],
  toolkit: Toolkit,
  signal: AbortSignal,
): Promise<boolean | null> {
  if (readings.some(({ fabric }) => fabric?.state === 'completed')) return true;
  if (holders === null) return null;
  const pids = [...new Set(holders.map(({ pid }) => pid))];
  const { processes, seesAllProcesses } = await describeProcesses(toolkit, pids, signal);
  if (processes.some((process) => isNamed(process, 'nv-fabricmanager'))) return true;
  return seesAllProcesses === true ? false : null;
}

function obstaclesOf(
  readings: readonly GpuReading[],
  holders: readonly Holder[],
  { requirements, holders: seen }: ResetReadiness,
  seesAllProcesses: boolean | null,
): readonly string[] {
  const obstacles = readings.flatMap(({ gpu, state, identity }) => {
    const why: string[] = [];
    if (state === 'lost')
      why.push(
        `GPU ${gpu.index} does not answer on its bus: no reset reaches it, the node has to be rebooted.`,
      );
    if (gpu.pciAddress === null && gpu.uuid === null)
      why.push(`GPU ${gpu.index} has neither a known address nor a UUID, so it cannot be named.`);
    if (identity?.virtualizationMode === 'vgpu')
      why.push(`GPU ${gpu.index} is a virtual GPU: only its host can reset it.`);
    return why;
  });
  const blocking = holders.filter(({ blocks }) => blocks).map(({ pid }) => pid);
  if (blocking.length > 0) obstacles.push(`It is held by process ${blocking.join(', ')}.`);
  if (seen === null || seesAllProcesses !== true)
    obstacles.push(
      'Who holds it cannot be seen completely (it takes root, and hostPID in a pod), so it may be in use.',
    );
  for (const { name, met, detail } of requirements)
    if (met === false) obstacles.push(`${name} is missing: ${quarantine(detail, 300)}`);
  return obstacles;
}

function warningsOf(
  readings: readonly GpuReading[],
  peers: ResetPeers,
  { requirements }: ResetReadiness,
): readonly string[] {
  const migEnabled = readings.filter(({ mig }) => mig?.enabled === true).map(({ gpu }) => gpu.index);
  const unreadable = readings.filter(({ processes }) => !processes?.running).map(({ gpu }) => gpu.index);
  return [
    ...(peers.peers === null
      ? [`Which NVLink peers must go along is unknown: ${peers.reason} The driver refuses if some must.`]
      : []),
    ...(migEnabled.length > 0
      ? [`MIG is enabled on GPU ${migEnabled.join(', ')}: its instances may have to be made again.`]
      : []),
    ...(unreadable.length > 0
      ? [`The driver does not tell who uses GPU ${unreadable.join(', ')}; open device files were looked at.`]
      : []),
    ...requirements
      .filter(({ met }) => met === null)
      .map(({ name, detail }) => `${name}: ${quarantine(detail, 300)}`),
    'A reset is not certain to bring a sick GPU back.',
  ];
}

function factsOf(
  readings: readonly GpuReading[],
  holders: readonly Holder[],
  { requirements }: ResetReadiness,
): Facts {
  const blocking = holders.filter(({ blocks }) => blocks);
  return Object.fromEntries([
    ...readings.map(({ gpu }) => [`GPU ${gpu.index}`, nameOf(gpu)]),
    ...readings.map(({ gpu, identity }) => [
      `persistence mode of GPU ${gpu.index}`,
      identity?.persistenceModeEnabled ?? null,
    ]),
    ...readings.map(({ gpu, mig }) => [`MIG mode of GPU ${gpu.index}`, mig?.enabled ?? null]),
    ...blocking.map(({ pid, host }) => [`holder ${pid}`, host?.startTicks ?? null]),
    ...requirements.map(({ name, met }) => [name, met]),
  ]);
}

const nameOf = (gpu: GpuRef) => gpu.uuid ?? gpu.pciAddress ?? String(gpu.index);

function presentGpu({ gpu, state, identity, mig, recovery }: GpuReading) {
  return {
    ...gpu,
    state,
    persistenceModeEnabled: identity?.persistenceModeEnabled ?? null,
    migEnabled: mig?.enabled ?? null,
    recoveryAction: recovery?.action ?? null,
  };
}

function presentHolder({ pid, paths, listedByDriver, blocks, host }: Holder) {
  const shown = paths.map((path) => quarantine(path, 128));
  return { pid, blocks, listedByDriver, paths: shown, process: host ? presentProcess(host) : null };
}
