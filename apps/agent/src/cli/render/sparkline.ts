/** A reading, or null for none. */
export type Point = number | null;

export interface Scale {
  readonly min: number;
  readonly max: number;
}

export interface SparklineOptions {
  /** Columns at most; with fewer points it is shorter. */
  readonly width: number;
  /** Block characters, else ASCII. */
  readonly hasBlocks: boolean;
  /** Default: from the least to the greatest of the points. */
  readonly scale?: Scale | undefined;
}

const blocks = [...'▁▂▃▄▅▆▇█'];
/** The same heights for terminals that have only ASCII. */
const asciiLevels = [...'_.,-~=*#'];
const noReading = ' ';

/**
 * A series as one character a column, the height by its place within the scale; a space where nothing was read. A column that stands for
 * several points shows the one farthest from the mean of all, so that neither a peak nor a dip of a single reading is lost.
 */
export function sparkline(points: readonly Point[], { width, hasBlocks, scale }: SparklineOptions): string {
  const levels = hasBlocks ? blocks : asciiLevels;
  const columns = toColumns(points, width);
  const range = scale ?? rangeOf(columns);
  return columns
    .map((value) =>
      value === null || range === undefined ? noReading : levels[levelOf(value, range, levels.length)],
    )
    .join('');
}

/** How many columns so many points take. */
export const sparklineWidth = (pointCount: number, width: number): number =>
  Math.max(0, Math.min(pointCount, Math.floor(width)));

/**
 * Whether block characters can be shown: not when the environment names another character set than UTF-8, or a terminal that has none.
 * Names: POSIX, "Locale Determination".
 */
export function hasBlockCharacters(environment: Readonly<Record<string, string | undefined>>): boolean {
  const { LC_ALL, LC_CTYPE, LANG, TERM } = environment;
  const locale = LC_ALL || LC_CTYPE || LANG;
  if (TERM === 'dumb') return false;
  // Containers often name none, while the terminal that looks into them has UTF-8 nearly always.
  return locale === undefined || locale === '' || /utf-?8/i.test(locale);
}

const isNumber = (point: Point | undefined): point is number =>
  typeof point === 'number' && Number.isFinite(point);

function toColumns(points: readonly Point[], width: number): readonly Point[] {
  const count = sparklineWidth(points.length, width);
  const mean = meanOf(points);
  return Array.from({ length: count }, (_, column) => {
    const from = Math.floor((column * points.length) / count);
    const to = Math.floor(((column + 1) * points.length) / count);
    let farthest: Point = null;
    for (let index = from; index < to; index += 1) {
      const point = points[index];
      if (!isNumber(point)) continue;
      if (farthest === null || Math.abs(point - mean) > Math.abs(farthest - mean)) farthest = point;
    }
    return farthest;
  });
}

function meanOf(points: readonly Point[]): number {
  let [sum, count] = [0, 0];
  for (const point of points) {
    if (!isNumber(point)) continue;
    sum += point;
    count += 1;
  }
  return count === 0 ? 0 : sum / count;
}

function rangeOf(points: readonly Point[]): Scale | undefined {
  const numbers = points.filter(isNumber);
  return numbers.length === 0 ? undefined : { min: Math.min(...numbers), max: Math.max(...numbers) };
}

/** A series that does not move is a low line at zero and a middle one elsewhere. */
function levelOf(value: number, { min, max }: Scale, count: number): number {
  if (max <= min) return value === 0 ? 0 : Math.floor((count - 1) / 2);
  const share = (value - min) / (max - min);
  return Math.min(count - 1, Math.max(0, Math.floor(share * count)));
}
