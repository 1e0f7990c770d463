import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../test/random.ts';
import { counterOf, gaugeOf, medianOf, rounded, sharesOf } from './statistics.ts';

const every = (milliseconds: number, ...values: readonly number[]) =>
  values.map((value, index) => ({ atMilliseconds: 1_000 + index * milliseconds, value }));

describe('a gauge', () => {
  test('has the least, the mean, the most and the last of its samples', () => {
    expect(gaugeOf([3, -1, 4, 2])).toEqual({ min: -1, mean: 2, max: 4, last: 2 });
    expect(gaugeOf([71.42])).toEqual({ min: 71.42, mean: 71.42, max: 71.42, last: 71.42 });
  });

  test('of nothing is nothing, never zero', () => {
    expect(gaugeOf([])).toBeUndefined();
  });

  test('the mean has no floating-point dust', () => {
    expect(gaugeOf([0.1, 0.2])?.mean).toBe(0.15);
    expect(gaugeOf([1, 1, 2])?.mean).toBe(1.33333);
  });

  test('min <= mean <= max, and the order of samples changes only the last', () => {
    const random = seededRandom(3);
    for (let round = 0; round < 200; round += 1) {
      const values = Array.from({ length: 1 + random.below(9) }, () => random.below(1_000) - 500);
      const { min, mean, max } = gaugeOf(values) ?? expect.fail();
      expect(min <= mean && mean <= max).toBe(true);
      expect(gaugeOf([...values].reverse())).toMatchObject({ min, mean, max, last: values[0] });
    }
  });
});

describe('a counter', () => {
  test('grows by the difference of last and first, and by that much a second', () => {
    expect(counterOf(every(500, 10, 10, 13, 18))).toEqual({ increase: 8, perSecond: rounded(8 / 1.5) });
    expect(counterOf(every(1_000, 7, 7, 7))).toEqual({ increase: 0, perSecond: 0 });
  });

  test('that went back at any time has no growth, though it ends above its beginning', () => {
    expect(counterOf(every(1_000, 100, 0, 150))).toBe('went-back');
    expect(counterOf(every(1_000, 5, 4))).toBe('went-back');
  });

  test('read once, or never apart in time, has nothing to compare with', () => {
    expect(counterOf([])).toBe('too-few');
    expect(counterOf(every(1_000, 5))).toBe('too-few');
    expect(counterOf(every(0, 5, 9))).toBe('too-few');
  });
});

test('shares are of the samples, each member counted once a sample', () => {
  expect(sharesOf([['idle'], ['idle', 'idle'], ['cap'], []])).toEqual({ idle: 50, cap: 25 });
  expect(sharesOf([])).toEqual({});
});

test.each([
  [[], undefined],
  [[4], 4],
  [[9, 1, 5], 5],
  [[1, 9, 3, 5], 4],
])('the median of %j is %s', (values, median) => {
  expect(medianOf(values)).toBe(median);
});
