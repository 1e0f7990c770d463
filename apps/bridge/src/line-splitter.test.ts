import { describe, expect, it } from 'vitest';
import { LineSplitter } from './line-splitter.ts';

function split(maxLineBytes: number, ...chunks: readonly string[]): string[] {
  const seen: string[] = [];
  const splitter = new LineSplitter({
    maxLineBytes,
    onLine: (line) => seen.push(line.toString()),
    onTooLong: () => seen.push('TOO LONG'),
  });
  for (const chunk of chunks) splitter.push(Buffer.from(chunk));
  splitter.end();
  return seen;
}

describe('LineSplitter', () => {
  it('gives the same lines wherever chunks break', () => {
    const text = 'one\n\nthree\nlast';
    for (let at = 0; at <= text.length; at += 1)
      expect(split(100, text.slice(0, at), text.slice(at))).toEqual(['one', '', 'three', 'last']);
  });

  it('passes over a line that is too long, says so once, and gives the next one', () => {
    expect(split(4, '12345', '6789', '0\nok\n', '1234\n')).toEqual(['TOO LONG', 'ok', '1234']);
    expect(split(4, '12345')).toEqual(['TOO LONG']);
  });

  it('planted fault: a line at the limit and one above it are told apart', () => {
    expect(split(4, '1234\n')).not.toEqual(split(3, '1234\n'));
  });
});
