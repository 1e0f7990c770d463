import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createTerminal, OutputClosedError } from './terminal.ts';

const stream = (isTTY: boolean, columns?: number) =>
  Object.assign(new PassThrough(), { isTTY, ...(columns === undefined ? {} : { columns }) });

describe('colour', () => {
  it.each([
    ['a terminal', true, {}, true],
    ['a pipe', false, {}, false],
    ['NO_COLOR', true, { NO_COLOR: '1' }, false],
    ['an empty NO_COLOR', true, { NO_COLOR: '' }, true],
    ['a dumb terminal', true, { TERM: 'dumb' }, false],
    ['FORCE_COLOR on a pipe', false, { FORCE_COLOR: '1' }, true],
    ['FORCE_COLOR=0 on a terminal', true, { FORCE_COLOR: '0' }, false],
    ['FORCE_COLOR over NO_COLOR', false, { FORCE_COLOR: '1', NO_COLOR: '1' }, true],
  ])('with %s', (_, isTTY, environment: Record<string, string>, expected) => {
    const terminal = createTerminal(stream(isTTY), environment);
    expect(terminal.hasColor).toBe(expected);
    expect(terminal.style('red', 'x')).toBe(expected ? '\u001b[31mx\u001b[39m' : 'x');
  });
});

describe('width', () => {
  it('is the width of the terminal, at least 40, and without end on a pipe', () => {
    expect(createTerminal(stream(true, 120), {}).columns).toBe(120);
    expect(createTerminal(stream(true, 10), {}).columns).toBe(40);
    expect(createTerminal(stream(true), {}).columns).toBe(80);
    expect(createTerminal(stream(false), {}).columns).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('write', () => {
  it('waits until the reader has taken the text', async () => {
    let release = () => {};
    const slow = new Writable({
      write(_chunk, _encoding, done) {
        release = done;
      },
    });
    let isWritten = false;
    const writing = createTerminal(slow, {})
      .write('text')
      .then(() => {
        isWritten = true;
      });
    await new Promise(setImmediate);
    expect(isWritten).toBe(false);
    release();
    await writing;
    expect(isWritten).toBe(true);
  });

  it('tells a closed pipe from other failures, now and at the next write', async () => {
    const failing = (code: string) =>
      new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error(code), { code })) });
    const closed = createTerminal(failing('EPIPE'), {});
    await expect(closed.write('text')).rejects.toBeInstanceOf(OutputClosedError);
    await expect(closed.write('more')).rejects.toBeInstanceOf(OutputClosedError);
    await expect(createTerminal(failing('ENOSPC'), {}).write('text')).rejects.toThrow('ENOSPC');
  });
});
