import { expect, test } from 'vitest';
import { contentId } from './content-id.ts';

test.each([
  // Test vectors of the FNV-1a specification (isthe.com/chongo/tech/comp/fnv), 64 bits.
  ['', 'rep-cbf29ce484222325'],
  ['a', 'rep-af63dc4c8601ec8c'],
  ['foobar', 'rep-85944171f73967e8'],
])('%j', (text, expected) => expect(contentId(text)).toBe(expected));

test('another text has another id', () => expect(contentId('foobaz')).not.toBe(contentId('foobar')));
