import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRandom, neverAborted, xidMessage } from '../../test/kernel-log-samples.ts';
import { createFileTail } from './file-tail.ts';
import type { LogTail } from './log-tail.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'file-tail-'));
  path = join(folder, 'kern.log');
});
afterEach(() => rmSync(folder, { recursive: true }));

const line = (second: number, text: string): string =>
  `2026-03-01T00:00:${String(second).padStart(2, '0')}+00:00 node kernel: ${text}\n`;
const source = () => createFileTail(path, { clock: { now: () => Date.parse('2026-03-01T01:00:00.000Z') } });

/** Two polls without anything new: the first releases what the reader held back. */
async function drain(tail: LogTail): Promise<string[]> {
  const texts: string[] = [];
  for (let quiet = 0; quiet < 2; ) {
    const { records, restMilliseconds } = await tail.poll();
    texts.push(...records.map(({ text }) => text));
    quiet = records.length === 0 && restMilliseconds > 0 ? quiet + 1 : 0;
  }
  return texts;
}

describe('createFileTail', () => {
  it('gives lines appended from now on, dated, without a line number', async () => {
    writeFileSync(path, line(1, xidMessage(13)));
    const tail = await source().open(neverAborted());
    appendFileSync(path, line(2, 'eth0: link becomes ready') + line(3, xidMessage(79)) + line(4, 'more'));
    await tail.poll();
    const { records } = await tail.poll();
    expect(records).toMatchObject([{ text: xidMessage(79), at: '2026-03-01T00:00:03.000Z', file: path }]);
    expect(records[0]).not.toHaveProperty('line');
    expect(await drain(tail)).toEqual([]);
    tail.close();
    tail.close();
  });

  it('puts a line together that was written in pieces', async () => {
    writeFileSync(path, '');
    const tail = await source().open(neverAborted());
    const text = line(1, xidMessage(79));
    appendFileSync(path, text.slice(0, 50));
    expect(await drain(tail)).toEqual([]);
    appendFileSync(path, text.slice(50));
    expect(await drain(tail)).toEqual([xidMessage(79)]);
    tail.close();
  });

  it('follows a rotation, and reads the old file to its end first', async () => {
    writeFileSync(path, line(1, 'old'));
    const tail = await source().open(neverAborted());
    appendFileSync(path, line(2, xidMessage(31)));
    renameSync(path, `${path}.1`);
    expect(await drain(tail)).toEqual([xidMessage(31)]);
    appendFileSync(`${path}.1`, line(3, xidMessage(48)));
    writeFileSync(path, line(4, xidMessage(79)));
    expect(await drain(tail)).toEqual([xidMessage(48), xidMessage(79)]);
    appendFileSync(path, line(5, xidMessage(94)));
    expect(await drain(tail)).toEqual([xidMessage(94)]);
    tail.close();
  });

  it('begins again when the file is truncated', async () => {
    writeFileSync(path, line(1, 'old').repeat(100));
    const tail = await source().open(neverAborted());
    truncateSync(path);
    appendFileSync(path, line(2, xidMessage(79)));
    expect(await drain(tail)).toEqual([xidMessage(79)]);
    tail.close();
  });

  it('reads a file from its beginning that was not there before', async () => {
    const log = source();
    await expect(log.open(neverAborted())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    writeFileSync(path, line(1, xidMessage(79)));
    const tail = await log.open(neverAborted());
    expect(await drain(tail)).toEqual([xidMessage(79)]);
    tail.close();
  });

  it('goes on after an interruption at the first line not given yet', async () => {
    writeFileSync(path, line(1, 'old'));
    const log = source();
    const tail = await log.open(neverAborted());
    const text = line(3, xidMessage(79));
    appendFileSync(path, line(2, xidMessage(31)) + text.slice(0, 60));
    expect(await drain(tail)).toEqual([xidMessage(31)]);
    tail.close();
    appendFileSync(path, text.slice(60));
    const again = await log.open(neverAborted());
    expect(await drain(again)).toEqual([xidMessage(79)]);
    again.close();
  });

  it('gives up on a file whose name stays away', async () => {
    writeFileSync(path, '');
    const tail = await source().open(neverAborted());
    rmSync(path);
    await expect(
      (async () => {
        for (let poll = 0; poll < 100; poll += 1) await tail.poll();
      })(),
    ).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    tail.close();
  });

  it('refuses what is no plain file, without waiting for it', async () => {
    mkdirSync(path);
    await expect(source().open(neverAborted())).rejects.toThrow('is not a plain file');
    rmSync(path, { recursive: true });
    execFileSync('/usr/bin/mkfifo', [path]);
    await expect(source().open(neverAborted())).rejects.toThrow('is not a plain file');
  });

  it.skipIf(process.getuid?.() === 0)('says when it may not read it (root may)', async () => {
    writeFileSync(path, '');
    chmodSync(path, 0o000);
    await expect(source().open(neverAborted())).rejects.toMatchObject({ code: 'NO_PERMISSION' });
  });

  it('reads a flood in pieces', async () => {
    writeFileSync(path, '');
    const tail = await source().open(neverAborted());
    appendFileSync(path, line(1, xidMessage(45)).repeat(50_000));
    let total = 0;
    let largest = 0;
    for (let quiet = 0; quiet < 2; ) {
      const { records, restMilliseconds } = await tail.poll();
      total += records.length;
      largest = Math.max(largest, records.length);
      quiet = records.length === 0 && restMilliseconds > 0 ? quiet + 1 : 0;
    }
    expect(total).toBe(50_000);
    expect(largest).toBeLessThan(10_000);
    tail.close();
  });

  it('survives any bytes', async () => {
    writeFileSync(path, '');
    const tail = await source().open(neverAborted());
    const random = createRandom(3);
    appendFileSync(path, Buffer.from(Array.from({ length: 200_000 }, () => random(256))));
    await drain(tail);
    appendFileSync(path, `\n${line(1, xidMessage(79))}`);
    expect(await drain(tail)).toEqual([xidMessage(79)]);
    tail.close();
  });

  it('planted fault: a tail that starts at the beginning would be noticed', async () => {
    writeFileSync(path, line(1, xidMessage(13)));
    const log = createFileTail(`${path}.new`);
    await log.open(neverAborted()).catch(() => undefined);
    renameSync(path, `${path}.new`);
    const tail = await log.open(neverAborted());
    expect(await drain(tail)).not.toEqual([]);
    tail.close();
  });
});
