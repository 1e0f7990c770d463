import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recorderOptions } from '@k8s-gpu-mcp/core';
import { afterAll, describe, expect, it } from 'vitest';
import { checkRecorder } from './recorder-check.ts';

const root = mkdtempSync(join(tmpdir(), 'recorder-check-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const options = recorderOptions();

async function directoryCheck(directory: string) {
  const [, check] = await checkRecorder(options, 8, directory);
  return check;
}

describe('the memory of the recorder', () => {
  it('is told for the GPUs here and at most', async () => {
    const [memory, directory] = await checkRecorder(options, 8, undefined);
    // 26.9 MB, as docs/flight-recorder.md has it, are 25.6 MiB.
    expect(memory).toMatchObject({
      status: 'ok',
      detail: '25.6 MiB for 8 GPUs, at most 51.3 MiB for 16: every 1000 ms, 24 h kept',
    });
    expect(directory).toBeUndefined();
  });

  it('is told at most where the GPUs cannot be counted', async () => {
    const [memory] = await checkRecorder(options, undefined, undefined);
    expect(memory?.detail).toBe('at most 51.3 MiB for 16: every 1000 ms, 24 h kept');
  });
});

describe('the record directory', () => {
  it('is well when it is there, and when it can be made', async () => {
    expect(await directoryCheck(root)).toMatchObject({ status: 'ok', detail: root });
    const below = join(root, 'not', 'yet');
    expect(await directoryCheck(below)).toMatchObject({
      status: 'ok',
      detail: `${below}, made when the server starts`,
    });
  });

  it('is none when it is a file, also one that may be executed, and below a file', async () => {
    const file = join(root, 'file');
    writeFileSync(file, '', { mode: 0o700 });
    expect(await directoryCheck(file)).toMatchObject({
      status: 'warn',
      detail: `${file} cannot be a directory: ${file} is none`,
    });
    expect(await directoryCheck(join(file, 'below'))).toMatchObject({
      status: 'warn',
      detail: expect.stringContaining('(ENOTDIR)'),
    });
  });

  it('has no room on a file system without any', async () => {
    expect(await directoryCheck('/proc/k8s-gpu-mcp')).toMatchObject({
      status: 'warn',
      detail: expect.stringMatching(/0\.0 MiB left|EACCES/),
    });
  });

  it.skipIf(process.getuid?.() === 0)('is of somebody else', async () => {
    const closed = join(root, 'closed');
    mkdirSync(closed);
    chmodSync(closed, 0o500);
    expect(await directoryCheck(closed)).toMatchObject({
      status: 'warn',
      detail: `${closed} cannot be read and written (EACCES)`,
      fix: expect.stringContaining(`uid ${process.getuid?.()}`),
    });
  });
});
