/** NVML constants in use. Source: nvml.h of NVML 13.3.29. */

/** `nvmlReturn_t`, by number. */
export const returnCodes = {
  0: 'NVML_SUCCESS',
  1: 'NVML_ERROR_UNINITIALIZED',
  2: 'NVML_ERROR_INVALID_ARGUMENT',
  3: 'NVML_ERROR_NOT_SUPPORTED',
  4: 'NVML_ERROR_NO_PERMISSION',
  5: 'NVML_ERROR_ALREADY_INITIALIZED',
  6: 'NVML_ERROR_NOT_FOUND',
  7: 'NVML_ERROR_INSUFFICIENT_SIZE',
  8: 'NVML_ERROR_INSUFFICIENT_POWER',
  9: 'NVML_ERROR_DRIVER_NOT_LOADED',
  10: 'NVML_ERROR_TIMEOUT',
  11: 'NVML_ERROR_IRQ_ISSUE',
  12: 'NVML_ERROR_LIBRARY_NOT_FOUND',
  13: 'NVML_ERROR_FUNCTION_NOT_FOUND',
  14: 'NVML_ERROR_CORRUPTED_INFOROM',
  15: 'NVML_ERROR_GPU_IS_LOST',
  16: 'NVML_ERROR_RESET_REQUIRED',
  17: 'NVML_ERROR_OPERATING_SYSTEM',
  18: 'NVML_ERROR_LIB_RM_VERSION_MISMATCH',
  19: 'NVML_ERROR_IN_USE',
  20: 'NVML_ERROR_MEMORY',
  21: 'NVML_ERROR_NO_DATA',
  22: 'NVML_ERROR_VGPU_ECC_NOT_SUPPORTED',
  23: 'NVML_ERROR_INSUFFICIENT_RESOURCES',
  24: 'NVML_ERROR_FREQ_NOT_SUPPORTED',
  25: 'NVML_ERROR_ARGUMENT_VERSION_MISMATCH',
  26: 'NVML_ERROR_DEPRECATED',
  27: 'NVML_ERROR_NOT_READY',
  28: 'NVML_ERROR_GPU_NOT_FOUND',
  29: 'NVML_ERROR_INVALID_STATE',
  30: 'NVML_ERROR_RESET_TYPE_NOT_SUPPORTED',
  999: 'NVML_ERROR_UNKNOWN',
} as const;

export const rc = {
  success: 0,
  uninitialized: 1,
  invalidArgument: 2,
  notSupported: 3,
  noPermission: 4,
  notFound: 6,
  insufficientSize: 7,
  driverNotLoaded: 9,
  timeout: 10,
  libraryNotFound: 12,
  functionNotFound: 13,
  gpuIsLost: 15,
  resetRequired: 16,
  libRmVersionMismatch: 18,
  argumentVersionMismatch: 25,
  deprecated: 26,
  gpuNotFound: 28,
} as const;

/** Sizes the header gives for text buffers (the V2 sizes where there are two). */
export const bufferSizes = {
  name: 96,
  uuid: 96,
  serial: 30,
  boardPartNumber: 80,
  vbiosVersion: 32,
  inforomVersion: 16,
  systemVersion: 80,
  gspFirmwareVersion: 64,
} as const;

/**
 * Field ids for nvmlDeviceGetFieldValues. Ids 199, 200 and 251 to 273 were renumbered between driver branches and are never queried: what
 * they mean depends on the driver.
 */
export const fieldIds = {
  violationPower: 74,
  violationThermal: 75,
  violationSyncBoost: 76,
  violationBoardLimit: 77,
  violationLowUtilization: 78,
  violationReliability: 79,
  violationApplicationClocks: 80,
  violationBaseClocks: 81,
  memoryTemperature: 82,
  pcieReplay: 94,
  pcieReplayRollover: 95,
  pcieLinkRecovery: 169,
  pcieCorrectableErrors: 173,
  pcieNaksReceived: 174,
  pcieReceiverErrors: 175,
  pcieBadTlps: 176,
  pcieNaksSent: 177,
  pcieBadDllps: 178,
  pcieNonFatalErrors: 179,
  pcieFatalErrors: 180,
  pcieUnsupportedRequests: 181,
  pcieLcrcErrors: 182,
  pcieLaneErrors: 183,
  powerAverage: 185,
  powerInstant: 186,
  powerRequestedLimit: 192,
  temperatureShutdownLimit: 193,
  temperatureSlowdownLimit: 194,
  temperatureMemoryMaxLimit: 195,
  temperatureGpuMaxLimit: 196,
  recoveryAction: 230,
} as const;

/** `nvmlValueType_t`. */
export const valueTypes = {
  double: 0,
  unsignedInt: 1,
  unsignedLong: 2,
  unsignedLongLong: 3,
  signedLongLong: 4,
  signedInt: 5,
  unsignedShort: 6,
} as const;

export const temperatureSensorGpu = 0;
export const temperatureThresholds = { shutdown: 0, slowdown: 1, memoryMax: 2, gpuMax: 3 } as const;
export const clockTypes = { graphics: 0, sm: 1, memory: 2, video: 3 } as const;
/** `nvmlClockId_t`. */
export const clockIds = { applicationTarget: 1, applicationDefault: 2, customerBoostMax: 3 } as const;
/** `nvmlPerfPolicyType_t`. */
export const performancePolicies = {
  power: 0,
  thermal: 1,
  syncBoost: 2,
  boardLimit: 3,
  lowUtilization: 4,
  reliability: 5,
  applicationClocks: 10,
  baseClocks: 11,
} as const;
/** `nvmlInforomObject_t`. */
export const inforomObjects = { oem: 0, ecc: 1, power: 2 } as const;
export const memoryErrorTypes = { corrected: 0, uncorrected: 1 } as const;
export const eccCounterTypes = { volatile: 0, aggregate: 1 } as const;
export const memoryLocationSram = 7;
export const pageRetirementCauses = { multipleSingleBit: 0, doubleBit: 1 } as const;
export const pcieCounters = { transmit: 0, receive: 1 } as const;
/** `nvmlGpmMetricId_t`. */
export const gpmMetricIds = {
  graphicsActive: 1,
  smActive: 2,
  smOccupancy: 3,
  integerActive: 4,
  tensorActive: 5,
  memoryBandwidth: 10,
  fp64Active: 11,
  fp32Active: 12,
  fp16Active: 13,
  pcieTransmit: 20,
  pcieReceive: 21,
  nvlinkReceive: 60,
  nvlinkTransmit: 61,
} as const;
