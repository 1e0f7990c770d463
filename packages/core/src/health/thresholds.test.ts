import { describe, expect, test } from 'vitest';
import { isGpuError } from '../errors.ts';
import { healthRules } from './rules.ts';
import { defaultThreshold, defaultThresholds, overridesInForce, parseThresholds } from './thresholds.ts';

function refusalOf(value: unknown): string {
  try {
    parseThresholds(value);
  } catch (error) {
    if (isGpuError(error) && error.code === 'INVALID_INPUT') return error.message;
    throw error;
  }
  return 'accepted';
}

describe('a file of thresholds', () => {
  test('what it sets is taken over', () => {
    const overrides = { 'thermal.hot-neighbour': { aboveMedianCelsius: 20, siblings: 1 }, 'driver.slow': {} };
    expect(parseThresholds(overrides)).toEqual(overrides);
    expect(parseThresholds({})).toEqual({});
  });

  test('all defaults are a valid file', () => {
    expect(parseThresholds(JSON.parse(JSON.stringify(defaultThresholds)))).toEqual(defaultThresholds);
  });

  test.each<[string, unknown, string[]]>([
    ['no object', [1], ['(file) = [1]', 'an object such as']],
    ['nothing', null, ['(file) = null']],
    [
      'no such rule',
      { 'thermal.hot-neighbor': { aboveMedianCelsius: 20 } },
      ['"thermal.hot-neighbor"', 'the nearest is "thermal.hot-neighbour"'],
    ],
    ['a rule without thresholds', { 'gpu.lost': { any: 1 } }, ['"gpu.lost"', 'no such rule']],
    [
      'no object of names',
      { 'driver.slow': 3 },
      ['"driver.slow" = 3', 'besideSiblings, timesSiblings, alone'],
    ],
    [
      'no such name',
      { 'driver.slow': { allone: 3 } },
      ['"driver.slow"."allone" = 3', 'the nearest is "alone"'],
    ],
    [
      'too high',
      { 'driver.slow': { alone: 1e12 } },
      ['"driver.slow"."alone" = 1000000000000', 'from 1 to 3600000 (ms)'],
    ],
    ['too low', { 'driver.slow': { alone: 0 } }, ['= 0', 'from 1 to 3600000']],
    ['no number', { 'driver.slow': { alone: '5 s' } }, ['= "5 s"', 'a number from 1']],
    ['no finite number', { 'driver.slow': { alone: Number.NaN } }, ['a number from 1']],
    ['a name of every object', { 'driver.slow': { toString: 1 } }, ['no such threshold']],
    ['a key of every object', JSON.parse('{"__proto__": {"alone": 1}}'), ['"__proto__"', 'no such rule']],
  ])('refused: %s', (_, value, expected) => {
    for (const part of expected) expect(refusalOf(value)).toContain(part);
  });

  test('hostile keys neither end the line nor fill it, and many are refused at once', () => {
    const message = refusalOf({ [`x\n\u001b[31m${'y'.repeat(1e6)}`]: { a: 1 } });
    expect(message).not.toMatch(/[\n\u001b]/);
    expect(message.length).toBeLessThan(400);
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`r${index}`, {}]));
    expect(refusalOf(many)).toContain('at most 1000 entries');
  });
});

describe('what is in force', () => {
  test('only what differs from its default is told, with both', () => {
    const overrides = parseThresholds({ 'driver.slow': { alone: 20_000, timesSiblings: 10 } });
    expect(overridesInForce(overrides)).toEqual([
      { ruleId: 'driver.slow', name: 'alone', unit: 'ms', default: 10_000, value: 20_000 },
    ]);
    expect(overridesInForce({})).toEqual([]);
  });

  test('every threshold of every rule has its default', () => {
    for (const { id, thresholds = {} } of healthRules)
      for (const [name, { value }] of Object.entries(thresholds))
        expect(defaultThreshold(id, name)).toBe(value);
    expect(defaultThreshold('gpu.lost', 'any')).toBeUndefined();
    expect(defaultThreshold('driver.slow', 'toString')).toBeUndefined();
  });
});
