import type { GpuReading, GpuRef, GpuTopology } from '@k8s-gpu-mcp/core';
import { makeSample } from '@k8s-gpu-mcp/core';
import { type Capture, formatRank, isRun } from './capture.ts';
import { assignMachines, type Machine, type SeenGpu } from './machines.ts';
import { type MergedGpu, mergeRun, recordedSections } from './merge-run.ts';
import { type Run, runsOf, timeOfRun } from './runs.ts';

/** One GPU of the files: what the newest run shows of it, and the runs before. */
export interface RecordedGpu {
  readonly ref: GpuRef;
  readonly at: string | null;
  readonly newest: MergedGpu;
  readonly earlier: readonly GpuReading[];
  /** Set when the newest run of its machine no longer lists it. */
  readonly isMissing: boolean;
  /** Set when the newest run ends in the middle of it. */
  readonly isCut: boolean;
}

export interface RecordedNode {
  readonly gpus: readonly RecordedGpu[];
  readonly driverVersion: string | null;
  readonly computeApiVersion: string | null;
  /** GPUs that the tool counts and the files do not show. */
  readonly unshownCount: number;
  readonly notes: readonly string[];
}

/** Puts the captures of all files together: machines one after the other, their GPUs by index. */
export function recordGpus(captures: readonly Capture[]): RecordedNode {
  const machines = assignMachines(captures);
  const gpus: RecordedGpu[] = [];
  const notes: string[] = [];
  for (const machine of machines) {
    const indexes = indexesOf(
      machine,
      gpus.reduce((next, { ref }) => Math.max(next, ref.index + 1), 0),
    );
    const last = newestFullRun(machine);
    for (const seen of [...indexes.keys()].sort((a, b) => (indexes.get(a) ?? 0) - (indexes.get(b) ?? 0))) {
      gpus.push(recordGpu(seen, indexes, last, machine));
    }
  }
  if (machines.length > 1) {
    notes.push(
      `the captures come from ${machines.length} machines, or GPUs were replaced between them: their GPUs are numbered on, and a log line cannot tell which of them it means`,
    );
  }
  const missing = gpus.filter(({ isMissing }) => isMissing);
  if (missing.length > 0) {
    notes.push(
      `the newest capture does not list GPU ${missing.map(({ ref }) => ref.index).join(', ')}, which an earlier one does`,
    );
  }
  const newest = newestOf(captures, ({ driverVersion }) => driverVersion);
  const uuids = gpus.map(({ ref }) => ref.uuid);
  return {
    // Masked UUIDs are all the same: they name nothing.
    gpus: gpus.map((gpu, index) =>
      gpu.ref.uuid !== null && uuids.indexOf(gpu.ref.uuid) !== index
        ? { ...gpu, ref: { ...gpu.ref, uuid: null }, newest: withoutUuid(gpu.newest) }
        : gpu,
    ),
    driverVersion: newest ?? null,
    computeApiVersion: newestOf(captures, ({ computeApiVersion }) => computeApiVersion) ?? null,
    unshownCount: machines.reduce((sum, machine) => sum + unshownOf(machine), 0),
    notes,
  };
}

function recordGpu(
  seen: SeenGpu,
  indexes: ReadonlyMap<SeenGpu, number>,
  last: Capture | undefined,
  machine: Machine,
): RecordedGpu {
  const ref: GpuRef = {
    index: indexes.get(seen) ?? seen.printedIndex,
    uuid: seen.uuid,
    pciAddress: seen.pciAddress,
    name: seen.name,
  };
  const byPrinted = new Map(machine.gpus.map((gpu) => [gpu.printedIndex, indexes.get(gpu)]));
  const runs = runsOf(seen.observations);
  const merged = runs.map((run) => ({
    at: timeOfRun(run),
    gpu: withPeers(mergeRun(run), (printed) => byPrinted.get(printed)),
  }));
  const newest = merged.at(-1) ?? { at: null, gpu: mergeRun([]) };
  return {
    ref,
    at: newest.at,
    newest: newest.gpu,
    earlier: merged.slice(0, -1).map(({ at, gpu }) => readingOf(ref, gpu, at)),
    isMissing:
      last !== undefined &&
      !runs.some((run) => run.some(({ capture }) => capture === last)) &&
      runs.length > 0 &&
      !isOnlyListed(seen),
    isCut: isCutIn(runs.at(-1) ?? []),
  };
}

/** Whether no output of a run shows the GPU to its end. Tables show little of it in any case and do not count. */
function isCutIn(run: Run): boolean {
  const full = run.filter(({ capture }) => formatRank[capture.format] <= formatRank['nvidia-smi -q']);
  return full.length > 0 && full.every(({ gpu }) => gpu.isCut === true);
}

/** By the count of the newest run that has one. */
function unshownOf({ captures, gpus }: Machine): number {
  const counted = captures.filter(({ attachedGpuCount }) => attachedGpuCount !== null).toSorted(byTime);
  return Math.max(0, (counted.at(-1)?.attachedGpuCount ?? 0) - gpus.length);
}

/** GPUs known from a list or matrix alone are not missing from runs that could not be read. */
const isOnlyListed = ({ observations }: SeenGpu) => !observations.some(({ capture }) => isRun(capture));

/** The printed indexes, moved on past the machines before; where two outputs disagree, the next free one. */
function indexesOf(machine: Machine, offset: number): ReadonlyMap<SeenGpu, number> {
  const indexes = new Map<SeenGpu, number>();
  const taken = new Set<number>();
  const printedFirst = machine.gpus.toSorted((a, b) => Number(b.isIndexPrinted) - Number(a.isIndexPrinted));
  for (const gpu of printedFirst) {
    let index = offset + gpu.printedIndex;
    while (taken.has(index)) index += 1;
    taken.add(index);
    indexes.set(gpu, index);
  }
  return indexes;
}

/** The newest run that lists every GPU the driver counts. */
function newestFullRun({ captures }: Machine): Capture | undefined {
  const runs = captures.filter(isRun);
  const newest = runs.toSorted(byTime).at(-1);
  return newest && newest.attachedGpuCount === newest.gpus.length ? newest : undefined;
}

function byTime(a: Capture, b: Capture): number {
  const [before, after] = [Date.parse(a.at ?? ''), Date.parse(b.at ?? '')];
  return Number.isNaN(before - after) || before === after ? a.order - b.order : before - after;
}

function newestOf(captures: readonly Capture[], of: (capture: Capture) => string | null): string | undefined {
  return captures
    .toSorted(byTime)
    .flatMap((capture) => of(capture) ?? [])
    .at(-1);
}

/** Peers are printed by index: of GPUs that no capture shows there is nothing to say. */
function withPeers(gpu: MergedGpu, indexOf: (printed: number) => number | undefined): MergedGpu {
  const topology = gpu.readings.topology;
  if (!topology?.peers) return gpu;
  const peers: GpuTopology['peers'] = topology.peers.flatMap((peer) => {
    const index = indexOf(peer.index);
    return index === undefined ? [] : [{ ...peer, index }];
  });
  return { ...gpu, readings: { ...gpu.readings, topology: { ...topology, peers } } };
}

function withoutUuid(gpu: MergedGpu): MergedGpu {
  const { uuid: _, ...identity } = gpu.readings.identity ?? {};
  const gap = {
    field: 'identity.uuid',
    reason: 'not-observable',
    detail: 'the file has the same for several GPUs',
  } as const;
  return { ...gpu, readings: { ...gpu.readings, identity }, gaps: [...gpu.gaps, gap] };
}

function readingOf(ref: GpuRef, gpu: MergedGpu, at: string | null): GpuReading {
  const { readings, gaps, citations, state, stateDetail } = gpu;
  const sample = makeSample(ref, recordedSections, state === undefined ? readings : {}, gaps);
  return {
    ...sample,
    citations,
    gpu: ref,
    state: state ?? 'ok',
    ...(stateDetail === undefined ? {} : { stateDetail }),
    observedAt: at ?? new Date(0).toISOString(),
  };
}

/** The earlier runs of all GPUs, oldest first: one list for each moment. */
export function earlierRuns(gpus: readonly RecordedGpu[]): readonly (readonly GpuReading[])[] {
  const byMoment = new Map<string, GpuReading[]>();
  for (const { earlier } of gpus) {
    const seen = new Map<string, number>();
    for (const reading of earlier) {
      // Runs without a time, or of the same second, are matched by their order.
      const step = seen.get(reading.observedAt) ?? 0;
      seen.set(reading.observedAt, step + 1);
      const moment = `${reading.observedAt}#${String(step).padStart(6, '0')}`;
      const readings = byMoment.get(moment);
      if (readings) readings.push(reading);
      else byMoment.set(moment, [reading]);
    }
  }
  return [...byMoment].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, readings]) => readings);
}
