/** A column of a ring. */
export type Values = Float64Array | Float32Array | Uint32Array | Uint16Array | Uint8Array;

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

  /** The slots of the rows from one position to before another. */
  between(from: number, to: number): Uint32Array {
    return Uint32Array.from({ length: Math.max(0, to - from) }, (_, row) => this.at(from + row));
  }
}
