import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type Clock, isGpuError, type KernelLog } from '@k8s-gpu-mcp/core';
import { firstLines, scanKernelLog } from '../scan/scan-kernel-log.ts';
import { coreParsers, type KernelLogParsers } from './parsers.ts';
import { createReadCollector, unreadable } from './read-collector.ts';

export interface FileLogOptions {
  /** Default: the core's grammar. */
  readonly parsers?: KernelLogParsers;
  readonly clock?: Pick<Clock, 'now'>;
  /** GPU-related records kept per read, the newest; default 20,000. */
  readonly maximumRecords?: number;
}

/** A kernel log in a file (`/var/log/kern.log`, a saved dmesg, gzip too), read from its beginning each time. */
export function createFileLog(path: string, options: FileLogOptions = {}): KernelLog {
  const { parsers = coreParsers, clock = Date } = options;
  const source = `file:${path}`;
  return {
    async read({ since, signal }) {
      const nowMilliseconds = clock.now();
      const collector = createReadCollector({ ...options, ...(since === undefined ? {} : { since }) });
      try {
        // No boot time: nothing says that this machine and this boot wrote the file.
        for await (const record of scanKernelLog({ path }, { parsers, signal, nowMilliseconds })) {
          collector.keep(record);
        }
      } catch (error) {
        if (!isGpuError(error) || error.code === 'TIMEOUT' || error.code === 'CANCELLED') throw error;
        return unreadable(source, `${error.message}. ${error.hint}`);
      }
      for (const line of edgeLines(path)) collector.see(timeOf(line, parsers, nowMilliseconds));
      return collector.finish(source);
    },
  };
}

/** The reader gives records of GPU messages only: a needle at its end makes any line one. */
function timeOf(line: string, parsers: KernelLogParsers, nowMilliseconds: number): string | null {
  const entry = parsers.parseJournalEntry(line);
  if (entry) return entry.at;
  const reader = parsers.createKernelLogLineReader({ nowMilliseconds });
  const records = [...reader.push(`${line} ${parsers.kernelLogNeedles[0] ?? ''}`, 1), ...reader.end()];
  return records[0]?.at ?? null;
}

const edgeBytes = 16 * 1024;

/** Lines from both ends, so that coverage spans the file and not only its GPU records. Other than plain files have none. */
function edgeLines(path: string): readonly string[] {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch {
    return [];
  }
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) return [];
    const head = readAt(descriptor, 0);
    if (head[0] === 0x1f && head[1] === 0x8b) return [];
    const tail = readAt(descriptor, Math.max(0, stats.size - edgeBytes))
      .toString('utf8')
      .trimEnd()
      .split('\n');
    return [...firstLines(head).slice(0, 5), ...tail.slice(-5)];
  } catch {
    return [];
  } finally {
    closeSync(descriptor);
  }
}

function readAt(descriptor: number, position: number): Buffer {
  const buffer = Buffer.alloc(edgeBytes);
  return buffer.subarray(0, readSync(descriptor, buffer, 0, edgeBytes, position));
}
