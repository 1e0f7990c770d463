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
    'vbiosVersion',
    'inforomVersion',
    'architecture',
    'computeCapability',
    'minorNumber',
    'persistenceModeEnabled',
  ),
  memory: leaves<'memory'>()('totalBytes', 'usedBytes', 'freeBytes', 'reservedBytes'),
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
    'fanSpeedPercent',
  ),
  power: leaves<'power'>()(
    'drawWatts',
    'instantDrawWatts',
    'enforcedLimitWatts',
    'defaultLimitWatts',
    'minLimitWatts',
    'maxLimitWatts',
    'energyJoules',
  ),
  clocks: leaves<'clocks'>()(
    'smClockMegahertz',
    'memoryClockMegahertz',
    'maxSmClockMegahertz',
    'maxMemoryClockMegahertz',
    'performanceState',
    'eventReasons',
  ),
  utilization: leaves<'utilization'>()('gpuPercent', 'memoryPercent', 'encoderPercent', 'decoderPercent'),
  ecc: leaves<'ecc'>()(
    'enabled',
    'pendingEnabled',
    'correctableVolatileCount',
    'uncorrectableVolatileCount',
    'correctableAggregateCount',
    'uncorrectableAggregateCount',
    'sramUncorrectableVolatileCount',
    'sramUncorrectableAggregateCount',
    'sramThresholdExceeded',
  ),
  rowRemap: leaves<'rowRemap'>()(
    'correctableRowCount',
    'uncorrectableRowCount',
    'pending',
    'failureOccurred',
    'retiredPagesPending',
    'retiredPageCount',
  ),
  pcie: leaves<'pcie'>()(
    'currentGeneration',
    'maxGeneration',
    'currentLinkWidthLanes',
    'maxLinkWidthLanes',
    'replayCount',
  ),
  mig: leaves<'mig'>()('enabled', 'pendingEnabled', 'devices'),
  recovery: leaves<'recovery'>()('action'),
} as const satisfies { readonly [S in GpuSection]: readonly string[] };

/** A tuple of names that must be all leaves of the section: leaving one out does not compile. */
function leaves<S extends GpuSection>() {
  type Leaf = keyof Sections[S];
  return <const L extends readonly Leaf[]>(...names: Leaf extends L[number] ? L : never): L => names;
}

/** Readings as an adapter has them: any section, any of its leaves, in any order. */
export type PartialReadings = { readonly [S in GpuSection]?: Partial<Sections[S]> };

/**
 * A sample that keeps the port's promises: the sections asked for and no others, every leaf present, each null with exactly one gap.
 * A leaf that is missing and has no gap among `gaps` is `unsupported`.
 */
export function makeSample(
  gpu: GpuRef,
  sections: readonly GpuSection[],
  readings: PartialReadings,
  gaps: readonly Omit<Gap, 'gpu'>[] = [],
): GpuSample {
  const known = new Map(gaps.map((gap) => [gap.field, gap]));
  const missing: Gap[] = [];
  const complete = sections.map((section) => {
    const values = readings[section] as Readonly<Record<string, unknown>> | undefined;
    const entries = gpuSectionLeaves[section].map((leaf) => {
      const value = values?.[leaf] ?? null;
      if (value === null) missing.push({ gpu: gpu.index, ...gapFor(`${section}.${leaf}`, known) });
      return [leaf, value] as const;
    });
    return [section, Object.fromEntries(entries)] as const;
  });
  return { ...(Object.fromEntries(complete) as GpuSectionReadings), gaps: missing };
}

function gapFor(field: string, known: ReadonlyMap<string, Omit<Gap, 'gpu'>>): Omit<Gap, 'gpu'> {
  return known.get(field) ?? { field, reason: 'unsupported', detail: 'this adapter does not offer it' };
}
