import type { KernelLogRecord } from '@k8s-gpu-mcp/core';
import { createLineScanner } from '../scan/line-scanner.ts';
import { createBootTimeReader, readTextFile } from './boot-time.ts';
import { unreadableError } from './errno-reason.ts';
import { pollMilliseconds, type TailSource } from './log-tail.ts';
import { coreParsers } from './parsers.ts';
import {
  loadKlogctl,
  longestRecordBytes,
  maximumBufferBytes,
  readAll,
  type SyslogCall,
  type SyslogLogOptions,
} from './syslog-log.ts';

/** A call with less room gives the newest messages only, which is all that a poll wants. */
const firstBufferBytes = 64 * 1024;
/** So many bytes of the newest lines are looked for in the next reading; their times make them unmistakable. */
const markBytes = 4096;
const bytesPerPoll = 256 * 1024;
/** The kernel walks its whole ring at each call: on machines where that takes long it is asked less often. */
const restPerReadingTime = 50;
const maximumRestMilliseconds = 5000;

/**
 * New messages of the ring buffer through syslog(2). It has no sequence numbers: each reading is searched for the end of the one before,
 * and what follows is new.
 */
export function createSyslogTail(options: SyslogLogOptions = {}): TailSource {
  const { parsers = coreParsers, clock = Date, readText = readTextFile } = options;
  const load = options.loadSyslogCall ?? loadKlogctl;
  const bootTime = createBootTimeReader(readText);
  let call: SyslogCall | undefined;
  let buffer = Buffer.allocUnsafe(firstBufferBytes);
  /** The end of what was read last; undefined before the first reading, empty when that found nothing. */
  let mark: Buffer | undefined;
  let newestUptimeSeconds = Number.NEGATIVE_INFINITY;

  const read = async (size: number): Promise<Buffer> => {
    try {
      call ??= await load();
      if (buffer.length < size) buffer = Buffer.allocUnsafe(size);
      return buffer.subarray(0, call(readAll, buffer.subarray(0, size)));
    } catch (error) {
      throw unreadableError('syslog', error, readText);
    }
  };
  const uptimeOf = (line: string): number =>
    parsers.parsePrintkLine(line, {})?.uptimeSeconds ?? Number.NEGATIVE_INFINITY;

  const remember = (content: Buffer): void => {
    mark = Buffer.from(content.subarray(Math.max(0, content.length - markBytes)));
    const lastLine = mark.toString('utf8').trimEnd().split('\n').at(-1) ?? '';
    newestUptimeSeconds = Math.max(newestUptimeSeconds, uptimeOf(lastLine));
  };

  /** What was written since the mark. Without the mark in it: all that the ring holds, and something may be gone. */
  const readNew = async (after: Buffer): Promise<{ fresh: Buffer; isComplete: boolean }> => {
    for (let size = firstBufferBytes; ; size = Math.min(maximumBufferBytes, size * 2)) {
      const content = await read(size);
      // Emptied by `dmesg --clear`.
      if (content.length === 0) return { fresh: content, isComplete: true };
      // A short mark is all that there was: unless the ring went round, it is still the beginning.
      const isBeginning = after.length < markBytes && content.subarray(0, after.length).equals(after);
      const position = isBeginning ? 0 : content.lastIndexOf(after);
      if (position >= 0) return { fresh: content.subarray(position + after.length), isComplete: true };
      const isWholeRing = content.length < size - longestRecordBytes || size >= maximumBufferBytes;
      if (isWholeRing) return { fresh: content, isComplete: false };
    }
  };

  return {
    name: 'syslog',
    async open() {
      const content = await read(firstBufferBytes);
      // Following begins at the log's end, and after an interruption where it was left.
      if (mark === undefined) remember(content);
      let pending = Buffer.alloc(0);
      let scanner = createLineScanner({ parsers, everyLine: false });
      /** Lines up to this time were given before the mark was lost. */
      let givenUntil = Number.NEGATIVE_INFINITY;
      let restMilliseconds = pollMilliseconds;

      return {
        close: () => undefined,
        async poll() {
          let lost: string | undefined;
          if (pending.length === 0) {
            const before = mark ?? Buffer.alloc(0);
            const startedAt = clock.now();
            const { fresh, isComplete } = await readNew(before);
            const cost = Math.max(0, clock.now() - startedAt);
            restMilliseconds = Math.min(
              maximumRestMilliseconds,
              Math.max(pollMilliseconds, cost * restPerReadingTime),
            );
            givenUntil = isComplete ? Number.NEGATIVE_INFINITY : newestUptimeSeconds;
            if (!isComplete) {
              lost = 'the last message seen is no longer in the ring buffer; some after it may be lost';
            }
            pending = Buffer.from(fresh);
            remember(isComplete && fresh.length < markBytes ? Buffer.concat([before, fresh]) : fresh);
            scanner = createLineScanner({ parsers, everyLine: false });
          }
          const bootedAt = pending.length === 0 ? undefined : bootTime(clock.now());
          const boot = bootedAt === undefined ? {} : { bootedAt };
          const records: KernelLogRecord[] = [];
          const emit = (line: string): void => {
            const record = parsers.parsePrintkLine(line, boot);
            if (!record || !parsers.isKernelLogCandidate(record.text)) return;
            if (record.uptimeSeconds !== null && record.uptimeSeconds <= givenUntil) return;
            records.push(record);
          };
          scanner.push(pending.subarray(0, bytesPerPoll), emit);
          pending = pending.subarray(bytesPerPoll);
          if (pending.length === 0) scanner.end(emit);
          return {
            records,
            ...(lost === undefined ? {} : { lost }),
            restMilliseconds: pending.length === 0 ? restMilliseconds : 0,
          };
        },
      };
    },
  };
}
