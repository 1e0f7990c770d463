import {
  createKernelLogLineReader,
  isKernelLogCandidate,
  kernelLogNeedles,
  parseJournalEntry,
  parseKmsgRecord,
  parsePrintkLine,
  sniffKernelLogFormat,
} from '@k8s-gpu-mcp/core';
import type { KernelLogParsers } from '@k8s-gpu-mcp/host-linux';

/** What core knows of messages, for the sources that only know bytes. */
export const kernelLogParsers: KernelLogParsers = {
  kernelLogNeedles,
  isKernelLogCandidate,
  sniffKernelLogFormat,
  createKernelLogLineReader,
  parseKmsgRecord,
  parsePrintkLine,
  parseJournalEntry,
};
