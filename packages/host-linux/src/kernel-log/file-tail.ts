import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { GpuError, type KernelLogRecord } from '@k8s-gpu-mcp/core';
import { errorCodeOf, messageOf } from '../os/errno.ts';
import { createLineScanner } from '../scan/line-scanner.ts';
import { firstLines } from '../scan/scan-kernel-log.ts';
import type { FileLogOptions } from './file-log.ts';
import { type LogTail, pollMilliseconds, type TailBatch, type TailSource } from './log-tail.ts';
import { coreParsers } from './parsers.ts';

const chunkBytes = 256 * 1024;
const sniffBytes = 16 * 1024;
/** A rotation leaves no file of that name for a moment; after so many polls it is more than that. */
const maximumPollsWithoutName = 40;
const newline = 10;

interface Place {
  readonly device: number;
  readonly inode: number;
  /** Of the first line not given yet. */
  offset: number;
}

/** New lines of a log file: appended, in a new file of the same name (rotation), or from the beginning again (truncation). */
export function createFileTail(path: string, options: FileLogOptions = {}): TailSource {
  let place: Place | undefined;
  let wasAbsent = false;

  return {
    name: `file:${path}`,
    async open() {
      let handle: FileHandle;
      try {
        // O_NONBLOCK: a named pipe without a writer must not hold us.
        handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      } catch (error) {
        wasAbsent = errorCodeOf(error) === 'ENOENT';
        throw unreadable(path, error);
      }
      try {
        const stats = await handle.stat();
        if (!stats.isFile()) throw new GpuError('UNAVAILABLE', `${path} is not a plain file`);
        const isSame = place !== undefined && isAt(place, stats) && stats.size >= place.offset;
        // A file that was not there before is new from its first line on.
        const isNew = wasAbsent || place !== undefined;
        if (!place || !isSame) place = placeAt(stats, isNew ? 0 : stats.size);
        return await createTail(path, options, handle, place, (next) => {
          place = next;
        });
      } catch (error) {
        await handle.close();
        throw unreadable(path, error);
      }
    },
  };
}

async function createTail(
  path: string,
  options: FileLogOptions,
  firstHandle: FileHandle,
  firstPlace: Place,
  onPlace: (place: Place) => void,
): Promise<LogTail> {
  const { parsers = coreParsers, clock = Date } = options;
  const buffer = Buffer.allocUnsafe(chunkBytes);
  let handle = firstHandle;
  let place = firstPlace;
  let position = place.offset;
  let pollsWithoutName = 0;
  let isHolding = false;
  let isClosed = false;

  const createReader = () => parsers.createKernelLogLineReader({ nowMilliseconds: clock.now(), file: path });
  const createScanner = async () => {
    const { bytesRead } = await handle.read(buffer, 0, sniffBytes, 0);
    const { everyLine } = parsers.sniffKernelLogFormat(firstLines(buffer.subarray(0, bytesRead)));
    return createLineScanner({ parsers, everyLine });
  };
  let reader = createReader();
  let scanner = await createScanner();

  /** Line numbers count from where following began, which is no line of the file. */
  const withoutLine = ({ line: _, ...record }: KernelLogRecord): KernelLogRecord => record;
  const wanted = (found: readonly KernelLogRecord[]): KernelLogRecord[] =>
    found.filter(({ text }) => parsers.isKernelLogCandidate(text)).map(withoutLine);
  const batch = (records: readonly KernelLogRecord[], restMilliseconds: number): TailBatch => ({
    records,
    restMilliseconds,
  });

  const startAt = async (next: Place): Promise<void> => {
    place = next;
    position = next.offset;
    onPlace(next);
    reader = createReader();
    scanner = await createScanner();
  };

  /** The file that bears the name now, when it is another one than the open one. */
  const successor = async (): Promise<FileHandle | undefined> => {
    let next: FileHandle;
    try {
      if (isAt(place, await stat(path))) {
        pollsWithoutName = 0;
        return undefined;
      }
      next = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      pollsWithoutName += 1;
      if (pollsWithoutName < maximumPollsWithoutName) return undefined;
      throw unreadable(path, error);
    }
    if ((await next.stat()).isFile()) return next;
    await next.close();
    throw new GpuError('UNAVAILABLE', `${path} is not a plain file`);
  };

  const poll = async (): Promise<TailBatch> => {
    const { size } = await handle.stat();
    if (size < position) await startAt({ ...place, offset: 0 });
    const { bytesRead } = await handle.read(buffer, 0, chunkBytes, position);
    const records: KernelLogRecord[] = [];
    const emit = (line: string, lineNumber: number): void => {
      records.push(...wanted(reader.push(line, lineNumber)));
    };
    if (bytesRead > 0) {
      const chunk = buffer.subarray(0, bytesRead);
      scanner.push(chunk, emit);
      const lineEnd = chunk.lastIndexOf(newline);
      if (lineEnd >= 0) place.offset = position + lineEnd + 1;
      position += bytesRead;
      isHolding = true;
      return batch(records, bytesRead === chunkBytes ? 0 : pollMilliseconds);
    }
    if (isHolding) {
      // The reader keeps a record until it knows that the next line does not continue it. There was none for a poll's time.
      isHolding = false;
      records.push(...wanted(reader.end()));
      reader = createReader();
      return batch(records, pollMilliseconds);
    }
    const next = await successor();
    if (!next) return batch(records, pollMilliseconds);
    scanner.end(emit);
    records.push(...wanted(reader.end()));
    await handle.close();
    handle = next;
    await startAt(placeAt(await handle.stat(), 0));
    return batch(records, 0);
  };

  return {
    close() {
      if (isClosed) return;
      isClosed = true;
      handle.close().catch(() => undefined);
    },
    async poll() {
      try {
        return await poll();
      } catch (error) {
        throw unreadable(path, error);
      } finally {
        // A rotation may have opened a file after the closing.
        if (isClosed) handle.close().catch(() => undefined);
      }
    },
  };
}

const placeAt = (stats: Stats, offset: number): Place => ({ device: stats.dev, inode: stats.ino, offset });
const isAt = (place: Place, stats: Stats): boolean => place.device === stats.dev && place.inode === stats.ino;

function unreadable(path: string, error: unknown): GpuError {
  if (error instanceof GpuError) return error;
  const isRefused = ['EPERM', 'EACCES'].includes(errorCodeOf(error) ?? '');
  return new GpuError(isRefused ? 'NO_PERMISSION' : 'UNAVAILABLE', `${path}: ${messageOf(error)}`);
}
