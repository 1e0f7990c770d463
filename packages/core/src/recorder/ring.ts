import { labelCount, OpenStep, storable } from './open-step.ts';
import { coarseRowCount, fineRowCount, type RecorderOptions } from './options.ts';
import { type RecordedSeries, type RecordedSeriesId, recordedSeries, seriesIndex } from './series.ts';
import { Slots, type Values } from './slots.ts';

/**
 * The rows of one GPU, oldest first. A row is one reading, or for older times a step of the coarse tier, which holds several. Every list
 * has one value for each row.
 */
export interface RecordedRows {
  /** Time of the first and of the last reading in the row; milliseconds since 1970. */
  readonly firstAtMilliseconds: Float64Array;
  readonly lastAtMilliseconds: Float64Array;
  /** Readings in the row. */
  readonly sampleCounts: Float64Array;
  readonly series: Readonly<Partial<Record<RecordedSeriesId, SeriesRows>>>;
}

/**
 * NaN where nothing could be read. A gauge has its least, mean and greatest value in the row. Of a counter the first is the first value in
 * the row and the others the last; of a state all are the worst, of flags every bit that was ever set.
 */
export interface SeriesRows {
  readonly min: Float64Array;
  readonly mean: Float64Array;
  readonly max: Float64Array;
  /** Of flags only: for each label, the share of the row's readings with it, from 0 to 1. */
  readonly shares?: readonly Float64Array[];
}

const noFlags = 0xffff;
const noByte = 0xff;
const table: readonly RecordedSeries[] = recordedSeries;

function fineColumn({ kind }: RecordedSeries, rows: number): Values {
  if (kind === 'gauge') return new Float32Array(rows);
  if (kind === 'counter') return new Float64Array(rows);
  return kind === 'flags' ? new Uint16Array(rows) : new Uint8Array(rows);
}

/** A gauge has three values in each row, a counter two, flags one for each label. */
function coarseColumn(series: RecordedSeries, rows: number): Values {
  if (series.kind === 'gauge') return new Float32Array(3 * rows);
  if (series.kind === 'counter') return new Float64Array(2 * rows);
  return new Uint8Array(series.kind === 'flags' ? rows * labelCount(series) : rows);
}

/** Part of a step in percent. A single reading must not be rounded away, nor a single one that lacked it. */
function percentOf(part: number, whole: number): number {
  if (part === 0 || part === whole) return part === 0 ? 0 : 100;
  return Math.min(99, Math.max(1, Math.round((part / whole) * 100)));
}

/**
 * What is kept of one GPU: the newest readings as they were, and steps of several readings for the time before. Everything is allocated
 * at once and never grows. A step keeps the least, mean and greatest of a gauge, the first and last of a counter, the worst of a state and the
 * share of each flag, so that what lasted for a single reading is still seen a day later.
 */
export class GpuRing {
  readonly #coarseIntervalMilliseconds: number;
  readonly #fine: Slots;
  readonly #fineAt: Float64Array;
  readonly #fineColumns: readonly Values[];
  readonly #coarse: Slots;
  readonly #coarseFirstAt: Float64Array;
  readonly #coarseSpan: Uint32Array;
  readonly #coarseCount: Uint16Array;
  readonly #coarseColumns: readonly Values[];
  readonly #open = new OpenStep();
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor(options: RecorderOptions) {
    const [fineRows, coarseRows] = [fineRowCount(options), coarseRowCount(options)];
    this.#coarseIntervalMilliseconds = options.coarseIntervalMilliseconds;
    this.#fine = new Slots(fineRows);
    this.#fineAt = new Float64Array(fineRows);
    this.#fineColumns = table.map((series) => fineColumn(series, fineRows));
    this.#coarse = new Slots(coarseRows);
    this.#coarseFirstAt = new Float64Array(coarseRows);
    this.#coarseSpan = new Uint32Array(coarseRows);
    this.#coarseCount = new Uint16Array(coarseRows);
    this.#coarseColumns = table.map((series) => coarseColumn(series, coarseRows));
  }

  /** Of the buffers that were really allocated. */
  get bytes(): number {
    const own = [this.#fineAt, this.#coarseFirstAt, this.#coarseSpan, this.#coarseCount];
    return [...own, ...this.#fineColumns, ...this.#coarseColumns].reduce(
      (sum, { buffer }) => sum + buffer.byteLength,
      this.#open.bytes,
    );
  }

  /** Of the newest reading; -Infinity before the first. */
  get lastAtMilliseconds(): number {
    return this.#lastAt;
  }

  /** Of the oldest reading that is kept in either tier; Infinity before the first. */
  get firstAtMilliseconds(): number {
    if (this.#fine.count === 0) return Number.POSITIVE_INFINITY;
    const fine = this.#fineAt[this.#fine.at(0)] ?? 0;
    return this.#coarse.count === 0 ? fine : Math.min(fine, this.#coarseFirstAt[this.#coarse.at(0)] ?? fine);
  }

  /**
   * One value for each series, in their order. A time that is not after the newest is taken as a millisecond after it, so that times
   * always grow.
   */
  push(atMilliseconds: number, values: ArrayLike<number>): void {
    const at = atMilliseconds > this.#lastAt ? atMilliseconds : this.#lastAt + 1;
    this.#lastAt = at;
    const slot = this.#fine.take();
    this.#fineAt[slot] = at;
    for (const [index, series] of table.entries()) {
      const column = this.#fineColumns[index];
      const value = storable(series, values[index]);
      if (column) column[slot] = Number.isNaN(value) ? missing(series) : value;
    }
    const startAt = Math.floor(at / this.#coarseIntervalMilliseconds);
    if (startAt !== this.#open.startAt || this.#open.sampleCount === 0xffff) {
      this.#closeStep();
      this.#open.begin(startAt, at);
    }
    this.#open.add(at, values);
  }

  /** Moves all that is kept in time, as after a clock was set. */
  shift(milliseconds: number): void {
    this.#closeStep();
    for (const times of [this.#fineAt, this.#coarseFirstAt]) {
      for (const [slot, at] of times.entries()) times[slot] = at + milliseconds;
    }
    this.#lastAt += milliseconds;
  }

  #closeStep(): void {
    const open = this.#open;
    if (Number.isNaN(open.startAt)) return;
    const slot = this.#coarse.take();
    this.#coarseFirstAt[slot] = open.firstAt;
    this.#coarseSpan[slot] = open.lastAt - open.firstAt;
    this.#coarseCount[slot] = open.sampleCount;
    let flag = 0;
    for (const [index, series] of table.entries()) {
      const column = this.#coarseColumns[index];
      const count = open.count[index] ?? 0;
      const labels = series.kind === 'flags' ? labelCount(series) : 0;
      if (column) {
        if (series.kind === 'gauge') {
          column[3 * slot] = count === 0 ? Number.NaN : (open.least[index] ?? Number.NaN);
          column[3 * slot + 1] = count === 0 ? Number.NaN : (open.sum[index] ?? 0) / count;
          column[3 * slot + 2] = count === 0 ? Number.NaN : (open.greatest[index] ?? Number.NaN);
        } else if (series.kind === 'counter') {
          column[2 * slot] = count === 0 ? Number.NaN : (open.least[index] ?? Number.NaN);
          column[2 * slot + 1] = count === 0 ? Number.NaN : (open.sum[index] ?? 0);
        } else if (series.kind === 'state') {
          column[slot] = count === 0 ? noByte : (open.greatest[index] ?? noByte);
        }
        for (let bit = 0; bit < labels; bit += 1) {
          const share = count === 0 ? noByte : percentOf(open.flagged[flag + bit] ?? 0, count);
          column[slot * labels + bit] = share;
        }
      }
      flag += labels;
    }
    open.startAt = Number.NaN;
  }

  /** What is kept from one time to another, both included. A step that begins or ends within is there as a whole. */
  rows(ids: readonly RecordedSeriesId[], fromMilliseconds: number, toMilliseconds: number): RecordedRows {
    const [fine, coarse] = [this.#fine, this.#coarse];
    const oldestFine = fine.count === 0 ? Number.POSITIVE_INFINITY : (this.#fineAt[fine.at(0)] ?? 0);
    // Steps reach up to the oldest single reading; single readings go on from where the last such step ends.
    let coarseEnd = coarse.firstAfter(this.#coarseFirstAt, Math.min(toMilliseconds, oldestFine));
    while (coarseEnd > 0 && this.#coarseFirstAt[coarse.at(coarseEnd - 1)] === oldestFine) coarseEnd -= 1;
    const covered = coarseEnd === 0 ? Number.NEGATIVE_INFINITY : this.#stepEnd(coarseEnd - 1);
    let coarseStart = coarse.firstAfter(this.#coarseFirstAt, fromMilliseconds);
    if (coarseStart > 0 && this.#stepEnd(coarseStart - 1) >= fromMilliseconds) coarseStart -= 1;
    coarseStart = Math.min(coarseStart, coarseEnd);
    // One before, as `firstAfter` leaves out the time itself.
    const fineStart = Math.max(
      fine.firstAfter(this.#fineAt, fromMilliseconds - 1e-3),
      fine.firstAfter(this.#fineAt, covered),
    );
    const fineEnd = Math.max(fineStart, fine.firstAfter(this.#fineAt, toMilliseconds));
    const coarseSlots = coarse.between(coarseStart, coarseEnd);
    const fineSlots = fine.between(fineStart, fineEnd);
    const fromBoth = (ofCoarse: (slot: number) => number, ofFine: (slot: number) => number) => {
      const list = new Float64Array(coarseSlots.length + fineSlots.length);
      for (const [row, slot] of coarseSlots.entries()) list[row] = ofCoarse(slot);
      for (const [row, slot] of fineSlots.entries()) list[coarseSlots.length + row] = ofFine(slot);
      return list;
    };
    const series: Partial<Record<RecordedSeriesId, SeriesRows>> = {};
    for (const id of ids) series[id] = this.#seriesRows(id, fromBoth);
    const firstAt = (slot: number) => this.#coarseFirstAt[slot] ?? Number.NaN;
    const fineAt = (slot: number) => this.#fineAt[slot] ?? Number.NaN;
    return {
      firstAtMilliseconds: fromBoth(firstAt, fineAt),
      lastAtMilliseconds: fromBoth((slot) => firstAt(slot) + (this.#coarseSpan[slot] ?? 0), fineAt),
      sampleCounts: fromBoth(
        (slot) => this.#coarseCount[slot] ?? 0,
        () => 1,
      ),
      series,
    };
  }

  #stepEnd(position: number): number {
    const slot = this.#coarse.at(position);
    return (this.#coarseFirstAt[slot] ?? 0) + (this.#coarseSpan[slot] ?? 0);
  }

  #seriesRows(
    id: RecordedSeriesId,
    fromBoth: (ofCoarse: (slot: number) => number, ofFine: (slot: number) => number) => Float64Array,
  ): SeriesRows {
    const index = seriesIndex(id);
    const [series, fine, coarse] = [table[index], this.#fineColumns[index], this.#coarseColumns[index]];
    if (!series || !fine || !coarse) throw new RangeError(`no series ${id}`);
    const nothing = missing(series);
    const fineValue = (slot: number) => {
      const value = fine[slot] ?? Number.NaN;
      return value === nothing ? Number.NaN : value;
    };
    if (series.kind === 'gauge') {
      const [min, mean, max] = [0, 1, 2].map((part) =>
        fromBoth((slot) => coarse[3 * slot + part] ?? Number.NaN, fineValue),
      );
      if (min && mean && max) return { min, mean, max };
    }
    if (series.kind === 'counter') {
      const min = fromBoth((slot) => coarse[2 * slot] ?? Number.NaN, fineValue);
      const last = fromBoth((slot) => coarse[2 * slot + 1] ?? Number.NaN, fineValue);
      return { min, mean: last, max: last };
    }
    if (series.kind === 'state') {
      const values = fromBoth((slot) => {
        const value = coarse[slot] ?? Number.NaN;
        return value === nothing ? Number.NaN : value;
      }, fineValue);
      return { min: values, mean: values, max: values };
    }
    const labels = labelCount(series);
    const share = (slot: number, bit: number) => {
      const percent = coarse[slot * labels + bit] ?? noByte;
      return percent === noByte ? Number.NaN : percent / 100;
    };
    const shares = Array.from({ length: labels }, (_, bit) =>
      fromBoth(
        (slot) => share(slot, bit),
        (slot) => {
          const mask = fineValue(slot);
          return Number.isNaN(mask) ? mask : (mask >> bit) & 1;
        },
      ),
    );
    const masks = fromBoth((slot) => {
      let mask = 0;
      for (let bit = 0; bit < labels; bit += 1) {
        const part = share(slot, bit);
        if (Number.isNaN(part)) return part;
        if (part > 0) mask |= 1 << bit;
      }
      return mask;
    }, fineValue);
    return { min: masks, mean: masks, max: masks, shares };
  }
}

/** What stands for "not read" in a column of integers; NaN where the column holds it. */
const missing = ({ kind }: RecordedSeries): number =>
  kind === 'flags' ? noFlags : kind === 'state' ? noByte : Number.NaN;
