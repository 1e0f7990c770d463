import type { GpuSection } from '@k8s-gpu-mcp/core';
import {
  byField,
  byFunction,
  type CoverageRow,
  type RowOptions,
  type SectionCoverage,
} from './coverage-row.ts';

/** What the sections of one GPU by itself are read from. Those about links, peers, processes and instances are in links.ts. */

const fromFields = { means: 'a driver older than the id, or a product without it' } as const;
const policy = {
  fallback: ['nvmlDeviceGetViolationStatus'],
  means: 'this product does not count it',
  note: 'Nanoseconds in the driver; grows until the driver is unloaded.',
} as const;

const platform = (options: RowOptions = {}): CoverageRow =>
  byFunction('nvmlDeviceGetPlatformInfo', {
    means: 'not a rack-scale product',
    note: 'Both revisions of the struct are asked for, the newer first.',
    ...options,
  });

const applicationClock = (call: 'nvmlDeviceGetApplicationsClock' | 'nvmlDeviceGetDefaultApplicationsClock') =>
  byFunction(call, {
    fallback: ['nvmlDeviceGetClock'],
    means: 'deprecated by newer drivers',
    note: 'Drivers of the 590 branch answer NVML_ERROR_DEPRECATED, which is taken for not having it.',
  });

const limitField = (id: number, name: `NVML_FI_${string}`) =>
  byField(id, name, '12.2', { means: 'this product has no T.Limit', note: 'Signed.' });

const gpm: RowOptions = {
  needs: ['nvmlGpmQueryDeviceSupport', 'nvmlGpmSampleAlloc', 'nvmlGpmSampleGet'],
  means: 'products before Hopper have no profiling counters',
  note: 'Between two readings: the first gives not-observable. May need administrator rights.',
};

const totalEcc = byFunction('nvmlDeviceGetTotalEccErrors', { means: 'no ECC, or ECC is off' });
const sramCount = byFunction('nvmlDeviceGetSramEccErrorStatus', {
  fallback: ['nvmlDeviceGetMemoryErrorCounter'],
  means: 'no ECC, or ECC is off',
  note: 'The status may need administrator rights; the counter of the SRAM location does not.',
});
const sramStatus = byFunction('nvmlDeviceGetSramEccErrorStatus', {
  means: 'a driver that keeps no such record',
  note: 'May need administrator rights.',
});
const locationCount = byFunction('nvmlDeviceGetMemoryErrorCounter', {
  means: 'this product does not count at this location',
});

const retiredPages = byFunction('nvmlDeviceGetRetiredPages_v2', {
  fallback: ['nvmlDeviceGetRetiredPages'],
  means: 'products from Ampere on remap rows instead',
});
const remappedRows = byFunction('nvmlDeviceGetRemappedRows', {
  means: 'products before Ampere retire pages instead',
});
const repairStatus = byFunction('nvmlDeviceGetRepairStatus');

const pcieField = (id: number, name: `NVML_FI_${string}`, since = '12.2') =>
  byField(id, name, since, fromFields);
const throughput = byFunction('nvmlDeviceGetPcieThroughput', {
  means: 'this product does not measure it',
  note: 'The call itself takes the 20 ms over which it measures.',
});
const eventReasons = (now: 'Current' | 'Supported') =>
  byFunction(`nvmlDeviceGet${now}ClocksEventReasons`, {
    fallback: [`nvmlDeviceGet${now}ClocksThrottleReasons`],
    means: 'this product does not say',
  });

export const deviceCoverage = {
  identity: {
    name: byFunction('nvmlDeviceGetName'),
    uuid: byFunction('nvmlDeviceGetUUID'),
    serial: byFunction('nvmlDeviceGetSerial', { means: 'no board serial (consumer products)' }),
    boardPartNumber: byFunction('nvmlDeviceGetBoardPartNumber', { means: 'not stored on this board' }),
    boardId: byFunction('nvmlDeviceGetBoardId'),
    multiGpuBoard: byFunction('nvmlDeviceGetMultiGpuBoard'),
    moduleId: byFunction('nvmlDeviceGetModuleId', {
      fallback: ['nvmlDeviceGetPlatformInfo'],
      means: 'not on a baseboard',
    }),
    chassisSerial: platform({
      means: 'not a rack-scale product, or a driver that knows only the first revision of the struct',
    }),
    slotNumber: platform(),
    trayIndex: platform(),
    hostId: platform(),
    brand: byFunction('nvmlDeviceGetBrand'),
    vbiosVersion: byFunction('nvmlDeviceGetVbiosVersion'),
    inforomVersion: byFunction('nvmlDeviceGetInforomImageVersion', { means: 'no InfoROM' }),
    inforomOemVersion: byFunction('nvmlDeviceGetInforomVersion', { means: 'no such InfoROM object' }),
    inforomEccVersion: byFunction('nvmlDeviceGetInforomVersion', { means: 'no such InfoROM object' }),
    inforomPowerVersion: byFunction('nvmlDeviceGetInforomVersion', { means: 'no such InfoROM object' }),
    architecture: byFunction('nvmlDeviceGetArchitecture'),
    computeCapability: byFunction('nvmlDeviceGetCudaComputeCapability'),
    coreCount: byFunction('nvmlDeviceGetNumGpuCores'),
    memoryBusWidthBits: byFunction('nvmlDeviceGetMemoryBusWidth'),
    minorNumber: byFunction('nvmlDeviceGetMinorNumber'),
    persistenceModeEnabled: byFunction('nvmlDeviceGetPersistenceMode'),
    computeMode: byFunction('nvmlDeviceGetComputeMode'),
    virtualizationMode: byFunction('nvmlDeviceGetVirtualizationMode'),
    addressingMode: byFunction('nvmlDeviceGetAddressingMode'),
    gspFirmwareVersion: byFunction('nvmlDeviceGetGspFirmwareVersion', { means: 'no GSP, or not in use' }),
    gspFirmwareEnabled: byFunction('nvmlDeviceGetGspFirmwareMode', { means: 'no GSP' }),
  },
  memory: {
    totalBytes: byFunction('nvmlDeviceGetMemoryInfo_v2', { fallback: ['nvmlDeviceGetMemoryInfo'] }),
    usedBytes: byFunction('nvmlDeviceGetMemoryInfo_v2', {
      fallback: ['nvmlDeviceGetMemoryInfo'],
      note: 'The fallback counts reserved memory as used.',
    }),
    freeBytes: byFunction('nvmlDeviceGetMemoryInfo_v2', { fallback: ['nvmlDeviceGetMemoryInfo'] }),
    reservedBytes: byFunction('nvmlDeviceGetMemoryInfo_v2', {
      means: 'a driver that counts reserved memory as used',
    }),
    bar1TotalBytes: byFunction('nvmlDeviceGetBAR1MemoryInfo'),
    bar1UsedBytes: byFunction('nvmlDeviceGetBAR1MemoryInfo'),
    bar1FreeBytes: byFunction('nvmlDeviceGetBAR1MemoryInfo'),
  },
  thermal: {
    temperatureCelsius: byFunction('nvmlDeviceGetTemperatureV', { fallback: ['nvmlDeviceGetTemperature'] }),
    memoryTemperatureCelsius: byField(82, 'NVML_FI_DEV_MEMORY_TEMP', '11.3', {
      means: 'no memory sensor',
      note: 'A sensor that reads 0 is one that is not there.',
    }),
    slowdownThresholdCelsius: byFunction('nvmlDeviceGetTemperatureThreshold'),
    shutdownThresholdCelsius: byFunction('nvmlDeviceGetTemperatureThreshold'),
    maxOperatingThresholdCelsius: byFunction('nvmlDeviceGetTemperatureThreshold'),
    memoryMaxThresholdCelsius: byFunction('nvmlDeviceGetTemperatureThreshold'),
    marginCelsius: byFunction('nvmlDeviceGetMarginTemperature', {
      means: 'this product has no T.Limit',
      note: 'Signed.',
    }),
    slowdownMarginCelsius: limitField(194, 'NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT'),
    shutdownMarginCelsius: limitField(193, 'NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT'),
    memoryMaxMarginCelsius: limitField(195, 'NVML_FI_DEV_TEMPERATURE_MEM_MAX_TLIMIT'),
    maxOperatingMarginCelsius: limitField(196, 'NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT'),
    fanSpeedPercent: byFunction('nvmlDeviceGetFanSpeed_v2', {
      fallback: ['nvmlDeviceGetFanSpeed'],
      means: 'passively cooled',
    }),
    fans: byFunction('nvmlDeviceGetNumFans', {
      fallback: ['nvmlDeviceGetFanSpeed_v2', 'nvmlDeviceGetFanSpeed'],
      means: 'passively cooled',
      note: 'Where fans are not counted, they are asked for one by one until one is refused.',
    }),
    'fans.speedPercent': byFunction('nvmlDeviceGetFanSpeed_v2', {
      fallback: ['nvmlDeviceGetFanSpeed'],
      note: 'The fallback speaks of the first fan only.',
    }),
    'fans.targetSpeedPercent': byFunction('nvmlDeviceGetTargetFanSpeed'),
    'fans.speedRevolutionsPerMinute': byFunction('nvmlDeviceGetFanSpeedRPM'),
  },
  power: {
    drawWatts: byFunction('nvmlDeviceGetPowerUsage'),
    instantDrawWatts: byField(186, 'NVML_FI_DEV_POWER_INSTANT', '12.2', fromFields),
    averageDrawWatts: byField(185, 'NVML_FI_DEV_POWER_AVERAGE', '12.2', fromFields),
    enforcedLimitWatts: byFunction('nvmlDeviceGetEnforcedPowerLimit'),
    requestedLimitWatts: byFunction('nvmlDeviceGetPowerManagementLimit', {
      fallback: ['field 192 (NVML_FI_DEV_POWER_REQUESTED_LIMIT)'],
      means: 'power is not managed',
    }),
    defaultLimitWatts: byFunction('nvmlDeviceGetPowerManagementDefaultLimit', {
      means: 'power is not managed',
    }),
    minLimitWatts: byFunction('nvmlDeviceGetPowerManagementLimitConstraints', {
      means: 'power is not managed',
    }),
    maxLimitWatts: byFunction('nvmlDeviceGetPowerManagementLimitConstraints', {
      means: 'power is not managed',
    }),
    energyJoules: byFunction('nvmlDeviceGetTotalEnergyConsumption', { means: 'products before Volta' }),
  },
  clocks: {
    graphicsClockMegahertz: byFunction('nvmlDeviceGetClockInfo'),
    smClockMegahertz: byFunction('nvmlDeviceGetClockInfo'),
    memoryClockMegahertz: byFunction('nvmlDeviceGetClockInfo'),
    videoClockMegahertz: byFunction('nvmlDeviceGetClockInfo'),
    maxGraphicsClockMegahertz: byFunction('nvmlDeviceGetMaxClockInfo'),
    maxSmClockMegahertz: byFunction('nvmlDeviceGetMaxClockInfo'),
    maxMemoryClockMegahertz: byFunction('nvmlDeviceGetMaxClockInfo'),
    maxVideoClockMegahertz: byFunction('nvmlDeviceGetMaxClockInfo'),
    applicationGraphicsClockMegahertz: applicationClock('nvmlDeviceGetApplicationsClock'),
    applicationMemoryClockMegahertz: applicationClock('nvmlDeviceGetApplicationsClock'),
    defaultApplicationGraphicsClockMegahertz: applicationClock('nvmlDeviceGetDefaultApplicationsClock'),
    defaultApplicationMemoryClockMegahertz: applicationClock('nvmlDeviceGetDefaultApplicationsClock'),
    maxBoostGraphicsClockMegahertz: byFunction('nvmlDeviceGetMaxCustomerBoostClock', {
      fallback: ['nvmlDeviceGetClock'],
      means: 'no limit of its own',
    }),
    performanceState: byFunction('nvmlDeviceGetPerformanceState'),
    eventReasons: eventReasons('Current'),
    supportedEventReasons: eventReasons('Supported'),
  },
  violations: {
    powerMicroseconds: byField(74, 'NVML_FI_DEV_PERF_POLICY_POWER', '11.3', policy),
    thermalMicroseconds: byField(75, 'NVML_FI_DEV_PERF_POLICY_THERMAL', '11.3', policy),
    syncBoostMicroseconds: byField(76, 'NVML_FI_DEV_PERF_POLICY_SYNC_BOOST', '11.3', policy),
    boardLimitMicroseconds: byField(77, 'NVML_FI_DEV_PERF_POLICY_BOARD_LIMIT', '11.3', policy),
    lowUtilizationMicroseconds: byField(78, 'NVML_FI_DEV_PERF_POLICY_LOW_UTILIZATION', '11.3', policy),
    reliabilityMicroseconds: byField(79, 'NVML_FI_DEV_PERF_POLICY_RELIABILITY', '11.3', policy),
    applicationClocksMicroseconds: byField(80, 'NVML_FI_DEV_PERF_POLICY_TOTAL_APP_CLOCKS', '11.3', policy),
    baseClocksMicroseconds: byField(81, 'NVML_FI_DEV_PERF_POLICY_TOTAL_BASE_CLOCKS', '11.3', policy),
  },
  utilization: {
    gpuPercent: byFunction('nvmlDeviceGetUtilizationRates', { means: 'MIG is enabled' }),
    memoryPercent: byFunction('nvmlDeviceGetUtilizationRates', { means: 'MIG is enabled' }),
    encoderPercent: byFunction('nvmlDeviceGetEncoderUtilization', { means: 'MIG is enabled' }),
    decoderPercent: byFunction('nvmlDeviceGetDecoderUtilization', { means: 'MIG is enabled' }),
    jpegPercent: byFunction('nvmlDeviceGetJpgUtilization', { means: 'no such engine' }),
    opticalFlowPercent: byFunction('nvmlDeviceGetOfaUtilization', { means: 'no such engine' }),
  },
  profiling: {
    intervalMilliseconds: byFunction('nvmlGpmMetricsGet', gpm),
    graphicsActivePercent: byFunction('nvmlGpmMetricsGet', gpm),
    smActivePercent: byFunction('nvmlGpmMetricsGet', gpm),
    smOccupancyPercent: byFunction('nvmlGpmMetricsGet', gpm),
    tensorActivePercent: byFunction('nvmlGpmMetricsGet', gpm),
    memoryBandwidthPercent: byFunction('nvmlGpmMetricsGet', gpm),
    integerActivePercent: byFunction('nvmlGpmMetricsGet', gpm),
    fp64ActivePercent: byFunction('nvmlGpmMetricsGet', gpm),
    fp32ActivePercent: byFunction('nvmlGpmMetricsGet', gpm),
    fp16ActivePercent: byFunction('nvmlGpmMetricsGet', gpm),
    pcieTransmitMegabytesPerSecond: byFunction('nvmlGpmMetricsGet', gpm),
    pcieReceiveMegabytesPerSecond: byFunction('nvmlGpmMetricsGet', gpm),
    nvlinkTransmitMegabytesPerSecond: byFunction('nvmlGpmMetricsGet', gpm),
    nvlinkReceiveMegabytesPerSecond: byFunction('nvmlGpmMetricsGet', gpm),
  },
  ecc: {
    enabled: byFunction('nvmlDeviceGetEccMode', { means: 'no ECC' }),
    pendingEnabled: byFunction('nvmlDeviceGetEccMode', { means: 'no ECC' }),
    correctableVolatileCount: totalEcc,
    uncorrectableVolatileCount: totalEcc,
    correctableAggregateCount: totalEcc,
    uncorrectableAggregateCount: totalEcc,
    sramCorrectableVolatileCount: sramCount,
    sramCorrectableAggregateCount: sramCount,
    sramUncorrectableVolatileCount: sramCount,
    sramUncorrectableAggregateCount: sramCount,
    sramThresholdExceeded: sramStatus,
    sramUncorrectableL2AggregateCount: sramStatus,
    sramUncorrectableSmAggregateCount: sramStatus,
    sramUncorrectablePcieAggregateCount: sramStatus,
    sramUncorrectableMicrocontrollerAggregateCount: sramStatus,
    sramUncorrectableOtherAggregateCount: sramStatus,
    locations: byFunction('nvmlDeviceGetMemoryErrorCounter', { means: 'no ECC, or ECC is off' }),
    'locations.correctableVolatileCount': locationCount,
    'locations.uncorrectableVolatileCount': locationCount,
    'locations.correctableAggregateCount': locationCount,
    'locations.uncorrectableAggregateCount': locationCount,
  },
  rowRemap: {
    correctableRowCount: remappedRows,
    uncorrectableRowCount: remappedRows,
    pending: remappedRows,
    failureOccurred: remappedRows,
    histogram: byFunction('nvmlDeviceGetRowRemapperHistogram', {
      means: 'products before Ampere retire pages instead',
    }),
    retiredPagesPending: byFunction('nvmlDeviceGetRetiredPagesPendingStatus', {
      means: 'products from Ampere on remap rows instead',
    }),
    retiredPageCount: retiredPages,
    singleBitRetiredPageCount: retiredPages,
    doubleBitRetiredPageCount: retiredPages,
    channelRepairPending: repairStatus,
    tpcRepairPending: repairStatus,
    memoryUnrepairable: byFunction('nvmlDeviceGetUnrepairableMemoryFlag_v1'),
  },
  pcie: {
    currentGeneration: byFunction('nvmlDeviceGetCurrPcieLinkGeneration'),
    maxGeneration: byFunction('nvmlDeviceGetMaxPcieLinkGeneration'),
    deviceMaxGeneration: byFunction('nvmlDeviceGetGpuMaxPcieLinkGeneration'),
    currentLinkWidthLanes: byFunction('nvmlDeviceGetCurrPcieLinkWidth'),
    maxLinkWidthLanes: byFunction('nvmlDeviceGetMaxPcieLinkWidth'),
    currentSpeedMegatransfersPerSecond: byFunction('nvmlDeviceGetPcieSpeed', {
      fallback: ['nvmlDeviceGetCurrPcieLinkGeneration'],
    }),
    maxSpeedMegatransfersPerSecond: byFunction('nvmlDeviceGetPcieLinkMaxSpeed', {
      fallback: ['nvmlDeviceGetMaxPcieLinkGeneration'],
    }),
    replayCount: byField(94, 'NVML_FI_DEV_PCIE_REPLAY_COUNTER', '11.3', {
      fallback: ['nvmlDeviceGetPcieReplayCounter'],
    }),
    replayRolloverCount: pcieField(95, 'NVML_FI_DEV_PCIE_REPLAY_ROLLOVER_COUNTER', '11.3'),
    linkRecoveryCount: pcieField(169, 'NVML_FI_DEV_PCIE_L0_TO_RECOVERY_COUNTER', '12.0'),
    correctableErrorCount: pcieField(173, 'NVML_FI_DEV_PCIE_COUNT_CORRECTABLE_ERRORS'),
    nonFatalErrorCount: pcieField(179, 'NVML_FI_DEV_PCIE_COUNT_NON_FATAL_ERROR'),
    fatalErrorCount: pcieField(180, 'NVML_FI_DEV_PCIE_COUNT_FATAL_ERROR'),
    unsupportedRequestCount: pcieField(181, 'NVML_FI_DEV_PCIE_COUNT_UNSUPPORTED_REQ'),
    badTlpCount: pcieField(176, 'NVML_FI_DEV_PCIE_COUNT_BAD_TLP'),
    badDllpCount: pcieField(178, 'NVML_FI_DEV_PCIE_COUNT_BAD_DLLP'),
    lcrcErrorCount: pcieField(182, 'NVML_FI_DEV_PCIE_COUNT_LCRC_ERROR'),
    laneErrorCount: pcieField(183, 'NVML_FI_DEV_PCIE_COUNT_LANE_ERROR'),
    receiverErrorCount: pcieField(175, 'NVML_FI_DEV_PCIE_COUNT_RECEIVER_ERROR'),
    naksSentCount: pcieField(177, 'NVML_FI_DEV_PCIE_COUNT_NAKS_SENT'),
    naksReceivedCount: pcieField(174, 'NVML_FI_DEV_PCIE_COUNT_NAKS_RECEIVED'),
  },
  pcieTraffic: { transmitKilobytesPerSecond: throughput, receiveKilobytesPerSecond: throughput },
  recovery: {
    action: byField(230, 'NVML_FI_DEV_GET_GPU_RECOVERY_ACTION', '12.8', {
      means: 'the driver gives no advice',
      note: 'A driver that refuses another call until the GPU is reset gives `reset` without the field.',
    }),
  },
} satisfies { readonly [S in DeviceSection]: SectionCoverage<S> };

export type DeviceSection = Exclude<
  GpuSection,
  'nvlink' | 'fabric' | 'topology' | 'processes' | 'mig' | 'events'
>;
