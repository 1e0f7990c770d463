import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createLineSplitter, LineError } from './json-lines.ts';

const recorded = readFileSync(new URL('../fixtures/watch-stream-1.34.jsonl', import.meta.url));
const lines = recorded.toString('utf8').split('\n').filter(Boolean);
const limit = 64 * 1024;

function split(chunks: readonly Uint8Array[]): string[] {
  const splitter = createLineSplitter(limit);
  const found = chunks.flatMap((chunk) => splitter.push(chunk));
  splitter.end();
  return found;
}

describe('createLineSplitter', () => {
  it('finds the 25 events of the recorded stream byte by byte', () => {
    expect(lines).toHaveLength(25);
    expect(split([...recorded].map((byte) => Uint8Array.of(byte)))).toEqual(lines);
  });

  it('finds them with a border at every byte of every event', () => {
    let borders = 0;
    for (const line of lines) {
      const bytes = Buffer.from(`${line}\n`);
      for (let border = 0; border <= bytes.length; border += 1) {
        const found = split([bytes.subarray(0, border), bytes.subarray(border)]);
        // A plain comparison: an assertion for each of 150,000 borders takes minutes.
        if (found.length !== 1 || found[0] !== line) throw new Error(`lost at border ${border}`);
        borders += 1;
      }
    }
    expect(borders).toBe(recorded.length + lines.length);
  });

  it('keeps characters of two, three and four bytes whole at every border', () => {
    const line = '{"name":"Zürich-東京-🔥"}';
    const bytes = Buffer.from(`${line}\n`);
    for (let border = 0; border <= bytes.length; border += 1)
      expect(split([bytes.subarray(0, border), bytes.subarray(border)])).toEqual([line]);
  });

  it('is shown to need that: a splitter that decodes chunks would fail here', () => {
    const bytes = Buffer.from('東\n');
    const naive = bytes.subarray(0, 1).toString('utf8') + bytes.subarray(1).toString('utf8');
    expect(naive).not.toBe('東\n');
    expect(split([bytes.subarray(0, 1), bytes.subarray(1)])).toEqual(['東']);
  });

  it('gives several lines of one chunk, and passes over empty ones', () => {
    expect(split([Buffer.from('a\n\n\nb\nc\n')])).toEqual(['a', 'b', 'c']);
  });

  it('refuses a line over the limit, whether its end comes or not', () => {
    const splitter = createLineSplitter(10);
    expect(splitter.push(Buffer.from('0123456789\n'))).toEqual(['0123456789']);
    expect(() => splitter.push(Buffer.from('01234567890\n'))).toThrow(LineError);
    const endless = createLineSplitter(10);
    endless.push(Buffer.from('012345'));
    expect(() => endless.push(Buffer.from('678901'))).toThrow('longer than 10 bytes');
  });

  it('refuses what is not UTF-8, and an end within a line', () => {
    expect(() => createLineSplitter(limit).push(Uint8Array.of(0xff, 0xfe, 0x0a))).toThrow('not UTF-8');
    expect(() => split([Buffer.from('{"type":')])).toThrow('ended within a line');
  });
});
