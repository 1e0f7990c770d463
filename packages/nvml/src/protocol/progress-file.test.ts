import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createProgressFile, progressRecordBytes, progressWriter } from './progress-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'progress-'));

function opened() {
  const file = createProgressFile([folder]);
  const writer = file && progressWriter(file.fd);
  if (!file || !writer) throw new Error('no file could be made');
  return { file, writer, write: writer.note };
}

describe('the progress file', () => {
  it('tells the last note, and of which request it is', () => {
    const { file, write } = opened();
    write(7, 'read utilization');
    write(7, 'read ecc');
    expect(file.read()).toMatchObject({ id: 7, stage: 'read ecc' });
    file.close();
  });

  it('tells when it was begun', () => {
    const { file, write } = opened();
    const before = Date.now();
    write(7, 'read ecc');
    expect(file.read()?.at).toBeGreaterThanOrEqual(before);
    expect(file.read()?.at).toBeLessThanOrEqual(Date.now());
    file.close();
  });

  it('tells nothing before the first note', () => {
    const { file, write } = opened();
    expect(file.read()).toBeUndefined();
    write(1, 'open the GPU');
    expect(file.read()?.stage).toBe('open the GPU');
    file.close();
  });

  it('cuts a note that is too long, and keeps nothing of a longer one before', () => {
    const { file, write } = opened();
    write(1, 'x'.repeat(1_000));
    expect(file.read()?.stage).toMatch(/^x{100,128}$/);
    write(1, 'short');
    expect(file.read()?.stage).toBe('short');
    file.close();
  });

  it('has no name that could be left behind', () => {
    const { file } = opened();
    expect(readdirSync(folder)).toEqual([]);
    file.close();
  });

  it('can be closed twice, and tells nothing afterwards', () => {
    const { file, write } = opened();
    write(1, 'read ecc');
    file.close();
    file.close();
    expect(file.read()).toBeUndefined();
  });

  it('is not there where nothing can be written', () => {
    expect(createProgressFile([join(folder, 'absent')])).toBeUndefined();
  });

  it('has its room from the start, so that a full disk is noticed when it is made and not in the middle of a read', () => {
    const { file } = opened();
    const { size } = fstatSync(file.fd);
    expect(size).toBeGreaterThan(0);
    progressWriter(file.fd)?.note(1, 'x'.repeat(1_000));
    expect(fstatSync(file.fd).size).toBe(size);
    file.close();
  });

  it('tells nothing when it cannot be read', () => {
    const { file, write } = opened();
    write(1, 'read ecc');
    closeSync(file.fd);
    expect(file.read()).toBeUndefined();
  });

  it('says when a note could not be made, instead of failing what it was about', () => {
    const path = join(folder, 'read-only');
    writeFileSync(path, '');
    const unwritable = openSync(path, 'r');
    expect(progressWriter(unwritable)?.note(1, 'read ecc')).toBe(false);
    closeSync(unwritable);
    rmSync(path);
    const { file, write } = opened();
    expect(write(1, 'read ecc')).toBe(true);
    file.close();
  });

  it('is only written to when it is a file: a helper may have been given none', () => {
    expect(progressWriter(999)).toBeUndefined();
    if (!existsSync('/dev/null')) return;
    const device = openSync('/dev/null', 'w');
    expect(progressWriter(device)).toBeUndefined();
    closeSync(device);
  });

  it('gives what was held when the last note was made, and nothing that came after it', () => {
    const { file, writer } = opened();
    writer.note(1, 'read ecc');
    expect(writer.hold('first\n')).toBe(true);
    expect(file.read()?.held.toString()).toBe('');
    writer.note(2, 'read ecc');
    writer.hold('second\n');
    expect(file.read()?.held.toString()).toBe('first\n');
    writer.note(3, 'read ecc');
    expect(file.read()?.held.toString()).toBe('first\nsecond\n');
    writer.release();
    writer.note(4, 'read ecc');
    expect(file.read()?.held.toString()).toBe('');
    file.close();
  });

  it('holds only what fits into a pipe', () => {
    const { file, writer } = opened();
    writer.note(1, 'read ecc');
    const kilobyte = 'x'.repeat(1_024);
    let count = 0;
    while (writer.hold(kilobyte)) count += 1;
    expect(count).toBe(32);
    writer.release();
    expect(writer.hold(kilobyte)).toBe(true);
    file.close();
  });

  it('holds nothing before a note could be made: without one nobody would find it', () => {
    const { file, writer } = opened();
    expect(writer.hold('reply\n')).toBe(false);
    file.close();
  });

  it('tells nothing of a note that is being written', () => {
    const { file, writer } = opened();
    // What the memory of the process would be, were it shared.
    const memory = new ArrayBuffer(progressRecordBytes);
    writer.share(memory);
    expect(writer.note(5, 'read ecc')).toBe(true);
    writeSync(file.fd, new Uint8Array(memory), 0, progressRecordBytes, 0);
    expect(file.read()).toMatchObject({ id: 5, stage: 'read ecc' });
    const halfway = new Uint8Array(memory.slice(0));
    halfway.fill(0, 0, 4);
    writeSync(file.fd, halfway, 0, progressRecordBytes, 0);
    expect(file.read()).toBeUndefined();
    file.close();
  });
});
