import type { Clock, KernelLog } from '@k8s-gpu-mcp/core';
import { throwIfAborted } from '../os/abort.ts';
import { loadLibc } from '../os/libc.ts';
import { createLineScanner } from '../scan/line-scanner.ts';
import { createBootTimeReader, type ReadText, readTextFile } from './boot-time.ts';
import { errnoReason } from './errno-reason.ts';
import { coreParsers, type KernelLogParsers } from './parsers.ts';
import { createReadCollector, unreadable } from './read-collector.ts';

/** klogctl(3). Throws an error with `code` (EPERM, ENOSYS, ...) where the call returns -1. */
export type SyslogCall = (action: number, buffer: Buffer | null) => number;

export interface SyslogLogOptions {
  /** Default: the core's grammar. */
  readonly parsers?: KernelLogParsers;
  /** Loads the call at the first read; default: libc's klogctl through koffi. */
  readonly loadSyslogCall?: () => Promise<SyslogCall>;
  readonly clock?: Pick<Clock, 'now'>;
  readonly readText?: ReadText;
  /** GPU-related records kept per read, the newest; default 20,000. */
  readonly maximumRecords?: number;
}

// Source: syslog(2).
export const readAll = 3;
const sizeBuffer = 10;
export const maximumBufferBytes = 64 * 1024 * 1024;
/** A record with its prefix is shorter than this; less room than this left over means that something may not have fitted. */
export const longestRecordBytes = 8192;

/**
 * The kernel's ring buffer through syslog(2): the source that an unprivileged pod with CAP_SYSLOG can read. It carries the facility
 * but no sequence numbers, and each line of a multi-line message comes as a line of its own.
 */
export function createSyslogLog(options: SyslogLogOptions = {}): KernelLog {
  const { parsers = coreParsers, clock = Date, readText = readTextFile } = options;
  const load = options.loadSyslogCall ?? loadKlogctl;
  const bootTime = createBootTimeReader(readText);
  let syslogCall: SyslogCall | undefined;

  return {
    async read({ since, signal }) {
      throwIfAborted(signal, 'reading the kernel log');
      let content: Buffer;
      try {
        syslogCall ??= await load();
        throwIfAborted(signal, 'reading the kernel log');
        content = readRing(syslogCall);
      } catch (error) {
        throwIfAborted(signal, 'reading the kernel log');
        return unreadable('syslog', errnoReason('syslog', error, readText));
      }
      const bootedAt = bootTime(clock.now());
      const boot = bootedAt === undefined ? {} : { bootedAt };
      const collector = createReadCollector({ ...options, ...(since === undefined ? {} : { since }) });
      for (const line of [firstLine(content), lastLine(content)]) {
        collector.see(parsers.parsePrintkLine(line, boot)?.at);
      }
      const scanner = createLineScanner({ parsers, everyLine: false });
      const emit = (line: string): void => {
        const record = parsers.parsePrintkLine(line, boot);
        if (record && parsers.isKernelLogCandidate(record.text)) collector.keep(record);
      };
      scanner.push(content, emit);
      scanner.end(emit);
      return collector.finish('syslog', boot);
    },
  };
}

/** The buffer's size counts message bytes only; with the prefixes the text is longer, and a short buffer loses the oldest messages. */
function readRing(call: SyslogCall): Buffer {
  let size = Math.min(maximumBufferBytes, Math.max(64 * 1024, 2 * call(sizeBuffer, null)));
  for (;;) {
    const buffer = Buffer.allocUnsafe(size);
    const length = call(readAll, buffer);
    if (length < size - longestRecordBytes || size >= maximumBufferBytes) return buffer.subarray(0, length);
    size = Math.min(maximumBufferBytes, size * 2);
  }
}

function firstLine(content: Buffer): string {
  const end = content.indexOf(10);
  return content.toString('utf8', 0, end < 0 ? content.length : end);
}

function lastLine(content: Buffer): string {
  let end = content.length;
  while (end > 0 && content[end - 1] === 10) end -= 1;
  return content.toString('utf8', end === 0 ? 0 : content.lastIndexOf(10, end - 1) + 1, end);
}

export async function loadKlogctl(): Promise<SyslogCall> {
  const libc = await loadLibc();
  const klogctl = libc.func('int klogctl(int action, void *buffer, int length)');
  return (action, buffer) => {
    const result = Number(klogctl(action, buffer, buffer?.length ?? 0));
    if (result >= 0) return result;
    throw libc.failure('klogctl');
  };
}
