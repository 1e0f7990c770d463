import type { Gap } from '../src/domain/gap.ts';
import type { GpuReading, GpuRef, GpuSample, GpuSectionReadings } from '../src/domain/gpu.ts';
import { eccLocations } from '../src/domain/readings/ecc.ts';
import type { NvLink } from '../src/domain/readings/nvlink.ts';
import type { StubGpu } from '../src/testing.ts';

type Sections = Required<GpuSectionReadings>;

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

export const unsupported = (gpu: number, field: string): Gap => ({
  gpu,
  field,
  reason: 'unsupported',
  detail: 'NVML_ERROR_NOT_SUPPORTED (3)',
});

/** One of the 18 links to the NVSwitches; NVLink 4 has none of the counters of NVLink 5. */
export const h100Link = (link: number, changes: Partial<NvLink> = {}): NvLink => ({
  link,
  active: true,
  version: '4',
  speedMegabytesPerSecond: 26_562,
  remoteDeviceType: 'switch',
  remotePciAddress: `0000:0${(link % 4) + 5}:00.0`,
  remoteLink: link,
  replayErrorCount: 0,
  recoveryErrorCount: 0,
  crcFlitErrorCount: 0,
  crcDataErrorCount: 0,
  eccDataErrorCount: null,
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
  ...changes,
});
export const h100Links = (changed: Readonly<Record<number, Partial<NvLink>>> = {}): NvLink[] =>
  Array.from({ length: 18 }, (_, link) => h100Link(link, changed[link]));

/** Every leaf of an idle, healthy H100 SXM5; null is what it does not offer (no fan, retired pages or absolute thresholds). */
function healthy(index: number): Sections {
  return {
    identity: {
      name: 'NVIDIA H100 80GB HBM3',
      uuid: uuids[index] ?? null,
      serial: `16505230${(41_207 + index * 13).toString()}`,
      boardPartNumber: '692-2G520-0200-000',
      boardId: `0x${buses[index]}00`,
      multiGpuBoard: false,
      moduleId: index + 1,
      chassisSerial: null,
      slotNumber: null,
      trayIndex: null,
      hostId: null,
      brand: 'nvidia',
      vbiosVersion: '96.00.74.00.01',
      inforomVersion: 'G520.0200.00.05',
      inforomOemVersion: '2.1',
      inforomEccVersion: '7.16',
      inforomPowerVersion: null,
      architecture: 'hopper',
      computeCapability: '9.0',
      coreCount: 16_896,
      memoryBusWidthBits: 5_120,
      minorNumber: index,
      persistenceModeEnabled: true,
      computeMode: 'default',
      virtualizationMode: 'none',
      addressingMode: 'none',
      gspFirmwareVersion: '580.159.04',
      gspFirmwareEnabled: true,
    },
    memory: {
      totalBytes: 85_520_809_984,
      usedBytes: 544_210_944,
      freeBytes: 84_414_758_912,
      reservedBytes: 561_840_128,
      bar1TotalBytes: 137_438_953_472,
      bar1UsedBytes: 1_048_576,
      bar1FreeBytes: 137_437_904_896,
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
      memoryMaxMarginCelsius: 0,
      maxOperatingMarginCelsius: 0,
      fanSpeedPercent: null,
      fans: [],
    },
    power: {
      drawWatts: 71.42,
      instantDrawWatts: 70.98,
      averageDrawWatts: 71.42,
      enforcedLimitWatts: 700,
      requestedLimitWatts: 700,
      defaultLimitWatts: 700,
      minLimitWatts: 200,
      maxLimitWatts: 700,
      energyJoules: 184_502_113.512,
    },
    clocks: {
      graphicsClockMegahertz: 345,
      smClockMegahertz: 345,
      memoryClockMegahertz: 2619,
      videoClockMegahertz: 765,
      maxGraphicsClockMegahertz: 1980,
      maxSmClockMegahertz: 1980,
      maxMemoryClockMegahertz: 2619,
      maxVideoClockMegahertz: 1545,
      applicationGraphicsClockMegahertz: 1980,
      applicationMemoryClockMegahertz: 2619,
      defaultApplicationGraphicsClockMegahertz: 1980,
      defaultApplicationMemoryClockMegahertz: 2619,
      maxBoostGraphicsClockMegahertz: 1980,
      performanceState: 'P0',
      eventReasons: ['idle'],
      supportedEventReasons: ['idle', 'software-power-cap', 'hardware-slowdown'],
    },
    violations: {
      powerMicroseconds: 0,
      thermalMicroseconds: 0,
      syncBoostMicroseconds: 0,
      boardLimitMicroseconds: 0,
      lowUtilizationMicroseconds: 0,
      reliabilityMicroseconds: 0,
      applicationClocksMicroseconds: 0,
      baseClocksMicroseconds: 0,
    },
    utilization: {
      gpuPercent: 0,
      memoryPercent: 0,
      encoderPercent: 0,
      decoderPercent: 0,
      jpegPercent: 0,
      opticalFlowPercent: 0,
    },
    profiling: {
      intervalMilliseconds: 1_000,
      graphicsActivePercent: 0,
      smActivePercent: 0,
      smOccupancyPercent: 0,
      tensorActivePercent: 0,
      memoryBandwidthPercent: 0,
      integerActivePercent: 0,
      fp64ActivePercent: 0,
      fp32ActivePercent: 0,
      fp16ActivePercent: 0,
      pcieTransmitMegabytesPerSecond: 0,
      pcieReceiveMegabytesPerSecond: 0,
      nvlinkTransmitMegabytesPerSecond: 0,
      nvlinkReceiveMegabytesPerSecond: 0,
    },
    ecc: {
      enabled: true,
      pendingEnabled: true,
      correctableVolatileCount: 0,
      uncorrectableVolatileCount: 0,
      correctableAggregateCount: 0,
      uncorrectableAggregateCount: 0,
      sramCorrectableVolatileCount: 0,
      sramCorrectableAggregateCount: 0,
      sramUncorrectableVolatileCount: 0,
      sramUncorrectableAggregateCount: 0,
      sramThresholdExceeded: false,
      sramUncorrectableL2AggregateCount: 0,
      sramUncorrectableSmAggregateCount: 0,
      sramUncorrectablePcieAggregateCount: 0,
      sramUncorrectableMicrocontrollerAggregateCount: 0,
      sramUncorrectableOtherAggregateCount: 0,
      locations: eccLocations
        .filter((location) => location === 'dram' || location === 'sram')
        .map((location) => ({
          location,
          correctableVolatileCount: 0,
          uncorrectableVolatileCount: 0,
          correctableAggregateCount: 0,
          uncorrectableAggregateCount: 0,
        })),
    },
    rowRemap: {
      correctableRowCount: 0,
      uncorrectableRowCount: 0,
      pending: false,
      failureOccurred: false,
      histogram: {
        maxBankCount: 2_560,
        highBankCount: 0,
        partialBankCount: 0,
        lowBankCount: 0,
        noneBankCount: 0,
      },
      retiredPagesPending: null,
      retiredPageCount: null,
      singleBitRetiredPageCount: null,
      doubleBitRetiredPageCount: null,
      channelRepairPending: false,
      tpcRepairPending: false,
      memoryUnrepairable: false,
    },
    pcie: {
      currentGeneration: 5,
      maxGeneration: 5,
      deviceMaxGeneration: 5,
      currentLinkWidthLanes: 16,
      maxLinkWidthLanes: 16,
      currentSpeedMegatransfersPerSecond: 32_000,
      maxSpeedMegatransfersPerSecond: 32_000,
      replayCount: 0,
      replayRolloverCount: 0,
      linkRecoveryCount: 0,
      correctableErrorCount: 0,
      nonFatalErrorCount: 0,
      fatalErrorCount: 0,
      unsupportedRequestCount: 0,
      badTlpCount: 0,
      badDllpCount: 0,
      lcrcErrorCount: 0,
      laneErrorCount: 0,
      receiverErrorCount: 0,
      naksSentCount: 0,
      naksReceivedCount: 0,
    },
    pcieTraffic: { transmitKilobytesPerSecond: 0, receiveKilobytesPerSecond: 0 },
    nvlink: { links: h100Links() },
    fabric: {
      state: 'completed',
      status: 'NVML_SUCCESS',
      clusterUuid: '00000000-0000-0000-0000-000000000000',
      cliqueId: 0,
      degradedBandwidth: false,
      routeRecovery: false,
      routeUnhealthy: false,
      accessTimeoutRecovery: false,
      misconfiguration: 'none',
      healthSummary: 'not-supported',
    },
    topology: {
      memoryNumaNode: null,
      cpuAffinity: index < 4 ? '0-47,96-143' : '48-95,144-191',
      numaAffinity: index < 4 ? '0' : '1',
      peers: uuids
        .map((_, other) => other)
        .filter((other) => other !== index)
        .map((other) => ({
          index: other,
          commonAncestor: other < 4 === index < 4 ? 'numa-node' : 'system',
          read: 'ok',
          write: 'ok',
          nvlink: 'ok',
          atomics: 'ok',
          pcie: 'ok',
        })),
    },
    processes: { running: [], accountingEnabled: false, accounted: [] },
    mig: { enabled: false, pendingEnabled: false, maxDeviceCount: 7, devices: [], profiles: [] },
    recovery: { action: 'none' },
    events: { supportedTypes: ['xid', 'double-bit-ecc', 'clock'] },
  };
}

/** The gaps of an unchanged sample: one `unsupported` for each leaf it does not offer. */
export function h100Gaps(index = 0): Gap[] {
  return Object.entries(healthy(index)).flatMap(([section, values]) =>
    Object.entries(values)
      .filter(([, value]) => value === null)
      .map(([leaf]) => unsupported(index, `${section}.${leaf}`)),
  );
}

/** An idle, healthy H100 SXM5. `gaps` stand in the place of its own. */
export function h100Sample(index: number, changes: Changes = {}, gaps?: readonly Gap[]): GpuSample {
  const sections = Object.entries(healthy(index)).map(([section, values]) => [
    section,
    { ...values, ...changes[section as keyof Changes] },
  ]);
  return { ...(Object.fromEntries(sections) as Sections), gaps: gaps ?? h100Gaps(index) };
}

/** The reading of one GPU as `GpuReader` hands it on. */
export function h100Reading(changes: Changes = {}, gaps?: readonly Gap[], index = 0): GpuReading {
  return {
    ...h100Sample(index, changes, gaps),
    gpu: h100Ref(index),
    state: 'ok',
    probeMilliseconds: 12,
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
