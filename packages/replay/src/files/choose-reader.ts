import { sniffKernelLogFormat } from '@k8s-gpu-mcp/core';
import { startsSection } from '../sections/splitter.ts';
import { looksLikeKernelLine, looksLikeSyslogLine } from './log-lines.ts';

/** How a file is read: `scan` for plain kernel logs, `mixed` line by line for everything else. */
export interface Choice {
  readonly reader: 'scan' | 'mixed';
  /** What the beginning of the file is, where that is all that will be said of it. */
  readonly looksLike: 'kernel log' | 'binary data' | 'one long line' | 'anything';
  readonly everyLine: boolean;
}

/** As much as is looked at before the way through a file is chosen: most logs that people attach are smaller than this as a whole. */
export const headBytes = 4 * 1024 * 1024;

/** Words of programs that use GPUs, for logs whose lines begin like those of a kernel log. */
const programWords = /Traceback|CUDA|cuda|NCCL|torch|vllm|rank ?\d/;
const logShare = 0.8;

/**
 * Chooses by content, never by name. A file that fits into its head is always looked through line by line: that costs nothing and misses
 * nothing. A larger one that is a kernel log from its first line takes the fast path.
 */
export function chooseReader(head: Buffer, isWholeFile: boolean): Choice {
  const lines = head.toString('utf8').split('\n');
  const isOneLine = lines.length === 1;
  if (!isOneLine && !isWholeFile) lines.pop();
  const { format, everyLine } = sniffKernelLogFormat(lines.slice(0, 100));
  const choice = { everyLine };
  if (isBinary(head)) return { ...choice, reader: 'scan', looksLike: 'binary data' };
  if (isWholeFile) return { ...choice, reader: 'mixed', looksLike: 'anything' };
  if (format === 'journal-export' || format === 'journal-json' || format === 'kmsg') {
    return { ...choice, reader: 'scan', looksLike: 'kernel log' };
  }
  if (lines.some(startsSection)) return { ...choice, reader: 'mixed', looksLike: 'anything' };
  if (isOneLine) return { ...choice, reader: 'scan', looksLike: 'one long line' };
  const told = lines.filter((line) => line.trim() !== '');
  const kernelCount = told.filter(looksLikeKernelLine).length;
  const logCount = told.filter((line) => looksLikeKernelLine(line) || looksLikeSyslogLine(line)).length;
  const isProgram = kernelCount < told.length / 2 && told.some((line) => programWords.test(line));
  const isLog = logCount > 0 && logCount >= told.length * logShare && !isProgram;
  return isLog
    ? { ...choice, reader: 'scan', looksLike: 'kernel log' }
    : { ...choice, reader: 'mixed', looksLike: 'anything' };
}

/** Control characters that no text has, in number. NULs alone are what a crash leaves in a log. */
function isBinary(head: Buffer): boolean {
  let count = 0;
  for (const byte of head) if (byte < 9 && byte !== 0) count += 1;
  return count > head.length / 100;
}
