import { closeSync, fstatSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Where a helper process notes what it is about to do, and keeps the replies that it has not sent yet, for its parent to look at when no
 * answer comes: a nameless file that both hold open. Writing it costs a microsecond and wakes nobody, which a message for every step would,
 * and unlike a message that was not read in time it tells of a process that has crashed.
 */
export interface ProgressFile {
  readonly fd: number;
  /** The last note; undefined when there is none. */
  read(): ProgressNote | undefined;
  close(): void;
}

export interface ProgressNote {
  /** The request that it is about. */
  readonly id: number;
  readonly stage: string;
  /** When it was begun, in milliseconds since 1970. */
  readonly at: number;
  /** Replies to earlier requests that had not been sent when it was begun, as they would have been. */
  readonly held: Buffer;
}

/** The helper's side. */
export interface ProgressWriter {
  /** Says whether it could: no reading may fail for the want of a note. */
  note(id: number, stage: string): boolean;
  /** Keeps a reply until `release`. False when that cannot be done. */
  hold(reply: string): boolean;
  /** What was held has been sent. */
  release(): void;
  /** Notes go into this memory from now on: the first `progressRecordBytes` of the file, shared, which needs no system call. */
  share(memory: ArrayBuffer): void;
}

/** One record: the request's number, how many bytes are held, the time, and what is being done, padded with NUL. What is held follows it. */
const heldOffset = 4;
const timeOffset = 8;
const stageOffset = 16;
export const progressRecordBytes = 128;
const recordBytes = progressRecordBytes;
/** What is held is sent at once: it must fit into the buffer of a pipe. */
const mostHeldBytes = 32 * 1024;

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
  let isOpen = true;
  return {
    fd,
    read: () => {
      const record = isOpen ? bytesAt(fd, 0, recordBytes) : undefined;
      const id = record?.readUInt32LE(0) ?? 0;
      if (record === undefined || id === 0) return undefined;
      const heldBytes = record.readUInt32LE(heldOffset);
      const held = heldBytes > mostHeldBytes ? undefined : bytesAt(fd, recordBytes, heldBytes);
      // A note that changes while it is looked at is none, and what is held is written over only after another note.
      if (held === undefined || !bytesAt(fd, 0, recordBytes)?.equals(record)) return undefined;
      const end = record.indexOf(0, stageOffset);
      const stage = record.toString('utf8', stageOffset, end < 0 ? recordBytes : end);
      return { id, stage, at: record.readDoubleLE(timeOffset), held };
    },
    close: () => {
      if (isOpen) closeSync(fd);
      isOpen = false;
    },
  };
}

/** What cannot be read tells nothing; it is looked at from a timer, where an error would end the server. */
function bytesAt(fd: number, position: number, length: number): Buffer | undefined {
  const bytes = Buffer.alloc(length);
  try {
    return readSync(fd, bytes, 0, length, position) === length ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined when the helper was given no such file. */
export function progressWriter(fd: number): ProgressWriter | undefined {
  try {
    if (!fstatSync(fd).isFile()) return undefined;
  } catch {
    return undefined;
  }
  let record = Buffer.alloc(recordBytes);
  let sharedWords: Int32Array | undefined;
  let heldBytes = 0;
  let isNoted = false;
  const encoded = new Map<string, Buffer>();
  const encode = (stage: string): Buffer => {
    const known = encoded.get(stage);
    if (known !== undefined) return known;
    const bytes = Buffer.alloc(recordBytes - stageOffset);
    bytes.write(stage, 0, bytes.length - 1);
    encoded.set(stage, bytes);
    return bytes;
  };
  const write = (bytes: Buffer, position: number): boolean => {
    try {
      return writeSync(fd, bytes, 0, bytes.length, position) === bytes.length;
    } catch {
      return false;
    }
  };
  return {
    note: (id, stage) => {
      // No request has the number 0: who looks in the middle sees no note.
      if (sharedWords) Atomics.store(sharedWords, 0, 0);
      record.writeUInt32LE(heldBytes, heldOffset);
      record.writeDoubleLE(Date.now(), timeOffset);
      record.set(encode(stage), stageOffset);
      if (sharedWords) Atomics.store(sharedWords, 0, id);
      else record.writeUInt32LE(id, 0);
      isNoted = sharedWords !== undefined || write(record, 0);
      return isNoted;
    },
    share: (memory) => {
      sharedWords = new Int32Array(memory);
      record = Buffer.from(memory);
    },
    hold: (reply) => {
      const bytes = Buffer.from(reply);
      if (!isNoted || heldBytes + bytes.length > mostHeldBytes) return false;
      if (!write(bytes, recordBytes + heldBytes)) return false;
      heldBytes += bytes.length;
      return true;
    },
    release: () => {
      heldBytes = 0;
    },
  };
}
