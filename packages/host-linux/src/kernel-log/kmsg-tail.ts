import type { KernelLogRecord } from '@k8s-gpu-mcp/core';
import { throwIfAborted, yieldToEventLoop } from '../os/abort.ts';
import { createBootTimeReader, readTextFile } from './boot-time.ts';
import { unreadableError } from './errno-reason.ts';
import { createKmsgCursor, type KmsgCursor } from './kmsg-cursor.ts';
import { type KmsgLogOptions, systemDevice } from './kmsg-log.ts';
import { pollMilliseconds, type TailSource } from './log-tail.ts';
import { coreParsers } from './parsers.ts';

const recordsPerTurn = 256;
const recordsPerPoll = 2048;

/** New records of `/dev/kmsg`. Sequence numbers tell which were given already, and how many were overwritten. */
export function createKmsgTail(options: KmsgLogOptions = {}): TailSource {
  const { parsers = coreParsers, path = '/dev/kmsg', device = systemDevice } = options;
  const { clock = Date, readText = readTextFile, maximumRecordsPerPass = 1_000_000 } = options;
  const bootTime = createBootTimeReader(readText);
  let resumeAt: number | undefined;

  const skipToEnd = async (cursor: KmsgCursor, signal: AbortSignal): Promise<void> => {
    for (let turn = 1; turn <= maximumRecordsPerPass; turn += 1) {
      if (cursor.next().kind === 'end') return;
      if (turn % recordsPerTurn !== 0) continue;
      await yieldToEventLoop();
      throwIfAborted(signal, 'reading the kernel log');
    }
  };

  return {
    name: 'kmsg',
    async open(signal) {
      let descriptor: number;
      try {
        descriptor = device.open(path);
      } catch (error) {
        throw unreadableError('kmsg', error, readText);
      }
      let isOpen = true;
      const close = (): void => {
        if (isOpen) device.close(descriptor);
        isOpen = false;
      };
      const cursor = createKmsgCursor(device, descriptor, resumeAt);
      try {
        // What was there before is nobody's news. After an interruption it is: the kernel kept it.
        if (resumeAt === undefined) await skipToEnd(cursor, signal);
      } catch (error) {
        close();
        throw unreadableError('kmsg', error, readText);
      }
      resumeAt = cursor.nextSequence;
      let reportedLost = cursor.lostRecordCount;

      return {
        close,
        async poll() {
          const bootedAt = bootTime(clock.now());
          const boot = bootedAt === undefined ? {} : { bootedAt };
          const records: KernelLogRecord[] = [];
          let isEnd = false;
          for (let count = 0; count < recordsPerPoll && !isEnd && isOpen; count += 1) {
            let step: ReturnType<KmsgCursor['next']>;
            try {
              step = cursor.next();
            } catch (error) {
              // What this poll found so far comes first; the next one meets the error again.
              if (records.length > 0) break;
              throw unreadableError('kmsg', error, readText);
            }
            isEnd = step.kind === 'end';
            if (step.kind !== 'record' || !parsers.isKernelLogCandidate(step.text)) continue;
            const record = parsers.parseKmsgRecord(step.text, boot);
            if (record && parsers.isKernelLogCandidate(record.text)) records.push(record);
          }
          resumeAt = cursor.nextSequence;
          const lost = cursor.lostRecordCount - reportedLost;
          reportedLost += lost;
          return {
            records,
            ...(lost > 0 ? { lost: `${lost} records were overwritten before they could be read` } : {}),
            restMilliseconds: isEnd ? pollMilliseconds : 0,
          };
        },
      };
    },
  };
}
