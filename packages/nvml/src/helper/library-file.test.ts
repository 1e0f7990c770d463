import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isLibraryReplaced, libraryFileOf } from './library-file.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'library-file-'));
  path = join(folder, 'libnvidia-ml.so.1');
  writeFileSync(path, 'old');
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});
const look = (loaded = path) => {
  const file = libraryFileOf(loaded);
  if (file === null) throw new Error('it cannot be told');
  return file;
};

it('is not replaced when nothing happened', async () => {
  expect(await isLibraryReplaced(look())).toBe(false);
});

it.each<[string, () => void]>([
  [
    'another file is renamed over it',
    () => {
      writeFileSync(`${path}.new`, 'old');
      renameSync(`${path}.new`, path);
    },
  ],
  ['it is deleted', () => unlinkSync(path)],
  ['it is written to', () => utimesSync(path, new Date(), new Date(Date.now() + 5_000))],
])('is replaced when %s', async (_, change) => {
  const file = look();
  change();
  expect(await isLibraryReplaced(file)).toBe(true);
});

it('is replaced when the link points to another version, though the old file stays', async () => {
  const link = join(folder, 'libnvidia-ml.so');
  symlinkSync(path, link);
  const file = look(link);
  writeFileSync(join(folder, 'libnvidia-ml.so.2'), 'new');
  unlinkSync(link);
  symlinkSync(join(folder, 'libnvidia-ml.so.2'), link);
  expect(await isLibraryReplaced(file)).toBe(true);
});

it('finds what the loader found for a bare name, and nothing for what is not loaded', () => {
  // The C library is in every process on Linux; its name is what the loader searches for.
  if (process.platform === 'linux') expect(libraryFileOf('libc.so.6')?.path).toMatch(/^\/.*libc/);
  expect(libraryFileOf('libnvidia-ml-of-nobody.so.1')).toBeNull();
  expect(libraryFileOf('/no/such/file.so')).toBeNull();
});
