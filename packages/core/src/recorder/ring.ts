import { labelCount, OpenStep, storable } from './open-step.ts';
import { coarseRowCount, fineRowCount, type RecorderOptions } from './options.ts';
import { type RecordedSeries, type RecordedSeriesId, recordedSeries, seriesIndex } from './series.ts';
import { allocateColumns, type Column, copySlots, type SlotRuns, Slots, type Values } from './slots.ts';

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

function fineColumn({ kind }: RecordedSeries, rows: number): Column {
  if (kind === 'gauge') return { type: Float32Array, length: rows };
  if (kind === 'counter') return { type: Float64Array, length: rows };
  return { type: kind === 'flags' ? Uint16Array : Uint8Array, length: rows };
}

/** A gauge has three values in each row, a counter two, flags one for each label. */
function coarseColumn(series: RecordedSeries, rows: number): Column {
  if (series.kind === 'gauge') return { type: Float32Array, length: 3 * rows };
  if (series.kind === 'counter') return { type: Float64Array, length: 2 * rows };
  return { type: Uint8Array, length: series.kind === 'flags' ? rows * labelCount(series) : rows };
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
  readonly #fineAt: Values;
  readonly #fineColumns: readonly Values[];
  readonly #coarse: Slots;
  readonly #coarseFirstAt: Values;
  readonly #coarseSpan: Values;
  readonly #coarseCount: Values;
  readonly #coarseColumns: readonly Values[];
  readonly #open = new OpenStep();
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor(options: RecorderOptions) {
    const [fineRows, coarseRows] = [fineRowCount(options), coarseRowCount(options)];
    this.#coarseIntervalMilliseconds = options.coarseIntervalMilliseconds;
    this.#fine = new Slots(fineRows);
    this.#coarse = new Slots(coarseRows);
    const [fineAt, coarseFirstAt, coarseSpan, coarseCount, ...columns] = allocateColumns([
      { type: Float64Array, length: fineRows },
      { type: Float64Array, length: coarseRows },
      { type: Uint32Array, length: coarseRows },
      { type: Uint16Array, length: coarseRows },
      ...table.map((series) => fineColumn(series, fineRows)),
      ...table.map((series) => coarseColumn(series, coarseRows)),
    ]);
    if (!fineAt || !coarseFirstAt || !coarseSpan || !coarseCount) throw new RangeError('a column is missing');
    this.#fineAt = fineAt;
    this.#coarseFirstAt = coarseFirstAt;
    this.#coarseSpan = coarseSpan;
    this.#coarseCount = coarseCount;
    this.#fineColumns = columns.slice(0, table.length);
    this.#coarseColumns = columns.slice(table.length);
  }

  /** Of the memory that was really allocated; columns share it. */
  get bytes(): number {
    const own = [this.#fineAt, this.#coarseFirstAt, this.#coarseSpan, this.#coarseCount];
    const pieces = new Set(
      [...own, ...this.#fineColumns, ...this.#coarseColumns].map(({ buffer }) => buffer),
    );
    return [...pieces].reduce((sum, { byteLength }) => sum + byteLength, this.#open.bytes);
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
    const rows: RowSlots = {
      coarse: coarse.between(coarseStart, coarseEnd),
      fine: fine.between(fineStart, fineEnd),
    };
    const series: Partial<Record<RecordedSeriesId, SeriesRows>> = {};
    for (const id of ids) series[id] = this.#seriesRows(id, rows);
    const firstAtMilliseconds = fromBoth(rows, this.#coarseFirstAt, this.#fineAt);
    const lastAtMilliseconds = Float64Array.from(firstAtMilliseconds);
    const spans = new Float64Array(rows.coarse.length);
    copySlots(spans, 0, this.#coarseSpan, rows.coarse);
    for (let row = 0; row < spans.length; row += 1) {
      lastAtMilliseconds[row] = (lastAtMilliseconds[row] ?? Number.NaN) + (spans[row] ?? 0);
    }
    const sampleCounts = new Float64Array(lastAtMilliseconds.length).fill(1);
    copySlots(sampleCounts, 0, this.#coarseCount, rows.coarse);
    return { firstAtMilliseconds, lastAtMilliseconds, sampleCounts, series };
  }

  #stepEnd(position: number): number {
    const slot = this.#coarse.at(position);
    return (this.#coarseFirstAt[slot] ?? 0) + (this.#coarseSpan[slot] ?? 0);
  }

  #seriesRows(id: RecordedSeriesId, rows: RowSlots): SeriesRows {
    const index = seriesIndex(id);
    const [series, fine, coarse] = [table[index], this.#fineColumns[index], this.#coarseColumns[index]];
    if (!series || !fine || !coarse) throw new RangeError(`no series ${id}`);
    if (series.kind === 'gauge') {
      const part = (part: number) => fromBoth(rows, coarse, fine, { width: 3, part });
      return { min: part(0), mean: part(1), max: part(2) };
    }
    if (series.kind === 'counter') {
      const part = (part: number) => fromBoth(rows, coarse, fine, { width: 2, part });
      const last = part(1);
      return { min: part(0), mean: last, max: last };
    }
    if (series.kind === 'state') {
      const values = fromBoth(rows, coarse, fine);
      replace(values, noByte, Number.NaN);
      return { min: values, mean: values, max: values };
    }
    return flagRows(rows, coarse, fine, labelCount(series));
  }
}

/** The slots of the rows that are asked for, in both tiers. */
interface RowSlots {
  readonly coarse: SlotRuns;
  readonly fine: SlotRuns;
}

/** One value for each row, the steps of the coarse tier first, which may have several values a row. */
function fromBoth(
  rows: RowSlots,
  coarse: Values,
  fine: Values,
  ofCoarse: { readonly width?: number; readonly part?: number } = {},
): Float64Array {
  const list = new Float64Array(rows.coarse.length + rows.fine.length);
  copySlots(list, 0, coarse, rows.coarse, ofCoarse);
  copySlots(list, rows.coarse.length, fine, rows.fine);
  return list;
}

function replace(list: Float64Array, from: number, to: number): void {
  for (let row = 0; row < list.length; row += 1) if (list[row] === from) list[row] = to;
}

/** A step keeps the share of each flag in percent, a reading a bit for each. */
function flagRows(rows: RowSlots, coarse: Values, fine: Values, labels: number): SeriesRows {
  const steps = rows.coarse.length;
  const masks = new Float64Array(steps + rows.fine.length);
  copySlots(masks, steps, fine, rows.fine);
  replace(masks, noFlags, Number.NaN);
  const shares = Array.from({ length: labels }, (_, bit) => {
    const share = new Float64Array(masks.length);
    copySlots(share, 0, coarse, rows.coarse, { width: labels, part: bit });
    for (let row = 0; row < steps; row += 1) {
      const percent = share[row] ?? noByte;
      share[row] = percent === noByte ? Number.NaN : percent / 100;
      if (percent === noByte) masks[row] = Number.NaN;
      else if (percent > 0) masks[row] = (masks[row] ?? 0) | (1 << bit);
    }
    for (let row = steps; row < masks.length; row += 1) {
      const mask = masks[row] ?? Number.NaN;
      share[row] = Number.isNaN(mask) ? mask : (mask >> bit) & 1;
    }
    return share;
  });
  return { min: masks, mean: masks, max: masks, shares };
}

/** What stands for "not read" in a column of integers; NaN where the column holds it. */
const missing = ({ kind }: RecordedSeries): number =>
  kind === 'flags' ? noFlags : kind === 'state' ? noByte : Number.NaN;
