export const gpuProcessKinds = ['compute', 'graphics', 'mps'] as const;
export type GpuProcessKind = (typeof gpuProcessKinds)[number];

/** A process that holds the GPU, as the driver knows it. */
export interface GpuProcess {
  /** In the pid namespace of the reader. Drivers from 535.113 leave out processes that are not visible there. */
  readonly pid: number;
  readonly kinds: readonly GpuProcessKind[];
  readonly memoryUsedBytes: number | null;
  /** Set while MIG is enabled. */
  readonly gpuInstanceId: number | null;
  readonly computeInstanceId: number | null;
  /** Over the driver's last sampling periods; null where it has no sample of this process. */
  readonly smPercent: number | null;
  readonly memoryPercent: number | null;
  readonly encoderPercent: number | null;
  readonly decoderPercent: number | null;
}

/** What the driver remembers of a process, also one that has ended. */
export interface AccountedProcess {
  readonly pid: number;
  readonly running: boolean;
  readonly gpuPercent: number | null;
  readonly memoryPercent: number | null;
  readonly maxMemoryUsedBytes: number | null;
  /** ISO 8601. */
  readonly startedAt: string | null;
  /** Null while it runs. */
  readonly activeMilliseconds: number | null;
}

export interface GpuProcesses {
  readonly running: readonly GpuProcess[] | null;
  readonly accountingEnabled: boolean | null;
  /** The newest first; empty while accounting is off. */
  readonly accounted: readonly AccountedProcess[] | null;
}
