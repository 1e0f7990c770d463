import { describe, expect, it } from 'vitest';
import { exactFigure, figure, median, notMeasured, quantile } from './figure.mjs';

const roundsOf = (...ratios: number[]) => ratios.map((ratio) => [ratio * 20, 20]);
const quiet = roundsOf(0.78, 0.8, 0.82, 0.79, 0.81);

describe('quantile', () => {
  it('lies between the two nearest ranks, whatever the order', () => {
    expect(quantile([4, 1, 3, 2], 0.25)).toBe(1.75);
    expect(median([5, 1, 3])).toBe(3);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
});

describe('figure', () => {
  it('is the median of the rounds, with their quartiles', () => {
    const { ratio, spread, rounds, isMet, isRegression } = figure({ name: 'a / b', pairs: quiet, must: 1 });
    expect(ratio).toBeCloseTo(0.8);
    expect(spread?.map((each: number) => Number(each.toFixed(3)))).toEqual([0.79, 0.81]);
    expect({ rounds, isMet, isRegression }).toEqual({ rounds: 5, isMet: true, isRegression: false });
  });

  it('planted fault: ours made three times as slow misses its goal and becomes a regression', () => {
    const slower = quiet.map(([ours, theirs]) => [ours * 3, theirs]);
    const { isMet, isRegression } = figure({ name: 'a / b', pairs: slower, must: 1, guard: 2 });
    expect({ isMet, isRegression }).toEqual({ isMet: false, isRegression: true });
  });

  it('planted fault: a rate that falls to a third becomes a regression', () => {
    const wanted = { name: 'calls per second', must: 0.75, guard: 0.5, wanted: 'at least' };
    expect(figure({ ...wanted, pairs: quiet })).toMatchObject({ isMet: true, isRegression: false });
    const slower = quiet.map(([ours, theirs]) => [ours / 3, theirs]);
    expect(figure({ ...wanted, pairs: slower })).toMatchObject({ isMet: false, isRegression: true });
  });

  it('misses its goal without being a regression while the guard holds', () => {
    expect(
      figure({ name: 'a / b', pairs: roundsOf(1.1, 1.1, 1.1, 1.1, 1.1), must: 1, guard: 2 }),
    ).toMatchObject({
      isMet: false,
      isRegression: false,
    });
  });

  it('is no regression when the better quartile is within the guard: the others may be noise', () => {
    const pairs = roundsOf(1.9, 1.9, 2.1, 2.2, 2.3);
    expect(figure({ name: 'a / b', pairs, must: 1, guard: 2 })).toMatchObject({ isRegression: false });
  });

  it('planted fault: too few rounds give no ratio', () => {
    const { ratio, refused, isMet } = figure({ name: 'a / b', pairs: quiet.slice(1), must: 1 });
    expect({ ratio, isMet }).toEqual({ ratio: undefined, isMet: false });
    expect(refused).toContain('4 rounds, fewer than 5');
  });

  it('planted fault: rounds that lie far apart give no ratio, and are a regression if even the better ones are beyond the guard', () => {
    const noisy = figure({ name: 'a / b', pairs: roundsOf(0.5, 0.6, 0.9, 1.6, 1.8), must: 1 });
    expect(noisy).toMatchObject({ ratio: undefined, isMet: false, isRegression: false });
    expect(noisy.refused).toContain('too noisy');
    const bad = figure({ name: 'a / b', pairs: roundsOf(2.5, 2.6, 4, 5, 9), must: 1, guard: 2 });
    expect(bad).toMatchObject({ ratio: undefined, isMet: false, isRegression: true });
  });

  it.each([
    ['NaN', [Number.NaN, 20]],
    ['a division by nothing', [16, 0]],
    ['nothing of ours', [0, 20]],
    ['less than nothing', [-1, 20]],
  ])('planted fault: %s is no ratio', (_, bad) => {
    const broken = figure({ name: 'a / b', pairs: [...quiet, bad], must: 1 });
    expect(broken).toMatchObject({ ratio: undefined, isMet: false });
    expect(broken.refused).toContain('round 6');
  });

  it('without a goal it is told only', () => {
    expect(figure({ name: 'a / b', pairs: quiet })).toMatchObject({ isMet: true, isRegression: false });
  });

  it('of an exact quantity has no spread', () => {
    expect(exactFigure({ name: 'bytes', ours: 5, theirs: 10, must: 1 })).toMatchObject({
      ratio: 0.5,
      spread: [0.5, 0.5],
      isMet: true,
    });
  });

  it('that was not measured is neither met nor a regression', () => {
    expect(notMeasured({ name: 'a / b', must: 1 }, 'no npm')).toMatchObject({
      ratio: undefined,
      refused: 'no npm',
      isMet: false,
      isRegression: false,
    });
  });
});
