/** A column of a ring. */
export type Values = Float64Array | Float32Array | Uint32Array | Uint16Array | Uint8Array;

export interface Column {
  readonly type:
    | Float64ArrayConstructor
    | Float32ArrayConstructor
    | Uint32ArrayConstructor
    | Uint16ArrayConstructor
    | Uint8ArrayConstructor;
  /** Values, not bytes. */
  readonly length: number;
}

/** Below the 2 MiB of a huge page, of which the system would provide all at the first write. */
const maximumPieceBytes = 1024 * 1024;

/**
 * Columns of zeros in few large pieces of memory: the system provides such a piece page by page as it is written to, but many small ones
 * are resident from the beginning.
 */
export function allocateColumns(columns: readonly Column[]): readonly Values[] {
  // The widest values first: then each begins at a multiple of its width, with no gaps.
  const widestFirst = [...columns.entries()].sort(
    ([, { type: one }], [, { type: other }]) => other.BYTES_PER_ELEMENT - one.BYTES_PER_ELEMENT,
  );
  const allocated: Values[] = [];
  while (widestFirst.length > 0) {
    const piece: typeof widestFirst = [];
    let bytes = 0;
    for (let next = widestFirst[0]; next; next = widestFirst[0]) {
      const ownBytes = bytesOf(next[1]);
      if (piece.length > 0 && bytes + ownBytes > maximumPieceBytes) break;
      piece.push(next);
      widestFirst.shift();
      bytes += ownBytes;
    }
    const buffer = new ArrayBuffer(bytes);
    let offset = 0;
    for (const [index, column] of piece) {
      allocated[index] = new column.type(buffer, offset, column.length);
      offset += bytesOf(column);
    }
  }
  return allocated;
}

const bytesOf = ({ type, length }: Column) => type.BYTES_PER_ELEMENT * length;

/** Which slot of the columns holds which row. */
export class Slots {
  readonly capacity: number;
  count = 0;
  #next = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** The slot of the next row; the oldest one's when all are taken. */
  take(): number {
    const slot = this.#next;
    this.#next = (slot + 1) % this.capacity;
    this.count = Math.min(this.count + 1, this.capacity);
    return slot;
  }

  /** Of the row at this position; 0 is the oldest. */
  at(position: number): number {
    return (this.#next - this.count + position + this.capacity) % this.capacity;
  }

  /** The first position whose time is greater; the count when none is. Times grow with positions. */
  firstAfter(times: Values, milliseconds: number): number {
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((times[this.at(middle)] ?? 0) > milliseconds) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The slots of the rows from one position to before another, as runs of neighbours: two where they go round the end. */
  between(from: number, to: number): SlotRuns {
    const length = Math.max(0, to - from);
    const start = this.at(from);
    const untilEnd = Math.min(length, this.capacity - start);
    const runs = [{ start, end: start + untilEnd }];
    return { length, runs: untilEnd < length ? [...runs, { start: 0, end: length - untilEnd }] : runs };
  }
}

export interface SlotRuns {
  /** Of all runs together. */
  readonly length: number;
  /** `end` is the first slot that is not in the run. */
  readonly runs: readonly { readonly start: number; readonly end: number }[];
}

/** Copies what `values` has in these slots to `list`, from `offset` on. In a column with several values a row, it is the value at `part`. */
export function copySlots(
  list: Float64Array,
  offset: number,
  values: Values,
  { runs }: SlotRuns,
  { width = 1, part = 0 }: { readonly width?: number; readonly part?: number } = {},
): void {
  let row = offset;
  for (const { start, end } of runs) {
    if (width === 1) {
      list.set(values.subarray(start, end), row);
      row += end - start;
      continue;
    }
    for (let at = start * width + part; at < end * width; at += width, row += 1) {
      list[row] = values[at] ?? Number.NaN;
    }
  }
}
