import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../test/random.ts';
import { recordedRing, recordedStart, type SampleValues, sampleValues } from '../../test/recorded.ts';
import { recorderBytes, recorderOptions } from './options.ts';
import { GpuRing } from './ring.ts';
import { recordedSeriesIds } from './series.ts';

const start = recordedStart;
const hour = 3_600_000;
const options = recorderOptions();

const list = (array: Float64Array | undefined) => [...(array ?? [])];
const sum = (array: ArrayLike<number>) => Array.from(array).reduce((total, each) => total + each, 0);

/** A sample a second. */
const aDay = (of: (second: number) => SampleValues, seconds = 24 * 3_600) => recordedRing(seconds, of);

describe('memory', () => {
  test.each([
    {},
    { intervalMilliseconds: 200, coarseRetentionMilliseconds: hour },
    { intervalMilliseconds: 7_000, coarseIntervalMilliseconds: 11_000, fineRetentionMilliseconds: 30_000 },
  ])('%j: what is allocated is what was reckoned, and never grows', (given) => {
    const some = recorderOptions(given);
    const ring = new GpuRing(some);
    expect(ring.bytes).toBe(recorderBytes(some, 1));
    for (let tick = 0; tick < 5_000; tick += 1)
      ring.push(start + tick * some.intervalMilliseconds, sampleValues({}));
    expect(ring.bytes).toBe(recorderBytes(some, 1));
  });
});

describe('24 hours', () => {
  test('are all there: ten minutes as they were, the rest in steps, no second twice', () => {
    const ring = aDay((second) => ({ temperatureCelsius: second % 97 }));
    const rows = ring.rows(['temperatureCelsius'], start, start + 24 * hour);
    expect(sum(rows.sampleCounts)).toBe(24 * 3_600);
    const single = list(rows.sampleCounts).filter((count) => count === 1).length;
    // The step that reaches into the last ten minutes stands for its seconds in them.
    expect(single).toBeGreaterThan(590);
    expect(single).toBeLessThanOrEqual(600);
    for (let row = 1; row < rows.firstAtMilliseconds.length; row += 1) {
      const gap = (rows.firstAtMilliseconds[row] ?? 0) - (rows.lastAtMilliseconds[row - 1] ?? 0);
      expect(gap).toBe(1_000);
    }
  });

  test('a spike of one second is there a day later, up and down', () => {
    const ring = aDay((second) => ({
      temperatureCelsius: second === 5_003 ? 97 : second === 7_007 ? 12 : 40,
    }));
    const { series } = ring.rows(['temperatureCelsius'], start, start + 24 * hour);
    expect(Math.max(...list(series.temperatureCelsius?.max))).toBe(97);
    expect(Math.min(...list(series.temperatureCelsius?.min))).toBe(12);
  });

  test('a state and a flag of one second are there a day later', () => {
    const ring = aDay((second) => ({
      state: second === 5_003 ? 4 : 0,
      clockEventReasons: second === 5_003 ? 0b100_0000 : 1,
    }));
    const { series } = ring.rows(['state', 'clockEventReasons'], start, start + 24 * hour);
    expect(list(series.state?.max).filter((state) => state === 4)).toHaveLength(1);
    const thermal = list(series.clockEventReasons?.shares?.[6]);
    expect(thermal.filter((share) => share > 0)).toEqual([0.1]);
    expect(list(series.clockEventReasons?.max).filter((mask) => mask === 0b100_0001)).toHaveLength(1);
  });

  test('what is older makes room, the newest stay', () => {
    const ring = aDay((second) => ({ temperatureCelsius: second < 3_600 ? 99 : 40 }), 26 * 3_600);
    const rows = ring.rows(['temperatureCelsius'], start, start + 26 * hour);
    expect(Math.max(...list(rows.series.temperatureCelsius?.max))).toBe(40);
    expect(rows.firstAtMilliseconds[0]).toBeGreaterThanOrEqual(start + 2 * hour - 20_000);
    expect(ring.firstAtMilliseconds).toBe(rows.firstAtMilliseconds[0]);
    expect(ring.lastAtMilliseconds).toBe(start + 26 * hour - 1_000);
  });

  test('counters lose nothing, however large', () => {
    // A GPU held back for power all day, two months after its driver was loaded, in microseconds.
    const base = 5_184_000_000_003;
    const ring = aDay((second) => ({ powerViolationMicroseconds: base + second * 1_000_001 }));
    const { series } = ring.rows(['powerViolationMicroseconds'], start, start + 24 * hour);
    const counted = list(series.powerViolationMicroseconds?.mean);
    expect(counted.at(-1)).toBe(base + 86_399 * 1_000_001);
    expect(counted[0]).toBe(base + 9 * 1_000_001);
    expect(series.powerViolationMicroseconds?.min[0]).toBe(base);
    // Planted fault: in 32 bits the growth of a second would be lost.
    expect(Math.fround(base + 1_000_001)).not.toBe(base + 1_000_001);
  });
});

describe('what cannot be read', () => {
  test('is NaN in both tiers, never zero', () => {
    const ring = aDay(
      (second) =>
        second % 20 < 10 ? {} : { temperatureCelsius: 40, state: 0, energyJoules: 5, clockEventReasons: 0 },
      3_600,
    );
    const ids = ['temperatureCelsius', 'state', 'energyJoules', 'clockEventReasons'] as const;
    const { series } = ring.rows(ids, start, start + hour);
    for (const id of ids) {
      const all = list(series[id]?.mean);
      expect(all.filter(Number.isNaN).length, id).toBeGreaterThan(100);
      expect(new Set(all.filter((value) => !Number.isNaN(value))).size, id).toBe(1);
    }
  });

  test('a step with some readings has those', () => {
    const ring = aDay((second) => (second % 10 === 4 ? { powerDrawWatts: 300 } : {}), 3_600);
    const { series } = ring.rows(['powerDrawWatts'], start, start + hour);
    const early = list(series.powerDrawWatts?.mean).slice(0, 100);
    expect(new Set(early)).toEqual(new Set([300]));
  });

  test.each([Number.POSITIVE_INFINITY, 1e300, -1, 2.5, 99])('a state of %d is none', (state) => {
    const ring = aDay(() => ({ state }), 3_600);
    expect(list(ring.rows(['state'], start, start + hour).series.state?.mean).every(Number.isNaN)).toBe(true);
  });
});

describe('times', () => {
  test('always grow, also when they are given twice or going back', () => {
    const ring = new GpuRing(options);
    for (const at of [start, start, start - 5_000, start + 1_000]) ring.push(at, sampleValues({ state: 0 }));
    const { firstAtMilliseconds } = ring.rows(['state'], 0, Number.POSITIVE_INFINITY);
    expect(list(firstAtMilliseconds)).toEqual([start, start + 1, start + 2, start + 1_000]);
  });

  test('can be moved, in both tiers', () => {
    const ring = aDay(() => ({ state: 0 }), 3_600);
    const before = ring.rows(['state'], 0, Number.POSITIVE_INFINITY);
    ring.shift(-7_000);
    const after = ring.rows(['state'], 0, Number.POSITIVE_INFINITY);
    expect(sum(after.sampleCounts)).toBe(sum(before.sampleCounts));
    expect(after.firstAtMilliseconds[0]).toBe((before.firstAtMilliseconds[0] ?? 0) - 7_000);
    expect(ring.lastAtMilliseconds).toBe(start + 3_599_000 - 7_000);
  });

  test('a part is what lies in it', () => {
    const ring = aDay((second) => ({ temperatureCelsius: second % 97 }), 7_200);
    const late = ring.rows(['temperatureCelsius'], start + 7_000_000, start + 7_010_000);
    expect(list(late.firstAtMilliseconds)).toEqual(
      Array.from({ length: 11 }, (_, index) => start + 7_000_000 + index * 1_000),
    );
    const early = ring.rows(['temperatureCelsius'], start + 100_000, start + 129_000);
    expect(list(early.sampleCounts)).toEqual([10, 10, 10]);
    expect(ring.rows(['state'], start - 9_000, start - 1_000).firstAtMilliseconds).toHaveLength(0);
    expect(ring.rows(['state'], start + 8_000_000, start + 9_000_000).firstAtMilliseconds).toHaveLength(0);
  });

  test('property: whatever was pushed, the least and greatest are those of the samples asked for', () => {
    const { below, next } = seededRandom(11);
    for (let round = 0; round < 40; round += 1) {
      const some = recorderOptions({ fineRetentionMilliseconds: 60_000, coarseRetentionMilliseconds: hour });
      const ring = new GpuRing(some);
      let at = start;
      const pushed: { at: number; value: number }[] = [];
      const count = 1 + below(1_500);
      for (let index = 0; index < count; index += 1) {
        at += below(20) === 0 ? below(60_000) + 1 : 900 + below(200);
        const value = Math.fround(next() * 1_000);
        pushed.push({ at, value });
        ring.push(at, sampleValues({ powerDrawWatts: value }));
      }
      const rows = ring.rows(recordedSeriesIds, 0, Number.POSITIVE_INFINITY);
      const kept = pushed.filter((each) => each.at >= (rows.firstAtMilliseconds[0] ?? 0));
      expect(sum(rows.sampleCounts)).toBe(kept.length);
      expect(Math.max(...list(rows.series.powerDrawWatts?.max))).toBe(
        Math.max(...kept.map(({ value }) => value)),
      );
      expect(Math.min(...list(rows.series.powerDrawWatts?.min))).toBe(
        Math.min(...kept.map(({ value }) => value)),
      );
    }
  });
});
