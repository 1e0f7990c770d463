import { expect, test } from 'vitest';
import { eventReader } from './event-reader.ts';

const dataOf = (...parts: readonly (string | Uint8Array)[]) => {
  const seen: string[] = [];
  const reader = eventReader((data) => seen.push(data));
  for (const part of parts) reader.add(typeof part === 'string' ? Buffer.from(part) : part);
  return seen;
};

// Examples of WHATWG HTML, section 9.2.6, and ends of lines of all three kinds.
const cases: readonly (readonly [string, readonly string[]])[] = [
  ['data: YHOO\ndata: +2\ndata: 10\n\n', ['YHOO\n+2\n10']],
  [
    ': test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n',
    ['first event', 'second event', ' third event'],
  ],
  ['data\n\ndata\ndata\n\ndata:', ['', '\n']],
  ['event: message\r\ndata: {"a":1}\r\n\r\ndata: b\r\rdata: c\n\n', ['{"a":1}', 'b', 'c']],
  ['data: ü€😀\n\n', ['ü€😀']],
  ['data: never ended\n', []],
];

test.each(cases)('%j, wherever it is cut', (text, expected) => {
  const bytes = Buffer.from(text);
  expect(dataOf(bytes)).toEqual(expected);
  for (let cut = 0; cut <= bytes.length; cut += 1)
    expect(dataOf(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(expected);
  expect(dataOf(...Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(expected);
});

test('planted fault: a line end within an event does not end it', () => {
  expect(dataOf('data: a\n')).toEqual([]);
  expect(dataOf('data: a\n', '\n')).toEqual(['a']);
});
