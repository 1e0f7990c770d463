import type { AccountedProcess, GpuProcessKind } from '@k8s-gpu-mcp/core';
import { readField } from '../abi/codec.ts';
import { decodeU64, missing, type Reading } from './values.ts';

/** What NVML's process entries mean. Like decode.ts this takes nothing but types from the core. */

/** The struct behind each kind of list; its size is the stride. */
export type ProcessLayout = 'nvmlProcessInfo_v1_t' | 'nvmlProcessInfo_t' | 'nvmlProcessDetail_v1_t';

export interface ProcessEntry {
  readonly pid: number;
  readonly memory: Reading<number>;
  readonly gpuInstanceId: number | null;
  readonly computeInstanceId: number | null;
}

/** All ones where MIG is off. */
function decodeInstanceId(value: number): number | null {
  return value === 0xffff_ffff ? null : value;
}

export function decodeProcessEntry(
  call: string,
  buffer: Buffer,
  layout: ProcessLayout,
  position: number,
): ProcessEntry {
  const memory = decodeU64(call, readField(buffer, layout, 'usedGpuMemory', position));
  const pid = readField(buffer, layout, 'pid', position);
  if (layout === 'nvmlProcessInfo_v1_t') {
    return { pid, memory, gpuInstanceId: null, computeInstanceId: null };
  }
  return {
    pid,
    memory,
    gpuInstanceId: decodeInstanceId(readField(buffer, layout, 'gpuInstanceId', position)),
    computeInstanceId: decodeInstanceId(readField(buffer, layout, 'computeInstanceId', position)),
  };
}

export interface HeldProcess extends ProcessEntry {
  readonly kinds: readonly GpuProcessKind[];
}

/** One entry for each process and MIG instance, whichever of the lists it is in. */
export function mergeProcesses(
  entries: readonly (ProcessEntry & { readonly kind: GpuProcessKind })[],
): readonly HeldProcess[] {
  const merged = new Map<string, HeldProcess>();
  for (const { kind, ...entry } of entries) {
    const key = `${entry.pid}/${entry.gpuInstanceId}/${entry.computeInstanceId}`;
    const known = merged.get(key);
    const kinds = known === undefined ? [kind] : [...new Set([...known.kinds, kind])];
    // Each list gives the memory of the whole process, so a second one adds nothing to what is known.
    const memory = known === undefined || 'reason' in known.memory ? entry.memory : known.memory;
    merged.set(key, { ...entry, memory, kinds });
  }
  return [...merged.values()].sort((a, b) => a.pid - b.pid);
}

export interface UtilizationSample {
  readonly smPercent: Reading<number>;
  readonly memoryPercent: Reading<number>;
  readonly encoderPercent: Reading<number>;
  readonly decoderPercent: Reading<number>;
}

export function decodePercent(call: string, value: number): Reading<number> {
  if (value === 0xffff_ffff) return missing('unsupported', `${call}: not available (all bits set)`);
  // Seen of drivers whose sample buffer was not filled.
  return value <= 100 ? { value } : missing('error', `${call}: ${value} is no percentage`);
}

/** The newest sample of each pid. */
export function decodeUtilizationSamples(
  call: string,
  buffer: Buffer,
  count: number,
): ReadonlyMap<number, UtilizationSample> {
  const layout = 'nvmlProcessUtilizationSample_t';
  const newest = new Map<number, { readonly at: bigint; readonly position: number }>();
  for (let position = 0; position < count; position += 1) {
    const pid = readField(buffer, layout, 'pid', position);
    const at = readField(buffer, layout, 'timeStamp', position);
    const known = newest.get(pid);
    if (known === undefined || at >= known.at) newest.set(pid, { at, position });
  }
  return new Map(
    [...newest].map(([pid, { position }]) => {
      const percent = (member: 'smUtil' | 'memUtil' | 'encUtil' | 'decUtil') =>
        decodePercent(call, readField(buffer, layout, member, position));
      return [
        pid,
        {
          smPercent: percent('smUtil'),
          memoryPercent: percent('memUtil'),
          encoderPercent: percent('encUtil'),
          decoderPercent: percent('decUtil'),
        },
      ];
    }),
  );
}

/** Microseconds since 1970 in UTC; 0 is a driver that did not note the time. */
export function decodeStartTime(call: string, microseconds: bigint): Reading<string> {
  const milliseconds = Number(microseconds / 1000n);
  const lastDate = 8.64e15; // of ECMAScript
  if (microseconds === 0n || microseconds === 0xffff_ffff_ffff_ffffn) {
    return missing('unsupported', `${call}: no start time`);
  }
  if (milliseconds > lastDate) return missing('error', `${call}: ${microseconds} is no time`);
  return { value: new Date(milliseconds).toISOString() };
}

/** One `nvmlAccountingStats_t`; `take` turns a missing reading into null and a gap. */
export function decodeAccounting(
  pid: number,
  stats: Buffer,
  take: <T>(leaf: string, reading: Reading<T>) => T | null,
): AccountedProcess {
  const call = 'nvmlDeviceGetAccountingStats';
  const layout = 'nvmlAccountingStats_t';
  const running = readField(stats, layout, 'isRunning') !== 0;
  return {
    pid,
    running,
    gpuPercent: take('gpuPercent', decodePercent(call, readField(stats, layout, 'gpuUtilization'))),
    memoryPercent: take('memoryPercent', decodePercent(call, readField(stats, layout, 'memoryUtilization'))),
    maxMemoryUsedBytes: take(
      'maxMemoryUsedBytes',
      decodeU64(call, readField(stats, layout, 'maxMemoryUsage')),
    ),
    startedAt: take('startedAt', decodeStartTime(call, readField(stats, layout, 'startTime'))),
    activeMilliseconds: take(
      'activeMilliseconds',
      // The driver says 0 then.
      running
        ? missing('not-observable', 'it still runs')
        : decodeU64(call, readField(stats, layout, 'time')),
    ),
  };
}
