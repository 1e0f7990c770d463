/**
 * Layouts of the NVML structs in use, for little-endian LP64 (x86-64 and arm64 agree; 32-bit differs and is not supported).
 * `version` is the number to write into the `version` member: `sizeof | (revision << 24)`.
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
  nvmlUtilization_t: {
    size: 8,
    fields: {
      gpu: { offset: 0, type: 'u32' },
      memory: { offset: 4, type: 'u32' },
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
} as const satisfies Record<string, StructLayout>;

export type FieldLayout =
  | { readonly offset: number; readonly type: 'u32' | 'i32' | 'u64' | 'i64' }
  | { readonly offset: number; readonly type: 'text'; readonly length: number };

export interface StructLayout {
  readonly size: number;
  readonly version?: number;
  readonly fields: Readonly<Record<string, FieldLayout>>;
}

export type StructName = keyof typeof structs;
export type FieldName<Name extends StructName> = keyof (typeof structs)[Name]['fields'] & string;
