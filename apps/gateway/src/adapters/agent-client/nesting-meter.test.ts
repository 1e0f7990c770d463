import { expect, test } from 'vitest';
import { nestingMeter } from './nesting-meter.ts';

const cases: readonly (readonly [string, number])[] = [
  ['{}', 1],
  ['{"a":[1,{"b":2}]}', 3],
  ['{"a":"[[[[{{{{"}', 1],
  [String.raw`{"a":"\"[[[","b":"\\"}`, 1],
  ['[[]][[]]', 2],
  [']]]][[', 2],
  [': a comment with a " in it\ndata: [[[[]]]]\n\n', 4],
  ['data: "\r\ndata: [[[', 3],
  ['', 0],
];

test.each(cases)('%s is nested %d deep, wherever it is cut', (text, expected) => {
  const bytes = Buffer.from(text);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const meter = nestingMeter();
    meter.add(bytes.subarray(0, cut));
    expect(meter.add(bytes.subarray(cut))).toBe(expected);
  }
});

test('planted fault: counting brackets alone would take a text for depth', () => {
  const text = '{"a":"[[[[{{{{"}';
  expect([...text].filter((each) => '{['.includes(each))).toHaveLength(9);
  expect(nestingMeter().add(Buffer.from(text))).toBe(1);
});
