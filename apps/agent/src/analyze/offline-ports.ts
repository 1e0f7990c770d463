import { GpuError, type GpuProvider, type KernelLog, type KernelLogRecord } from '@k8s-gpu-mcp/core';

const unavailable = () =>
  Promise.reject(new GpuError('UNAVAILABLE', 'only files are read here, no GPU is asked'));

/** The provider of an analysis without a GPU: it has nothing to say, and says so. */
export const offlineProvider: GpuProvider = {
  manifest: {
    contractVersion: 1,
    backend: 'offline',
    vendor: 'none',
    simulated: false,
    sections: [],
    mig: false,
  },
  describeNode: unavailable,
  readGpu: unavailable,
  close: () => Promise.resolve(),
};

/** Records that have been read already, as a kernel log. */
export function recordedKernelLog(
  source: string,
  records: readonly KernelLogRecord[],
  lostRecordCount: number,
  /** What of the input could not be read; the whole of it when there are no records at all. */
  unread: readonly { readonly source: string; readonly reason: string }[],
): KernelLog {
  const times = records.flatMap(({ at }) => at ?? []).sort();
  const coverage = {
    source,
    readable: records.length > 0 || unread.length === 0,
    from: times[0] ?? null,
    to: times.at(-1) ?? null,
    ...(unread.length > 0 ? { skipped: unread } : {}),
    ...(lostRecordCount > 0 ? { lostRecordCount } : {}),
  };
  return { read: () => Promise.resolve({ records, coverage }) };
}
