import { Console } from 'node:console';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { guardOutput } from './stdout-guard.ts';

function streams() {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  return {
    stdout,
    stderr,
    read: () => ({ out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') }),
  };
}

describe('guardOutput', () => {
  it('lets only its owner write, and sends a console.log elsewhere', () => {
    const { stdout, stderr, read } = streams();
    const guard = guardOutput(stdout, () => stderr);
    new Console(stdout, stderr).log('stray line');
    guard.write('protocol\n');
    expect(read()).toEqual({ out: 'protocol\n', err: 'stray line\n' });
  });

  it('opens the other stream for the first stray line only, and outlives its end', () => {
    const { stdout, stderr } = streams();
    let opened = 0;
    const guard = guardOutput(stdout, () => {
      opened += 1;
      return stderr;
    });
    guard.write('protocol\n');
    expect(opened).toBe(0);
    stdout.write('stray\n');
    stdout.write('another\n');
    expect(opened).toBe(1);
    stderr.emit('error', new Error('write EPIPE'));
  });

  it('gives the stream back', () => {
    const { stdout, stderr, read } = streams();
    const guard = guardOutput(stdout, () => stderr);
    guard.restore();
    guard.restore();
    stdout.write('mine again\n');
    expect(read()).toEqual({ out: 'mine again\n', err: '' });
    expect(Object.hasOwn(stdout, 'write')).toBe(false);
  });

  it('without a guard the stray line does land on stdout (what the first test would miss otherwise)', () => {
    const { stdout, stderr, read } = streams();
    new Console(stdout, stderr).log('stray line');
    expect(read().out).toBe('stray line\n');
  });

  it('leaves a later guard in place', () => {
    const { stdout, stderr, read } = streams();
    const first = guardOutput(stdout, () => stderr);
    const second = guardOutput(stdout, () => stderr);
    first.restore();
    stdout.write('still guarded\n');
    expect(read().err).toBe('still guarded\n');
    second.restore();
  });
});
