import { GpuError, type KernelLog, type KernelLogCoverage } from '@k8s-gpu-mcp/core';
import { createFileLog, type FileLogOptions } from './file-log.ts';
import { createJournalLog, type JournalLogOptions } from './journal-log.ts';
import { createKmsgLog, type KmsgLogOptions } from './kmsg-log.ts';
import { coreParsers, type KernelLogParsers } from './parsers.ts';
import { unreadable } from './read-collector.ts';
import { createSyslogLog, type SyslogLogOptions } from './syslog-log.ts';

export type KernelLogSelection = 'auto' | 'kmsg' | 'syslog' | 'journal' | 'none' | `file:${string}`;

export interface AutoKernelLogOptions {
  /** Default: the core's grammar. */
  readonly parsers?: KernelLogParsers;
  readonly kmsg?: Partial<KmsgLogOptions>;
  readonly syslog?: Partial<SyslogLogOptions>;
  readonly journal?: Partial<JournalLogOptions>;
  readonly file?: Partial<FileLogOptions>;
}

/** Narrows what a user typed; throws `GpuError` INVALID_INPUT for anything else. */
export function parseKernelLogSelection(text: string): KernelLogSelection {
  switch (text) {
    case 'auto':
    case 'kmsg':
    case 'syslog':
    case 'journal':
    case 'none':
      return text;
  }
  if (text.startsWith('file:') && text.length > 'file:'.length) return `file:${text.slice('file:'.length)}`;
  throw new GpuError('INVALID_INPUT', `no kernel log source is called ${JSON.stringify(text)}`, {
    hint: 'Use auto, kmsg, syslog, journal, file:PATH or none.',
  });
}

/**
 * The kernel log that `selection` names. `auto` takes, at each read, the first of kmsg, syslog and journal that can be read, and its
 * coverage says why those before it could not. A source named outright is never replaced by another.
 */
export function createAutoKernelLog(
  selection: KernelLogSelection,
  options: AutoKernelLogOptions = {},
): KernelLog {
  const { parsers = coreParsers } = options;
  const kmsg = () => createKmsgLog({ parsers, ...options.kmsg });
  const syslog = () => createSyslogLog({ parsers, ...options.syslog });
  const journal = () => createJournalLog({ parsers, ...options.journal });
  switch (selection) {
    case 'auto':
      return firstReadable([kmsg(), syslog(), journal()]);
    case 'kmsg':
      return kmsg();
    case 'syslog':
      return syslog();
    case 'journal':
      return journal();
    case 'none':
      return {
        read: async () => unreadable('none', 'reading the kernel log is switched off (--kernel-log none)'),
      };
    default:
      return createFileLog(selection.slice('file:'.length), { parsers, ...options.file });
  }
}

/** Asks again at each read: permissions and mounts can change while the process lives, and a refusal is cheap. */
export function firstReadable(sources: readonly KernelLog[]): KernelLog {
  return {
    async read(request) {
      const skipped: NonNullable<KernelLogCoverage['skipped']>[number][] = [];
      for (const source of sources) {
        const read = await source.read(request);
        skipped.push(...(read.coverage.skipped ?? []));
        if (!read.coverage.readable) continue;
        return { ...read, coverage: { ...read.coverage, ...(skipped.length > 0 ? { skipped } : {}) } };
      }
      return { records: [], coverage: { source: null, readable: false, from: null, to: null, skipped } };
    },
  };
}
