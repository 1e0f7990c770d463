export interface MigDevice {
  /** Can be sparse. */
  readonly index: number;
  readonly uuid: string | null;
  readonly gpuInstanceId: number | null;
  readonly computeInstanceId: number | null;
  /** For example `1g.10gb`. */
  readonly profile: string | null;
  readonly memoryTotalBytes: number | null;
  readonly memoryUsedBytes: number | null;
  readonly multiprocessorCount: number | null;
  readonly gpuSliceCount: number | null;
  readonly computeSliceCount: number | null;
  /** First memory slice and how many the GPU instance takes. */
  readonly placementStart: number | null;
  readonly placementSize: number | null;
}

/** A way to divide the GPU. */
export interface MigProfile {
  readonly id: number;
  /** For example `1g.10gb`. */
  readonly name: string | null;
  readonly gpuSliceCount: number;
  readonly memoryTotalBytes: number;
  readonly multiprocessorCount: number;
  /** How many fit an empty GPU, and how many more fit now. */
  readonly maxInstanceCount: number;
  readonly remainingInstanceCount: number | null;
  /** First memory slices at which one can be placed. */
  readonly placementStarts: readonly number[] | null;
}

export interface GpuMig {
  readonly enabled: boolean | null;
  readonly pendingEnabled: boolean | null;
  readonly maxDeviceCount: number | null;
  readonly devices: readonly MigDevice[] | null;
  readonly profiles: readonly MigProfile[] | null;
}
