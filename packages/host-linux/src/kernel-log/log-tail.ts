import type { KernelLogRecord } from '@k8s-gpu-mcp/core';

export interface TailBatch {
  /** GPU-related only, oldest first, each given once. */
  readonly records: readonly KernelLogRecord[];
  /** What was lost before it could be read, for people. */
  readonly lost?: string;
  /** When to poll again; 0 when more is waiting already. */
  readonly restMilliseconds: number;
}

/** An open place in a log. */
export interface LogTail {
  /** What was written since the last poll, in bounded pieces. Rejects when the log cannot be read any more. */
  poll(): Promise<TailBatch>;
  /** May be called twice. */
  close(): void;
}

/** A log that can be followed. It remembers how far it was read, so that a new opening goes on there where the log allows it. */
export interface TailSource {
  readonly name: string;
  /** The first time at the log's end. Rejects with the reason when it cannot be read; has read something when it resolves. */
  open(signal: AbortSignal): Promise<LogTail>;
}

export const pollMilliseconds = 250;
