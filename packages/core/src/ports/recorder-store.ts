/** What was read of one GPU at one moment. */
export interface RecordedSample {
  /** Empty for a GPU whose UUID could not be read: then the index is all that tells it apart. */
  readonly gpuUuid: string;
  readonly gpuIndex: number;
  /** Milliseconds since 1970 (UTC). Of one GPU it grows, but for a clock that was set back. */
  readonly atMilliseconds: number;
  /** One for each series of `recordedSeries`, in its order; NaN for what could not be read. */
  readonly values: Float64Array;
}

/** The port to where recorded samples outlive the process. */
export interface RecorderStore {
  /** What is kept, oldest first. What is damaged is left out and counted; it never throws for the content of a file. */
  load(): Promise<{ readonly samples: readonly RecordedSample[]; readonly lostSampleCount: number }>;
  /** The samples of one interval. Resolves once they survive a kill of this process; rejects with `GpuError` when they cannot be written. */
  append(samples: readonly RecordedSample[]): Promise<void>;
  close(): Promise<void>;
}
