import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createProgressFile, progressWriter } from './progress-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'progress-'));

function opened() {
  const file = createProgressFile([folder]);
  const write = file && progressWriter(file.fd);
  if (!file || !write) throw new Error('no file could be made');
  return { file, write };
}

describe('the progress file', () => {
  it('tells the last note of the request asked for', () => {
    const { file, write } = opened();
    write(7, 'read utilization');
    write(7, 'read ecc');
    expect(file.read(7)?.stage).toBe('read ecc');
    file.close();
  });

  it('tells when it was begun', () => {
    const { file, write } = opened();
    const before = Date.now();
    write(7, 'read ecc');
    expect(file.read(7)?.at).toBeGreaterThanOrEqual(before);
    expect(file.read(7)?.at).toBeLessThanOrEqual(Date.now());
    file.close();
  });

  it('tells nothing of another request, and nothing before the first note', () => {
    const { file, write } = opened();
    expect(file.read(1)).toBeUndefined();
    write(1, 'open the GPU');
    expect(file.read(2)).toBeUndefined();
    file.close();
  });

  it('cuts a note that is too long, and keeps nothing of a longer one before', () => {
    const { file, write } = opened();
    write(1, 'x'.repeat(1_000));
    expect(file.read(1)?.stage).toMatch(/^x{100,128}$/);
    write(1, 'short');
    expect(file.read(1)?.stage).toBe('short');
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
    expect(file.read(1)).toBeUndefined();
  });

  it('is not there where nothing can be written', () => {
    expect(createProgressFile([join(folder, 'absent')])).toBeUndefined();
  });

  it('has its room from the start, so that a full disk is noticed when it is made and not in the middle of a read', () => {
    const { file } = opened();
    const { size } = fstatSync(file.fd);
    expect(size).toBeGreaterThan(0);
    progressWriter(file.fd)?.(1, 'x'.repeat(1_000));
    expect(fstatSync(file.fd).size).toBe(size);
    file.close();
  });

  it('tells nothing when it cannot be read', () => {
    const { file, write } = opened();
    write(1, 'read ecc');
    closeSync(file.fd);
    expect(file.read(1)).toBeUndefined();
  });

  it('says when a note could not be made, instead of failing what it was about', () => {
    const path = join(folder, 'read-only');
    writeFileSync(path, '');
    const unwritable = openSync(path, 'r');
    expect(progressWriter(unwritable)?.(1, 'read ecc')).toBe(false);
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
});
