import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../test/random.ts';
import { allRows, recordedRing, recordedStart, type SampleValues } from '../../test/recorded.ts';
import { compareAround } from './before-after.ts';
import { recordedSeriesIds } from './series.ts';

const moment = 300;
/** Ten minutes, five before the moment. */
const around = (before: SampleValues | ((second: number) => SampleValues), after: typeof before) => {
  const of = (given: typeof before, second: number) => (typeof given === 'function' ? given(second) : given);
  const rows = allRows(recordedRing(600, (second) => of(second < moment ? before : after, second)));
  return compareAround(rows, recordedSeriesIds, recordedStart + moment * 1_000);
};

describe('before and after a moment', () => {
  test('what changed most in terms of its own spread comes first', () => {
    const { next } = seededRandom(3);
    const noise = (middle: number, spread: number) => middle + (next() - 0.5) * 2 * spread;
    const changes = around(
      () => ({ temperatureCelsius: noise(60, 2), powerDrawWatts: noise(500, 150), smClockMegahertz: 1_980 }),
      () => ({ temperatureCelsius: noise(75, 2), powerDrawWatts: noise(520, 150), smClockMegahertz: 345 }),
    );
    expect(changes.map(({ series }) => series)).toEqual([
      'smClockMegahertz',
      'temperatureCelsius',
      'powerDrawWatts',
    ]);
    const [clock, temperature, power] = changes.map((change) => change.standardisedDifference ?? 0);
    expect(clock).toBeLessThan(-50);
    // 15 degrees against an even spread of 2: 2 / sqrt(3) is the standard deviation.
    expect(temperature).toBeGreaterThan(12);
    expect(temperature).toBeLessThan(14);
    expect(Math.abs(power ?? 9)).toBeLessThan(0.5);
  });

  test('a state that became another, then errors that began, stand before any difference', () => {
    const changes = around({ state: 0, smClockMegahertz: 1_980, eccUncorrectableCount: 0 }, (second) => ({
      state: second > 400 ? 2 : 0,
      smClockMegahertz: 345,
      eccUncorrectableCount: second > 350 ? 1 : 0,
    }));
    expect(
      changes.map(({ series, standardisedDifference }) => [series, standardisedDifference === null]),
    ).toEqual([
      ['state', true],
      ['eccUncorrectableCount', true],
      ['smClockMegahertz', false],
    ]);
  });

  test('an error in the very second of the moment counts as after it', () => {
    const [first] = around({ eccUncorrectableCount: 0 }, { eccUncorrectableCount: 1 });
    expect(first).toMatchObject({ before: { increase: 0 }, after: { increase: 1 } });
  });

  test('of flags the reason that came or went most is named', () => {
    const [first] = around({ clockEventReasons: 0b1 }, (second) => ({
      clockEventReasons: second % 10 === 0 ? 0b100_0000 : 0b100_0001,
    }));
    expect(first).toMatchObject({
      series: 'clockEventReasons',
      label: 'hardware-thermal-slowdown',
      standardisedDifference: 20,
    });
  });

  test('rates of what always grows are compared, not totals', () => {
    const steady = around(
      (second) => ({ energyJoules: 1e9 + second * 500 }),
      (second) => ({ energyJoules: 1e9 + second * 500 }),
    );
    expect(steady).toEqual([]);
    const [less] = around(
      (second) => ({ energyJoules: second * 500 }),
      (second) => ({ energyJoules: 150_000 + (second - 300) * 50 }),
    );
    expect(less?.standardisedDifference).toBeLessThan(-5);
  });

  test('nothing changed is nothing told; one side alone cannot be compared', () => {
    expect(around({ temperatureCelsius: 40, state: 0 }, { temperatureCelsius: 40, state: 0 })).toEqual([]);
    expect(around({ temperatureCelsius: 40 }, {})).toEqual([]);
    expect(around({}, { temperatureCelsius: 40 })).toEqual([]);
  });

  test('planted fault: the same series under another moment is another answer', () => {
    const rows = allRows(recordedRing(600, (second) => ({ temperatureCelsius: second < 300 ? 40 : 80 })));
    const sizeAt = (second: number) =>
      compareAround(rows, ['temperatureCelsius'], recordedStart + second * 1_000)[0]
        ?.standardisedDifference ?? 0;
    expect(sizeAt(300)).toBeGreaterThan(3 * sizeAt(100));
  });
});
