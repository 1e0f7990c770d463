import { type FunctionName, functions } from '../../src/abi/functions.ts';

/** The driver branches the fake library can be. */
export type Generation = 470 | 535 | 550 | 580 | 610;
export const generations = [470, 535, 550, 580, 610] as const satisfies readonly Generation[];

/**
 * Of the functions in use, those that a driver branch does not export. Source: nm -D of libnvidia-ml.so 470.256.02, 535.261.03 and
 * 550.163.01 (Debian packages); 580: what the header declares only from 13.1 on. 610 has all.
 */
export const notExported: Readonly<Record<Generation, readonly FunctionName[]>> = {
  470: [
    'nvmlSystemGetDriverBranch',
    'nvmlSystemGetConfComputeState',
    'nvmlDeviceGetModuleId',
    'nvmlDeviceGetPlatformInfo',
    'nvmlDeviceGetNumGpuCores',
    'nvmlDeviceGetMemoryBusWidth',
    'nvmlDeviceGetAddressingMode',
    'nvmlDeviceGetGspFirmwareVersion',
    'nvmlDeviceGetGspFirmwareMode',
    'nvmlDeviceGetMemoryInfo_v2',
    'nvmlDeviceGetTemperatureV',
    'nvmlDeviceGetMarginTemperature',
    'nvmlDeviceGetNumFans',
    'nvmlDeviceGetTargetFanSpeed',
    'nvmlDeviceGetFanSpeedRPM',
    'nvmlDeviceGetCurrentClocksEventReasons',
    'nvmlDeviceGetSupportedClocksEventReasons',
    'nvmlDeviceGetJpgUtilization',
    'nvmlDeviceGetOfaUtilization',
    'nvmlGpmQueryDeviceSupport',
    'nvmlGpmSampleAlloc',
    'nvmlGpmSampleFree',
    'nvmlGpmSampleGet',
    'nvmlGpmMetricsGet',
    'nvmlDeviceGetSramEccErrorStatus',
    'nvmlDeviceGetRepairStatus',
    'nvmlDeviceGetUnrepairableMemoryFlag_v1',
    'nvmlDeviceGetGpuMaxPcieLinkGeneration',
    'nvmlDeviceGetPcieSpeed',
    'nvmlDeviceGetPcieLinkMaxSpeed',
    'nvmlDeviceGetGpuFabricInfoV',
    'nvmlDeviceGetGpuFabricInfo',
    'nvmlDeviceGetNumaNodeId',
    'nvmlDeviceGetComputeRunningProcesses_v3',
    'nvmlDeviceGetGraphicsRunningProcesses_v3',
    'nvmlDeviceGetMPSComputeRunningProcesses_v3',
    'nvmlDeviceGetRunningProcessDetailList',
    'nvmlDeviceGetConfComputeMemSizeInfo',
    'nvmlDeviceGetProcessesUtilizationInfo',
    'nvmlDeviceGetGpuInstanceProfileInfoV',
  ],
  535: [
    'nvmlSystemGetDriverBranch',
    'nvmlDeviceGetPlatformInfo',
    'nvmlDeviceGetAddressingMode',
    'nvmlDeviceGetTemperatureV',
    'nvmlDeviceGetMarginTemperature',
    'nvmlDeviceGetFanSpeedRPM',
    'nvmlDeviceGetRepairStatus',
    'nvmlDeviceGetUnrepairableMemoryFlag_v1',
    'nvmlDeviceGetGpuFabricInfoV',
    'nvmlDeviceGetNumaNodeId',
    'nvmlDeviceGetProcessesUtilizationInfo',
  ],
  550: [
    'nvmlSystemGetDriverBranch',
    'nvmlDeviceGetPlatformInfo',
    'nvmlDeviceGetAddressingMode',
    'nvmlDeviceGetTemperatureV',
    'nvmlDeviceGetMarginTemperature',
    'nvmlDeviceGetFanSpeedRPM',
    'nvmlDeviceGetRepairStatus',
    'nvmlDeviceGetUnrepairableMemoryFlag_v1',
  ],
  580: ['nvmlDeviceGetUnrepairableMemoryFlag_v1'],
  610: [],
};

/** In the real library too, beside its versioned sibling and with the v1 ABI. Nobody should call it. */
const unversioned = ['nvmlDeviceGetCount'];

/** A linker version script: exactly these symbols are visible. `without` leaves out more. */
export function versionScript(generation: Generation, without: readonly string[] = []): string {
  const absent = new Set<string>([...notExported[generation], ...without]);
  const visible = [...Object.keys(functions), ...unversioned].filter((name) => !absent.has(name));
  return `{ global: ${visible.join('; ')}; local: *; };\n`;
}
