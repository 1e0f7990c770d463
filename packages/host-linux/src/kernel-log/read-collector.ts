import type { KernelLogCoverage, KernelLogRead, KernelLogRecord } from '@k8s-gpu-mcp/core';

export const defaultMaximumRecords = 20_000;

export interface ReadCollector {
  /** A GPU-related record, oldest first. Left out when known to be older than `since`. */
  keep(record: KernelLogRecord): void;
  /** The time of any record, so that coverage spans all of them. */
  see(at: string | null | undefined): void;
  lose(recordCount: number): void;
  finish(source: string, more?: Partial<KernelLogCoverage>): KernelLogRead;
}

/** Gathers one read: the newest records up to a bound, what was dropped, and the time that the log covers. */
export function createReadCollector(options: {
  readonly maximumRecords?: number;
  readonly since?: string;
}): ReadCollector {
  const maximumRecords = options.maximumRecords ?? defaultMaximumRecords;
  const sinceMilliseconds = options.since === undefined ? Number.NaN : Date.parse(options.since);
  let records: KernelLogRecord[] = [];
  let lostRecordCount = 0;
  let from: string | null = null;
  let to: string | null = null;

  const see = (at: string | null | undefined): void => {
    if (at === null || at === undefined) return;
    const milliseconds = Date.parse(at);
    if (Number.isNaN(milliseconds)) return;
    if (from === null || milliseconds < Date.parse(from)) from = at;
    if (to === null || milliseconds > Date.parse(to)) to = at;
  };
  const dropOldest = (): void => {
    const excess = records.length - maximumRecords;
    if (excess <= 0) return;
    lostRecordCount += excess;
    records = records.slice(excess);
  };

  return {
    see,
    keep(record) {
      see(record.at);
      if (record.at !== null && Date.parse(record.at) < sinceMilliseconds) return;
      records.push(record);
      if (records.length >= 2 * maximumRecords + 1) dropOldest();
    },
    lose(recordCount) {
      lostRecordCount += recordCount;
    },
    finish(source, more = {}) {
      dropOldest();
      return {
        records,
        coverage: {
          source,
          readable: true,
          from,
          to,
          ...(lostRecordCount > 0 ? { lostRecordCount } : {}),
          ...more,
        },
      };
    },
  };
}

/** What a read answers when its source could not be read. */
export function unreadable(source: string, reason: string): KernelLogRead {
  return {
    records: [],
    coverage: { source: null, readable: false, from: null, to: null, skipped: [{ source, reason }] },
  };
}
