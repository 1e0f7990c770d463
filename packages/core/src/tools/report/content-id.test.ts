import { describe, expect, test } from 'vitest';
import { canonicalJson, contentId } from './content-id.ts';

describe('contentId', () => {
  test.each([
    // Test vectors of the FNV-1a specification (isthe.com/chongo/tech/comp/fnv), 64 bits.
    ['', 'rep-cbf29ce484222325'],
    ['a', 'rep-af63dc4c8601ec8c'],
    ['foobar', 'rep-85944171f73967e8'],
  ])('%j', (text, expected) => expect(contentId(text)).toBe(expected));

  test('another text has another id', () => expect(contentId('foobaz')).not.toBe(contentId('foobar')));
  test('every byte counts, not only the low one', () => expect(contentId('ā')).not.toBe(contentId('\u0001')));
});

describe('canonicalJson', () => {
  test('is JSON', () => {
    const value = { a: [1, 'x', null, true], b: { c: {} } };
    expect(JSON.parse(canonicalJson(value))).toEqual({ a: ['x', 1, null, true], b: { c: {} } });
  });

  test.each([
    ['order of keys', { a: 1, b: 2 }, { b: 2, a: 1 }],
    ['order of a list', [{ a: 1 }, { a: 2 }], [{ a: 2 }, { a: 1 }]],
    ['what is not there', { a: 1, b: undefined }, { a: 1 }],
    [
      'when we looked',
      { observedAt: 'now', gpu: { countersBeforeAt: 'then' } },
      { observedAt: 'later', gpu: {} },
    ],
  ])('%s makes no difference', (_, one, other) => expect(canonicalJson(one)).toBe(canonicalJson(other)));

  test.each([
    ['a value', { a: 1 }, { a: 2 }],
    ['a type', { a: 1 }, { a: '1' }],
    ['null and zero', { a: null }, { a: 0 }],
    ['a time of the log', { firstAt: '10:00' }, { firstAt: '10:01' }],
    ['how often a list has it', [1, 1], [1]],
    ['which list it is in', [[1], [2, 3]], [[1, 2], [3]]],
  ])('%s makes a difference', (_, one, other) => expect(canonicalJson(one)).not.toBe(canonicalJson(other)));
});
