import {
  GpuError,
  type GpuProvider,
  type GpuRef,
  type GpuSample,
  type GpuSection,
  type GpuSectionReadings,
  gpuSections,
  type NodeDescription,
  type ProviderManifest,
} from '@k8s-gpu-mcp/core';
import { type GpuFault, type GpuProviderFixture, gpuSectionLeafKeys } from '../src/index.ts';

const gpuCount = 4;
const uuidOf = (index: number) => `GPU-aaaaaaaa-0000-4000-8000-00000000000${index}`;

/** Plain invented readings: what a contract-abiding adapter might say of GPU `index`. */
const readingsOf = (index: number): Required<GpuSectionReadings> => ({
  identity: {
    name: 'Example GPU',
    uuid: uuidOf(index),
    serial: `10${index}`,
    boardPartNumber: '900-1',
    vbiosVersion: '96.00.01',
    inforomVersion: 'G1',
    architecture: 'hopper',
    computeCapability: '9.0',
    minorNumber: index,
    persistenceModeEnabled: true,
  },
  memory: { totalBytes: 1000, usedBytes: 300, freeBytes: 600, reservedBytes: 100 },
  thermal: {
    temperatureCelsius: 40,
    memoryTemperatureCelsius: 45,
    slowdownThresholdCelsius: null,
    shutdownThresholdCelsius: null,
    maxOperatingThresholdCelsius: null,
    memoryMaxThresholdCelsius: null,
    marginCelsius: 47,
    slowdownMarginCelsius: -2,
    shutdownMarginCelsius: -8,
    fanSpeedPercent: null,
  },
  power: {
    drawWatts: 70.5,
    instantDrawWatts: 71,
    enforcedLimitWatts: 700,
    defaultLimitWatts: 700,
    minLimitWatts: 200,
    maxLimitWatts: 700,
    energyJoules: 1234,
  },
  clocks: {
    smClockMegahertz: 345,
    memoryClockMegahertz: 2619,
    maxSmClockMegahertz: 1980,
    maxMemoryClockMegahertz: 2619,
    performanceState: 'P0',
    eventReasons: ['idle'],
  },
  utilization: { gpuPercent: 0, memoryPercent: 0, encoderPercent: 0, decoderPercent: 0 },
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
  },
  rowRemap: {
    correctableRowCount: 0,
    uncorrectableRowCount: 0,
    pending: false,
    failureOccurred: false,
    retiredPagesPending: null,
    retiredPageCount: null,
  },
  pcie: {
    currentGeneration: 1,
    maxGeneration: 5,
    currentLinkWidthLanes: 16,
    maxLinkWidthLanes: 16,
    replayCount: 0,
  },
  mig: {
    enabled: true,
    pendingEnabled: true,
    devices: [
      {
        index: 0,
        uuid: 'MIG-1',
        gpuInstanceId: 1,
        computeInstanceId: 0,
        profile: '1g.10gb',
        memoryTotalBytes: 100,
        memoryUsedBytes: null,
      },
    ],
  },
  recovery: { action: null },
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
        gpus: refs(),
        gaps: [{ field: 'libraryVersion', reason: 'unsupported', detail: 'no such call' }],
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
      return sampleOf(gpu.index, sections);
    },
    async close() {},
  };
}

function sampleOf(index: number, sections: readonly GpuSection[]): GpuSample {
  const readings = readingsOf(index);
  const asked = sections.map((section) => [section, readings[section]] as const);
  const gaps = asked.flatMap(([section, values]) => {
    const found: Readonly<Record<string, unknown>> = { ...values };
    return gpuSectionLeafKeys[section]
      .filter((leaf) => found[leaf] === null)
      .map((leaf) => ({
        gpu: index,
        field: `${section}.${leaf}`,
        reason: 'unsupported' as const,
        detail: 'not on this product',
      }));
  });
  if (sections.includes('mig')) {
    gaps.push({
      gpu: index,
      field: 'mig.devices.0.memoryUsedBytes',
      reason: 'unsupported',
      detail: 'no reading',
    });
  }
  return { ...Object.fromEntries(asked), gaps };
}

/** The rig of `inMemoryProvider`, with a door for replacing what is under test. */
export function inMemoryFixture(fault: GpuFault | undefined, provider: GpuProvider): GpuProviderFixture {
  return {
    provider,
    expectedGpuCount: gpuCount,
    faultyGpus: fault === undefined ? [] : [{ index: 1, fault }],
    untilStuck: async () => {},
  };
}
