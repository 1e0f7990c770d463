export interface GpuPcie {
  /** Drops when idle; only meaningful under load. */
  readonly currentGeneration: number | null;
  /** The most that GPU and slot allow together. */
  readonly maxGeneration: number | null;
  /** The most that the GPU alone allows. */
  readonly deviceMaxGeneration: number | null;
  readonly currentLinkWidthLanes: number | null;
  readonly maxLinkWidthLanes: number | null;
  /** Per lane. */
  readonly currentSpeedMegatransfersPerSecond: number | null;
  readonly maxSpeedMegatransfersPerSecond: number | null;
  /** Monotonic since the driver was loaded, as are the counters below. */
  readonly replayCount: number | null;
  readonly replayRolloverCount: number | null;
  readonly linkRecoveryCount: number | null;
  readonly correctableErrorCount: number | null;
  readonly nonFatalErrorCount: number | null;
  readonly fatalErrorCount: number | null;
  readonly unsupportedRequestCount: number | null;
  readonly badTlpCount: number | null;
  readonly badDllpCount: number | null;
  readonly lcrcErrorCount: number | null;
  readonly laneErrorCount: number | null;
  readonly receiverErrorCount: number | null;
  readonly naksSentCount: number | null;
  readonly naksReceivedCount: number | null;
}

/** A section of its own because measuring it takes time: with NVML 20 ms for each direction of each GPU. */
export interface GpuPcieTraffic {
  /** Over the 20 ms before the driver answers. */
  readonly transmitKilobytesPerSecond: number | null;
  readonly receiveKilobytesPerSecond: number | null;
}
