import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import {
  createSegmentFile,
  newSegmentName,
  type RecorderFileSystem,
  removeSegment,
  syncDirectory,
  type Tier,
} from './segment-files.ts';

export interface SegmentWriterOptions {
  readonly directory: string;
  readonly tier: Tier;
  /** What every segment begins with. */
  readonly header: Buffer;
  /** A segment ends when it is so old, or would become longer than `segmentBytes`. */
  readonly spanMilliseconds: number;
  readonly segmentBytes: number;
  readonly files: RecorderFileSystem;
}

/** Appends frames to one tier's newest segment. One call at a time. */
export interface SegmentWriter {
  /** Name of the segment being written. */
  readonly current: string | undefined;
  needsNewSegment(frameBytes: number, nowMilliseconds: number): boolean;
  /** Resolves once the kernel has the whole frame. When it rejects, what there is of the frame was cut off again or stands at the end of a segment that is not continued. */
  append(frame: Buffer, nowMilliseconds: number): Promise<void>;
  /** Puts on disk what was appended; gives up a segment that somebody deleted. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

interface OpenSegment {
  readonly name: string;
  readonly handle: FileHandle;
  readonly startedAtMilliseconds: number;
  bytes: number;
  isNameSynced: boolean;
}

export function createSegmentWriter(options: SegmentWriterOptions): SegmentWriter {
  const { directory, tier, header, spanMilliseconds, segmentBytes, files } = options;
  let segment: OpenSegment | undefined;

  const leave = async (): Promise<void> => {
    const left = segment;
    segment = undefined;
    await left?.handle.close();
  };

  /** Header and first frame in one write: no segment is without its header because of a kill. */
  const begin = async (frame: Buffer, nowMilliseconds: number): Promise<void> => {
    const name = newSegmentName(tier, nowMilliseconds);
    const handle = await createSegmentFile(files, directory, name);
    const start = Buffer.concat([header, frame]);
    try {
      await writeWhole(handle, start);
    } catch (error) {
      await handle.close().catch(() => undefined);
      await removeSegment(files, join(directory, name));
      throw error;
    }
    segment = {
      name,
      handle,
      startedAtMilliseconds: nowMilliseconds,
      bytes: start.length,
      isNameSynced: false,
    };
  };

  const needsNewSegment = (frameBytes: number, nowMilliseconds: number): boolean => {
    if (!segment) return true;
    // A clock that was set back must not keep a segment open for ever.
    const age = Math.abs(nowMilliseconds - segment.startedAtMilliseconds);
    return age >= spanMilliseconds || segment.bytes + frameBytes > segmentBytes;
  };

  return {
    get current() {
      return segment?.name;
    },
    needsNewSegment,
    async append(frame, nowMilliseconds) {
      if (segment && needsNewSegment(frame.length, nowMilliseconds)) {
        // Nobody syncs it later; what keeps it from the disk is no reason not to write the next.
        await segment.handle.datasync().catch(() => undefined);
        await leave().catch(() => undefined);
      }
      if (!segment) return begin(frame, nowMilliseconds);
      try {
        await writeWhole(segment.handle, frame);
        segment.bytes += frame.length;
      } catch (error) {
        // A full disk leaves a part of a frame behind.
        const isCut = await segment.handle.truncate(segment.bytes).then(
          () => true,
          () => false,
        );
        if (!isCut) await leave().catch(() => undefined);
        throw error;
      }
    },
    async sync() {
      if (!segment) return;
      try {
        await segment.handle.datasync();
        if (!segment.isNameSynced) await syncDirectory(files, directory);
        segment.isNameSynced = true;
        const { nlink } = await segment.handle.stat();
        if (nlink === 0) await leave();
      } catch (error) {
        // The kernel drops what it failed to put on disk and reports it once: nothing more may rest on this file.
        await leave().catch(() => undefined);
        throw error;
      }
    },
    async close() {
      await segment?.handle.datasync().catch(() => undefined);
      await leave().catch(() => undefined);
    },
  };
}

/** The file is open for appending: a write that was cut short goes on behind its first part. */
async function writeWhole(handle: FileHandle, bytes: Buffer): Promise<void> {
  let offset = 0;
  while (offset < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, offset, bytes.length - offset, null);
    if (bytesWritten === 0) throw new Error('the file system took no bytes');
    offset += bytesWritten;
  }
}
