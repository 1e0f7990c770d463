/**
 * The NVML functions this adapter calls, by exported symbol, with the kinds of their parameters. All return `nvmlReturn_t`.
 * Unversioned symbols whose versioned sibling exists are the v1 ABI in the real library, so versions are always spelt out.
 * Source: nvml.h of NVML 13.3.29 (NVIDIA/go-nvml gen/nvml/nvml.h).
 */
export const functions = {
  nvmlInit_v2: [],
  nvmlShutdown: [],
  nvmlSystemGetDriverVersion: ['pointer', 'u32'],
  nvmlSystemGetNVMLVersion: ['pointer', 'u32'],
  nvmlSystemGetCudaDriverVersion_v2: ['pointer'],
  nvmlSystemGetCudaDriverVersion: ['pointer'],
  nvmlDeviceGetCount_v2: ['pointer'],
  nvmlDeviceGetHandleByIndex_v2: ['u32', 'pointer'],
  nvmlDeviceGetHandleByUUID: ['pointer', 'pointer'],
  // identity
  nvmlDeviceGetUUID: ['handle', 'pointer', 'u32'],
  nvmlDeviceGetName: ['handle', 'pointer', 'u32'],
  nvmlDeviceGetPciInfo_v3: ['handle', 'pointer'],
  nvmlDeviceGetSerial: ['handle', 'pointer', 'u32'],
  nvmlDeviceGetBoardPartNumber: ['handle', 'pointer', 'u32'],
  nvmlDeviceGetVbiosVersion: ['handle', 'pointer', 'u32'],
  nvmlDeviceGetInforomImageVersion: ['handle', 'pointer', 'u32'],
  nvmlDeviceGetArchitecture: ['handle', 'pointer'],
  nvmlDeviceGetCudaComputeCapability: ['handle', 'pointer', 'pointer'],
  nvmlDeviceGetMinorNumber: ['handle', 'pointer'],
  nvmlDeviceGetPersistenceMode: ['handle', 'pointer'],
  // memory
  nvmlDeviceGetMemoryInfo_v2: ['handle', 'pointer'],
  nvmlDeviceGetMemoryInfo: ['handle', 'pointer'],
  // thermal
  nvmlDeviceGetTemperatureV: ['handle', 'pointer'],
  nvmlDeviceGetTemperature: ['handle', 'u32', 'pointer'],
  nvmlDeviceGetTemperatureThreshold: ['handle', 'u32', 'pointer'],
  nvmlDeviceGetMarginTemperature: ['handle', 'pointer'],
  nvmlDeviceGetFanSpeed_v2: ['handle', 'u32', 'pointer'],
  nvmlDeviceGetFanSpeed: ['handle', 'pointer'],
  nvmlDeviceGetFieldValues: ['handle', 'u32', 'pointer'],
  // power
  nvmlDeviceGetPowerUsage: ['handle', 'pointer'],
  nvmlDeviceGetEnforcedPowerLimit: ['handle', 'pointer'],
  nvmlDeviceGetPowerManagementDefaultLimit: ['handle', 'pointer'],
  nvmlDeviceGetPowerManagementLimitConstraints: ['handle', 'pointer', 'pointer'],
  nvmlDeviceGetTotalEnergyConsumption: ['handle', 'pointer'],
  // clocks
  nvmlDeviceGetClockInfo: ['handle', 'u32', 'pointer'],
  nvmlDeviceGetMaxClockInfo: ['handle', 'u32', 'pointer'],
  nvmlDeviceGetPerformanceState: ['handle', 'pointer'],
  nvmlDeviceGetCurrentClocksEventReasons: ['handle', 'pointer'],
  nvmlDeviceGetCurrentClocksThrottleReasons: ['handle', 'pointer'],
  // utilization
  nvmlDeviceGetUtilizationRates: ['handle', 'pointer'],
  nvmlDeviceGetEncoderUtilization: ['handle', 'pointer', 'pointer'],
  nvmlDeviceGetDecoderUtilization: ['handle', 'pointer', 'pointer'],
  // ecc and memory repair
  nvmlDeviceGetEccMode: ['handle', 'pointer', 'pointer'],
  nvmlDeviceGetTotalEccErrors: ['handle', 'u32', 'u32', 'pointer'],
  nvmlDeviceGetMemoryErrorCounter: ['handle', 'u32', 'u32', 'u32', 'pointer'],
  nvmlDeviceGetSramEccErrorStatus: ['handle', 'pointer'],
  nvmlDeviceGetRemappedRows: ['handle', 'pointer', 'pointer', 'pointer', 'pointer'],
  nvmlDeviceGetRetiredPages_v2: ['handle', 'u32', 'pointer', 'pointer', 'pointer'],
  nvmlDeviceGetRetiredPages: ['handle', 'u32', 'pointer', 'pointer'],
  nvmlDeviceGetRetiredPagesPendingStatus: ['handle', 'pointer'],
  // pcie
  nvmlDeviceGetCurrPcieLinkGeneration: ['handle', 'pointer'],
  nvmlDeviceGetMaxPcieLinkGeneration: ['handle', 'pointer'],
  nvmlDeviceGetCurrPcieLinkWidth: ['handle', 'pointer'],
  nvmlDeviceGetMaxPcieLinkWidth: ['handle', 'pointer'],
  nvmlDeviceGetPcieReplayCounter: ['handle', 'pointer'],
  // mig
  nvmlDeviceGetMigMode: ['handle', 'pointer', 'pointer'],
  nvmlDeviceGetMaxMigDeviceCount: ['handle', 'pointer'],
  nvmlDeviceGetMigDeviceHandleByIndex: ['handle', 'u32', 'pointer'],
  nvmlDeviceGetGpuInstanceId: ['handle', 'pointer'],
  nvmlDeviceGetComputeInstanceId: ['handle', 'pointer'],
  nvmlDeviceGetAttributes_v2: ['handle', 'pointer'],
} as const satisfies Record<string, readonly ParameterKind[]>;

/** `handle`: an opaque 64-bit token, passed as an integer so that the FFI never dereferences it. `pointer`: memory we own. */
export type ParameterKind = 'handle' | 'u32' | 'pointer';
export type FunctionName = keyof typeof functions;

interface ArgumentTypes {
  readonly handle: bigint;
  readonly u32: number;
  readonly pointer: Buffer;
}
type ArgumentsOf<Kinds extends readonly ParameterKind[]> = {
  -readonly [Position in keyof Kinds]: ArgumentTypes[Kinds[Position]];
};
export type Arguments<Name extends FunctionName> = ArgumentsOf<(typeof functions)[Name]>;

/** Without these nothing can be read; a library that lacks one is not a usable libnvidia-ml. */
export const essentialFunctions = [
  'nvmlInit_v2',
  'nvmlShutdown',
  'nvmlDeviceGetCount_v2',
  'nvmlDeviceGetHandleByIndex_v2',
] as const satisfies readonly FunctionName[];
