import { UsageError } from '@k8s-gpu-mcp/command-line';
import { isGpuError, type KernelLogRecord } from '@k8s-gpu-mcp/core';
import { scanKernelLog } from '@k8s-gpu-mcp/host-linux';
import type { Input } from './inputs.ts';

export interface ScanOutcome {
  recordCount: number;
  /** Why the rest of the input could not be read. */
  damage?: string;
}

/**
 * The GPU-related records of one input, in order, however large it is. Damage after the first record ends the scan and is told by
 * `outcome`; what came before it counts.
 * @throws UsageError when nothing at all can be read of it
 */
export async function* readRecords(
  { name, stats }: Input,
  stdin: AsyncIterable<Uint8Array>,
  outcome: ScanOutcome,
): AsyncGenerator<KernelLogRecord, void, void> {
  const source = stats ? { path: name } : { stream: stdin, name };
  // A log without years was last written when the file was: a better guess than today.
  const nowMilliseconds = stats?.isFile() ? Math.min(stats.mtimeMs, Date.now()) : Date.now();
  try {
    for await (const record of scanKernelLog(source, { nowMilliseconds })) {
      outcome.recordCount += 1;
      yield record;
    }
  } catch (error) {
    if (!isGpuError(error)) throw error;
    const told = `${error.message}. ${error.hint}`;
    if (outcome.recordCount === 0) throw new UsageError(told);
    outcome.damage = told;
  }
}
