/**
 * The NVML functions this adapter calls, by exported symbol: the kinds of their parameters and the release of the header (CUDA major.minor)
 * that first declares them; 11.3 stands for that and anything older. All return `nvmlReturn_t`. A driver offers what it exports, not what
 * its version promises (functions were withdrawn and back-ported), so `since` informs people and decides nothing.
 * Unversioned symbols whose versioned sibling exists are the v1 ABI in the real library, so versions are always spelt out.
 * Source: nvml.h of NVML 13.3.29 (NVIDIA/go-nvml gen/nvml/nvml.h) and 22 earlier releases of it.
 */
export const functions = {
  // session
  nvmlInit_v2: { since: '11.3', parameters: [] },
  nvmlShutdown: { since: '11.3', parameters: [] },
  // system
  nvmlSystemGetDriverVersion: { since: '11.3', parameters: ['pointer', 'u32'] },
  nvmlSystemGetNVMLVersion: { since: '11.3', parameters: ['pointer', 'u32'] },
  nvmlSystemGetCudaDriverVersion_v2: { since: '11.3', parameters: ['pointer'] },
  nvmlSystemGetCudaDriverVersion: { since: '11.3', parameters: ['pointer'] },
  nvmlSystemGetDriverBranch: { since: '12.6', parameters: ['pointer', 'u32'] },
  nvmlSystemGetConfComputeState: { since: '12.2', parameters: ['pointer'] },
  // enumeration
  nvmlDeviceGetCount_v2: { since: '11.3', parameters: ['pointer'] },
  nvmlDeviceGetHandleByIndex_v2: { since: '11.3', parameters: ['u32', 'pointer'] },
  nvmlDeviceGetHandleByUUID: { since: '11.3', parameters: ['pointer', 'pointer'] },
  // identity
  nvmlDeviceGetUUID: { since: '11.3', parameters: ['handle', 'pointer', 'u32'] },
  nvmlDeviceGetName: { since: '11.3', parameters: ['handle', 'pointer', 'u32'] },
  nvmlDeviceGetPciInfo_v3: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetSerial: { since: '11.3', parameters: ['handle', 'pointer', 'u32'] },
  nvmlDeviceGetBoardPartNumber: { since: '11.3', parameters: ['handle', 'pointer', 'u32'] },
  nvmlDeviceGetBoardId: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetMultiGpuBoard: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetModuleId: { since: '12.2', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetPlatformInfo: { since: '12.8', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetBrand: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetVbiosVersion: { since: '11.3', parameters: ['handle', 'pointer', 'u32'] },
  nvmlDeviceGetInforomImageVersion: { since: '11.3', parameters: ['handle', 'pointer', 'u32'] },
  nvmlDeviceGetInforomVersion: { since: '11.3', parameters: ['handle', 'u32', 'pointer', 'u32'] },
  nvmlDeviceGetArchitecture: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetCudaComputeCapability: { since: '11.3', parameters: ['handle', 'pointer', 'pointer'] },
  nvmlDeviceGetMinorNumber: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetNumGpuCores: { since: '11.6', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetMemoryBusWidth: { since: '11.6', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetPersistenceMode: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetComputeMode: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetVirtualizationMode: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetAddressingMode: { since: '13.0', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetGspFirmwareVersion: { since: '11.7', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetGspFirmwareMode: { since: '11.7', parameters: ['handle', 'pointer', 'pointer'] },
  // memory
  nvmlDeviceGetMemoryInfo_v2: { since: '11.6', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetMemoryInfo: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetBAR1MemoryInfo: { since: '11.3', parameters: ['handle', 'pointer'] },
  // thermal
  nvmlDeviceGetTemperatureV: { since: '12.8', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetTemperature: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetTemperatureThreshold: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetMarginTemperature: { since: '12.8', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetNumFans: { since: '11.6', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetFanSpeed_v2: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetFanSpeed: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetTargetFanSpeed: { since: '11.8', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetFanSpeedRPM: { since: '12.8', parameters: ['handle', 'pointer'] },
  // values by field id
  nvmlDeviceGetFieldValues: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  // power
  nvmlDeviceGetPowerUsage: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetEnforcedPowerLimit: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetPowerManagementLimit: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetPowerManagementDefaultLimit: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetPowerManagementLimitConstraints: {
    since: '11.3',
    parameters: ['handle', 'pointer', 'pointer'],
  },
  nvmlDeviceGetTotalEnergyConsumption: { since: '11.3', parameters: ['handle', 'pointer'] },
  // clocks
  nvmlDeviceGetClockInfo: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetMaxClockInfo: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetClock: { since: '11.3', parameters: ['handle', 'u32', 'u32', 'pointer'] },
  nvmlDeviceGetApplicationsClock: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetDefaultApplicationsClock: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetMaxCustomerBoostClock: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetPerformanceState: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetCurrentClocksEventReasons: { since: '12.2', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetCurrentClocksThrottleReasons: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetSupportedClocksEventReasons: { since: '12.2', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetSupportedClocksThrottleReasons: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetViolationStatus: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  // utilization
  nvmlDeviceGetUtilizationRates: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetEncoderUtilization: { since: '11.3', parameters: ['handle', 'pointer', 'pointer'] },
  nvmlDeviceGetDecoderUtilization: { since: '11.3', parameters: ['handle', 'pointer', 'pointer'] },
  nvmlDeviceGetJpgUtilization: { since: '12.2', parameters: ['handle', 'pointer', 'pointer'] },
  nvmlDeviceGetOfaUtilization: { since: '12.2', parameters: ['handle', 'pointer', 'pointer'] },
  // profiling (GPM)
  nvmlGpmQueryDeviceSupport: { since: '11.8', parameters: ['handle', 'pointer'] },
  nvmlGpmSampleAlloc: { since: '11.8', parameters: ['pointer'] },
  nvmlGpmSampleFree: { since: '11.8', parameters: ['handle'] },
  nvmlGpmSampleGet: { since: '11.8', parameters: ['handle', 'handle'] },
  nvmlGpmMetricsGet: { since: '11.8', parameters: ['pointer'] },
  // ecc and memory repair
  nvmlDeviceGetEccMode: { since: '11.3', parameters: ['handle', 'pointer', 'pointer'] },
  nvmlDeviceGetTotalEccErrors: { since: '11.3', parameters: ['handle', 'u32', 'u32', 'pointer'] },
  nvmlDeviceGetMemoryErrorCounter: { since: '11.3', parameters: ['handle', 'u32', 'u32', 'u32', 'pointer'] },
  nvmlDeviceGetSramEccErrorStatus: { since: '12.4', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetRemappedRows: {
    since: '11.3',
    parameters: ['handle', 'pointer', 'pointer', 'pointer', 'pointer'],
  },
  nvmlDeviceGetRowRemapperHistogram: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetRepairStatus: { since: '13.0', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetUnrepairableMemoryFlag_v1: { since: '13.1', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetRetiredPages_v2: {
    since: '11.3',
    parameters: ['handle', 'u32', 'pointer', 'pointer', 'pointer'],
  },
  nvmlDeviceGetRetiredPages: { since: '11.3', parameters: ['handle', 'u32', 'pointer', 'pointer'] },
  nvmlDeviceGetRetiredPagesPendingStatus: { since: '11.3', parameters: ['handle', 'pointer'] },
  // pcie
  nvmlDeviceGetCurrPcieLinkGeneration: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetMaxPcieLinkGeneration: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetGpuMaxPcieLinkGeneration: { since: '12.0', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetCurrPcieLinkWidth: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetMaxPcieLinkWidth: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetPcieSpeed: { since: '11.7', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetPcieLinkMaxSpeed: { since: '11.6', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetPcieThroughput: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetPcieReplayCounter: { since: '11.3', parameters: ['handle', 'pointer'] },
  // nvlink and fabric
  nvmlDeviceGetNvLinkState: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetNvLinkVersion: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetNvLinkRemotePciInfo_v2: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetNvLinkRemoteDeviceType: { since: '11.4', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetNvLinkErrorCounter: { since: '11.3', parameters: ['handle', 'u32', 'u32', 'pointer'] },
  nvmlDeviceGetGpuFabricInfoV: { since: '12.4', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetGpuFabricInfo: { since: '12.0', parameters: ['handle', 'pointer'] },
  // topology
  nvmlDeviceGetNumaNodeId: { since: '12.4', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetCpuAffinity: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetMemoryAffinity: { since: '11.3', parameters: ['handle', 'u32', 'pointer', 'u32'] },
  nvmlDeviceGetTopologyCommonAncestor: { since: '11.3', parameters: ['handle', 'handle', 'pointer'] },
  nvmlDeviceGetP2PStatus: { since: '11.3', parameters: ['handle', 'handle', 'u32', 'pointer'] },
  // processes and accounting
  nvmlDeviceGetComputeRunningProcesses_v3: { since: '11.6', parameters: ['handle', 'pointer', 'pointer'] },
  nvmlDeviceGetComputeRunningProcesses_v2: { since: '11.3', parameters: ['handle', 'pointer', 'pointer'] },
  nvmlDeviceGetComputeRunningProcesses: { since: '11.3', parameters: ['handle', 'pointer', 'pointer'] },
  nvmlDeviceGetGraphicsRunningProcesses_v3: { since: '11.6', parameters: ['handle', 'pointer', 'pointer'] },
  nvmlDeviceGetGraphicsRunningProcesses_v2: { since: '11.3', parameters: ['handle', 'pointer', 'pointer'] },
  nvmlDeviceGetGraphicsRunningProcesses: { since: '11.3', parameters: ['handle', 'pointer', 'pointer'] },
  nvmlDeviceGetMPSComputeRunningProcesses_v3: { since: '11.6', parameters: ['handle', 'pointer', 'pointer'] },
  nvmlDeviceGetMPSComputeRunningProcesses_v2: { since: '11.4', parameters: ['handle', 'pointer', 'pointer'] },
  nvmlDeviceGetMPSComputeRunningProcesses: { since: '11.4', parameters: ['handle', 'pointer', 'pointer'] },
  nvmlDeviceGetRunningProcessDetailList: { since: '12.2', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetConfComputeMemSizeInfo: { since: '12.2', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetProcessesUtilizationInfo: { since: '12.4', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetProcessUtilization: { since: '11.3', parameters: ['handle', 'pointer', 'pointer', 'u64'] },
  nvmlDeviceGetAccountingMode: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetAccountingBufferSize: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetAccountingPids: { since: '11.3', parameters: ['handle', 'pointer', 'pointer'] },
  nvmlDeviceGetAccountingStats: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  // mig
  nvmlDeviceGetMigMode: { since: '11.3', parameters: ['handle', 'pointer', 'pointer'] },
  nvmlDeviceGetMaxMigDeviceCount: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetMigDeviceHandleByIndex: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetGpuInstanceId: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetComputeInstanceId: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetAttributes_v2: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlDeviceGetGpuInstanceProfileInfoV: { since: '11.6', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetGpuInstanceProfileInfo: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetGpuInstanceRemainingCapacity: { since: '11.3', parameters: ['handle', 'u32', 'pointer'] },
  nvmlDeviceGetGpuInstancePossiblePlacements_v2: {
    since: '11.4',
    parameters: ['handle', 'u32', 'pointer', 'pointer'],
  },
  nvmlDeviceGetGpuInstances: { since: '11.3', parameters: ['handle', 'u32', 'pointer', 'pointer'] },
  nvmlGpuInstanceGetInfo: { since: '11.3', parameters: ['handle', 'pointer'] },
  // events
  nvmlDeviceGetSupportedEventTypes: { since: '11.3', parameters: ['handle', 'pointer'] },
  nvmlEventSetCreate: { since: '11.3', parameters: ['pointer'] },
  nvmlDeviceRegisterEvents: { since: '11.3', parameters: ['handle', 'u64', 'handle'] },
  nvmlEventSetWait_v2: { since: '11.3', parameters: ['handle', 'pointer', 'u32'] },
  nvmlEventSetFree: { since: '11.3', parameters: ['handle'] },
} as const satisfies Record<string, FunctionSignature>;

export interface FunctionSignature {
  readonly since: string;
  readonly parameters: readonly ParameterKind[];
}

/** `handle`: an opaque 64-bit token, passed as an integer so that the FFI never dereferences it. `pointer`: memory we own. */
export type ParameterKind = 'handle' | 'u32' | 'u64' | 'pointer';
export type FunctionName = keyof typeof functions;

interface ArgumentTypes {
  readonly handle: bigint;
  readonly u32: number;
  readonly u64: bigint;
  readonly pointer: Buffer;
}
type ArgumentsOf<Kinds extends readonly ParameterKind[]> = {
  -readonly [Position in keyof Kinds]: ArgumentTypes[Kinds[Position]];
};
export type Arguments<Name extends FunctionName> = ArgumentsOf<(typeof functions)[Name]['parameters']>;

/** Without these nothing can be read; a library that lacks one is not a usable libnvidia-ml. */
export const essentialFunctions = [
  'nvmlInit_v2',
  'nvmlShutdown',
  'nvmlDeviceGetCount_v2',
  'nvmlDeviceGetHandleByIndex_v2',
] as const satisfies readonly FunctionName[];
