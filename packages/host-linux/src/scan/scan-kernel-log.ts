import { GpuError, type KernelLogRecord } from '@k8s-gpu-mcp/core';
import { coreParsers, type KernelLogParsers } from '../kernel-log/parsers.ts';
import { orAborted, throwIfAborted } from '../os/abort.ts';
import { type ByteSource, readBytes } from './byte-source.ts';
import { createLineScanner } from './line-scanner.ts';
import { peek, plainText } from './plain-text.ts';

export interface ScanKernelLogOptions {
  /** Default: the core's grammar. */
  readonly parsers?: KernelLogParsers;
  /** For timestamps without a year; default: now. */
  readonly nowMilliseconds?: number;
  /** ISO 8601 boot time of the machine that wrote the log, for timestamps that count from boot. */
  readonly bootedAt?: string;
  readonly signal?: AbortSignal;
  /** Ends the scan of gzip data that inflates to more; default 16 GiB. */
  readonly maximumInflatedBytes?: number;
  /** Bytes read at once; default 512 KiB. */
  readonly chunkBytes?: number;
  /** Longer lines are parsed in pieces of this size; default 64 KiB. */
  readonly maximumLineBytes?: number;
}

const what = 'scanning the kernel log';
const sniffBytes = 64 * 1024;
const sniffLines = 100;

/**
 * The GPU-related records of a kernel log of any size, in input order, with file name and line number. Memory stays at a few chunks.
 *
 * Reads plain text, gzip and UTF-16 with a byte order mark; invalid UTF-8 becomes U+FFFD. Throws `GpuError`: INVALID_INPUT (missing, a
 * directory, a device, another compression, damaged gzip - after the records before the damage - or one that inflates beyond the
 * bound), NO_PERMISSION, UNAVAILABLE (read error), TIMEOUT or CANCELLED (`signal`).
 */
export async function* scanKernelLog(
  source: ByteSource,
  options: ScanKernelLogOptions = {},
): AsyncGenerator<KernelLogRecord, void, void> {
  const { parsers = coreParsers, signal, bootedAt } = options;
  const name = 'path' in source ? source.path : source.name;
  throwIfAborted(signal, what);
  const bytes = readBytes(source, options.chunkBytes ?? 1024 * 1024);
  const text = plainText(signal ? untilAborted(bytes, signal) : bytes, {
    name,
    maximumInflatedBytes: options.maximumInflatedBytes ?? 16 * 1024 ** 3,
  });
  const start = await peek(text, sniffBytes);
  const { everyLine } = parsers.sniffKernelLogFormat(firstLines(start.head));
  const scanner = createLineScanner({ ...options, parsers, everyLine });
  const reader = parsers.createKernelLogLineReader({
    nowMilliseconds: options.nowMilliseconds ?? Date.now(),
    file: name,
    ...(bootedAt === undefined ? {} : { bootedAt }),
  });

  let found: KernelLogRecord[] = [];
  // The reader also sees lines that only continue others.
  const wanted = (record: KernelLogRecord): boolean => parsers.isKernelLogCandidate(record.text);
  const emit = (line: string, lineNumber: number): void => {
    for (const record of reader.push(line, lineNumber)) if (wanted(record)) found.push(record);
  };
  let failure: { readonly error: unknown } | undefined;
  try {
    for await (const chunk of start.all) {
      scanner.push(chunk, emit);
      if (found.length === 0) continue;
      yield* found;
      found = [];
    }
  } catch (error) {
    // What was read before the damage counts; who cancelled wants nothing more.
    if (signal?.aborted || !(error instanceof GpuError)) throw error;
    failure = { error };
  }
  scanner.end(emit);
  found.push(...reader.end().filter(wanted));
  yield* found;
  if (failure) throw failure.error;
}

/** The first lines as text; the last of them only when it is complete, or alone. */
export function firstLines(head: Buffer): readonly string[] {
  let end = -1;
  for (let count = 0; count < sniffLines; count += 1) {
    const lineEnd = head.indexOf('\n', end + 1);
    if (lineEnd < 0) break;
    end = lineEnd;
  }
  const lines = head.toString('utf8', 0, end < 0 ? head.length : end).split('\n');
  return lines.map((line) => line.replace(/\r$/, ''));
}

/** Passes chunks on and stops waiting for the next one when `signal` aborts, even when the source never answers. */
async function* untilAborted(
  source: AsyncGenerator<Buffer, void, void>,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, void> {
  try {
    for (;;) {
      const next = await orAborted(source.next(), signal, what);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // Not awaited after an abort: a source that hangs would hang its closing too.
    const closed = source.return();
    if (signal.aborted) closed.catch(() => undefined);
    else await closed;
  }
}
