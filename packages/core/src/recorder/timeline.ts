import { rounded } from '../diagnosis/statistics.ts';
import type { RecordedRows, SeriesRows } from './ring.ts';
import { type RecordedSeries, type RecordedSeriesId, seriesOf } from './series.ts';

// What recorded rows tell. Pure: no clock, ring or tool is known here.

/** Of a value that goes up and down. Each reading counts once. */
export interface GaugeSummary {
  readonly min: number;
  readonly mean: number;
  readonly max: number;
  readonly last: number;
  /** Of the readings; of the means of steps where only those are kept, which makes it smaller. */
  readonly standardDeviation: number;
}

/** Of a value that only grows. */
export interface CounterSummary {
  readonly increase: number;
  /** Null when there is only one reading. */
  readonly perSecond: number | null;
  readonly last: number;
  /** How often it began anew, as when the driver is loaded again. What it counted between its last reading and that is not known. */
  readonly resetCount: number;
  /** For counters of microseconds: share of the time from the first to the last reading. */
  readonly dutyPercent?: number | null;
}

/** Of flags and states: the share of the readings with each label, those that never were left out. */
export interface ShareSummary {
  readonly sharePercent: Readonly<Record<string, number>>;
  /** The labels that hold at the end. */
  readonly last: readonly string[];
}

export type SeriesSummary =
  | ({ readonly kind: 'gauge' } & GaugeSummary)
  | ({ readonly kind: 'counter' } & CounterSummary)
  | ({ readonly kind: 'flags' | 'state' } & ShareSummary);

/** Which rows lie within: from the first position to before the second. */
interface Span {
  readonly from: number;
  readonly to: number;
  /** A row whose last value is what counters grew from; else that is their first value within. */
  readonly baseline?: number;
}

const whole = (rows: RecordedRows): Span => ({ from: 0, to: rows.firstAtMilliseconds.length });

/** Null when nothing of the series was read. */
export function summarise(
  rows: RecordedRows,
  id: RecordedSeriesId,
  span: Span = whole(rows),
): SeriesSummary | null {
  const values = rows.series[id];
  if (!values) return null;
  const series = seriesOf(id);
  if (series.kind === 'gauge') {
    const gauge = gaugeSummary(rows, values, span);
    return gauge && { kind: 'gauge', ...gauge };
  }
  if (series.kind === 'counter') {
    const counter = counterSummary(rows, values, span, id.endsWith('Microseconds'));
    return counter && { kind: 'counter', ...counter };
  }
  const shares = shareSummary(rows, values, series, span);
  return shares && { kind: series.kind, ...shares };
}

function gaugeSummary(rows: RecordedRows, values: SeriesRows, { from, to }: Span): GaugeSummary | null {
  let [min, max, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
  // Welford's way, with weights: sums of squares would lose the small differences of large values.
  let [count, mean, squares] = [0, 0, 0];
  for (let row = from; row < to; row += 1) {
    const value = values.mean[row] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    const weight = rows.sampleCounts[row] ?? 1;
    min = Math.min(min, values.min[row] ?? value);
    max = Math.max(max, values.max[row] ?? value);
    last = value;
    count += weight;
    const difference = value - mean;
    mean += (difference * weight) / count;
    squares += weight * difference * (value - mean);
  }
  if (count === 0) return null;
  const standardDeviation = rounded(Math.sqrt(Math.max(0, squares) / count));
  return {
    min: rounded(min),
    mean: rounded(mean),
    max: rounded(max),
    last: rounded(last),
    standardDeviation,
  };
}

/** What a counter grew by, at least: one that is smaller than before began again, and where it had got to until then is not known. */
const growthFrom = (before: number, value: number): number => Math.max(0, value - before);

function counterSummary(
  rows: RecordedRows,
  { min: firsts, mean: lasts }: SeriesRows,
  { from, to, baseline = -1 }: Span,
  isTime: boolean,
): CounterSummary | null {
  let [increase, resetCount] = [0, 0];
  let last = lasts[baseline] ?? Number.NaN;
  let firstAt = Number.isNaN(last) ? Number.NaN : (rows.lastAtMilliseconds[baseline] ?? Number.NaN);
  let lastAt = Number.NaN;
  const grow = (value: number) => {
    if (value < last) resetCount += 1;
    increase += Number.isNaN(last) ? 0 : growthFrom(last, value);
    last = value;
  };
  for (let row = from; row < to; row += 1) {
    const [first, value] = [firsts[row] ?? Number.NaN, lasts[row] ?? Number.NaN];
    if (Number.isNaN(value)) continue;
    if (Number.isNaN(firstAt)) firstAt = rows.firstAtMilliseconds[row] ?? Number.NaN;
    lastAt = rows.lastAtMilliseconds[row] ?? Number.NaN;
    grow(first);
    grow(value);
  }
  if (Number.isNaN(lastAt)) return null;
  const seconds = (lastAt - firstAt) / 1_000;
  const perSecond = seconds > 0 ? rounded(increase / seconds) : null;
  // Read a moment after the clock was, so that a GPU held back all the time may seem to exceed it.
  const dutyPercent = perSecond === null ? null : Math.min(100, rounded(perSecond / 10_000));
  return {
    increase: rounded(increase),
    perSecond,
    last,
    resetCount,
    ...(isTime ? { dutyPercent } : {}),
  };
}

const labelsOfMask = (labels: readonly string[], mask: number): readonly string[] =>
  labels.filter((_, bit) => mask & (1 << bit));

function shareSummary(
  rows: RecordedRows,
  values: SeriesRows,
  { kind, labels = [] }: RecordedSeries,
  { from, to }: Span,
): ShareSummary | null {
  const sums = labels.map(() => 0);
  let [total, last] = [0, Number.NaN];
  for (let row = from; row < to; row += 1) {
    const value = values.mean[row] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    const weight = rows.sampleCounts[row] ?? 1;
    total += weight;
    last = value;
    for (const bit of labels.keys()) {
      const share = kind === 'state' ? Number(value === bit) : (values.shares?.[bit]?.[row] ?? 0);
      sums[bit] = (sums[bit] ?? 0) + share * weight;
    }
  }
  if (total === 0) return null;
  const shares = labels.flatMap((label, bit) => {
    const sum = sums[bit] ?? 0;
    return sum > 0 ? [[label, rounded((sum / total) * 100)] as const] : [];
  });
  return {
    sharePercent: Object.fromEntries(shares),
    last: kind === 'state' ? labels.slice(last, last + 1) : labelsOfMask(labels, last),
  };
}

/** A time without samples. */
export interface RecordedGap {
  readonly fromMilliseconds: number;
  readonly toMilliseconds: number;
}

/** How often samples are to be expected. */
export interface Cadence {
  readonly intervalMilliseconds: number;
  /** What a store gave back may be thinned: up to this time, samples are to be expected no more often than this. */
  readonly thinned?: { readonly untilMilliseconds: number; readonly intervalMilliseconds: number };
}

/** A turn that is missed or late is no gap; this many intervals without a sample are. */
const gapIntervals = 2.5;

/** The times from one moment to another in which nothing was recorded, also before the first sample and after the last. */
export function gapsIn(
  rows: RecordedRows | undefined,
  fromMilliseconds: number,
  toMilliseconds: number,
  { intervalMilliseconds, thinned }: Cadence,
): readonly RecordedGap[] {
  const gaps: RecordedGap[] = [];
  let covered = fromMilliseconds;
  const add = (until: number) => {
    const isThinned = thinned !== undefined && until <= thinned.untilMilliseconds;
    const interval = isThinned ? thinned.intervalMilliseconds : intervalMilliseconds;
    if (until - covered > gapIntervals * interval)
      gaps.push({ fromMilliseconds: covered, toMilliseconds: until });
  };
  const count = rows?.firstAtMilliseconds.length ?? 0;
  for (let row = 0; row < count; row += 1) {
    add(rows?.firstAtMilliseconds[row] ?? 0);
    covered = Math.max(covered, rows?.lastAtMilliseconds[row] ?? 0);
  }
  add(toMilliseconds);
  return gaps;
}

/** One bucket of a down-sampled series; null when nothing was read in it. */
export type GaugePoint = { readonly min: number; readonly mean: number; readonly max: number } | null;

export interface Buckets {
  readonly fromMilliseconds: number;
  readonly bucketMilliseconds: number;
  readonly count: number;
}

/** As many buckets of equal length as wanted, or fewer: each is a whole number of intervals. */
export function bucketsOver(
  fromMilliseconds: number,
  toMilliseconds: number,
  wanted: number,
  intervalMilliseconds: number,
): Buckets {
  const length = Math.max(1, toMilliseconds - fromMilliseconds);
  const intervals = Math.ceil(length / Math.max(1, wanted) / intervalMilliseconds);
  const bucketMilliseconds = intervals * intervalMilliseconds;
  return { fromMilliseconds, bucketMilliseconds, count: Math.ceil(length / bucketMilliseconds) };
}

/** Which bucket a row belongs to: that of its middle, as a step may reach into two. */
function bucketOf(rows: RecordedRows, row: number, buckets: Buckets): number {
  const first = rows.firstAtMilliseconds[row] ?? 0;
  const middle = (first + (rows.lastAtMilliseconds[row] ?? first)) / 2;
  const bucket = Math.floor((middle - buckets.fromMilliseconds) / buckets.bucketMilliseconds);
  return Math.min(buckets.count - 1, Math.max(0, bucket));
}

/** Each bucket keeps its least and greatest value, so a spike of a single reading is in it. */
export function gaugePoints(
  rows: RecordedRows,
  { min, mean, max }: SeriesRows,
  buckets: Buckets,
): readonly GaugePoint[] {
  const sums = Array.from({ length: buckets.count }, () => ({
    min: Number.POSITIVE_INFINITY,
    sum: 0,
    max: Number.NEGATIVE_INFINITY,
    count: 0,
  }));
  for (let row = 0; row < mean.length; row += 1) {
    const value = mean[row] ?? Number.NaN;
    const bucket = sums[bucketOf(rows, row, buckets)];
    if (Number.isNaN(value) || !bucket) continue;
    const weight = rows.sampleCounts[row] ?? 1;
    bucket.min = Math.min(bucket.min, min[row] ?? value);
    bucket.max = Math.max(bucket.max, max[row] ?? value);
    bucket.sum += value * weight;
    bucket.count += weight;
  }
  return sums.map((bucket) =>
    bucket.count === 0
      ? null
      : { min: rounded(bucket.min), mean: rounded(bucket.sum / bucket.count), max: rounded(bucket.max) },
  );
}

/** What a counter grew by in each bucket; null where nothing was read. They add up to the growth of the whole. */
export function counterPoints(
  rows: RecordedRows,
  { min: firsts, mean: lasts }: SeriesRows,
  buckets: Buckets,
): readonly (number | null)[] {
  const points: (number | null)[] = Array.from({ length: buckets.count }, () => null);
  let before = Number.NaN;
  for (let row = 0; row < lasts.length; row += 1) {
    const [first, value] = [firsts[row] ?? Number.NaN, lasts[row] ?? Number.NaN];
    if (Number.isNaN(value)) continue;
    const bucket = bucketOf(rows, row, buckets);
    const since = Number.isNaN(before) ? 0 : growthFrom(before, first);
    points[bucket] = (points[bucket] ?? 0) + since + growthFrom(first, value);
    before = value;
  }
  return points.map((point) => (point === null ? null : rounded(point)));
}

/** The share of each bucket's readings with a flag, in percent; null where nothing was read. */
export function sharePoints(
  rows: RecordedRows,
  shares: Float64Array,
  buckets: Buckets,
): readonly (number | null)[] {
  return gaugePoints(rows, { min: shares, mean: shares, max: shares }, buckets).map((point) =>
    point === null ? null : Math.round(point.mean * 100),
  );
}

/** A state that became another. */
export interface StateChange {
  readonly series: RecordedSeriesId;
  readonly atMilliseconds: number;
  readonly from: string;
  readonly to: string;
}

/** Every change of a state, oldest first. Within a step of the coarse tier the worst state counts. */
export function stateChanges(rows: RecordedRows, id: RecordedSeriesId): readonly StateChange[] {
  const { labels = [] } = seriesOf(id);
  const changes: StateChange[] = [];
  let before = Number.NaN;
  for (const [row, value] of (rows.series[id]?.mean ?? new Float64Array()).entries()) {
    if (Number.isNaN(value)) continue;
    const [from, to] = [labels[before], labels[value]];
    if (from !== undefined && to !== undefined && from !== to) {
      changes.push({ series: id, atMilliseconds: rows.firstAtMilliseconds[row] ?? 0, from, to });
    }
    before = value;
  }
  return changes;
}
