import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, opendir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GpuError, isGpuError } from '@k8s-gpu-mcp/core';
import { errorCodeOf, messageOf } from '../os/errno.ts';

/** What the store asks of the file system; a test brings one that fails. */
export interface RecorderFileSystem {
  readonly lstat: (path: string) => Promise<{ readonly size: number }>;
  readonly mkdir: typeof mkdir;
  readonly open: typeof open;
  readonly opendir: typeof opendir;
  readonly unlink: typeof unlink;
}

export const nodeFileSystem: RecorderFileSystem = { lstat, mkdir, open, opendir, unlink };

/** `fine`: every interval, for a short time. `coarse`: one of many, for long. */
export type Tier = 'fine' | 'coarse';

export interface SegmentFile {
  readonly name: string;
  readonly tier: Tier;
  /** Milliseconds since 1970, as the clock of its writer stood. */
  readonly startedAtMilliseconds: number;
}

/** No segment is longer; of a longer file of that name only so much is read. */
export const maximumSegmentBytes = 32 * 1024 * 1024;
/** Directory entries looked at and segments known, so that a directory full of forgeries costs a bounded time. */
const maximumEntries = 100_000;
export const maximumSegments = 4_096;

const directoryMode = 0o700;
const fileMode = 0o600;
// O_NOFOLLOW: a link under a segment's name leads nowhere. O_NONBLOCK: a pipe there holds nobody up.
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const createFlags =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

const namePattern = /^(fine|coarse)-(\d{16})-[0-9a-f]{12}\.gpurec$/;

/** A name that no other process makes: two agents on one directory each write their own segments. */
export function newSegmentName(tier: Tier, nowMilliseconds: number): string {
  const start = String(Math.max(0, Math.floor(nowMilliseconds))).padStart(16, '0');
  return `${tier}-${start}-${randomBytes(6).toString('hex')}.gpurec`;
}

/** Those that are there by their names, oldest first; none when there is no such directory. Other files are left alone. */
export async function listSegments(files: RecorderFileSystem, directory: string): Promise<SegmentFile[]> {
  const found: SegmentFile[] = [];
  try {
    let entries = 0;
    for await (const entry of await files.opendir(directory)) {
      entries += 1;
      if (entries > maximumEntries) break;
      const [, tier, start] = namePattern.exec(entry.name) ?? [];
      if ((tier === 'fine' || tier === 'coarse') && entry.isFile())
        found.push({ name: entry.name, tier, startedAtMilliseconds: Number(start) });
    }
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return [];
    throw storeError(directory, 'read', error);
  }
  return found.sort((a, b) => a.startedAtMilliseconds - b.startedAtMilliseconds);
}

/** The bytes of a segment, at most `limit` of them, and how many more there are. */
export async function readSegmentFile(
  files: RecorderFileSystem,
  path: string,
  limit: number,
): Promise<{ readonly bytes: Buffer; readonly unreadBytes: number }> {
  const handle = await files.open(path, readFlags);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) return { bytes: Buffer.alloc(0), unreadBytes: 0 };
    const buffer = Buffer.allocUnsafe(Math.min(stats.size, limit));
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return { bytes: buffer.subarray(0, length), unreadBytes: stats.size - buffer.length };
  } finally {
    await handle.close();
  }
}

/** Of a file that is not there any more: 0. */
export async function segmentBytes(files: RecorderFileSystem, path: string): Promise<number> {
  try {
    return (await files.lstat(path)).size;
  } catch {
    return 0;
  }
}

/** Whether it is gone now. */
export async function removeSegment(files: RecorderFileSystem, path: string): Promise<boolean> {
  try {
    await files.unlink(path);
    return true;
  } catch (error) {
    return errorCodeOf(error) === 'ENOENT';
  }
}

/** A new, empty file that nobody else can read, in a directory that is made if it is not there. */
export async function createSegmentFile(
  files: RecorderFileSystem,
  directory: string,
  name: string,
): Promise<FileHandle> {
  await makeDirectory(files, directory);
  return files.open(join(directory, name), createFlags, fileMode);
}

/**
 * With its parents, as the recursive `mkdir` of node would. That one goes round for ever, and keeps the process from ending, where a file
 * system says ENOENT below a directory that is there, as /proc and automounters do.
 */
async function makeDirectory(files: RecorderFileSystem, directory: string): Promise<void> {
  const make = async () => {
    try {
      await files.mkdir(directory, { mode: directoryMode });
    } catch (error) {
      // What else stands there under that name, opening a file in it will tell.
      if (errorCodeOf(error) !== 'EEXIST') throw error;
    }
  };
  try {
    await make();
  } catch (error) {
    const parent = dirname(directory);
    if (errorCodeOf(error) !== 'ENOENT' || parent === directory) throw error;
    await makeDirectory(files, parent);
    await make();
  }
}

/** Makes the names of new files survive a loss of power. Not every file system can; then the next sync of the disk does. */
export async function syncDirectory(files: RecorderFileSystem, directory: string): Promise<void> {
  try {
    const handle = await files.open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    await handle.sync().finally(() => handle.close());
  } catch {
    // Costs nothing but the certainty.
  }
}

const refusals = ['EACCES', 'EPERM', 'EROFS'];
const shortages = ['ENOSPC', 'EDQUOT'];

export function storeError(path: string, verb: 'read' | 'written', error: unknown): GpuError {
  if (isGpuError(error)) return error;
  const code = errorCodeOf(error) ?? '';
  const hint = refusals.includes(code)
    ? 'Give this program a record directory that it may read and write.'
    : shortages.includes(code)
      ? 'Free space on the file system of the record directory; recording goes on by itself.'
      : 'Look at the file system of the record directory; recording goes on by itself once it works.';
  return new GpuError(
    refusals.includes(code) ? 'NO_PERMISSION' : 'UNAVAILABLE',
    `${path} cannot be ${verb}: ${messageOf(error)}`,
    { hint, cause: error },
  );
}
