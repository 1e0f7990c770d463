import type { KernelLogRecord } from '../domain/event.ts';
import type { WatchNotice } from './gpu-event-source.ts';

export interface KernelLogRequest {
  /** ISO 8601: records known to be older are left out. */
  readonly since?: string;
  readonly signal: AbortSignal;
}

/** What the log could tell; every answer that uses it carries this. */
export interface KernelLogCoverage {
  /** `kmsg`, `syslog`, `journal`, `file:PATH`, `mock`; null when no source could be read. */
  readonly source: string | null;
  readonly readable: boolean;
  /** ISO 8601 of the oldest and newest record seen (not only of GPU errors); null when the source does not tell. */
  readonly from: string | null;
  readonly to: string | null;
  /** Sources that were tried first, and why they could not be read. */
  readonly skipped?: readonly { readonly source: string; readonly reason: string }[];
  /** Records the kernel overwrote before they could be read, or that were over the cap. */
  readonly lostRecordCount?: number;
  /** When the source shows only time since boot, and the boot time is known. ISO 8601. */
  readonly bootedAt?: string;
}

export interface KernelLogRead {
  /** GPU-related records only (`isKernelLogCandidate`), oldest first. */
  readonly records: readonly KernelLogRecord[];
  readonly coverage: KernelLogCoverage;
}

/** The port to the kernel's messages. */
export interface KernelLog {
  /** Never rejects for an unreadable source: coverage says so. Rejects with `GpuError` TIMEOUT or CANCELLED when `signal` aborts. */
  read(request: KernelLogRequest): Promise<KernelLogRead>;
}

/** The port to the kernel's messages as they are written. */
export interface KernelLogFollower {
  /**
   * GPU-related records (`isKernelLogCandidate`) from now on, each once. Ends when `signal` aborts and never throws: a source that cannot be
   * read, or that lost records, is a notice.
   */
  follow(signal: AbortSignal): AsyncIterable<KernelLogRecord | WatchNotice>;
}
