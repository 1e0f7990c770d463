import {
  GpuError,
  type GpuProvider,
  type GpuRef,
  type GpuSample,
  type GpuSection,
  gpuSectionLeaves,
  gpuSections,
  makeSample,
  type NodeDescription,
  type NvLink,
  type PartialReadings,
  type ProviderManifest,
} from '@k8s-gpu-mcp/core';
import type { GpuFault, GpuProviderFixture } from '../src/index.ts';

const gpuCount = 4;
const uuidOf = (index: number) => `GPU-aaaaaaaa-0000-4000-8000-00000000000${index}`;

/** Plain invented readings: what a contract-abiding adapter might say of GPU `index` at its `nth` reading. */
const readingsOf = (index: number, nth: number): PartialReadings => ({
  identity: {
    name: 'Example GPU',
    uuid: uuidOf(index),
    serial: `10${index}`,
    boardPartNumber: '900-1',
    boardId: `0x1${index}00`,
    brand: 'tesla',
    vbiosVersion: '96.00.01',
    inforomVersion: 'G1',
    architecture: 'hopper',
    computeCapability: '9.0',
    minorNumber: index,
    persistenceModeEnabled: true,
    computeMode: 'default',
    addressingMode: 'hmm',
  },
  memory: {
    totalBytes: 1000,
    usedBytes: 300,
    freeBytes: 600,
    reservedBytes: 100,
    bar1TotalBytes: 2000,
    bar1UsedBytes: 300,
    bar1FreeBytes: 1700,
  },
  thermal: {
    temperatureCelsius: 40,
    memoryTemperatureCelsius: 45,
    marginCelsius: 47,
    slowdownMarginCelsius: -2,
    shutdownMarginCelsius: -8,
    fans: [
      { index: 0, speedPercent: 104, targetSpeedPercent: 100, speedRevolutionsPerMinute: null },
      { index: 1, speedPercent: 98, targetSpeedPercent: 100, speedRevolutionsPerMinute: null },
    ],
  },
  power: {
    drawWatts: 70.5,
    minLimitWatts: 200,
    defaultLimitWatts: 700,
    maxLimitWatts: 700,
    energyJoules: 1000 + nth,
  },
  clocks: {
    smClockMegahertz: 345,
    maxSmClockMegahertz: 1980,
    performanceState: 'P0',
    eventReasons: ['idle'],
    supportedEventReasons: ['idle', 'sync-boost'],
  },
  violations: { powerMicroseconds: 1000 * nth, thermalMicroseconds: 0 },
  utilization: { gpuPercent: 0, memoryPercent: 0 },
  profiling: nth === 1 ? {} : { intervalMilliseconds: 100, smActivePercent: 12.5, tensorActivePercent: 0 },
  ecc: {
    enabled: true,
    uncorrectableVolatileCount: 0,
    locations: [
      {
        location: 'dram',
        correctableVolatileCount: 0,
        uncorrectableVolatileCount: 0,
        correctableAggregateCount: null,
        uncorrectableAggregateCount: null,
      },
    ],
  },
  rowRemap: {
    pending: false,
    histogram: {
      maxBankCount: 2560,
      highBankCount: 0,
      partialBankCount: 0,
      lowBankCount: 0,
      noneBankCount: 0,
    },
  },
  pcie: {
    currentGeneration: 1,
    maxGeneration: 5,
    currentLinkWidthLanes: 16,
    maxLinkWidthLanes: 16,
    replayCount: 0,
  },
  pcieTraffic: { transmitKilobytesPerSecond: 352, receiveKilobytesPerSecond: 329 },
  nvlink: { links: [0, 1].map((link) => exampleLink(link)) },
  fabric: { state: 'completed', status: 'NVML_SUCCESS', cliqueId: 0, misconfiguration: 'none' },
  topology: {
    cpuAffinity: '0-31,64-95',
    numaAffinity: '0',
    peers: Array.from({ length: gpuCount }, (_, other) => ({
      index: other,
      commonAncestor: 'numa-node' as const,
      read: 'ok' as const,
      write: 'ok' as const,
      nvlink: 'ok' as const,
      atomics: null,
      pcie: 'ok' as const,
    })).filter((peer) => peer.index !== index),
  },
  processes: {
    running: [1, 2].map((gpuInstanceId) => ({
      pid: 4242,
      kinds: ['compute'] as const,
      memoryUsedBytes: 100,
      gpuInstanceId,
      computeInstanceId: 0,
      smPercent: null,
      memoryPercent: null,
      encoderPercent: null,
      decoderPercent: null,
    })),
    accountingEnabled: true,
    accounted: [
      {
        pid: 4242,
        running: true,
        gpuPercent: 90,
        memoryPercent: 10,
        maxMemoryUsedBytes: 100,
        startedAt: '2026-01-01T00:00:00.000Z',
        activeMilliseconds: null,
      },
    ],
  },
  mig: {
    enabled: true,
    pendingEnabled: true,
    maxDeviceCount: 7,
    devices: [
      {
        index: 0,
        uuid: 'MIG-1',
        gpuInstanceId: 1,
        computeInstanceId: 0,
        profile: '1g.10gb',
        memoryTotalBytes: 100,
        memoryUsedBytes: null,
        multiprocessorCount: 16,
        gpuSliceCount: 1,
        computeSliceCount: 1,
        placementStart: 0,
        placementSize: 1,
      },
    ],
    profiles: [
      {
        id: 19,
        name: '1g.10gb',
        gpuSliceCount: 1,
        memoryTotalBytes: 100,
        multiprocessorCount: 16,
        maxInstanceCount: 7,
        remainingInstanceCount: 6,
        placementStarts: [0, 1, 2],
      },
    ],
  },
  events: { supportedTypes: ['xid', 'clock'] },
});

const exampleLink = (link: number): NvLink => ({
  link,
  active: true,
  version: '4',
  speedMegabytesPerSecond: 26_562,
  remoteDeviceType: 'switch',
  remotePciAddress: '0000:05:00.0',
  remoteLink: link,
  replayErrorCount: 0,
  recoveryErrorCount: 0,
  crcFlitErrorCount: 0,
  crcDataErrorCount: 0,
  eccDataErrorCount: 0,
  receiveErrorCount: null,
  malformedPacketErrorCount: null,
  bufferOverrunErrorCount: null,
  linkIntegrityErrorCount: null,
  linkRecoverySuccessCount: null,
  linkRecoveryFailureCount: null,
  effectiveErrorCount: null,
  effectiveBitErrorRate: null,
  symbolErrorCount: null,
  symbolBitErrorRate: null,
});

export interface InMemoryOptions {
  readonly fault?: GpuFault | undefined;
  readonly manifest?: Partial<ProviderManifest>;
}

/** An adapter that keeps the whole contract; GPU 1 has the fault, if any. It does not claim `recovery`. */
export function inMemoryProvider({ fault, manifest }: InMemoryOptions = {}): GpuProvider {
  const refs = (): readonly GpuRef[] =>
    Array.from({ length: gpuCount }, (_, index) => ({
      index,
      uuid: uuidOf(index),
      pciAddress: `0000:1${index}:00.0`,
      name: 'Example GPU',
    }));
  const refuseAborted = (signal: AbortSignal) => {
    if (signal.aborted) throw new GpuError('TIMEOUT', 'the call was cut off');
  };
  const failures: Record<Exclude<GpuFault, 'hung'>, () => GpuError> = {
    lost: () => new GpuError('GPU_LOST', 'GPU 1 is off its bus'),
    unreadable: () => new GpuError('NO_PERMISSION', 'GPU 1 may not be opened'),
    crashing: () => new GpuError('ADAPTER_CRASHED', 'the helper died'),
  };
  /** How often each GPU's profiling was read. */
  const reads = new Map<number, number>();
  return {
    manifest: {
      contractVersion: 1,
      backend: 'memory',
      vendor: 'example',
      simulated: true,
      sections: gpuSections.filter((section) => section !== 'recovery'),
      mig: true,
      ...manifest,
    },
    async describeNode(signal): Promise<NodeDescription> {
      refuseAborted(signal);
      return {
        driverVersion: '1.2',
        libraryVersion: null,
        computeApiVersion: '13.0',
        driverBranch: 'r1_00',
        confidentialComputingEnabled: null,
        gpus: refs(),
        gaps: ['libraryVersion', 'confidentialComputingEnabled'].map((field) => ({
          field,
          reason: 'unsupported' as const,
          detail: 'no such call',
        })),
      };
    },
    async readGpu(gpu, sections, signal): Promise<GpuSample> {
      refuseAborted(signal);
      if (gpu.index >= gpuCount) throw new GpuError('GPU_NOT_FOUND', `no GPU ${gpu.index}`);
      if (fault !== undefined && gpu.index === 1) {
        if (fault !== 'hung') throw failures[fault]();
        await new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
        throw new GpuError('GPU_HUNG', 'the driver does not come back');
      }
      const nth = (reads.get(gpu.index) ?? 0) + 1;
      if (sections.includes('profiling')) reads.set(gpu.index, nth);
      return sampleOf(gpu.index, sections, nth);
    },
    async close() {},
  };
}

function sampleOf(index: number, sections: readonly GpuSection[], nth: number): GpuSample {
  const gpu = { index, uuid: null, pciAddress: null, name: null };
  const notYet = gpuSectionLeaves.profiling.map((leaf) => ({
    field: `profiling.${leaf}`,
    reason: nth === 1 ? ('not-observable' as const) : ('unsupported' as const),
    detail: 'no earlier reading',
  }));
  // The duration differs from read to read, as it does for a real adapter.
  return { ...makeSample(gpu, sections, readingsOf(index, nth), notYet), probeMilliseconds: nth + index };
}

/** The rig of `inMemoryProvider`, with a door for replacing what is under test. */
export function inMemoryFixture(fault: GpuFault | undefined, provider: GpuProvider): GpuProviderFixture {
  return {
    provider,
    expectedGpuCount: gpuCount,
    faultyGpus: fault === undefined ? [] : [{ index: 1, fault }],
    untilStuck: async () => {},
    passTime: async () => {},
  };
}
