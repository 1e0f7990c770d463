import { closeSync, fstatSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Where a helper process notes what it is about to do, for its parent to look at when no answer comes: a nameless file that both hold
 * open. Writing it costs a microsecond and wakes nobody, which a message for every step would, and unlike a message that was not read
 * in time it tells of a process that has crashed.
 */
export interface ProgressFile {
  readonly fd: number;
  /** The last note of this request; undefined when there is none. */
  read(id: number): ProgressNote | undefined;
  close(): void;
}

export interface ProgressNote {
  readonly stage: string;
  /** When it was begun, in milliseconds since 1970. */
  readonly at: number;
}

/** One record: the request's number, the time, and what is being done, padded with NUL. */
const timeOffset = 8;
const stageOffset = 16;
const recordBytes = 128;

/** In memory where that can be had, else on disk; undefined where neither can be written (a read-only container). */
export function createProgressFile(
  folders: readonly string[] = ['/dev/shm', tmpdir()],
): ProgressFile | undefined {
  for (const folder of folders) {
    const path = join(folder, `nvml-helper-${process.pid}-${crypto.randomUUID()}`);
    try {
      const fd = openSync(path, 'wx+', 0o600);
      unlinkSync(path);
      try {
        // Takes its room now: where there is none, the next folder is better than a note that fails in the middle of a read.
        writeSync(fd, Buffer.alloc(recordBytes), 0, recordBytes, 0);
        return openedProgressFile(fd);
      } catch (error) {
        closeSync(fd);
        throw error;
      }
    } catch {
      // The next folder, or none.
    }
  }
  return undefined;
}

function openedProgressFile(fd: number): ProgressFile {
  const record = Buffer.alloc(recordBytes);
  let isOpen = true;
  return {
    fd,
    read: (id) => {
      if (!isOpen) return undefined;
      const length = bytesRead(fd, record);
      if (length < recordBytes || record.readUInt32LE(0) !== id) return undefined;
      const end = record.indexOf(0, stageOffset);
      const stage = record.toString('utf8', stageOffset, end < 0 ? recordBytes : end);
      return { stage, at: record.readDoubleLE(timeOffset) };
    },
    close: () => {
      if (isOpen) closeSync(fd);
      isOpen = false;
    },
  };
}

/** What cannot be read tells nothing; it is looked at from a timer, where an error would end the server. */
function bytesRead(fd: number, record: Buffer): number {
  try {
    return readSync(fd, record, 0, recordBytes, 0);
  } catch {
    return 0;
  }
}

/** The helper's side; undefined when it was given no such file. Notes, and says whether it could: no reading may fail for the want of a note. */
export function progressWriter(fd: number): ((id: number, stage: string) => boolean) | undefined {
  try {
    if (!fstatSync(fd).isFile()) return undefined;
  } catch {
    return undefined;
  }
  const record = Buffer.alloc(recordBytes);
  return (id, stage) => {
    record.fill(0, stageOffset);
    record.writeUInt32LE(id, 0);
    record.writeDoubleLE(Date.now(), timeOffset);
    record.write(stage, stageOffset, recordBytes - stageOffset - 1);
    try {
      return writeSync(fd, record, 0, recordBytes, 0) === recordBytes;
    } catch {
      return false;
    }
  };
}
