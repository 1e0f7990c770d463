export interface GpuUtilization {
  /** Share of the last sampling period in which a kernel ran. Not available while MIG is enabled. */
  readonly gpuPercent: number | null;
  readonly memoryPercent: number | null;
  readonly encoderPercent: number | null;
  readonly decoderPercent: number | null;
  readonly jpegPercent: number | null;
  readonly opticalFlowPercent: number | null;
}

/**
 * What the engines did between the previous reading of this section and this one (NVML GPM, Hopper and newer). The first reading has
 * nothing to compare with: every leaf is null with a `not-observable` gap.
 */
export interface GpuProfiling {
  /** Between the two readings. */
  readonly intervalMilliseconds: number | null;
  readonly graphicsActivePercent: number | null;
  /** Share of the time in which at least one warp ran on a multiprocessor, averaged over them. */
  readonly smActivePercent: number | null;
  /** Resident warps of those that could be. */
  readonly smOccupancyPercent: number | null;
  readonly tensorActivePercent: number | null;
  readonly memoryBandwidthPercent: number | null;
  readonly integerActivePercent: number | null;
  readonly fp64ActivePercent: number | null;
  readonly fp32ActivePercent: number | null;
  readonly fp16ActivePercent: number | null;
  readonly pcieTransmitMegabytesPerSecond: number | null;
  readonly pcieReceiveMegabytesPerSecond: number | null;
  readonly nvlinkTransmitMegabytesPerSecond: number | null;
  readonly nvlinkReceiveMegabytesPerSecond: number | null;
}
