import { describe, expect, it } from 'vitest';
import { lineSplitter, parseReply } from './protocol.ts';

describe('lineSplitter', () => {
  it('gives the same lines however the bytes are cut, also inside a character', () => {
    const text = Buffer.from('{"id":1}\n\n{"name":"Grün"}\n{"rest');
    for (let cut = 0; cut <= text.length; cut += 1) {
      const lines: string[] = [];
      const split = lineSplitter((line) => lines.push(line));
      split(text.subarray(0, cut));
      split(text.subarray(cut));
      expect(lines).toEqual(['{"id":1}', '{"name":"Grün"}']);
    }
  });

  it('refuses a line without end', () => {
    const split = lineSplitter(() => {}, 10);
    expect(() => split(Buffer.alloc(11, 0x61))).toThrow(RangeError);
  });
});

describe('parseReply', () => {
  it.each(['', 'null', '7', '[]', '{}', '{"id":"1","stage":"x"}', '{"id":1}', '{"id":1,', '\u0000'])(
    'takes %j for no reply',
    (line) => {
      expect(parseReply(line)).toBeUndefined();
    },
  );

  it('reads the three kinds of reply', () => {
    expect(parseReply('{"id":1,"stage":"read thermal"}')).toEqual({ id: 1, stage: 'read thermal' });
    expect(parseReply('{"id":1,"result":null}')).toEqual({ id: 1, result: null });
    expect(parseReply('{"id":1,"failure":{"code":"GPU_LOST","message":"x"}}')).toHaveProperty('failure');
  });
});
