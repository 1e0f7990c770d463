import { describe, expect, it, test } from 'vitest';
import { hasBlockCharacters, type Point, sparkline } from './sparkline.ts';

const drawn = (points: readonly Point[], width = 80, more = {}) =>
  sparkline(points, { width, hasBlocks: true, ...more });

describe('sparkline', () => {
  it('has a height for each eighth of the scale', () => {
    expect(drawn([0, 1, 2, 3, 4, 5, 6, 7])).toBe('▁▂▃▄▅▆▇█');
    expect(drawn([7, 0])).toBe('█▁');
    expect(drawn([-10, 0, 10])).toBe('▁▅█');
  });

  it('has as many heights in ASCII, all different and none a space', () => {
    const text = drawn([0, 1, 2, 3, 4, 5, 6, 7], 80, { hasBlocks: false });
    expect(text).toMatch(/^[!-~]{8}$/);
    expect(new Set(text).size).toBe(8);
  });

  it('is a space where nothing was read, and never a zero', () => {
    expect(drawn([0, null, 7, Number.NaN, Number.POSITIVE_INFINITY, 0])).toBe('▁ █  ▁');
    expect(drawn([null, null])).toBe('  ');
    expect(drawn([])).toBe('');
  });

  it('is no wider than it may be, and no longer than its points', () => {
    const points = Array.from({ length: 1000 }, (_, index) => index % 17);
    for (const width of [0, 1, 7, 64, 999, 1000, 5000])
      expect(drawn(points, width).length).toBe(Math.min(width, 1000));
    expect(drawn(points, 12.7).length).toBe(12);
  });

  it('keeps a peak and a dip of one reading in a thousand', () => {
    const flat = (odd: number) => Array.from({ length: 1000 }, (_, index) => (index === 500 ? odd : 50));
    expect(drawn(flat(100), 20)).toBe(`${'▁'.repeat(10)}█${'▁'.repeat(9)}`);
    expect(drawn(flat(0), 20)).toBe(`${'█'.repeat(10)}▁${'█'.repeat(9)}`);
  });

  it('is low at zero and in the middle elsewhere when nothing moves', () => {
    expect(drawn([0, 0])).toBe('▁▁');
    expect(drawn([70, 70])).toBe('▄▄');
  });

  it('follows a scale that is given', () => {
    const scale = { min: 0, max: 100 };
    expect(drawn([0, 50, 100, 140, -3], 80, { scale })).toBe('▁▅██▁');
    expect(drawn([40, 41], 80, { scale })).toBe('▄▄');
  });
});

test.each([
  [{ LANG: 'en_US.UTF-8' }, true],
  [{ LANG: 'C.utf8' }, true],
  [{}, true],
  [{ LC_ALL: '', LANG: '' }, true],
  [{ LANG: 'C' }, false],
  [{ LANG: 'en_US.UTF-8', LC_ALL: 'POSIX' }, false],
  [{ LC_CTYPE: 'de_DE.ISO-8859-1', LANG: 'de_DE.UTF-8' }, false],
  [{ LANG: 'en_US.UTF-8', TERM: 'dumb' }, false],
])('block characters in %j: %s', (environment, expected) => {
  expect(hasBlockCharacters(environment)).toBe(expected);
});
