import { describe, expect, test } from 'vitest';
import { recorderBytes, recorderOptions } from './options.ts';

const day = 24 * 3_600_000;

describe('options', () => {
  test('a second for ten minutes, then ten seconds for a day', () => {
    expect(recorderOptions()).toEqual({
      intervalMilliseconds: 1_000,
      fineRetentionMilliseconds: 600_000,
      coarseIntervalMilliseconds: 10_000,
      coarseRetentionMilliseconds: day,
      maximumGpus: 16,
    });
  });

  test('a longer interval takes the steps with it', () => {
    expect(recorderOptions({ intervalMilliseconds: 60_000 })).toMatchObject({
      coarseIntervalMilliseconds: 60_000,
      fineRetentionMilliseconds: 600_000,
    });
  });

  test.each([
    [{ intervalMilliseconds: 199 }, /intervalMilliseconds = 199: expected .* 200 to 60000/],
    [{ intervalMilliseconds: 60_001 }, /200 to 60000/],
    [{ intervalMilliseconds: Number.NaN }, /intervalMilliseconds = NaN/],
    [{ intervalMilliseconds: 1_000.5 }, /whole number/],
    [{ coarseIntervalMilliseconds: 500 }, /coarseIntervalMilliseconds = 500: expected .* 1000 to 600000/],
    [{ fineRetentionMilliseconds: 9_999 }, /fineRetentionMilliseconds = 9999: expected .* 10000 to 3600000/],
    [{ coarseRetentionMilliseconds: 59_999 }, /coarseRetentionMilliseconds = 59999: expected .* 60000 to/],
    [{ coarseRetentionMilliseconds: 8 * day }, /604800000/],
    [{ maximumGpus: 0 }, /maximumGpus = 0: expected .* 1 to 64/],
    [
      { coarseIntervalMilliseconds: 1_000, coarseRetentionMilliseconds: 7 * day },
      /would take \d+ bytes for 16 GPUs; at most 536870912/,
    ],
  ])('%j is refused with the range', (given, message) => {
    expect(() => recorderOptions(given)).toThrow(message);
  });
});

describe('memory', () => {
  test('8 GPUs for a day are within 28 MB', () => {
    const bytes = recorderBytes(recorderOptions(), 8);
    expect(bytes).toBeLessThan(28_000_000);
    // One number of 32 bits for each series and step would be less than can hold a spike.
    expect(bytes).toBeGreaterThan(8 * 8_640 * 30 * 4);
  });

  test('is the same for every GPU, and bounded', () => {
    const options = recorderOptions({ maximumGpus: 4 });
    expect(recorderBytes(options, 0)).toBe(0);
    expect(recorderBytes(options, 3)).toBe(3 * recorderBytes(options, 1));
    expect(recorderBytes(options, 400)).toBe(4 * recorderBytes(options, 1));
  });
});
