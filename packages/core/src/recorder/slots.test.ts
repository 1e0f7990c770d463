import { describe, expect, it } from 'vitest';
import { copySlots, Slots, type Values } from './slots.ts';

/** Rows 0 to `count` - 1 in a ring of `capacity`; each value is ten times its row, plus its place in the row. */
function ringOf(capacity: number, count: number, width: number) {
  const slots = new Slots(capacity);
  const values = new Float32Array(capacity * width);
  for (let row = 0; row < count; row += 1) {
    const slot = slots.take();
    for (let part = 0; part < width; part += 1) values[slot * width + part] = row * 10 + part;
  }
  return { slots, values };
}

function copied(slots: Slots, values: Values, from: number, to: number, width: number, part: number) {
  const found = slots.between(from, to);
  const list = new Float64Array(1 + found.length);
  copySlots(list, 1, values, found, { width, part });
  return [...list.subarray(1)];
}

describe('Slots and copySlots', () => {
  it('give the rows of any range in order, however often the ring went round', () => {
    const capacity = 5;
    for (const width of [1, 3]) {
      for (let count = 0; count <= 13; count += 1) {
        const { slots, values } = ringOf(capacity, count, width);
        const kept = Math.min(count, capacity);
        for (let from = 0; from <= kept; from += 1) {
          for (let to = from; to <= kept; to += 1) {
            const part = width - 1;
            const expected = Array.from(
              { length: to - from },
              (_, row) => (count - kept + from + row) * 10 + part,
            );
            const found = copied(slots, values, from, to, width, part);
            expect(found, `${count} rows, ${from} to ${to}, ${width} wide`).toEqual(expected);
          }
        }
      }
    }
  });

  it('give nothing for a range that ends before it begins', () => {
    expect(ringOf(5, 7, 1).slots.between(3, 1).length).toBe(0);
  });

  it('planted fault: a row that was overwritten is noticed', () => {
    const { slots, values } = ringOf(5, 7, 1);
    values[slots.at(2)] = -1;
    expect(copied(slots, values, 0, 5, 1, 0)).not.toEqual([20, 30, 40, 50, 60]);
  });
});
