import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../test/random.ts';
import { allRows, recordedRing, recordedStart as start } from '../../test/recorded.ts';
import type { SeriesRows } from './ring.ts';
import {
  bucketsOver,
  counterPoints,
  gapsIn,
  gaugePoints,
  sharePoints,
  stateChanges,
  summarise,
} from './timeline.ts';

const bits = { idle: 1, powerCap: 4, thermal: 64 };
const valuesOf = (rows: ReturnType<typeof allRows>, id: 'powerDrawWatts' | 'eccCorrectableCount') =>
  rows.series[id] as SeriesRows;

describe('statistics of a gauge', () => {
  test('by hand', () => {
    // 100, 200, 300, 400: the population standard deviation is the square root of 12,500.
    const rows = allRows(recordedRing(4, (second) => ({ powerDrawWatts: 100 * (second + 1) })));
    expect(summarise(rows, 'powerDrawWatts')).toEqual({
      kind: 'gauge',
      min: 100,
      mean: 250,
      max: 400,
      last: 400,
      standardDeviation: 111.803,
    });
  });

  test('each reading counts once, also when steps hold ten of them', () => {
    // 3,600 s at 100 W, then 600 s at 450 W: the mean is (3600 * 100 + 600 * 450) / 4200.
    const rows = allRows(recordedRing(4_200, (second) => ({ powerDrawWatts: second < 3_600 ? 100 : 450 })));
    expect(summarise(rows, 'powerDrawWatts')).toMatchObject({ mean: 150, min: 100, max: 450 });
  });

  test('small differences of large values are not lost', () => {
    const rows = allRows(recordedRing(600, (second) => ({ memoryUsedMebibytes: 140_000 + (second % 2) })));
    expect(summarise(rows, 'memoryUsedMebibytes')).toMatchObject({ standardDeviation: 0.5 });
  });

  test('nothing read is null, not zero', () => {
    const rows = allRows(recordedRing(10, () => ({ state: 0 })));
    expect(summarise(rows, 'powerDrawWatts')).toBeNull();
    expect(summarise(rows, 'eccCorrectableCount')).toBeNull();
    expect(summarise(rows, 'clockEventReasons')).toBeNull();
    expect(summarise(rows, 'recoveryAction')).toBeNull();
  });
});

describe('growth of a counter', () => {
  test('and how fast', () => {
    const rows = allRows(recordedRing(101, (second) => ({ energyJoules: 1_000_000 + 700 * second })));
    expect(summarise(rows, 'energyJoules')).toEqual({
      kind: 'counter',
      increase: 70_000,
      perSecond: 700,
      last: 1_070_000,
      resetCount: 0,
    });
  });

  test('one that begins again is told, and what it had counted is not taken off', () => {
    const counts = [500, 510, 3, 5];
    const rows = allRows(recordedRing(4, (second) => ({ eccCorrectableCount: counts[second] ?? 0 })));
    expect(summarise(rows, 'eccCorrectableCount')).toMatchObject({ increase: 12, last: 5, resetCount: 1 });
  });

  test('nothing is lost where only steps are kept, not even the growth within the first', () => {
    const rows = allRows(recordedRing(7_200, (second) => ({ eccCorrectableCount: second === 0 ? 0 : 1 })));
    expect(rows.sampleCounts[0]).toBe(10);
    expect(summarise(rows, 'eccCorrectableCount')).toMatchObject({ increase: 1, resetCount: 0 });
    const buckets = bucketsOver(start, start + 7_200_000, 4, 1_000);
    expect(counterPoints(rows, valuesOf(rows, 'eccCorrectableCount'), buckets)).toEqual([1, 0, 0, 0]);
  });

  test('one reading tells no rate', () => {
    const rows = allRows(recordedRing(1, () => ({ eccCorrectableCount: 7 })));
    expect(summarise(rows, 'eccCorrectableCount')).toMatchObject({ increase: 0, perSecond: null });
  });

  test('a time is a duty cycle, at most all of it', () => {
    const rows = allRows(
      recordedRing(101, (second) => ({
        powerViolationMicroseconds: 250_000 * second,
        thermalViolationMicroseconds: 1_000_900 * second,
      })),
    );
    expect(summarise(rows, 'powerViolationMicroseconds')).toMatchObject({ dutyPercent: 25 });
    expect(summarise(rows, 'thermalViolationMicroseconds')).toMatchObject({ dutyPercent: 100 });
  });

  test('readings that failed do not break it', () => {
    const rows = allRows(
      recordedRing(11, (second) => (second === 5 ? { state: 3 } : { eccCorrectableCount: second })),
    );
    expect(summarise(rows, 'eccCorrectableCount')).toMatchObject({
      increase: 10,
      perSecond: 1,
      resetCount: 0,
    });
  });
});

describe('shares', () => {
  test('of flags, in both tiers alike', () => {
    const mask = (second: number) =>
      (second % 4 === 0 ? bits.thermal : 0) | (second % 2 === 0 ? bits.powerCap : 0);
    const short = allRows(recordedRing(400, (second) => ({ clockEventReasons: mask(second) })));
    expect(summarise(short, 'clockEventReasons')).toEqual({
      kind: 'flags',
      sharePercent: { 'software-power-cap': 50, 'hardware-thermal-slowdown': 25 },
      last: [],
    });
    const long = summarise(
      allRows(recordedRing(40_000, (second) => ({ clockEventReasons: mask(second) }))),
      'clockEventReasons',
    );
    expect(long).toMatchObject({ sharePercent: { 'software-power-cap': 50 } });
    const thermal = long?.kind === 'flags' ? long.sharePercent['hardware-thermal-slowdown'] : 0;
    expect(thermal).toBeCloseTo(25, 0);
  });

  test('of states, and every change with its time', () => {
    const rows = allRows(recordedRing(100, (second) => ({ state: second >= 60 ? 4 : second >= 50 ? 3 : 0 })));
    expect(summarise(rows, 'state')).toEqual({
      kind: 'state',
      sharePercent: { ok: 50, hung: 10, lost: 40 },
      last: ['lost'],
    });
    expect(stateChanges(rows, 'state')).toEqual([
      { series: 'state', atMilliseconds: start + 50_000, from: 'ok', to: 'hung' },
      { series: 'state', atMilliseconds: start + 60_000, from: 'hung', to: 'lost' },
    ]);
    expect(stateChanges(rows, 'remapPending')).toEqual([]);
  });
});

describe('gaps', () => {
  const at = (second: number) => start + second * 1_000;
  const second = { intervalMilliseconds: 1_000 };

  test('before, between and after, with their lengths; a missed turn is none', () => {
    const rows = allRows(
      recordedRing(100, (second) =>
        second < 10 || second === 20 || (second > 40 && second < 60) ? null : { state: 0 },
      ),
    );
    expect(gapsIn(rows, at(0), at(200), second)).toEqual([
      { fromMilliseconds: at(0), toMilliseconds: at(10) },
      { fromMilliseconds: at(40), toMilliseconds: at(60) },
      { fromMilliseconds: at(99), toMilliseconds: at(200) },
    ]);
  });

  test('there is none in an hour of which most is kept in steps', () => {
    const rows = allRows(recordedRing(3_600, () => ({ state: 0 })));
    expect(gapsIn(rows, at(0), at(3_600), second)).toEqual([]);
  });

  test('what a store thinned has none where it was thinned, and still those that are longer', () => {
    const rows = allRows(
      recordedRing(600, (now) =>
        now >= 300 || (now % 10 === 0 && (now < 100 || now > 150)) ? { state: 0 } : null,
      ),
    );
    const thinned = { untilMilliseconds: at(300), intervalMilliseconds: 10_000 };
    const gaps = gapsIn(rows, at(0), at(600), { ...second, thinned });
    expect(gaps).toEqual([{ fromMilliseconds: at(90), toMilliseconds: at(160) }]);
    // Planted fault: without knowing it, every step would be one.
    expect(gapsIn(rows, at(0), at(600), second).length).toBeGreaterThan(20);
  });

  test('nothing at all is one', () => {
    expect(gapsIn(undefined, at(0), at(60), second)).toEqual([
      { fromMilliseconds: at(0), toMilliseconds: at(60) },
    ]);
  });
});

describe('down-sampling', () => {
  test('property: the least and greatest of all are in it, whatever the length and the number of points', () => {
    const { below, next } = seededRandom(5);
    for (let round = 0; round < 60; round += 1) {
      const seconds = 1 + below(4_000);
      const spike = below(seconds);
      const ring = recordedRing(seconds, (second) =>
        below(10) === 0 && second !== spike
          ? {}
          : { powerDrawWatts: second === spike ? 5_000 : Math.round(next() * 700) },
      );
      const rows = allRows(ring);
      const buckets = bucketsOver(start, start + seconds * 1_000, 1 + below(200), 1_000);
      const points = gaugePoints(rows, valuesOf(rows, 'powerDrawWatts'), buckets);
      const whole = summarise(rows, 'powerDrawWatts');
      if (whole?.kind !== 'gauge') throw new Error('nothing read');
      expect(points.length).toBeLessThanOrEqual(200);
      expect(Math.max(...points.map((point) => point?.max ?? 0))).toBe(5_000);
      expect(Math.min(...points.map((point) => point?.min ?? 5_000))).toBe(whole.min);
      // Planted fault: means alone lose the spike wherever a point holds more than one reading.
      if (points.length < seconds / 4)
        expect(Math.max(...points.map((point) => point?.mean ?? 0))).toBeLessThan(5_000);
    }
  });

  test('property: the points of a counter add up to its growth', () => {
    const { below } = seededRandom(6);
    for (let round = 0; round < 30; round += 1) {
      let count = 0;
      const seconds = 2 + below(3_000);
      const rows = allRows(
        recordedRing(seconds, () => {
          count = below(200) === 0 ? 0 : count + below(3);
          return below(10) === 0 ? {} : { eccCorrectableCount: count };
        }),
      );
      const buckets = bucketsOver(start, start + seconds * 1_000, 1 + below(50), 1_000);
      const points = counterPoints(rows, valuesOf(rows, 'eccCorrectableCount'), buckets);
      const whole = summarise(rows, 'eccCorrectableCount');
      const increase = whole?.kind === 'counter' ? whole.increase : 0;
      expect(points.reduce<number>((sum, point) => sum + (point ?? 0), 0)).toBe(increase);
    }
  });

  test('buckets are never shorter than the interval, and cover the time', () => {
    expect(bucketsOver(start, start + 10_000, 200, 1_000)).toMatchObject({
      bucketMilliseconds: 1_000,
      count: 10,
    });
    expect(bucketsOver(start, start + 10_001, 3, 1_000)).toMatchObject({
      bucketMilliseconds: 4_000,
      count: 3,
    });
    expect(bucketsOver(start, start, 5, 1_000)).toMatchObject({ count: 1 });
  });

  test('a bucket without a sample is null, of every kind', () => {
    const rows = allRows(
      recordedRing(30, (second) =>
        second >= 10 && second < 20
          ? null
          : { powerDrawWatts: 100, eccCorrectableCount: second, clockEventReasons: second < 5 ? 1 : 0 },
      ),
    );
    const buckets = bucketsOver(start, start + 30_000, 3, 1_000);
    expect(gaugePoints(rows, valuesOf(rows, 'powerDrawWatts'), buckets)[1]).toBeNull();
    expect(counterPoints(rows, valuesOf(rows, 'eccCorrectableCount'), buckets)).toEqual([9, null, 20]);
    const idle = rows.series.clockEventReasons?.shares?.[0] as Float64Array;
    expect(sharePoints(rows, idle, buckets)).toEqual([50, null, 0]);
  });
});
