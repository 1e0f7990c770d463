import {
  createKernelLogLineReader,
  isKernelLogCandidate,
  type KernelLogLineReader,
  type KernelLogRecord,
  kernelLogNeedles,
  parseJournalEntry,
  parseKmsgRecord,
  parsePrintkLine,
  sniffKernelLogFormat,
} from '@k8s-gpu-mcp/core';

/**
 * What the sources need to know about messages. A parameter of each, so that the byte handling here can
 * be tested and measured apart from the grammar of messages, which is the core's.
 */
export interface KernelLogParsers {
  /** Every line that can matter contains at least one of these ASCII strings. */
  readonly kernelLogNeedles: readonly string[];
  isKernelLogCandidate(text: string): boolean;
  /** `everyLine`: the format hides messages from a byte search (escapes, byte arrays), so each line has to be parsed. */
  sniffKernelLogFormat(firstLines: readonly string[]): {
    readonly format: string;
    readonly everyLine: boolean;
  };
  createKernelLogLineReader(options: {
    readonly nowMilliseconds: number;
    readonly bootedAt?: string;
    readonly file?: string;
  }): KernelLogLineReader;
  /** One record as `/dev/kmsg` gives it, continuation lines included. */
  parseKmsgRecord(record: string, options: { readonly bootedAt?: string }): KernelLogRecord | undefined;
  /** One `<prefix>[seconds] text` line as syslog(2) gives it. */
  parsePrintkLine(line: string, options: { readonly bootedAt?: string }): KernelLogRecord | undefined;
  /** One line of `journalctl -o json`. */
  parseJournalEntry(json: string): KernelLogRecord | undefined;
}

export const coreParsers: KernelLogParsers = {
  kernelLogNeedles,
  isKernelLogCandidate,
  sniffKernelLogFormat,
  createKernelLogLineReader,
  parseKmsgRecord,
  parsePrintkLine,
  parseJournalEntry,
};
