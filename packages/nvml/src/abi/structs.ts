/**
 * Layouts of the NVML structs in use, for little-endian LP64 (x86-64 and arm64 agree; 32-bit differs and is not supported).
 * `version` is the number to write into the `version` member: `sizeof | (revision << 24)`, except for the GPM structs, which want the
 * plain revision. `address` members hold a pointer.
 * Source: nvml.h of NVML 13.3.29; checked against the C compiler by test/layout.integration.test.ts.
 */
export const structs = {
  nvmlPciInfo_t: {
    size: 68,
    fields: {
      busIdLegacy: { offset: 0, type: 'text', length: 16 },
      domain: { offset: 16, type: 'u32' },
      bus: { offset: 20, type: 'u32' },
      device: { offset: 24, type: 'u32' },
      pciDeviceId: { offset: 28, type: 'u32' },
      pciSubSystemId: { offset: 32, type: 'u32' },
      busId: { offset: 36, type: 'text', length: 32 },
    },
  },
  nvmlSystemDriverBranchInfo_v1_t: {
    size: 84,
    version: 0x1000054,
    fields: {
      version: { offset: 0, type: 'u32' },
      branch: { offset: 4, type: 'text', length: 80 },
    },
  },
  nvmlConfComputeSystemState_t: {
    size: 12,
    fields: {
      environment: { offset: 0, type: 'u32' },
      ccFeature: { offset: 4, type: 'u32' },
      devToolsMode: { offset: 8, type: 'u32' },
    },
  },
  nvmlPlatformInfo_v2_t: {
    size: 44,
    version: 0x200002c,
    fields: {
      version: { offset: 0, type: 'u32' },
      ibGuid: { offset: 4, type: 'bytes', length: 16 },
      chassisSerialNumber: { offset: 20, type: 'bytes', length: 16 },
      slotNumber: { offset: 36, type: 'u8' },
      trayIndex: { offset: 37, type: 'u8' },
      hostId: { offset: 38, type: 'u8' },
      peerType: { offset: 39, type: 'u8' },
      moduleId: { offset: 40, type: 'u8' },
    },
  },
  nvmlPlatformInfo_v1_t: {
    size: 44,
    version: 0x100002c,
    fields: {
      version: { offset: 0, type: 'u32' },
      ibGuid: { offset: 4, type: 'bytes', length: 16 },
      rackGuid: { offset: 20, type: 'bytes', length: 16 },
      chassisPhysicalSlotNumber: { offset: 36, type: 'u8' },
      computeSlotIndex: { offset: 37, type: 'u8' },
      nodeIndex: { offset: 38, type: 'u8' },
      peerType: { offset: 39, type: 'u8' },
      moduleId: { offset: 40, type: 'u8' },
    },
  },
  nvmlDeviceAddressingMode_v1_t: {
    size: 8,
    version: 0x1000008,
    fields: {
      version: { offset: 0, type: 'u32' },
      value: { offset: 4, type: 'u32' },
    },
  },
  nvmlMemory_t: {
    size: 24,
    fields: {
      total: { offset: 0, type: 'u64' },
      free: { offset: 8, type: 'u64' },
      used: { offset: 16, type: 'u64' },
    },
  },
  nvmlMemory_v2_t: {
    size: 40,
    version: 0x2000028,
    fields: {
      version: { offset: 0, type: 'u32' },
      total: { offset: 8, type: 'u64' },
      reserved: { offset: 16, type: 'u64' },
      free: { offset: 24, type: 'u64' },
      used: { offset: 32, type: 'u64' },
    },
  },
  nvmlBAR1Memory_t: {
    size: 24,
    fields: {
      bar1Total: { offset: 0, type: 'u64' },
      bar1Free: { offset: 8, type: 'u64' },
      bar1Used: { offset: 16, type: 'u64' },
    },
  },
  nvmlTemperature_v1_t: {
    size: 12,
    version: 0x100000c,
    fields: {
      version: { offset: 0, type: 'u32' },
      sensorType: { offset: 4, type: 'u32' },
      temperature: { offset: 8, type: 'i32' },
    },
  },
  nvmlMarginTemperature_v1_t: {
    size: 8,
    version: 0x1000008,
    fields: {
      version: { offset: 0, type: 'u32' },
      marginTemperature: { offset: 4, type: 'i32' },
    },
  },
  nvmlFanSpeedInfo_v1_t: {
    size: 12,
    version: 0x100000c,
    fields: {
      version: { offset: 0, type: 'u32' },
      fan: { offset: 4, type: 'u32' },
      speed: { offset: 8, type: 'u32' },
    },
  },
  nvmlFieldValue_t: {
    size: 40,
    fields: {
      fieldId: { offset: 0, type: 'u32' },
      scopeId: { offset: 4, type: 'u32' },
      timestamp: { offset: 8, type: 'i64' },
      latencyUsec: { offset: 16, type: 'i64' },
      valueType: { offset: 24, type: 'u32' },
      nvmlReturn: { offset: 28, type: 'u32' },
      value: { offset: 32, type: 'u64' },
    },
  },
  nvmlViolationTime_t: {
    size: 16,
    fields: {
      referenceTime: { offset: 0, type: 'u64' },
      violationTime: { offset: 8, type: 'u64' },
    },
  },
  nvmlUtilization_t: {
    size: 8,
    fields: {
      gpu: { offset: 0, type: 'u32' },
      memory: { offset: 4, type: 'u32' },
    },
  },
  nvmlGpmSupport_t: {
    size: 8,
    version: 1,
    fields: {
      version: { offset: 0, type: 'u32' },
      isSupportedDevice: { offset: 4, type: 'u32' },
    },
  },
  nvmlGpmMetric_t: {
    size: 40,
    fields: {
      metricId: { offset: 0, type: 'u32' },
      nvmlReturn: { offset: 4, type: 'u32' },
      value: { offset: 8, type: 'f64' },
    },
  },
  nvmlGpmMetricsGet_t: {
    size: 13344,
    version: 1,
    fields: {
      version: { offset: 0, type: 'u32' },
      numMetrics: { offset: 4, type: 'u32' },
      sample1: { offset: 8, type: 'u64' },
      sample2: { offset: 16, type: 'u64' },
    },
  },
  nvmlEccSramErrorStatus_v1_t: {
    size: 104,
    version: 0x1000068,
    fields: {
      version: { offset: 0, type: 'u32' },
      aggregateUncParity: { offset: 8, type: 'u64' },
      aggregateUncSecDed: { offset: 16, type: 'u64' },
      aggregateCor: { offset: 24, type: 'u64' },
      volatileUncParity: { offset: 32, type: 'u64' },
      volatileUncSecDed: { offset: 40, type: 'u64' },
      volatileCor: { offset: 48, type: 'u64' },
      aggregateUncBucketL2: { offset: 56, type: 'u64' },
      aggregateUncBucketSm: { offset: 64, type: 'u64' },
      aggregateUncBucketPcie: { offset: 72, type: 'u64' },
      aggregateUncBucketMcu: { offset: 80, type: 'u64' },
      aggregateUncBucketOther: { offset: 88, type: 'u64' },
      bThresholdExceeded: { offset: 96, type: 'u32' },
    },
  },
  nvmlRowRemapperHistogramValues_t: {
    size: 20,
    fields: {
      max: { offset: 0, type: 'u32' },
      high: { offset: 4, type: 'u32' },
      partial: { offset: 8, type: 'u32' },
      low: { offset: 12, type: 'u32' },
      none: { offset: 16, type: 'u32' },
    },
  },
  nvmlRepairStatus_v1_t: {
    size: 12,
    version: 0x100000c,
    fields: {
      version: { offset: 0, type: 'u32' },
      bChannelRepairPending: { offset: 4, type: 'u32' },
      bTpcRepairPending: { offset: 8, type: 'u32' },
    },
  },
  nvmlUnrepairableMemoryStatus_v1_t: {
    size: 4,
    fields: {
      bUnrepairableMemory: { offset: 0, type: 'u32' },
    },
  },
  nvmlGpuFabricInfo_v3_t: {
    size: 40,
    version: 0x3000028,
    fields: {
      version: { offset: 0, type: 'u32' },
      clusterUuid: { offset: 4, type: 'bytes', length: 16 },
      status: { offset: 20, type: 'u32' },
      cliqueId: { offset: 24, type: 'u32' },
      state: { offset: 28, type: 'u8' },
      healthMask: { offset: 32, type: 'u32' },
      healthSummary: { offset: 36, type: 'u8' },
    },
  },
  nvmlGpuFabricInfo_v2_t: {
    size: 36,
    version: 0x2000024,
    fields: {
      version: { offset: 0, type: 'u32' },
      clusterUuid: { offset: 4, type: 'bytes', length: 16 },
      status: { offset: 20, type: 'u32' },
      cliqueId: { offset: 24, type: 'u32' },
      state: { offset: 28, type: 'u8' },
      healthMask: { offset: 32, type: 'u32' },
    },
  },
  nvmlGpuFabricInfo_t: {
    size: 28,
    fields: {
      clusterUuid: { offset: 0, type: 'bytes', length: 16 },
      status: { offset: 16, type: 'u32' },
      cliqueId: { offset: 20, type: 'u32' },
      state: { offset: 24, type: 'u8' },
    },
  },
  nvmlProcessInfo_v1_t: {
    size: 16,
    fields: {
      pid: { offset: 0, type: 'u32' },
      usedGpuMemory: { offset: 8, type: 'u64' },
    },
  },
  nvmlProcessInfo_t: {
    size: 24,
    fields: {
      pid: { offset: 0, type: 'u32' },
      usedGpuMemory: { offset: 8, type: 'u64' },
      gpuInstanceId: { offset: 16, type: 'u32' },
      computeInstanceId: { offset: 20, type: 'u32' },
    },
  },
  nvmlProcessDetail_v1_t: {
    size: 32,
    fields: {
      pid: { offset: 0, type: 'u32' },
      usedGpuMemory: { offset: 8, type: 'u64' },
      gpuInstanceId: { offset: 16, type: 'u32' },
      computeInstanceId: { offset: 20, type: 'u32' },
      usedGpuCcProtectedMemory: { offset: 24, type: 'u64' },
    },
  },
  nvmlProcessDetailList_v1_t: {
    size: 24,
    version: 0x1000018,
    fields: {
      version: { offset: 0, type: 'u32' },
      mode: { offset: 4, type: 'u32' },
      numProcArrayEntries: { offset: 8, type: 'u32' },
      procArray: { offset: 16, type: 'address' },
    },
  },
  nvmlProcessUtilizationSample_t: {
    size: 32,
    fields: {
      pid: { offset: 0, type: 'u32' },
      timeStamp: { offset: 8, type: 'u64' },
      smUtil: { offset: 16, type: 'u32' },
      memUtil: { offset: 20, type: 'u32' },
      encUtil: { offset: 24, type: 'u32' },
      decUtil: { offset: 28, type: 'u32' },
    },
  },
  nvmlProcessUtilizationInfo_v1_t: {
    size: 40,
    fields: {
      timeStamp: { offset: 0, type: 'u64' },
      pid: { offset: 8, type: 'u32' },
      smUtil: { offset: 12, type: 'u32' },
      memUtil: { offset: 16, type: 'u32' },
      encUtil: { offset: 20, type: 'u32' },
      decUtil: { offset: 24, type: 'u32' },
      jpgUtil: { offset: 28, type: 'u32' },
      ofaUtil: { offset: 32, type: 'u32' },
    },
  },
  nvmlProcessesUtilizationInfo_v1_t: {
    size: 24,
    version: 0x1000018,
    fields: {
      version: { offset: 0, type: 'u32' },
      processSamplesCount: { offset: 4, type: 'u32' },
      lastSeenTimeStamp: { offset: 8, type: 'u64' },
      procUtilArray: { offset: 16, type: 'address' },
    },
  },
  nvmlAccountingStats_t: {
    size: 56,
    fields: {
      gpuUtilization: { offset: 0, type: 'u32' },
      memoryUtilization: { offset: 4, type: 'u32' },
      maxMemoryUsage: { offset: 8, type: 'u64' },
      time: { offset: 16, type: 'u64' },
      startTime: { offset: 24, type: 'u64' },
      isRunning: { offset: 32, type: 'u32' },
    },
  },
  nvmlDeviceAttributes_t: {
    size: 40,
    fields: {
      multiprocessorCount: { offset: 0, type: 'u32' },
      sharedCopyEngineCount: { offset: 4, type: 'u32' },
      sharedDecoderCount: { offset: 8, type: 'u32' },
      sharedEncoderCount: { offset: 12, type: 'u32' },
      sharedJpegCount: { offset: 16, type: 'u32' },
      sharedOfaCount: { offset: 20, type: 'u32' },
      gpuInstanceSliceCount: { offset: 24, type: 'u32' },
      computeInstanceSliceCount: { offset: 28, type: 'u32' },
      memorySizeMB: { offset: 32, type: 'u64' },
    },
  },
  nvmlGpuInstanceProfileInfo_v2_t: {
    size: 152,
    version: 0x2000098,
    fields: {
      version: { offset: 0, type: 'u32' },
      id: { offset: 4, type: 'u32' },
      isP2pSupported: { offset: 8, type: 'u32' },
      sliceCount: { offset: 12, type: 'u32' },
      instanceCount: { offset: 16, type: 'u32' },
      multiprocessorCount: { offset: 20, type: 'u32' },
      copyEngineCount: { offset: 24, type: 'u32' },
      decoderCount: { offset: 28, type: 'u32' },
      encoderCount: { offset: 32, type: 'u32' },
      jpegCount: { offset: 36, type: 'u32' },
      ofaCount: { offset: 40, type: 'u32' },
      memorySizeMB: { offset: 48, type: 'u64' },
      name: { offset: 56, type: 'text', length: 96 },
    },
  },
  nvmlGpuInstanceProfileInfo_t: {
    size: 48,
    fields: {
      id: { offset: 0, type: 'u32' },
      isP2pSupported: { offset: 4, type: 'u32' },
      sliceCount: { offset: 8, type: 'u32' },
      instanceCount: { offset: 12, type: 'u32' },
      multiprocessorCount: { offset: 16, type: 'u32' },
      copyEngineCount: { offset: 20, type: 'u32' },
      decoderCount: { offset: 24, type: 'u32' },
      encoderCount: { offset: 28, type: 'u32' },
      jpegCount: { offset: 32, type: 'u32' },
      ofaCount: { offset: 36, type: 'u32' },
      memorySizeMB: { offset: 40, type: 'u64' },
    },
  },
  nvmlGpuInstancePlacement_t: {
    size: 8,
    fields: {
      start: { offset: 0, type: 'u32' },
      size: { offset: 4, type: 'u32' },
    },
  },
  nvmlGpuInstanceInfo_t: {
    size: 24,
    fields: {
      device: { offset: 0, type: 'u64' },
      id: { offset: 8, type: 'u32' },
      profileId: { offset: 12, type: 'u32' },
      placementStart: { offset: 16, type: 'u32' },
      placementSize: { offset: 20, type: 'u32' },
    },
  },
  nvmlEventData_t: {
    size: 32,
    fields: {
      device: { offset: 0, type: 'u64' },
      eventType: { offset: 8, type: 'u64' },
      eventData: { offset: 16, type: 'u64' },
      gpuInstanceId: { offset: 24, type: 'u32' },
      computeInstanceId: { offset: 28, type: 'u32' },
    },
  },
} as const satisfies Record<string, StructLayout>;

export type FieldLayout =
  | { readonly offset: number; readonly type: 'u8' | 'u32' | 'i32' | 'u64' | 'i64' | 'f64' | 'address' }
  | { readonly offset: number; readonly type: 'text' | 'bytes'; readonly length: number };

export interface StructLayout {
  readonly size: number;
  readonly version?: number;
  readonly fields: Readonly<Record<string, FieldLayout>>;
}

export type StructName = keyof typeof structs;
export type FieldName<Name extends StructName> = keyof (typeof structs)[Name]['fields'] & string;
