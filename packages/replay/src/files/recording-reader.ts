import {
  createKernelLogLineReader,
  isKernelLogCandidate,
  type KernelLogLineReader,
  type KernelLogRecord,
  parseApplicationError,
} from '@k8s-gpu-mcp/core';
import { isFabricManagerLine, parseFabricManagerLine } from '../formats/fabric-manager.ts';
import type { UnreadPart } from '../recording.ts';
import type { RecordedFormat } from '../recordings.ts';
import type { Section } from '../sections/section.ts';
import { Splitter } from '../sections/splitter.ts';
import type { Findings } from './findings.ts';
import { looksLikeKernelLine, looksLikeLogLine } from './log-lines.ts';
import { readSection } from './read-section.ts';
import { headingOf, isReportTitle } from './report-headings.ts';
import { UnreadList } from './unread-list.ts';

export interface ReaderOptions {
  readonly nowMilliseconds: number;
  readonly maximumSectionCharacters: number;
  /** The format hides kernel messages from a search for words: every loose line is parsed. */
  readonly everyLine: boolean;
}

/** In characters; the kernel ends a message much sooner, a line of binary data does not. */
const longestMessage = 16 * 1024;
/** What is remembered to tell the second copy of a message: how many, and how long each. */
const rememberedMessages = { count: 20_000, characters: 4_096 } as const;

const linesOfWarnings = 64;
/** What nvidia-smi prints below its output for each GPU whose InfoROM does not check. */
const inforomWarning = /^\s{0,16}WARNING: infoROM is corrupted at gpu ([0-9a-fA-F:.]{7,20})\s*$/i;

export const errorMessageReason = 'the message of a command that failed';
/** A shell, or a program, that could not do what was asked: no log in which nothing happened. */
const shellError =
  /command not found|: not found$|No such file or directory|Permission denied|Operation not permitted/i;

/** Lines after one about a GPU that may go on with its message. */
const linesAfter = 3;

/** Reads one file of mixed content line by line: outputs of known commands to their parsers, log lines to theirs, the rest is listed. */
export class RecordingReader {
  readonly formats = new Set<RecordedFormat>();
  recordCount = 0;
  gpuCount = 0;
  readonly #file: string;
  readonly #findings: Findings;
  readonly #options: ReaderOptions;
  readonly #unread: UnreadList;
  readonly #splitter: Splitter;
  readonly #kernelLines: KernelLogLineReader;
  /** Messages of the journal's part of a bug report: its dmesg part tells the same ones again. */
  readonly #told = new Map<string, number>();
  #owed = 0;
  #region = newRegion();
  #saysItFailed = false;
  #isReport = false;
  #awaitsHeading = false;
  #heading: { readonly text: string; readonly line: number } | undefined;

  constructor(file: string, findings: Findings, options: ReaderOptions) {
    this.#file = file;
    this.#findings = findings;
    this.#options = options;
    this.#unread = new UnreadList(file);
    this.#kernelLines = createKernelLogLineReader({ nowMilliseconds: options.nowMilliseconds, file });
    this.#splitter = new Splitter(
      {
        section: (section) => this.#section(section),
        loose: (line, lineNumber) => this.#loose(line, lineNumber),
        banner: () => this.#banner(),
      },
      options.maximumSectionCharacters,
    );
  }

  readonly push = (line: string, lineNumber: number, isCut: boolean): void => {
    if (isCut) this.#unread.add(lineNumber, 'rest of a line', 'longer than 1 MiB');
    this.#splitter.push(line, lineNumber);
  };

  /** What could not be read, once all lines were pushed. `isDamaged`: the file broke off, so its last line may be half of one. */
  end(isDamaged: boolean): readonly UnreadPart[] {
    this.#splitter.end(isDamaged);
    for (const record of this.#kernelLines.end()) this.#keep(record);
    this.#endRegion();
    if (this.formats.size > 0) return this.#unread.finish();
    const reason = this.#saysItFailed ? errorMessageReason : 'in no format that is known';
    return [{ file: this.#file, line: 1, part: 'whole file', reason }];
  }

  #section(section: Section): void {
    const read = readSection(section, this.#file, this.#findings);
    // nvidia-smi prints its warnings after everything else.
    const tailStart = Math.max(0, section.lines.length - linesOfWarnings);
    for (const [offset, line] of section.lines.slice(tailStart).entries())
      this.#warning(line, section.firstLine + tailStart + offset);
    if (section.isCut)
      this.#unread.add(section.firstLine + section.lines.length, 'rest of a section', 'too long');
    if (read === 'not-understood') {
      // Somebody else's JSON: a log line may stand in it.
      for (const [offset, line] of section.lines.entries()) this.#loose(line, section.firstLine + offset);
      return;
    }
    // What stands under this heading is used.
    this.#heading = undefined;
    this.#endRegion();
    for (const format of read.formats) this.formats.add(format);
    this.gpuCount = Math.max(this.gpuCount, read.gpuCount);
    for (const part of read.unread) this.#unread.push(part);
  }

  #banner(): void {
    this.#endRegion();
    this.#awaitsHeading = true;
  }

  #loose(line: string, lineNumber: number): void {
    const text = line.trim();
    if (text === '') return;
    if (this.#awaitsHeading) {
      this.#awaitsHeading = false;
      this.#heading = { text, line: lineNumber };
      this.#isReport ||= isReportTitle(text);
      if (isReportTitle(text)) this.formats.add('nvidia-bug-report');
      return;
    }
    this.#region.firstLine ??= lineNumber;
    if (lineNumber === 1) this.#saysItFailed = shellError.test(text);
    const isCandidate = isKernelLogCandidate(line);
    if (isCandidate || this.#owed > 0 || this.#options.everyLine) {
      this.#owed = isCandidate ? linesAfter : Math.max(0, this.#owed - 1);
      const message = line.length > longestMessage ? line.slice(0, longestMessage) : line;
      for (const record of this.#kernelLines.push(message, lineNumber)) this.#keep(record);
      if (isCandidate) this.#region.isLog = true;
    }
    if (this.#warning(line, lineNumber)) return;
    const place = { file: this.#file, line: lineNumber };
    if (isFabricManagerLine(line)) {
      this.#region.isLog = true;
      this.formats.add('fabric manager log');
      const event = parseFabricManagerLine(line, place);
      if (event) this.#findings.addApplicationError(event);
      return;
    }
    const error = parseApplicationError(line, place);
    if (error) {
      this.#findings.addApplicationError(error);
      this.formats.add('program log');
      this.#region.isLog = true;
      return;
    }
    if (looksLikeKernelLine(line)) {
      this.formats.add('kernel log');
      this.#region.isLog = true;
    } else if (this.#region.isLog || looksLikeLogLine(line)) this.#region.isLog = true;
    else if (!isDecoration(text)) this.#region.textCount += 1;
  }

  #warning(line: string, lineNumber: number): boolean {
    const address = inforomWarning.exec(line)?.[1];
    if (address === undefined) return false;
    this.#findings.addInforomWarning(address, { file: this.#file, line: lineNumber });
    return true;
  }

  #keep(record: KernelLogRecord): void {
    if (!isKernelLogCandidate(record.text)) return;
    this.formats.add('kernel log');
    if (this.#isReport && this.#isRepeated(record)) return;
    this.recordCount += 1;
    this.#findings.kernelRecords.keep(record);
  }

  /** nvidia-bug-report.sh collects the kernel's messages from the journal and from dmesg. */
  #isRepeated({ text, at, uptimeSeconds }: KernelLogRecord): boolean {
    const count = this.#told.get(text) ?? 0;
    if (at !== null) {
      const { count: most, characters } = rememberedMessages;
      if (this.#told.size < most && text.length <= characters) this.#told.set(text, count + 1);
      return false;
    }
    if (count === 0 || uptimeSeconds === null) return false;
    this.#told.set(text, count - 1);
    return true;
  }

  #endRegion(): void {
    const { firstLine, textCount, isLog } = this.#region;
    const heading = this.#heading;
    this.#region = newRegion();
    this.#heading = undefined;
    this.#awaitsHeading = false;
    if (isLog) return;
    if (heading) {
      if (!isReportTitle(heading.text)) {
        this.#unread.add(heading.line, headingOf(heading.text), 'nothing in it is used');
      }
    } else if (firstLine !== undefined && textCount > 0) {
      this.#unread.add(firstLine, 'text between', 'in no format that is known');
    }
  }
}

interface Region {
  firstLine: number | undefined;
  textCount: number;
  isLog: boolean;
}

const newRegion = (): Region => ({ firstLine: undefined, textCount: 0, isLog: false });

/** Prompts, fences and rulers that come with a pasted output. */
const isDecoration = (text: string) =>
  /^(?:```|~~~|[-=#*_+|]{3,}|[$#>] |\S{1,64}[$#] |\[?\.{3}\]?$)/.test(text);
