/** Constants for links, fabric, topology, MIG and events. Source: nvml.h of NVML 13.3.29. */

/** `NVML_NVLINK_MAX_LINKS`; 12 and 18 in older headers. Only a bound for the search: what a GPU has is found by asking. */
export const nvlinkMaxLinks = 36;

/** `nvmlNvLinkErrorCounter_t`. */
export const nvlinkErrorCounters = { replay: 0, recovery: 1, crcFlit: 2, crcData: 3, eccData: 4 } as const;

/** NVML_FI_DEV_NVLINK_*; unless said otherwise the scope id of the entry is the link. */
export const nvlinkFieldIds = {
  /** Of the GPU, without a scope. */
  linkCount: 91,
  remoteLink: 146,
  replayErrors: 161,
  recoveryErrors: 162,
  crcErrors: 163,
  speed: 164,
  malformedPacketErrors: 206,
  bufferOverrunErrors: 207,
  receiveErrors: 208,
  linkIntegrityErrors: 211,
  linkRecoverySuccesses: 213,
  linkRecoveryFailures: 214,
  effectiveErrors: 219,
  effectiveBitErrorRate: 220,
  symbolErrors: 221,
  symbolBitErrorRate: 222,
} as const;

/** NVML_FI_DEV_NVLINK_SPEED_MBPS_L0 to L11: before there was a scope, each link had an id of its own. */
export const nvlinkSpeedIdsByLink = [84, 85, 86, 87, 88, 89, 132, 133, 134, 135, 136, 137] as const;

/** `nvmlGpuP2PCapsIndex_t`. */
export const peerCapabilities = { read: 0, write: 1, nvlink: 2, atomics: 3, pcie: 4 } as const;

/** `NVML_AFFINITY_SCOPE_NODE`. */
export const affinityScopeNode = 0;

/**
 * NVML_GPU_FABRIC_HEALTH_MASK_SHIFT_* and their widths. The header of CUDA 12.4 gives the mask of the first as 0x11, which would take bits
 * of its neighbours along; from 12.8 it is 0x3 like the rest.
 */
export const fabricHealthParts = {
  degradedBandwidth: { shift: 0, mask: 0x3 },
  routeRecovery: { shift: 2, mask: 0x3 },
  routeUnhealthy: { shift: 4, mask: 0x3 },
  accessTimeoutRecovery: { shift: 6, mask: 0x3 },
  misconfiguration: { shift: 8, mask: 0xf },
} as const;

/** `NVML_GPU_INSTANCE_PROFILE_COUNT` is 18 and grows; only a bound for the search. */
export const migProfileSearchLimit = 64;

/** NVML_GPU_INSTANCE_PROFILE_*_REV1: the profiles with media engines, which NVIDIA's tools mark `+me`. */
export const migMediaProfiles: readonly number[] = [7, 8];

/** Instances of one profile, and places for one: a GPU has 8 memory slices, and libraries write without being told the room. */
export const migInstanceRoom = 128;
