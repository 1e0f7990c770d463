export interface GpuMemory {
  readonly totalBytes: number | null;
  readonly usedBytes: number | null;
  readonly freeBytes: number | null;
  /** Held by driver and firmware; not part of `usedBytes` where the driver tells them apart. */
  readonly reservedBytes: number | null;
  /** The window through which the CPU and peers reach GPU memory. */
  readonly bar1TotalBytes: number | null;
  readonly bar1UsedBytes: number | null;
  readonly bar1FreeBytes: number | null;
}
