import type { KernelLogRecord } from '../domain/event.ts';
import { type RelativeTime, unwrap } from './container-prefix.ts';
import { ExportReader, parseJournalEntry } from './journal.ts';
import { parseKmsgRecord } from './kmsg.ts';
import { isKernelLogCandidate } from './needles.ts';
import { sinceBoot } from './timestamps.ts';

/** Longest line kept as evidence, in characters. */
export const maximumRawLength = 4_096;

export interface KernelLogFormat {
  /** For people: `journal-export`, `journal-json`, `dmesg-relative`, `kmsg`, or `lines`. */
  readonly format: string;
  /** Whether a line's meaning or time depends on lines before it: then every line must be fed, else candidates and the line after each. */
  readonly everyLine: boolean;
}

/** The format of a log, from its first lines. */
export function sniffKernelLogFormat(firstLines: readonly string[]): KernelLogFormat {
  const lines = firstLines.map((line) => line.trim()).filter((line) => line.length > 0);
  if (lines.some((line) => /^__(?:CURSOR|REALTIME_TIMESTAMP)=/.test(line))) {
    return { format: 'journal-export', everyLine: true };
  }
  if (lines.some((line) => line.startsWith('{') && line.includes('"MESSAGE"'))) {
    return { format: 'journal-json', everyLine: true };
  }
  if (lines.some((line) => /^\[ *\+\d+[.,]\d+\]/.test(line)))
    return { format: 'dmesg-relative', everyLine: true };
  if (lines.some((line) => /^\d{1,4},\d+,\d+,[^;]*;/.test(line))) return { format: 'kmsg', everyLine: false };
  return { format: 'lines', everyLine: false };
}

export interface LineReaderOptions {
  /** Milliseconds since 1970: settles years that the log leaves out. */
  readonly nowMilliseconds: number;
  /** ISO 8601; makes times since boot absolute. */
  readonly bootedAt?: string;
  /** Named in every record. */
  readonly file?: string;
}

export interface KernelLogLineReader {
  /** Feeds one line, without its newline; gives the records that it completes. */
  push(line: string, lineNumber: number): readonly KernelLogRecord[];
  /** Gives what was held back. */
  end(): readonly KernelLogRecord[];
}

/**
 * Messages of several lines in one printk, by their first line and those that follow. Some logs give each line its own prefix.
 * The address of a bus loss stands in its first line and the meaning in the third; an API mismatch has a version in each.
 */
const messagesOfSeveralLines: readonly (readonly [opens: RegExp, continues: RegExp])[] = [
  [
    /NVRM: The NVIDIA GPU \S{1,40}\s*$/,
    /^\s*(?:NVRM: )?(?:\(PCI ID:|fallen off the bus|installed in this system)/,
  ],
  [
    /NVRM: API mismatch: [^\n]{0,200}, but\s*$/,
    /^\s*(?:NVRM: )?(?:this kernel module has|make sure that this kernel|components have the same)/,
  ],
];

/** Whether a line goes on with a message that begins with `first`. */
function continuesMessage(first: string, line: string): boolean {
  return messagesOfSeveralLines.some(([opens, continues]) => continues.test(line) && opens.test(first));
}

const lastRepeated = /(?:^|[\s\]])last message repeated (\d{1,9}) times\s*$/;

/**
 * Turns the lines of a log in any text container into records: dmesg in all its forms, raw kmsg and printk, journalctl (short, ISO,
 * JSON, export), syslog (RFC 3164, ISO), Talos, pasted and quoted lines, mixed as they come. Holds one record back, because the next line
 * may continue or repeat it.
 */
export function createKernelLogLineReader(options: LineReaderOptions): KernelLogLineReader {
  return new LineReader(options);
}

class LineReader implements KernelLogLineReader {
  readonly #options: LineReaderOptions;
  readonly #relative: RelativeTime = { milliseconds: undefined };
  readonly #export = new ExportReader();
  #held: KernelLogRecord | undefined;
  #heldLine = 0;

  constructor(options: LineReaderOptions) {
    this.#options = options;
  }

  push(line: string, lineNumber: number): readonly KernelLogRecord[] {
    const raw = line.length > maximumRawLength ? line.slice(0, maximumRawLength) : line;
    const text = clean(line);
    const adjacent = lineNumber === this.#heldLine + 1;
    const times = adjacent ? lastRepeated.exec(text) : null;
    if (times && this.#held) {
      this.#held = { ...this.#held, repeatCount: (this.#held.repeatCount ?? 1) + Number(times[1]) };
      return this.#release();
    }
    const record = this.#parse(line, text, raw);
    const message = record?.text ?? text;
    if (adjacent && this.#held && continuesMessage(firstLine(this.#held.text), message)) {
      this.#held = { ...this.#held, text: `${this.#held.text}\n${message.trim()}` };
      this.#heldLine = lineNumber;
      return [];
    }
    if (!record) return adjacent ? [] : this.#release();
    const released = this.#release();
    const { file } = this.#options;
    this.#held = { ...record, ...(file === undefined ? {} : { file }), line: lineNumber };
    this.#heldLine = lineNumber;
    return released;
  }

  end(): readonly KernelLogRecord[] {
    const last = this.#export.end();
    const released = this.#release();
    return last && isKernelLogCandidate(last.text) ? [...released, last] : released;
  }

  #release(): readonly KernelLogRecord[] {
    const held = this.#held;
    this.#held = undefined;
    return held ? [held] : [];
  }

  #parse(line: string, text: string, raw: string): KernelLogRecord | undefined {
    if (text.startsWith('{')) {
      const entry = parseJournalEntry(text);
      if (entry) return isKernelLogCandidate(entry.text) ? { ...entry, raw } : undefined;
    }
    // The length of a binary field is made of NULs that a cleaned line lacks.
    const exported = this.#export.push(line);
    if (exported !== 'not-export') {
      return exported && isKernelLogCandidate(exported.text) ? exported : undefined;
    }
    const { bootedAt, nowMilliseconds } = this.#options;
    if (/^\d{1,4},\d/.test(text)) {
      const record = parseKmsgRecord(text, bootedAt === undefined ? {} : { bootedAt });
      if (record) return isKernelLogCandidate(record.text) ? { ...record, raw } : undefined;
    }
    const found = unwrap(text, { nowMilliseconds, relative: this.#relative });
    if (!isKernelLogCandidate(found.text)) return undefined;
    const uptimeSeconds = found.uptimeSeconds ?? null;
    const at = found.at ?? (uptimeSeconds === null ? null : sinceBoot(uptimeSeconds, bootedAt));
    return {
      text: found.text.replaceAll('#012', '\n'),
      raw,
      at,
      uptimeSeconds,
      trusted: found.trusted ?? 'unknown',
      ...(found.repeatCount === undefined ? {} : { repeatCount: found.repeatCount }),
    };
  }
}

const firstLine = (text: string) => text.split('\n', 1)[0] ?? '';

/** Terminal colours, carriage returns and NULs are the container's, not the message's. */
function clean(line: string): string {
  const plain = line.includes('\u001b') ? line.replace(/\u001b\[[0-9;]{0,16}[A-Za-z]/g, '') : line;
  const noNul = plain.includes('\0') ? plain.replaceAll('\0', '') : plain;
  return noNul.startsWith('\ufeff') ? noNul.slice(1).trimEnd() : noNul.trimEnd();
}
