import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { Clock, KernelLog, KernelLogCoverage, KernelLogRead } from '@k8s-gpu-mcp/core';
import { throwIfAborted, yieldToEventLoop } from '../os/abort.ts';
import { createBootTimeReader, isoFromMilliseconds, type ReadText, readTextFile } from './boot-time.ts';
import { errnoReason } from './errno-reason.ts';
import { createKmsgCursor, type KmsgDevice, type KmsgStep } from './kmsg-cursor.ts';
import { coreParsers, type KernelLogParsers } from './parsers.ts';
import { createReadCollector, unreadable } from './read-collector.ts';

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

/** O_NONBLOCK, because a blocking read would hold a thread of the pool for ever once the log is read. */
export const systemDevice: KmsgDevice = {
  open: (path) => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK),
  read: (descriptor, buffer) => readSync(descriptor, buffer, 0, buffer.length, null),
  close: closeSync,
};

const recordsPerTurn = 256;

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
      const cursor = createKmsgCursor(device, descriptor);
      const finish = (more: Partial<KernelLogCoverage>): KernelLogRead => {
        collector.lose(cursor.lostRecordCount);
        return collector.finish('kmsg', { ...boot, ...more });
      };
      try {
        for (let turn = 1; turn <= maximumRecordsPerPass; turn += 1) {
          if (turn % recordsPerTurn === 0) {
            await yieldToEventLoop();
            throwIfAborted(signal, 'reading the kernel log');
          }
          let step: KmsgStep;
          try {
            step = cursor.next();
          } catch (error) {
            const reason = errnoReason('kmsg', error, readText);
            if (cursor.nextSequence === undefined) return unreadable('kmsg', reason);
            return finish({ skipped: [{ source: 'kmsg (rest of it)', reason }] });
          }
          if (step.kind === 'end') break;
          if (step.kind === 'skipped') continue;
          const { text, uptimeMicroseconds } = step;
          if (uptimeMicroseconds !== null && bootedAt !== undefined) {
            collector.see(isoFromMilliseconds(Date.parse(bootedAt) + uptimeMicroseconds / 1000));
          }
          if (!parsers.isKernelLogCandidate(text)) continue;
          const record = parsers.parseKmsgRecord(text, boot);
          if (record && parsers.isKernelLogCandidate(record.text)) collector.keep(record);
        }
      } finally {
        device.close(descriptor);
      }
      return finish({});
    },
  };
}
