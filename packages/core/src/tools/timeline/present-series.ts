import type { SeriesChange } from '../../recorder/before-after.ts';
import type { RecordedRows } from '../../recorder/ring.ts';
import { type RecordedSeriesId, seriesOf } from '../../recorder/series.ts';
import {
  type Buckets,
  counterPoints,
  gaugePoints,
  type SeriesSummary,
  sharePoints,
} from '../../recorder/timeline.ts';
import type { Detail } from '../answer.ts';

/** How points are to be read; stands in the answer beside them. */
export const pointFormat =
  'one per bucket: value or [min, mean, max]; of counters the increase, of times and flags the percent; null: no sample';

/** Four digits are what a curve needs. */
const short = (value: number): number => Number(value.toPrecision(4));

/** One series as an answer shows it; null when nothing of it was read. What never changed is told in one word. */
export function presentSeries(
  rows: RecordedRows,
  id: RecordedSeriesId,
  summary: SeriesSummary | null,
  buckets: Buckets | null,
  detail: Detail,
): unknown {
  if (!summary) return null;
  const points = buckets && isWorthPoints(summary) ? pointsOf(rows, id, buckets, summary) : undefined;
  return { ...presentSummary(summary, detail), ...(points === undefined ? {} : { points }) };
}

export function presentSummary(summary: SeriesSummary, detail: Detail): Readonly<Record<string, unknown>> {
  switch (summary.kind) {
    case 'gauge': {
      const { kind: _, standardDeviation, ...told } = summary;
      if (told.min === told.max) return { value: told.last };
      return detail === 'full' ? { ...told, standardDeviation } : told;
    }
    case 'counter': {
      const { increase, perSecond, last, resetCount, dutyPercent } = summary;
      return {
        ...(dutyPercent === undefined || detail === 'full' ? { increase } : {}),
        ...(dutyPercent === undefined ? {} : { dutyPercent }),
        ...(detail === 'full' || (increase > 0 && dutyPercent === undefined) ? { perSecond } : {}),
        ...(detail === 'full' ? { last } : {}),
        ...(resetCount > 0 ? { resetCount } : {}),
      };
    }
    default: {
      const { sharePercent, last } = summary;
      const shares = Object.entries(sharePercent);
      if (summary.kind === 'flags') return { sharePercent };
      return shares.length === 1 ? { value: last[0] ?? null } : { last: last[0] ?? null, sharePercent };
    }
  }
}

/** Curves that are flat say no more than their summary does; changes of a state are events. */
function isWorthPoints(summary: SeriesSummary): boolean {
  if (summary.kind === 'gauge') return summary.min !== summary.max;
  if (summary.kind === 'counter') return summary.increase > 0;
  return summary.kind === 'flags' && Object.values(summary.sharePercent).some((share) => share < 100);
}

function pointsOf(
  rows: RecordedRows,
  id: RecordedSeriesId,
  buckets: Buckets,
  summary: SeriesSummary,
): unknown {
  const values = rows.series[id];
  if (!values) return undefined;
  if (summary.kind === 'counter') {
    // Microseconds of a bucket's milliseconds, in percent.
    const divisor = summary.dutyPercent === undefined ? 1 : buckets.bucketMilliseconds * 10;
    return counterPoints(rows, values, buckets).map((point) =>
      point === null ? null : short(point / divisor),
    );
  }
  if (summary.kind === 'gauge') {
    return gaugePoints(rows, values, buckets).map((point) => {
      if (point === null) return null;
      const { min, mean, max } = point;
      return min === max ? short(mean) : [short(min), short(mean), short(max)];
    });
  }
  const { labels = [] } = seriesOf(id);
  const changing = labels.flatMap((label, bit) => {
    const shares = values.shares?.[bit];
    return shares && (summary.sharePercent[label] ?? 100) < 100
      ? [[label, sharePoints(rows, shares, buckets)] as const]
      : [];
  });
  return Object.fromEntries(changing);
}

/** One line of "what changed most". */
export function presentChange({ series, label, before, after, standardisedDifference }: SeriesChange) {
  return {
    series,
    ...(label === undefined ? {} : { label }),
    before: side(before, label),
    after: side(after, label),
    // Null has a meaning of its own here: there is no scale.
    deviations: standardisedDifference === null ? null : Number(standardisedDifference.toPrecision(3)),
  };
}

/** The one number, or the states, that a reader compares. */
function side(summary: SeriesSummary, label: string | undefined): unknown {
  if (summary.kind === 'gauge') return { mean: short(summary.mean), min: summary.min, max: summary.max };
  if (summary.kind === 'counter') {
    const { increase, dutyPercent, perSecond } = summary;
    return dutyPercent === undefined ? { increase: short(increase), perSecond } : { dutyPercent };
  }
  return { sharePercent: label === undefined ? summary.sharePercent : (summary.sharePercent[label] ?? 0) };
}
