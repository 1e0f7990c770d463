import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRecordings } from '../src/open-recordings.ts';
import { fixtureOf, nowMilliseconds, readers, xidLine } from './rig.ts';

const mebibyte = 1024 * 1024;
const sizeBytes = 100 * mebibyte;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'large-input-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Repeats a block until the file is large enough; gives its path and how often the block stands in it. */
function largeFile(name: string, block: string): { readonly path: string; readonly count: number } {
  const path = join(folder, name);
  const descriptor = openSync(path, 'w');
  const bytes = Buffer.from(block);
  const count = Math.ceil(sizeBytes / bytes.length);
  try {
    for (let index = 0; index < count; index += 1) writeSync(descriptor, bytes);
  } finally {
    closeSync(descriptor);
  }
  return { path, count };
}

const lines = (line: (index: number) => string) =>
  Array.from({ length: 5000 }, (_, index) => line(index)).join('\n');

describe('100 MiB at constant memory', () => {
  it.each([
    [
      'a kernel log',
      `${lines((second) => `[${second}.000000] usb 1-1: new device`)}\n${xidLine(9000)}\n`,
      null,
    ],
    ['text with kernel messages', `${lines((step) => `step ${step} loss 0.123`)}\n${xidLine(9000)}\n`, 5001],
    [
      'captures one after the other',
      `${fixtureOf('nvidia-smi/q/linux-x86_64__nvidia-h200__590.48.01__idle.txt')}\n${xidLine(1)}\n`,
      256,
    ],
  ])('%s', async (name, block, linesOfBlock) => {
    const { path, count } = largeFile(name, block);
    const before = process.memoryUsage().rss;
    const { files, earlier } = await openRecordings([{ name, path }], readers, { nowMilliseconds });
    expect((process.memoryUsage().rss - before) / mebibyte).toBeLessThan(200);
    expect(files[0]?.recordCount).toBe(count);
    if (linesOfBlock !== null) expect(files[0]?.lineCount).toBe(count * (block.split('\n').length - 1));
    expect(earlier.length).toBeLessThanOrEqual(256);
  });
});
