import { describe, expect, it } from 'vitest';
import { type Line, MessageLines } from './message-lines.ts';

function linesOf(chunks: readonly (string | Buffer)[], maxLineBytes = 64): Line[] {
  const lines = new MessageLines(maxLineBytes);
  return [...chunks.flatMap((chunk) => lines.push(Buffer.from(chunk))), ...lines.end()];
}
const text = (value: string): Line => ({ kind: 'text', text: value });

describe('MessageLines', () => {
  it.each<[string, (string | Buffer)[], Line[]]>([
    ['one line', ['{"a":1}\n'], [text('{"a":1}')]],
    ['several lines in a chunk', ['1\n2\n3\n'], [text('1'), text('2'), text('3')]],
    ['a line over several chunks', ['{"a"', ':1', '}\n'], [text('{"a":1}')]],
    ['a character cut in two', [Buffer.from([0xc3]), Buffer.from([0xa4, 0x0a])], [text('ä')]],
    ['CRLF', ['1\r\n2\r\n'], [text('1'), text('2')]],
    ['blank lines', ['\n\n  \t\n\r\n1\n\n'], [text('1')]],
    ['a last line without newline', ['1\n2'], [text('1'), text('2')]],
    ['a byte order mark', [Buffer.from([0xef, 0xbb, 0xbf, 0x31, 0x0a])], [text('1')]],
    ['invalid UTF-8', [Buffer.from([0x22, 0xff, 0x22, 0x0a]), '2\n'], [{ kind: 'not-utf8' }, text('2')]],
    ['nothing', [], []],
  ])('%s', (_name, chunks, expected) => {
    expect(linesOf(chunks)).toEqual(expected);
  });

  it('takes a line of exactly the limit and refuses one byte more', () => {
    expect(linesOf([`${'x'.repeat(64)}\n`])).toEqual([text('x'.repeat(64))]);
    expect(linesOf([`${'x'.repeat(65)}\n`])).toEqual([{ kind: 'too-long' }]);
  });

  it('reports an over-long line once, without waiting for its end, and goes on with the next', () => {
    const lines = new MessageLines(8);
    expect(lines.push(Buffer.from('123456789'))).toEqual([{ kind: 'too-long' }]);
    for (let chunk = 0; chunk < 1_000; chunk += 1) expect(lines.push(Buffer.alloc(8, 0x78))).toEqual([]);
    expect(lines.push(Buffer.from('tail\nnext\n'))).toEqual([text('next')]);
  });

  it('counts bytes across lines separately', () => {
    expect(linesOf(['12345678\n12345678\n'], 8)).toEqual([text('12345678'), text('12345678')]);
  });
});
