import { clean } from './layout.ts';
import type { Point, Scale } from './sparkline.ts';

type BucketPoint = Point | readonly [min: number, mean: number, max: number];

/** One series, by its kind; null when nothing of it was read. What never changed has only `value`. */
export interface SeriesView {
  readonly value?: number | string | null;
  readonly min?: number;
  readonly mean?: number;
  readonly max?: number;
  readonly last?: number | string | null;
  readonly increase?: number;
  readonly perSecond?: number | null;
  readonly dutyPercent?: number | null;
  readonly resetCount?: number;
  readonly sharePercent?: Readonly<Record<string, number>>;
  /** Of flags: a list for each that came and went. */
  readonly points?: readonly BucketPoint[] | Readonly<Record<string, readonly Point[]>>;
}

/** One line of the table: a gauge has its statistics, anything else a note. */
export interface Row {
  readonly name: string;
  readonly points: readonly Point[];
  readonly scale?: Scale | undefined;
  readonly statistics?: readonly (number | null | undefined)[];
  readonly note?: string;
}

/** Least height of a gauge's curve, as a share of its greatest value: a watt of noise is no mountain. */
const leastSpan = 0.1;
const percentScale: Scale = { min: 0, max: 100 };

/** The lines of one series: one, or one for each flag. */
export function rowsOf(id: string, view: SeriesView | null): readonly Row[] {
  const name = clean(id);
  const none: readonly Point[] = [];
  if (view === null) return [{ name, points: none, note: 'not read' }];
  const { value, sharePercent, points, last } = view;
  if (typeof value === 'number') return [{ name, points: none, statistics: [value, value, value, value] }];
  if (value !== undefined) return [{ name, points: none, note: `${clean(value ?? '-')} all the time` }];
  if (view.mean !== undefined) {
    const { min = view.mean, mean, max = view.mean } = view;
    const scale = id.endsWith('Percent') ? percentScale : gaugeScale(min, max);
    const statistics = [min, mean, max, typeof last === 'number' ? last : null];
    return [{ name, points: curveOf(points, mean), scale, statistics }];
  }
  if (sharePercent !== undefined) return shareRows(name, view, sharePercent);
  return [{ name, points: curveOf(points, 0), note: counterNote(view) }];
}

function gaugeScale(min: number, max: number): Scale {
  const missing = leastSpan * Math.max(Math.abs(min), Math.abs(max)) - (max - min);
  return missing > 0 ? { min: min - missing / 2, max: max + missing / 2 } : { min, max };
}

/** Flags have a line each; of a state there are only shares, its changes are events. */
function shareRows(
  name: string,
  { last, points }: SeriesView,
  sharePercent: Readonly<Record<string, number>>,
): readonly Row[] {
  const shares = Object.entries(sharePercent);
  if (last !== undefined) {
    const note = shares.map(([label, percent]) => `${clean(label)} ${shortNumber(percent)} %`).join(', ');
    return [{ name, points: [], note: `${clean(last ?? '-')} at the end; ${note}` }];
  }
  if (shares.length === 0) return [{ name, points: [], note: 'none' }];
  const curves = points === undefined || isList(points) ? {} : points;
  return [
    { name, points: [] },
    ...shares.map(([label, percent]) => ({
      name: `  ${clean(label)}`,
      points: curves[label] ?? [],
      scale: percentScale,
      note: shareNote(percent),
    })),
  ];
}

function counterNote({ increase = 0, perSecond, dutyPercent, resetCount = 0 }: SeriesView): string {
  const restarts = resetCount > 0 ? [`began anew: ${resetCount}`] : [];
  if (dutyPercent !== undefined) return [shareNote(dutyPercent), ...restarts].join(', ');
  const rate =
    perSecond === undefined || perSecond === null || perSecond === 0 ? [] : [`${shortNumber(perSecond)}/s`];
  return [increase > 0 ? `+${shortNumber(increase)}` : 'no increase', ...rate, ...restarts].join(', ');
}

const shareNote = (percent: number | null): string => `${shortNumber(percent)} % of the time`;

const isList = (points: NonNullable<SeriesView['points']>): points is readonly BucketPoint[] =>
  Array.isArray(points);

/** Of a bucket with several readings, its end that is farther from the mean of the series. */
function curveOf(points: SeriesView['points'], mean: number): readonly Point[] {
  if (points === undefined || !isList(points)) return [];
  return points.map((point) => {
    if (point === null || typeof point === 'number') return point;
    const [min, , max] = point;
    return mean - min > max - mean ? min : max;
  });
}

/** Four digits or so; a dash for none. */
export function shortNumber(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '-';
  const size = Math.abs(value);
  if (size >= 1e7) return value.toExponential(1).replace('+', '');
  if (size >= 100) return String(Math.round(value));
  return String(Number(value.toFixed(size >= 10 ? 1 : 2)));
}
