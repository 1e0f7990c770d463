import type { Gap } from './domain/gap.ts';
import type { GpuRef, GpuSample, GpuSection, GpuSectionReadings } from './domain/gpu.ts';

type Sections = Required<GpuSectionReadings>;

/** The leaf readings of every section, complete by the compiler's word. */
export const gpuSectionLeaves = {
  identity: leaves<'identity'>()(
    'name',
    'uuid',
    'serial',
    'boardPartNumber',
    'boardId',
    'multiGpuBoard',
    'moduleId',
    'chassisSerial',
    'slotNumber',
    'trayIndex',
    'hostId',
    'brand',
    'vbiosVersion',
    'inforomVersion',
    'inforomOemVersion',
    'inforomEccVersion',
    'inforomPowerVersion',
    'architecture',
    'computeCapability',
    'coreCount',
    'memoryBusWidthBits',
    'minorNumber',
    'persistenceModeEnabled',
    'computeMode',
    'virtualizationMode',
    'addressingMode',
    'gspFirmwareVersion',
    'gspFirmwareEnabled',
  ),
  memory: leaves<'memory'>()(
    'totalBytes',
    'usedBytes',
    'freeBytes',
    'reservedBytes',
    'bar1TotalBytes',
    'bar1UsedBytes',
    'bar1FreeBytes',
  ),
  thermal: leaves<'thermal'>()(
    'temperatureCelsius',
    'memoryTemperatureCelsius',
    'slowdownThresholdCelsius',
    'shutdownThresholdCelsius',
    'maxOperatingThresholdCelsius',
    'memoryMaxThresholdCelsius',
    'marginCelsius',
    'slowdownMarginCelsius',
    'shutdownMarginCelsius',
    'memoryMaxMarginCelsius',
    'maxOperatingMarginCelsius',
    'fanSpeedPercent',
    'fans',
  ),
  power: leaves<'power'>()(
    'drawWatts',
    'instantDrawWatts',
    'averageDrawWatts',
    'enforcedLimitWatts',
    'requestedLimitWatts',
    'defaultLimitWatts',
    'minLimitWatts',
    'maxLimitWatts',
    'energyJoules',
  ),
  clocks: leaves<'clocks'>()(
    'graphicsClockMegahertz',
    'smClockMegahertz',
    'memoryClockMegahertz',
    'videoClockMegahertz',
    'maxGraphicsClockMegahertz',
    'maxSmClockMegahertz',
    'maxMemoryClockMegahertz',
    'maxVideoClockMegahertz',
    'applicationGraphicsClockMegahertz',
    'applicationMemoryClockMegahertz',
    'defaultApplicationGraphicsClockMegahertz',
    'defaultApplicationMemoryClockMegahertz',
    'maxBoostGraphicsClockMegahertz',
    'performanceState',
    'eventReasons',
    'supportedEventReasons',
  ),
  violations: leaves<'violations'>()(
    'powerMicroseconds',
    'thermalMicroseconds',
    'syncBoostMicroseconds',
    'boardLimitMicroseconds',
    'lowUtilizationMicroseconds',
    'reliabilityMicroseconds',
    'applicationClocksMicroseconds',
    'baseClocksMicroseconds',
  ),
  utilization: leaves<'utilization'>()(
    'gpuPercent',
    'memoryPercent',
    'encoderPercent',
    'decoderPercent',
    'jpegPercent',
    'opticalFlowPercent',
  ),
  profiling: leaves<'profiling'>()(
    'intervalMilliseconds',
    'graphicsActivePercent',
    'smActivePercent',
    'smOccupancyPercent',
    'tensorActivePercent',
    'memoryBandwidthPercent',
    'integerActivePercent',
    'fp64ActivePercent',
    'fp32ActivePercent',
    'fp16ActivePercent',
    'pcieTransmitMegabytesPerSecond',
    'pcieReceiveMegabytesPerSecond',
    'nvlinkTransmitMegabytesPerSecond',
    'nvlinkReceiveMegabytesPerSecond',
  ),
  ecc: leaves<'ecc'>()(
    'enabled',
    'pendingEnabled',
    'correctableVolatileCount',
    'uncorrectableVolatileCount',
    'correctableAggregateCount',
    'uncorrectableAggregateCount',
    'sramCorrectableVolatileCount',
    'sramCorrectableAggregateCount',
    'sramUncorrectableVolatileCount',
    'sramUncorrectableAggregateCount',
    'sramThresholdExceeded',
    'sramUncorrectableL2AggregateCount',
    'sramUncorrectableSmAggregateCount',
    'sramUncorrectablePcieAggregateCount',
    'sramUncorrectableMicrocontrollerAggregateCount',
    'sramUncorrectableOtherAggregateCount',
    'locations',
  ),
  rowRemap: leaves<'rowRemap'>()(
    'correctableRowCount',
    'uncorrectableRowCount',
    'pending',
    'failureOccurred',
    'histogram',
    'retiredPagesPending',
    'retiredPageCount',
    'singleBitRetiredPageCount',
    'doubleBitRetiredPageCount',
    'channelRepairPending',
    'tpcRepairPending',
    'memoryUnrepairable',
  ),
  pcie: leaves<'pcie'>()(
    'currentGeneration',
    'maxGeneration',
    'deviceMaxGeneration',
    'currentLinkWidthLanes',
    'maxLinkWidthLanes',
    'currentSpeedMegatransfersPerSecond',
    'maxSpeedMegatransfersPerSecond',
    'replayCount',
    'replayRolloverCount',
    'linkRecoveryCount',
    'correctableErrorCount',
    'nonFatalErrorCount',
    'fatalErrorCount',
    'unsupportedRequestCount',
    'badTlpCount',
    'badDllpCount',
    'lcrcErrorCount',
    'laneErrorCount',
    'receiverErrorCount',
    'naksSentCount',
    'naksReceivedCount',
  ),
  pcieTraffic: leaves<'pcieTraffic'>()('transmitKilobytesPerSecond', 'receiveKilobytesPerSecond'),
  nvlink: leaves<'nvlink'>()('links'),
  fabric: leaves<'fabric'>()(
    'state',
    'status',
    'clusterUuid',
    'cliqueId',
    'degradedBandwidth',
    'routeRecovery',
    'routeUnhealthy',
    'accessTimeoutRecovery',
    'misconfiguration',
    'healthSummary',
  ),
  topology: leaves<'topology'>()('memoryNumaNode', 'cpuAffinity', 'numaAffinity', 'peers'),
  processes: leaves<'processes'>()('running', 'accountingEnabled', 'accounted'),
  mig: leaves<'mig'>()('enabled', 'pendingEnabled', 'maxDeviceCount', 'devices', 'profiles'),
  recovery: leaves<'recovery'>()('action'),
  events: leaves<'events'>()('supportedTypes'),
} as const satisfies { readonly [S in GpuSection]: readonly string[] };

/** A tuple of names that must be all leaves of the section: leaving one out does not compile. */
function leaves<S extends GpuSection>() {
  type Leaf = keyof Sections[S];
  return <const L extends readonly Leaf[]>(...names: Leaf extends L[number] ? L : never): L => names;
}

/** Readings as an adapter has them: any section, any of its leaves, in any order. */
export type PartialReadings = { readonly [S in GpuSection]?: Partial<Sections[S]> };

/**
 * A sample that keeps the port's promises: the sections asked for and no others, every leaf present, each null with exactly one gap, and
 * nulls inside the members of a list with one gap for each reason. What is missing and has no gap among `gaps` is `unsupported`.
 */
export function makeSample(
  gpu: GpuRef,
  sections: readonly GpuSection[],
  readings: PartialReadings,
  gaps: readonly Omit<Gap, 'gpu'>[] = [],
): GpuSample {
  const missing: Gap[] = [];
  const miss = (gap: Omit<Gap, 'gpu'>) => missing.push({ gpu: gpu.index, ...gap });
  const known = (field: string) => gaps.filter((gap) => gap.field === field);
  const complete: Record<string, unknown> = {};
  for (const section of sections) {
    const values = readings[section] as Readonly<Record<string, unknown>> | undefined;
    const whole: Record<string, unknown> = {};
    for (const leaf of gpuSectionLeaves[section]) {
      const value = values?.[leaf] ?? null;
      whole[leaf] = value;
      if (value === null) {
        const field = `${section}.${leaf}`;
        miss(known(field).at(-1) ?? unsupported(field));
      } else if (Array.isArray(value)) {
        for (const member of nullMembers(value)) {
          const field = `${section}.${leaf}.${member}`;
          const reasons = new Map(known(field).map((gap) => [gap.reason, gap]));
          if (reasons.size === 0) miss(unsupported(field));
          for (const gap of reasons.values()) miss(gap);
        }
      }
    }
    complete[section] = whole;
  }
  return { ...(complete as GpuSectionReadings), gaps: missing };
}

/** The keys that are null in at least one member of a list. */
function nullMembers(members: readonly unknown[]): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const member of members) {
    if (typeof member !== 'object' || member === null) continue;
    const items = member as Readonly<Record<string, unknown>>;
    for (const key of Object.keys(items)) if (items[key] === null) keys.add(key);
  }
  return keys;
}

function unsupported(field: string): Omit<Gap, 'gpu'> {
  return { field, reason: 'unsupported', detail: 'this adapter does not offer it' };
}
