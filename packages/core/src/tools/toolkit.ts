import type { GpuReading, GpuSection, NodeDescription } from '../domain/gpu.ts';
import { type GpuError, isGpuError } from '../errors.ts';
import type { GpuReader } from '../gpu-reader.ts';
import type { HostDevices } from '../ports/host-devices.ts';
import type { HostProcesses } from '../ports/host-processes.ts';
import type { KernelLog } from '../ports/kernel-log.ts';
import type { Clock, Logger } from '../ports/runtime.ts';
import { resolveGpu } from '../selector.ts';

/** What every tool works with. */
export interface Toolkit {
  readonly nodeName: string;
  readonly reader: GpuReader;
  readonly kernelLog: KernelLog;
  /** Null where the embedder gave none: answers that need it say so with a gap. */
  readonly hostDevices: HostDevices | null;
  readonly hostProcesses: HostProcesses | null;
  readonly clock: Clock;
  readonly logger: Logger;
}

export type NodeReadings =
  | { readonly node: NodeDescription; readonly error?: undefined; readonly readings: readonly GpuReading[] }
  /** The driver as a whole could not be asked. */
  | { readonly node: null; readonly error: GpuError; readonly readings: readonly [] };

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
