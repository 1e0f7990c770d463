import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { Clock, KernelLog } from '@k8s-gpu-mcp/core';
import { throwIfAborted, yieldToEventLoop } from './abort.ts';
import { createBootTimeReader, isoFromMilliseconds, type ReadText, readTextFile } from './boot-time.ts';
import { errnoReason, errorCodeOf } from './errno-reason.ts';
import { coreParsers, type KernelLogParsers } from './parsers.ts';
import { createReadCollector, unreadable } from './read-collector.ts';

/** The three calls on the device; errors carry `code` as those of node:fs do. */
export interface KmsgDevice {
  open(path: string): number;
  /** One record per call. EAGAIN: no more; EPIPE: records were overwritten; EINVAL: the record does not fit. */
  read(descriptor: number, buffer: Buffer): number;
  close(descriptor: number): void;
}

export interface KmsgLogOptions {
  /** Default: the core's grammar. */
  readonly parsers?: KernelLogParsers;
  readonly path?: string;
  readonly device?: KmsgDevice;
  readonly clock?: Pick<Clock, 'now'>;
  readonly readText?: ReadText;
  /** GPU-related records kept per read, the newest; default 20,000. */
  readonly maximumRecords?: number;
  /** Ends a pass that a flood of new messages would never let end; default 1,000,000. */
  readonly maximumRecordsPerPass?: number;
}

// O_NONBLOCK, because a blocking read would hold a thread of the pool for ever once the log is read.
const systemDevice: KmsgDevice = {
  open: (path) => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK),
  read: (descriptor, buffer) => readSync(descriptor, buffer, 0, buffer.length, null),
  close: closeSync,
};

const recordsPerTurn = 256;
const maximumBufferBytes = 1024 * 1024;
const maximumRefusalsInARow = 16;

/** `/dev/kmsg`, from the oldest record that the kernel still holds to the newest: one pass per read, nothing between reads. */
export function createKmsgLog(options: KmsgLogOptions = {}): KernelLog {
  const {
    parsers = coreParsers,
    path = '/dev/kmsg',
    device = systemDevice,
    clock = Date,
    readText = readTextFile,
  } = options;
  const maximumRecordsPerPass = options.maximumRecordsPerPass ?? 1_000_000;
  const bootTime = createBootTimeReader(readText);

  return {
    async read({ since, signal }) {
      throwIfAborted(signal, 'reading the kernel log');
      const collector = createReadCollector({ ...options, ...(since === undefined ? {} : { since }) });
      const bootedAt = bootTime(clock.now());
      const boot = bootedAt === undefined ? {} : { bootedAt };
      let descriptor: number;
      try {
        descriptor = device.open(path);
      } catch (error) {
        return unreadable('kmsg', errnoReason('kmsg', error, readText));
      }
      try {
        // The kernel documents 8 KiB as enough for any record.
        let buffer = Buffer.allocUnsafe(8192);
        let expectedSequence: number | undefined;
        let refusals = 0;
        for (let turn = 1; turn <= maximumRecordsPerPass; turn += 1) {
          if (turn % recordsPerTurn === 0) {
            await yieldToEventLoop();
            throwIfAborted(signal, 'reading the kernel log');
          }
          let length: number;
          try {
            length = device.read(descriptor, buffer);
          } catch (error) {
            const code = errorCodeOf(error);
            if (code === 'EAGAIN') break;
            // Overrun: the kernel moved us to its oldest record; the gap in the sequence numbers says how many are gone.
            if (code === 'EPIPE') continue;
            refusals += 1;
            if (code !== 'EINVAL' || refusals > maximumRefusalsInARow) {
              if (expectedSequence === undefined) {
                return unreadable('kmsg', errnoReason('kmsg', error, readText));
              }
              const reason = errnoReason('kmsg', error, readText);
              return collector.finish('kmsg', {
                ...boot,
                skipped: [{ source: 'kmsg (rest of it)', reason }],
              });
            }
            // The kernel has already stepped over the record that did not fit.
            if (buffer.length < maximumBufferBytes) buffer = Buffer.allocUnsafe(buffer.length * 2);
            collector.lose(1);
            if (expectedSequence !== undefined) expectedSequence += 1;
            continue;
          }
          if (length === 0) break;
          refusals = 0;
          const text = buffer.toString('utf8', 0, length);
          const header = readHeader(text);
          if (header) {
            if (expectedSequence !== undefined) collector.lose(header.sequence - expectedSequence);
            expectedSequence = header.sequence + 1;
            if (bootedAt !== undefined) {
              collector.see(isoFromMilliseconds(Date.parse(bootedAt) + header.uptimeMicroseconds / 1000));
            }
          }
          if (!parsers.isKernelLogCandidate(text)) continue;
          const record = parsers.parseKmsgRecord(text, boot);
          if (record && parsers.isKernelLogCandidate(record.text)) collector.keep(record);
        }
      } finally {
        device.close(descriptor);
      }
      return collector.finish('kmsg', boot);
    },
  };
}

/** `prefix,sequence,microseconds,flags[,...];` Source: Linux Documentation/ABI/testing/dev-kmsg. */
function readHeader(record: string): { sequence: number; uptimeMicroseconds: number } | undefined {
  const match = /^\d+,(\d+),(\d+)[,;]/.exec(record);
  return match ? { sequence: Number(match[1]), uptimeMicroseconds: Number(match[2]) } : undefined;
}
