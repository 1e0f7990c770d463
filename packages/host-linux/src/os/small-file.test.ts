import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { manualClock } from '../../test/fake-clock.ts';
import { createPatientReader, readSmallFile } from './small-file.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'small-file-'));
  writeFileSync(join(folder, 'ten'), '0123456789');
  execFileSync('/usr/bin/mkfifo', [join(folder, 'pipe')]);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('reading small files', () => {
  it('reads no more than asked for, and does not wait for a pipe', async () => {
    const patient = createPatientReader();
    for (const read of [readSmallFile, patient]) {
      expect((await read(join(folder, 'ten'), 4)).toString()).toBe('0123');
      expect((await read(join(folder, 'ten'), 40)).toString()).toBe('0123456789');
      expect((await read(join(folder, 'pipe'), 4)).length).toBe(0);
    }
    await expect(patient(join(folder, 'absent'), 4)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('reads again once a stuck read has come back', async () => {
    const clock = manualClock();
    let release = (_: Buffer): void => undefined;
    let starts = 0;
    const read = createPatientReader({
      clock,
      readFile: () => {
        starts += 1;
        if (starts > 1) return Promise.resolve(Buffer.from('fine'));
        setImmediate(() => clock.advance(500));
        return new Promise((resolve) => {
          release = resolve;
        });
      },
    });
    await expect(read('/slow', 4)).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    await expect(read('/other', 4)).rejects.toThrow('the read of /slow has not returned yet');
    expect(starts).toBe(1);
    release(Buffer.from('late'));
    await new Promise((resolve) => setImmediate(resolve));
    expect((await read('/other', 4)).toString()).toBe('fine');
    expect(clock.pending, 'no timer is left').toBe(0);
  });
});
