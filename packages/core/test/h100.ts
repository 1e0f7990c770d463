import type { Gap } from '../src/domain/gap.ts';
import type { GpuReading, GpuRef, GpuSample, GpuSectionReadings } from '../src/domain/gpu.ts';
import type { StubGpu } from '../src/testing.ts';

/** Sections to change; what is left out of a section keeps its healthy value. */
export type Changes = { readonly [S in keyof GpuSectionReadings]?: Partial<GpuSectionReadings[S]> };

const uuids = [
  'GPU-5f3a0e52-6c1d-4b7e-9a44-0d9f7c3b1e10',
  'GPU-a91c7d04-2f58-4e6b-8c13-7be5d4f09a21',
  'GPU-c4027be9-91d3-4a5f-b6e8-13fa9c5d7032',
  'GPU-08d6f1a7-e34b-4c92-a705-5f1b2e8d6c43',
  'GPU-71be93c5-0a6f-4d18-9e27-a4c80f3d5b54',
  'GPU-e25f804d-b719-4036-8d5a-96c3e1f7a265',
  'GPU-3d9a6c18-5e02-47fb-91c4-e8b70d2f4f76',
  'GPU-b6f41e73-8ca5-4e29-a0d6-2c7f95e1b387',
];
const buses = ['18', '2a', '3a', '5d', '9a', 'ab', 'ba', 'db'];

/** Where the eight GPUs of an H100 SXM5 machine sit. */
export function h100Ref(index: number): GpuRef {
  return {
    index,
    uuid: uuids[index] ?? null,
    pciAddress: `0000:${buses[index]}:00.0`,
    name: 'NVIDIA H100 80GB HBM3',
  };
}

/** Leaves that an H100 does not offer: absolute thresholds (it has T.Limit margins instead), a fan, retired pages. */
const notOffered = [
  'thermal.slowdownThresholdCelsius',
  'thermal.shutdownThresholdCelsius',
  'thermal.maxOperatingThresholdCelsius',
  'thermal.memoryMaxThresholdCelsius',
  'thermal.fanSpeedPercent',
  'rowRemap.retiredPagesPending',
  'rowRemap.retiredPageCount',
];

export const unsupported = (gpu: number, field: string): Gap => ({
  gpu,
  field,
  reason: 'unsupported',
  detail: 'NVML_ERROR_NOT_SUPPORTED (3)',
});

/** An idle, healthy H100 SXM5. */
export function h100Sample(index: number, changes: Changes = {}, gaps?: readonly Gap[]): GpuSample {
  return {
    identity: {
      name: 'NVIDIA H100 80GB HBM3',
      uuid: uuids[index] ?? null,
      serial: `16505230${(41_207 + index * 13).toString()}`,
      boardPartNumber: '692-2G520-0200-000',
      vbiosVersion: '96.00.74.00.01',
      inforomVersion: 'G520.0200.00.05',
      architecture: 'hopper',
      computeCapability: '9.0',
      minorNumber: index,
      persistenceModeEnabled: true,
      ...changes.identity,
    },
    memory: {
      totalBytes: 85_520_809_984,
      usedBytes: 544_210_944,
      freeBytes: 84_414_758_912,
      reservedBytes: 561_840_128,
      ...changes.memory,
    },
    thermal: {
      temperatureCelsius: 31 + (index % 4),
      memoryTemperatureCelsius: 42,
      slowdownThresholdCelsius: null,
      shutdownThresholdCelsius: null,
      maxOperatingThresholdCelsius: null,
      memoryMaxThresholdCelsius: null,
      marginCelsius: 53,
      slowdownMarginCelsius: -2,
      shutdownMarginCelsius: -8,
      fanSpeedPercent: null,
      ...changes.thermal,
    },
    power: {
      drawWatts: 71.42,
      instantDrawWatts: 70.98,
      enforcedLimitWatts: 700,
      defaultLimitWatts: 700,
      minLimitWatts: 200,
      maxLimitWatts: 700,
      energyJoules: 184_502_113.512,
      ...changes.power,
    },
    clocks: {
      smClockMegahertz: 345,
      memoryClockMegahertz: 2619,
      maxSmClockMegahertz: 1980,
      maxMemoryClockMegahertz: 2619,
      performanceState: 'P0',
      eventReasons: ['idle'],
      ...changes.clocks,
    },
    utilization: {
      gpuPercent: 0,
      memoryPercent: 0,
      encoderPercent: 0,
      decoderPercent: 0,
      ...changes.utilization,
    },
    ecc: {
      enabled: true,
      pendingEnabled: true,
      correctableVolatileCount: 0,
      uncorrectableVolatileCount: 0,
      correctableAggregateCount: 0,
      uncorrectableAggregateCount: 0,
      sramUncorrectableVolatileCount: 0,
      sramUncorrectableAggregateCount: 0,
      sramThresholdExceeded: false,
      ...changes.ecc,
    },
    rowRemap: {
      correctableRowCount: 0,
      uncorrectableRowCount: 0,
      pending: false,
      failureOccurred: false,
      retiredPagesPending: null,
      retiredPageCount: null,
      ...changes.rowRemap,
    },
    pcie: {
      currentGeneration: 5,
      maxGeneration: 5,
      currentLinkWidthLanes: 16,
      maxLinkWidthLanes: 16,
      replayCount: 0,
      ...changes.pcie,
    },
    mig: { enabled: false, pendingEnabled: false, devices: [], ...changes.mig },
    recovery: { action: 'none', ...changes.recovery },
    gaps: gaps ?? notOffered.map((field) => unsupported(index, field)),
  };
}

/** The reading of one GPU as `GpuReader` hands it on. */
export function h100Reading(changes: Changes = {}, gaps?: readonly Gap[], index = 0): GpuReading {
  return {
    ...h100Sample(index, changes, gaps),
    gpu: h100Ref(index),
    state: 'ok',
    observedAt: '2026-01-01T00:00:00.000Z',
  };
}

/** The GPUs of an eight-GPU node; what `changed` names is not healthy. */
export function h100Node(changed: Readonly<Record<number, StubGpu['sample']>> = {}, count = 8): StubGpu[] {
  return Array.from({ length: count }, (_, index) => ({
    ref: h100Ref(index),
    sample: changed[index] ?? h100Sample(index),
  }));
}
