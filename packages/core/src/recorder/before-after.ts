import { rounded } from '../diagnosis/statistics.ts';
import type { RecordedRows, SeriesRows } from './ring.ts';
import { type RecordedSeriesId, seriesOf } from './series.ts';
import { type SeriesSummary, summarise } from './timeline.ts';

/** One series before and after a moment. */
export interface SeriesChange {
  readonly series: RecordedSeriesId;
  /** Of flags: the one that changed most. */
  readonly label?: string;
  readonly before: SeriesSummary;
  readonly after: SeriesSummary;
  /**
   * After less before, in standard deviations of both; at most 999 either way. Null for a state that became another, and for errors that
   * began: there is no scale for those.
   */
  readonly standardisedDifference: number | null;
}

const maximumDifference = 999;
/** Least spread, as a share of the greater mean: a sensor that did not move at all before would make of every step a wonder. */
const leastSpread = 0.01;
/** Least spread of a share from 0 to 1. */
const leastShareSpread = 0.05;

/**
 * What is different after a moment, the most different first: states that changed, then errors that began, then the rest by the size of
 * the difference. Series that were not read on both sides, and those without any difference, are left out. Rows that reach over the
 * moment count for neither side.
 */
export function compareAround(
  rows: RecordedRows,
  ids: readonly RecordedSeriesId[],
  aroundMilliseconds: number,
): readonly SeriesChange[] {
  const count = rows.firstAtMilliseconds.length;
  let beforeEnd = 0;
  while (beforeEnd < count && (rows.lastAtMilliseconds[beforeEnd] ?? 0) < aroundMilliseconds) beforeEnd += 1;
  let afterStart = beforeEnd;
  while (afterStart < count && (rows.firstAtMilliseconds[afterStart] ?? 0) < aroundMilliseconds)
    afterStart += 1;
  const sides = { beforeEnd, afterStart, count };
  return ids
    .flatMap((id) => changeOf(rows, id, sides) ?? [])
    .toSorted((a, b) => rankOf(b) - rankOf(a) || sizeOf(b) - sizeOf(a));
}

interface Sides {
  readonly beforeEnd: number;
  readonly afterStart: number;
  readonly count: number;
}

function rankOf({ standardisedDifference, before }: SeriesChange): number {
  if (standardisedDifference !== null) return 0;
  return before.kind === 'state' ? 2 : 1;
}
const sizeOf = ({ standardisedDifference }: SeriesChange) => Math.abs(standardisedDifference ?? 0);

function changeOf(
  rows: RecordedRows,
  id: RecordedSeriesId,
  { beforeEnd, afterStart, count }: Sides,
): SeriesChange | undefined {
  const before = summarise(rows, id, { from: 0, to: beforeEnd });
  // A counter's growth over the moment belongs to what came after it.
  const isCounter = seriesOf(id).kind === 'counter';
  const later = isCounter
    ? { from: beforeEnd, to: count, baseline: beforeEnd - 1 }
    : { from: afterStart, to: count };
  const after = summarise(rows, id, later);
  const values = rows.series[id];
  if (!before || !after || !values || afterStart === count) return undefined;
  const change = { series: id, before, after };
  if (before.kind === 'gauge' && after.kind === 'gauge') {
    const spread = Math.hypot(before.standardDeviation, after.standardDeviation) / Math.SQRT2;
    const floor = leastSpread * Math.max(Math.abs(before.mean), Math.abs(after.mean));
    return differing(change, after.mean - before.mean, Math.max(spread, floor));
  }
  if (before.kind === 'counter' && after.kind === 'counter') {
    const [was, is] = [before.perSecond, after.perSecond];
    if (was === null || is === null) return undefined;
    if (seriesOf(id).counts === 'amount') {
      return differing(change, is - was, leastSpread * 10 * Math.max(was, is));
    }
    if (was === 0 && is > 0) return { ...change, standardisedDifference: null };
    // Counts of rare events spread by the root of how many there were.
    const spreadOf = (rate: number, increase: number) => (increase > 0 ? rate / Math.sqrt(increase) : 0);
    return differing(
      change,
      is - was,
      Math.hypot(spreadOf(was, before.increase), spreadOf(is, after.increase)),
    );
  }
  if (before.kind === 'state' && after.kind === 'state') {
    const same = Object.keys(before.sharePercent).join() === Object.keys(after.sharePercent).join();
    return same ? undefined : { ...change, standardisedDifference: null };
  }
  return flagChange(change, values);
}

function flagChange(
  change: Pick<SeriesChange, 'series' | 'before' | 'after'>,
  { shares }: SeriesRows,
): SeriesChange | undefined {
  const { before, after } = change;
  if (!shares || before.kind !== 'flags' || after.kind !== 'flags') return undefined;
  const { labels = [] } = seriesOf(change.series);
  const changes = labels.flatMap((label) => {
    const was = (before.sharePercent[label] ?? 0) / 100;
    const is = (after.sharePercent[label] ?? 0) / 100;
    const spread = Math.sqrt((was * (1 - was) + is * (1 - is)) / 2);
    return differing({ ...change, label }, is - was, Math.max(spread, leastShareSpread)) ?? [];
  });
  return changes.toSorted((a, b) => sizeOf(b) - sizeOf(a))[0];
}

function differing(
  change: Omit<SeriesChange, 'standardisedDifference'>,
  difference: number,
  spread: number,
): SeriesChange | undefined {
  if (difference === 0 || spread === 0) return undefined;
  const scaled = Math.max(-maximumDifference, Math.min(maximumDifference, difference / spread));
  return { ...change, standardisedDifference: rounded(scaled) };
}
