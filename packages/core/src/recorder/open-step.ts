import { type RecordedSeries, recordedSeries } from './series.ts';

const table: readonly RecordedSeries[] = recordedSeries;
export const labelCount = (series: RecordedSeries) => series.labels?.length ?? 0;

/** What a column can hold; NaN for anything else, as a damaged store might give. */
export function storable(series: RecordedSeries, value: number | undefined): number {
  if (value === undefined || !Number.isFinite(value)) return Number.NaN;
  if (series.kind === 'counter') return value;
  if (series.kind === 'gauge') return Number.isFinite(Math.fround(value)) ? value : Number.NaN;
  const limit = series.kind === 'flags' ? 2 ** labelCount(series) : labelCount(series);
  return Number.isInteger(value) && value >= 0 && value < limit ? value : Number.NaN;
}

/** The step that is being filled, as sums over its readings. */
export class OpenStep {
  startAt = Number.NaN;
  firstAt = 0;
  lastAt = 0;
  sampleCount = 0;
  readonly least = new Float64Array(table.length);
  readonly sum = new Float64Array(table.length);
  readonly greatest = new Float64Array(table.length);
  readonly count = new Float64Array(table.length);
  /** Readings with each flag, series after series. */
  readonly flagged = new Float64Array(
    table.reduce((sum, series) => sum + (series.kind === 'flags' ? labelCount(series) : 0), 0),
  );

  begin(startAt: number, at: number): void {
    this.startAt = startAt;
    this.firstAt = at;
    this.sampleCount = 0;
    this.least.fill(Number.POSITIVE_INFINITY);
    this.greatest.fill(Number.NEGATIVE_INFINITY);
    this.sum.fill(0);
    this.count.fill(0);
    this.flagged.fill(0);
  }

  add(at: number, values: ArrayLike<number>): void {
    this.lastAt = at;
    this.sampleCount += 1;
    let flag = 0;
    for (const [index, series] of table.entries()) {
      const value = storable(series, values[index]);
      const labels = series.kind === 'flags' ? labelCount(series) : 0;
      if (!Number.isNaN(value)) {
        const before = this.count[index] ?? 0;
        // A counter keeps its first value where others keep the least, and its last where they keep the sum.
        if (series.kind !== 'counter' || before === 0)
          this.least[index] = Math.min(this.least[index] ?? value, value);
        this.greatest[index] = Math.max(this.greatest[index] ?? value, value);
        this.sum[index] = series.kind === 'counter' ? value : (this.sum[index] ?? 0) + value;
        this.count[index] = before + 1;
        for (let bit = 0; bit < labels; bit += 1) {
          if (value & (1 << bit)) this.flagged[flag + bit] = (this.flagged[flag + bit] ?? 0) + 1;
        }
      }
      flag += labels;
    }
  }

  get bytes(): number {
    return [this.least, this.sum, this.greatest, this.count, this.flagged].reduce(
      (sum, array) => sum + array.byteLength,
      0,
    );
  }
}
