import { existsSync } from 'node:fs';
import type { KernelLog, KernelLogRecord } from '@k8s-gpu-mcp/core';
import { abortError, throwIfAborted } from '../os/abort.ts';
import { errorCodeOf, messageOf } from '../os/errno.ts';
import { createLineScanner } from '../scan/line-scanner.ts';
import { type OutputProcess, type StartProcess, startProcess } from './journal-process.ts';
import { coreParsers, type KernelLogParsers } from './parsers.ts';
import { createReadCollector, defaultMaximumRecords, unreadable } from './read-collector.ts';

export interface JournalLogOptions {
  /** Default: the core's grammar. */
  readonly parsers?: KernelLogParsers;
  /** Absolute path of journalctl; default: the first of the usual places that exists. */
  readonly journalctlPath?: string;
  readonly startProcess?: StartProcess;
  /** GPU-related records kept per read, the newest; default 20,000. */
  readonly maximumRecords?: number;
  /** Output read at most, from the newest entry back; default 1 GiB. */
  readonly maximumBytes?: number;
}

const usualPaths = ['/usr/bin/journalctl', '/bin/journalctl', '/run/current-system/sw/bin/journalctl'];
export const findJournalctl = (): string | undefined => usualPaths.find((path) => existsSync(path));
const what = 'reading the journal';

interface JournalPass {
  /** Newest first, as the journal was read. */
  readonly records: readonly KernelLogRecord[];
  readonly newestAt: string | null;
  readonly oldestAt: string | null;
  readonly entryCount: number;
  readonly exitCode: number | null;
  readonly errorText: string;
}

/**
 * The kernel messages of this boot in systemd's journal. journalctl is asked for the newest entries first, so that a bound on its
 * output costs the oldest messages and not the newest.
 */
export function createJournalLog(options: JournalLogOptions = {}): KernelLog {
  const { parsers = coreParsers, startProcess: start = startProcess } = options;
  const maximumBytes = options.maximumBytes ?? 1024 ** 3;
  const maximumRecords = options.maximumRecords ?? defaultMaximumRecords;

  return {
    async read({ since, signal }) {
      throwIfAborted(signal, what);
      const journalctl = options.journalctlPath ?? findJournalctl();
      if (journalctl === undefined) {
        return unreadable(
          'journal',
          `journalctl is not installed here (looked for ${usualPaths.join(', ')})`,
        );
      }
      const run = (more: readonly string[]): Promise<JournalPass> =>
        readEntries(start(journalctl, ['-k', '-o', 'json', '--no-pager', '--reverse', ...more]), {
          parsers,
          signal,
          maximumBytes,
        });
      const sinceSeconds = since === undefined ? Number.NaN : Math.floor(Date.parse(since) / 1000);
      let pass: JournalPass;
      let coverage: JournalPass;
      try {
        pass = await run(Number.isNaN(sinceSeconds) ? [] : [`--since=@${sinceSeconds}`]);
        // Nothing since then is a good answer only from a journal that holds something at all.
        coverage = pass.entryCount === 0 && !Number.isNaN(sinceSeconds) ? await run(['-n', '1']) : pass;
      } catch (error) {
        throwIfAborted(signal, what);
        return unreadable('journal', startFailure(journalctl, error));
      }
      if (coverage.entryCount === 0) {
        const told = coverage.errorText === '' ? '' : `: ${coverage.errorText}`;
        return unreadable(
          'journal',
          coverage.exitCode === 0
            ? `the journal holds no kernel message of this boot${told}; in a container, mount /var/log/journal and /run/log/journal`
            : `journalctl ended with ${coverage.exitCode ?? 'a signal'}${told}`,
        );
      }
      const collector = createReadCollector({ maximumRecords, ...(since === undefined ? {} : { since }) });
      collector.see(coverage.oldestAt);
      collector.see(coverage.newestAt);
      for (const record of pass.records.toReversed()) collector.keep(record);
      return collector.finish('journal');
    },
  };
}

async function readEntries(
  journal: OutputProcess,
  options: {
    readonly parsers: KernelLogParsers;
    readonly signal: AbortSignal;
    readonly maximumBytes: number;
  },
): Promise<JournalPass> {
  const { parsers, signal, maximumBytes } = options;
  const records: KernelLogRecord[] = [];
  let newestAt: string | null = null;
  let oldestLine: string | undefined;
  let entryCount = 0;
  const emit = (line: string): void => {
    if (!line.startsWith('{')) return;
    entryCount += 1;
    if (entryCount === 1) newestAt = parsers.parseJournalEntry(line)?.at ?? null;
    oldestLine = line;
    const record = recordOfEntry(line, parsers);
    if (record) records.push(record);
  };
  const stop = (): void => journal.kill();
  signal.addEventListener('abort', stop, { once: true });
  try {
    const scanner = createLineScanner({ parsers, everyLine: true });
    let byteCount = 0;
    for await (const chunk of journal.stdout) {
      throwIfAborted(signal, what);
      scanner.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length), emit);
      byteCount += chunk.length;
      if (byteCount >= maximumBytes) {
        journal.kill();
        break;
      }
    }
    if (byteCount < maximumBytes) scanner.end(emit);
    const exitCode = await journal.exited;
    if (signal.aborted) throw abortError(signal, what);
    return {
      records,
      newestAt,
      oldestAt: oldestLine === undefined ? null : (parsers.parseJournalEntry(oldestLine)?.at ?? null),
      entryCount,
      exitCode,
      errorText: journal.errorText(),
    };
  } finally {
    signal.removeEventListener('abort', stop);
    journal.kill();
  }
}

const byteArrayMessage = /"MESSAGE"\s*:\s*\[/;

/** The GPU-related record in one line of `journalctl -o json`. */
export function recordOfEntry(line: string, parsers: KernelLogParsers): KernelLogRecord | undefined {
  // A message that is not plain text comes as an array of bytes, where no search for words finds it.
  if (!parsers.isKernelLogCandidate(line) && !byteArrayMessage.test(line)) return undefined;
  const record = parsers.parseJournalEntry(line);
  return record && parsers.isKernelLogCandidate(record.text) ? record : undefined;
}

export function startFailure(path: string, error: unknown): string {
  const code = errorCodeOf(error);
  if (code === undefined) return messageOf(error);
  return `${code}: ${path} cannot be started`;
}
