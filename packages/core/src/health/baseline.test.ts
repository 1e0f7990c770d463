import { describe, expect, test } from 'vitest';
import { type Changes, h100Link, h100Reading } from '../../test/h100.ts';
import type { GpuReading } from '../domain/gpu.ts';
import { countersWentBack, ReadingHistory } from './baseline.ts';

const start = Date.parse('2026-01-01T00:00:00.000Z');
const after = (hours: number, changes: Changes = {}, index = 0): GpuReading => ({
  ...h100Reading(changes, undefined, index),
  observedAt: new Date(start + hours * 3_600_000).toISOString(),
});
const remembering = (...readings: readonly GpuReading[]) => {
  const history = new ReadingHistory();
  for (const reading of readings) history.remember(reading);
  return history;
};

describe('the earlier reading of a GPU', () => {
  test('is the first that was remembered, not the newest', () => {
    const first = after(0);
    expect(remembering().baselineOf(first)).toBeUndefined();
    expect(remembering(first, after(1), after(2)).baselineOf(after(3))).toBe(first);
  });

  test('is of the same GPU: by its UUID, else by its index', () => {
    const history = remembering(after(0, {}, 0), after(0, {}, 1));
    expect(history.baselineOf(after(1, {}, 1))?.gpu.index).toBe(1);
    expect(history.baselineOf(after(1, {}, 2))).toBeUndefined();
    const nameless = (hours: number, index: number): GpuReading => {
      const reading = after(hours, {}, index);
      return { ...reading, gpu: { ...reading.gpu, uuid: null } };
    };
    expect(remembering(nameless(0, 3)).baselineOf(nameless(1, 3))).toBeDefined();
    expect(remembering(nameless(0, 3)).baselineOf(nameless(1, 4))).toBeUndefined();
  });

  test('counts for a day, and then the next one is the first', () => {
    const history = remembering(after(0));
    expect(history.baselineOf(after(24))).toBeDefined();
    expect(history.baselineOf(after(24.01))).toBeUndefined();
    const next = after(25);
    history.remember(next);
    expect(history.baselineOf(after(26))).toBe(next);
  });

  test.each([
    ['the same', [0, 1], false],
    ['another', [1, 0], false],
    ['another, of which one began again', [1, 0], true],
  ])('compares each link with itself, in %s order', (_, order, beganAgain) => {
    const linksOf = (numbers: readonly number[], lowest: number) => ({
      nvlink: {
        links: numbers.map((link) => h100Link(link, { replayErrorCount: link === 0 ? lowest : 90 })),
      },
    });
    const history = remembering(after(0, linksOf([0, 1], 4)));
    const baseline = history.baselineOf(after(1, linksOf(order, beganAgain ? 3 : 4)));
    expect(baseline === undefined).toBe(beganAgain);
  });

  test.each<[string, Changes, Changes]>([
    ['energy', { power: { energyJoules: 900 } }, { power: { energyJoules: 5 } }],
    ['an ECC count', { ecc: { correctableVolatileCount: 8 } }, { ecc: { correctableVolatileCount: 0 } }],
    [
      'a time of violation',
      { violations: { powerMicroseconds: 8 } },
      { violations: { powerMicroseconds: 7 } },
    ],
    [
      'a counter of a link',
      { nvlink: { links: [h100Link(0, { replayErrorCount: 3 })] } },
      { nvlink: { links: [h100Link(0, { replayErrorCount: 0 })] } },
    ],
  ])('is dropped when %s began again, as after a reset', (_, before, now) => {
    const history = remembering(after(0, before));
    expect(history.baselineOf(after(1, now))).toBeUndefined();
    const next = after(1, now);
    history.remember(next);
    expect(history.baselineOf(after(2, now))).toBe(next);
  });

  test('is dropped too when a counter began again since the newest, though it passed the first', () => {
    const replays = (count: number): Changes => ({ pcie: { replayCount: count } });
    const history = remembering(after(0, replays(1)), after(1, replays(50)));
    expect(history.baselineOf(after(2, replays(9)))).toBeUndefined();
  });

  test('values that go up and down are no counters', () => {
    expect(
      countersWentBack(
        after(0, {
          thermal: { temperatureCelsius: 80 },
          memory: { usedBytes: 9e9 },
          pcie: { currentGeneration: 5 },
        }),
        after(1, {
          thermal: { temperatureCelsius: 30 },
          memory: { usedBytes: 1 },
          pcie: { currentGeneration: 1 },
        }),
      ),
    ).toBe(false);
  });

  test('a clock that was set back compares with nothing', () => {
    expect(remembering(after(5)).baselineOf(after(4))).toBeUndefined();
  });

  test('a GPU that did not answer, or a time that is none, is not remembered', () => {
    expect(remembering({ ...after(0), state: 'lost' }).baselineOf(after(1))).toBeUndefined();
    expect(remembering({ ...after(0), observedAt: 'soon' }).baselineOf(after(1))).toBeUndefined();
  });

  test('a question for all sections stands in the place of one for a few, and not the other way round', () => {
    const { gpu, state, gaps, pcie } = after(0);
    const few: GpuReading = { gpu, state, gaps, observedAt: after(0).observedAt, ...(pcie ? { pcie } : {}) };
    const all = after(1);
    expect(remembering(few, all).baselineOf(after(3))).toBe(all);
    const later: GpuReading = { ...few, observedAt: after(2).observedAt };
    expect(remembering(all, later).baselineOf(after(3))).toBe(all);
  });

  test('is kept of 64 GPUs; the one not seen for longest goes', () => {
    const gpuAt = (hours: number, index: number): GpuReading => ({
      ...after(hours),
      gpu: { index, uuid: `GPU-${index}`, pciAddress: null, name: null },
    });
    const history = remembering(...Array.from({ length: 64 }, (_, index) => gpuAt(0, index)));
    history.remember(gpuAt(1, 0));
    history.remember(gpuAt(1, 64));
    expect(history.baselineOf(gpuAt(2, 0))).toBeDefined();
    expect(history.baselineOf(gpuAt(2, 1))).toBeUndefined();
    expect(history.baselineOf(gpuAt(2, 64))).toBeDefined();
  });
});
