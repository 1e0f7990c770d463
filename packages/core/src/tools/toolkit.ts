import { awaitWithin } from '../await-within.ts';
import type { GpuReading, GpuRef, GpuSection, NodeDescription } from '../domain/gpu.ts';
import { GpuError, isGpuError } from '../errors.ts';
import { type GpuReader, gapReasonOf } from '../gpu-reader.ts';
import type { ReadingHistory } from '../health/baseline.ts';
import type { ThresholdOverrides } from '../health/thresholds.ts';
import type { HostDevices } from '../ports/host-devices.ts';
import type { HostProcesses, HostProcessesReading } from '../ports/host-processes.ts';
import type { KernelLog } from '../ports/kernel-log.ts';
import type { RecordedEvidence } from '../ports/recorded-evidence.ts';
import type { Clock, Logger } from '../ports/runtime.ts';
import type { FlightRecorder } from '../recorder/flight-recorder.ts';
import { resolveGpu } from '../selector.ts';

/** What every tool works with. */
export interface Toolkit {
  readonly nodeName: string;
  readonly reader: GpuReader;
  readonly kernelLog: KernelLog;
  /** Null where the embedder gave none: answers that need it say so with a gap. */
  readonly hostDevices: HostDevices | null;
  readonly hostProcesses: HostProcesses | null;
  /** Null where nothing is recorded. */
  readonly recorder: FlightRecorder | null;
  /** What only files tell; null on a live node. */
  readonly recorded: RecordedEvidence | null;
  /** What was read of each GPU before, for what grew. */
  readonly history: ReadingHistory;
  readonly thresholds: ThresholdOverrides;
  /** How far back tools look that judge by the kernel log, as a duration; null for all that it has. */
  readonly lookback: string | null;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The driver as a whole could not be asked. */
interface UnreadableNode {
  readonly node: null;
  readonly error: GpuError;
  readonly readings: readonly [];
}

export type NodeReadings =
  | { readonly node: NodeDescription; readonly error?: undefined; readonly readings: readonly GpuReading[] }
  | UnreadableNode;

/**
 * The readings a tool asks for, of all GPUs or the one selected.
 * @throws GpuError INVALID_INPUT or GPU_NOT_FOUND when the selector names no GPU of this node.
 */
export async function readNode(
  { reader }: Toolkit,
  selector: string | number | undefined,
  sections: readonly GpuSection[],
  signal: AbortSignal,
): Promise<NodeReadings> {
  const node = await reader.describe(signal);
  if (isGpuError(node)) return { node: null, error: node, readings: [] };
  const gpus = selector === undefined ? node.gpus : [await resolveGpu(selector, node.gpus, reader, signal)];
  return { node, readings: await reader.readGpus(gpus, sections, signal) };
}

export type SiblingReadings =
  | {
      readonly node: NodeDescription;
      readonly error?: undefined;
      /** Of every GPU, whichever was asked for. */
      readonly readings: readonly GpuReading[];
      /** The one asked for; undefined for all. */
      readonly selected: GpuRef | undefined;
    }
  | UnreadableNode;

/**
 * The readings of all GPUs, for tools that say of one what only the others can tell.
 * @throws GpuError INVALID_INPUT or GPU_NOT_FOUND when the selector names no GPU of this node.
 */
export async function readSiblings(
  toolkit: Toolkit,
  selector: string | number | undefined,
  sections: readonly GpuSection[],
  signal: AbortSignal,
): Promise<SiblingReadings> {
  const { reader } = toolkit;
  const node = await reader.describe(signal);
  if (isGpuError(node)) return { node: null, error: node, readings: [] };
  const selected = selector === undefined ? undefined : await resolveGpu(selector, node.gpus, reader, signal);
  return { node, readings: await reader.readGpus(node.gpus, sections, signal), selected };
}

/** What the operating system says of these processes; null where nobody gave access to it. Never rejects. */
export async function describeProcesses(
  { hostProcesses, clock, logger }: Toolkit,
  pids: readonly number[],
  signal: AbortSignal,
): Promise<HostProcessesReading | null> {
  if (!hostProcesses) return null;
  // A GPU that hangs takes the whole deadline; the holders of its siblings are to have their names all the same.
  const late = signal.aborted ? expiringSignal(clock) : undefined;
  const within = late?.signal ?? signal;
  try {
    return await awaitWithin(hostProcesses.describe(pids, within), within, clock, () => {
      logger.warn('the host process adapter ignored its deadline');
      return new GpuError('TIMEOUT', 'the processes were not read within the deadline');
    });
  } catch (thrown) {
    const error = isGpuError(thrown) ? thrown : new GpuError('INTERNAL', 'reading the processes failed');
    if (error !== thrown) logger.error('the host process adapter failed', { error: thrown });
    const gap = { field: 'hostProcesses', reason: gapReasonOf(error), detail: error.message };
    return { processes: [], seesAllProcesses: null, gaps: [gap] };
  } finally {
    late?.cancel();
  }
}

/** What is kept back from the deadline for the answer leaves this much for a look into /proc, which takes a few milliseconds. */
const lateMilliseconds = 150;

function expiringSignal(clock: Clock): { readonly signal: AbortSignal; cancel(): void } {
  const controller = new AbortController();
  return { signal: controller.signal, cancel: clock.after(lateMilliseconds, () => controller.abort()) };
}

/** Waits; false when `signal` aborted first. */
export function pause(clock: Clock, milliseconds: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const settle = (waited: boolean) => {
      cancel();
      signal.removeEventListener('abort', onAbort);
      resolve(waited);
    };
    const onAbort = () => settle(false);
    const cancel = clock.after(milliseconds, () => settle(true));
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
