export const nvlinkRemoteDeviceTypes = ['gpu', 'npu', 'switch', 'unknown'] as const;
export type NvLinkRemoteDeviceType = (typeof nvlinkRemoteDeviceTypes)[number];

/** One link of a GPU. Counters are monotonic since the driver was loaded, or since the link was last trained. */
export interface NvLink {
  /** From 0. */
  readonly link: number;
  readonly active: boolean | null;
  /** Generation, for example `4`; halves exist (`2.2`). */
  readonly version: string | null;
  readonly speedMegabytesPerSecond: number | null;
  readonly remoteDeviceType: NvLinkRemoteDeviceType | null;
  /** `domain:bus:device.function` of what is at the other end. */
  readonly remotePciAddress: string | null;
  readonly remoteLink: number | null;
  readonly replayErrorCount: number | null;
  readonly recoveryErrorCount: number | null;
  readonly crcFlitErrorCount: number | null;
  readonly crcDataErrorCount: number | null;
  readonly eccDataErrorCount: number | null;
  /** NVLink 5 and newer, as is what follows. */
  readonly receiveErrorCount: number | null;
  readonly malformedPacketErrorCount: number | null;
  readonly bufferOverrunErrorCount: number | null;
  readonly linkIntegrityErrorCount: number | null;
  readonly linkRecoverySuccessCount: number | null;
  readonly linkRecoveryFailureCount: number | null;
  readonly effectiveErrorCount: number | null;
  /** Errors per bit left after forward error correction, from 0. */
  readonly effectiveBitErrorRate: number | null;
  readonly symbolErrorCount: number | null;
  readonly symbolBitErrorRate: number | null;
}

export interface GpuNvLinks {
  /** The links this GPU has, found by asking; empty for a product without NVLink whose driver says so. */
  readonly links: readonly NvLink[] | null;
}

export const fabricStates = ['not-supported', 'not-started', 'in-progress', 'completed'] as const;
export type FabricState = (typeof fabricStates)[number];

/** The driver's sum of the health mask. */
export const fabricHealthSummaries = ['not-supported', 'healthy', 'unhealthy', 'limited-capacity'] as const;
export type FabricHealthSummary = (typeof fabricHealthSummaries)[number];

export const fabricMisconfigurations = [
  'none',
  'incorrect-system-guid',
  'incorrect-chassis-serial',
  'no-partition',
  'insufficient-nvlinks',
  'incompatible-gpu-firmware',
  'invalid-location',
  'invalid-gpu-state',
] as const;
export type FabricMisconfiguration = (typeof fabricMisconfigurations)[number];

/**
 * Registration with the fabric of NVLink switches, which Fabric Manager does. Each part of the health mask is null where the product
 * does not report it.
 */
export interface GpuFabric {
  readonly state: FabricState | null;
  /** How registration ended, as the driver names it (`NVML_SUCCESS`); meaningful once the state is `completed`. */
  readonly status: string | null;
  readonly clusterUuid: string | null;
  readonly cliqueId: number | null;
  readonly degradedBandwidth: boolean | null;
  readonly routeRecovery: boolean | null;
  readonly routeUnhealthy: boolean | null;
  readonly accessTimeoutRecovery: boolean | null;
  readonly misconfiguration: FabricMisconfiguration | null;
  readonly healthSummary: FabricHealthSummary | null;
}
