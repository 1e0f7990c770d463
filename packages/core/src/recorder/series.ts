import type { GpuReading, GpuSection, GpuState } from '../domain/gpu.ts';
import { clockEventReasons } from '../domain/readings/clocks.ts';
import type { NvLink } from '../domain/readings/nvlink.ts';
import type { RecoveryAction } from '../domain/readings/recovery.ts';

/**
 * How a series is kept and told. `gauge`: goes up and down. `counter`: only grows, until the driver is loaded again. `flags`: a bit for
 * each label that holds. `state`: the position of the label that holds, the worst last.
 */
export type SeriesKind = 'gauge' | 'counter' | 'flags' | 'state';

export interface RecordedSeries {
  /** The unit is part of it. */
  readonly id: string;
  readonly title: string;
  readonly kind: SeriesKind;
  /** What must be read for it; empty for what every reading tells. */
  readonly sections: readonly GpuSection[];
  /** For `flags` and `state`. Their order is part of what stores hold: new ones only where the old keep their place. */
  readonly labels?: readonly string[];
  /** What a counter counts: errors and the like one by one, or an amount (energy, time). */
  readonly counts?: 'events' | 'amount';
  /** Null when the reading does not tell it. */
  read(reading: GpuReading): number | null;
}

/** From the best to the worst, so that the worst of several is the greatest. */
const stateOrder = [
  'ok',
  'unreadable',
  'reset-required',
  'hung',
  'lost',
] as const satisfies readonly GpuState[];

/** By how much of the machine has to stop for it. */
const recoveryOrder = [
  'none',
  'recover-imex-domain',
  'drain-p2p',
  'reset',
  'drain-and-reset',
  'reboot',
] as const satisfies readonly RecoveryAction[];

const positionIn = <T>(order: readonly T[], value: T | null | undefined): number | null => {
  const position = value === null || value === undefined ? -1 : order.indexOf(value);
  return position < 0 ? null : position;
};

const sumOf = (...values: readonly (number | null | undefined)[]): number | null => {
  let sum = 0;
  for (const value of values) {
    if (value === null || value === undefined) return null;
    sum += value;
  }
  return sum;
};

/** Over the links that are up: one that is down has no counters, and its own series says that it is down. Null when one does not tell. */
function overLinks(
  { nvlink }: GpuReading,
  count: (link: NvLink) => number | null | undefined,
): number | null {
  const up = (nvlink?.links ?? []).filter(({ active }) => active !== false);
  return up.length === 0 ? null : sumOf(...up.map(count));
}

/** Null for a product without NVLink: that it has no link up says nothing. */
function activeLinks({ nvlink }: GpuReading): number | null {
  const links = nvlink?.links ?? [];
  if (links.length === 0 || links.some(({ active }) => active === null)) return null;
  return links.filter(({ active }) => active).length;
}

const bytesPerMebibyte = 1_048_576;

/**
 * What the flight recorder keeps of each GPU. The order is that of `RecordedSample.values`, so it is part of what stores hold: a change
 * makes what was stored before unreadable.
 */
export const recordedSeries = [
  {
    id: 'temperatureCelsius',
    title: 'GPU temperature',
    kind: 'gauge',
    sections: ['thermal'],
    read: ({ thermal }) => thermal?.temperatureCelsius ?? null,
  },
  {
    id: 'memoryTemperatureCelsius',
    title: 'memory temperature',
    kind: 'gauge',
    sections: ['thermal'],
    read: ({ thermal }) => thermal?.memoryTemperatureCelsius ?? null,
  },
  {
    id: 'marginCelsius',
    title: 'degrees left before throttling',
    kind: 'gauge',
    sections: ['thermal'],
    read: ({ thermal }) => thermal?.marginCelsius ?? null,
  },
  {
    id: 'powerDrawWatts',
    title: 'power draw',
    kind: 'gauge',
    sections: ['power'],
    read: ({ power }) => power?.drawWatts ?? null,
  },
  {
    id: 'enforcedLimitWatts',
    title: 'power limit in force',
    kind: 'gauge',
    sections: ['power'],
    read: ({ power }) => power?.enforcedLimitWatts ?? null,
  },
  {
    id: 'smClockMegahertz',
    title: 'SM clock',
    kind: 'gauge',
    sections: ['clocks'],
    read: ({ clocks }) => clocks?.smClockMegahertz ?? null,
  },
  {
    id: 'memoryClockMegahertz',
    title: 'memory clock',
    kind: 'gauge',
    sections: ['clocks'],
    read: ({ clocks }) => clocks?.memoryClockMegahertz ?? null,
  },
  {
    id: 'gpuUtilizationPercent',
    title: 'GPU utilization',
    kind: 'gauge',
    sections: ['utilization'],
    read: ({ utilization }) => utilization?.gpuPercent ?? null,
  },
  {
    id: 'memoryUtilizationPercent',
    title: 'memory controller utilization',
    kind: 'gauge',
    sections: ['utilization'],
    read: ({ utilization }) => utilization?.memoryPercent ?? null,
  },
  {
    id: 'memoryUsedMebibytes',
    title: 'memory in use',
    kind: 'gauge',
    sections: ['memory'],
    read: ({ memory }) =>
      typeof memory?.usedBytes === 'number' ? memory.usedBytes / bytesPerMebibyte : null,
  },
  {
    id: 'fanSpeedPercent',
    title: 'fan speed',
    kind: 'gauge',
    sections: ['thermal'],
    read: ({ thermal }) => thermal?.fanSpeedPercent ?? null,
  },
  {
    id: 'pcieGeneration',
    title: 'PCIe generation now',
    kind: 'gauge',
    sections: ['pcie'],
    read: ({ pcie }) => pcie?.currentGeneration ?? null,
  },
  {
    id: 'pcieLinkWidthLanes',
    title: 'PCIe link width now',
    kind: 'gauge',
    sections: ['pcie'],
    read: ({ pcie }) => pcie?.currentLinkWidthLanes ?? null,
  },
  {
    id: 'processCount',
    title: 'processes on the GPU',
    kind: 'gauge',
    sections: ['processes'],
    read: ({ processes }) => processes?.running?.length ?? null,
  },
  {
    id: 'activeNvlinkCount',
    title: 'NVLinks that are up',
    kind: 'gauge',
    sections: ['nvlink'],
    read: activeLinks,
  },
  {
    id: 'probeMilliseconds',
    title: 'time the driver took to answer',
    kind: 'gauge',
    sections: [],
    read: ({ probeMilliseconds }) => probeMilliseconds ?? null,
  },
  {
    id: 'state',
    title: 'whether the GPU answers',
    kind: 'state',
    sections: [],
    labels: stateOrder,
    read: ({ state }) => positionIn(stateOrder, state),
  },
  {
    id: 'clockEventReasons',
    title: 'why clocks are held back',
    kind: 'flags',
    sections: ['clocks'],
    labels: clockEventReasons,
    read: ({ clocks }) =>
      clocks?.eventReasons
        ? clockEventReasons.reduce(
            (mask, reason, bit) => (clocks.eventReasons?.includes(reason) ? mask | (1 << bit) : mask),
            0,
          )
        : null,
  },
  {
    id: 'recoveryAction',
    title: "the driver's own advice",
    kind: 'state',
    sections: ['recovery'],
    labels: recoveryOrder,
    read: ({ recovery }) => positionIn(recoveryOrder, recovery?.action),
  },
  {
    id: 'remapPending',
    title: 'a row remap waits for a reset',
    kind: 'state',
    sections: ['rowRemap'],
    labels: ['no', 'yes'],
    read: ({ rowRemap }) => (typeof rowRemap?.pending === 'boolean' ? Number(rowRemap.pending) : null),
  },
  {
    id: 'eccCorrectableCount',
    title: 'correctable ECC errors',
    kind: 'counter',
    counts: 'events',
    sections: ['ecc'],
    read: ({ ecc }) => ecc?.correctableVolatileCount ?? null,
  },
  {
    id: 'eccUncorrectableCount',
    title: 'uncorrectable ECC errors',
    kind: 'counter',
    counts: 'events',
    sections: ['ecc'],
    read: ({ ecc }) => ecc?.uncorrectableVolatileCount ?? null,
  },
  {
    id: 'remappedRowCount',
    title: 'remapped memory rows',
    kind: 'counter',
    counts: 'events',
    sections: ['rowRemap'],
    read: ({ rowRemap }) => sumOf(rowRemap?.correctableRowCount, rowRemap?.uncorrectableRowCount),
  },
  {
    id: 'pcieReplayCount',
    title: 'PCIe replays',
    kind: 'counter',
    counts: 'events',
    sections: ['pcie'],
    read: ({ pcie }) => pcie?.replayCount ?? null,
  },
  {
    id: 'nvlinkReplayCount',
    title: 'NVLink replays',
    kind: 'counter',
    counts: 'events',
    sections: ['nvlink'],
    read: (reading) => overLinks(reading, (link) => link.replayErrorCount),
  },
  {
    id: 'nvlinkRecoveryCount',
    title: 'NVLink recoveries',
    kind: 'counter',
    counts: 'events',
    sections: ['nvlink'],
    // NVLink 5 counts them by how they ended.
    read: (reading) =>
      overLinks(
        reading,
        (link) =>
          link.recoveryErrorCount ?? sumOf(link.linkRecoverySuccessCount, link.linkRecoveryFailureCount),
      ),
  },
  {
    id: 'nvlinkCrcErrorCount',
    title: 'NVLink CRC errors',
    kind: 'counter',
    counts: 'events',
    sections: ['nvlink'],
    read: (reading) => overLinks(reading, (link) => sumOf(link.crcFlitErrorCount, link.crcDataErrorCount)),
  },
  {
    id: 'powerViolationMicroseconds',
    title: 'time below the clocks asked for, for power',
    kind: 'counter',
    counts: 'amount',
    sections: ['violations'],
    read: ({ violations }) => violations?.powerMicroseconds ?? null,
  },
  {
    id: 'thermalViolationMicroseconds',
    title: 'time below the clocks asked for, for heat',
    kind: 'counter',
    counts: 'amount',
    sections: ['violations'],
    read: ({ violations }) => violations?.thermalMicroseconds ?? null,
  },
  {
    id: 'energyJoules',
    title: 'energy used',
    kind: 'counter',
    counts: 'amount',
    sections: ['power'],
    read: ({ power }) => power?.energyJoules ?? null,
  },
] as const satisfies readonly RecordedSeries[];

export type RecordedSeriesId = (typeof recordedSeries)[number]['id'];

export const recordedSeriesIds: readonly RecordedSeriesId[] = recordedSeries.map(({ id }) => id);

/** Everything the series need, read in one go. */
export const recordedSections: readonly GpuSection[] = [
  ...new Set(recordedSeries.flatMap(({ sections }): readonly GpuSection[] => sections)),
];

/** One value for each series, in their order; NaN for what the reading does not tell. */
export function recordedValues(reading: GpuReading): Float64Array {
  return Float64Array.from(recordedSeries, (series) => series.read(reading) ?? Number.NaN);
}

/** Position of a series in `RecordedSample.values`. */
export function seriesIndex(id: RecordedSeriesId): number {
  return recordedSeriesIds.indexOf(id);
}

/** The row of the table, with the parts that only some rows have. */
export function seriesOf(id: RecordedSeriesId): RecordedSeries {
  const series: RecordedSeries | undefined = recordedSeries[seriesIndex(id)];
  if (!series) throw new RangeError(`no series ${id}`);
  return series;
}
