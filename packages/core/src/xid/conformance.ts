import type { Action } from '../domain/verdict.ts';
import { actionOfXid, xidCatalogue } from './catalogue.ts';
import { createKernelLogLineReader } from './container.ts';
import type { XidEntry } from './entries.ts';
import { groupIncidents } from './incidents.ts';
import { parseKernelEvent } from './parse.ts';
import { bucketActions, type VendorBucket, vendorBuckets } from './vendor-buckets.ts';

/** What one plain line of an Xid gives, against what the vendor's bucket for it maps to. */
export interface ConformanceRow {
  readonly xid: number;
  /** The vendor's immediate bucket; null where none is published. */
  readonly bucket: VendorBucket | null;
  readonly expected: Action;
  /** Null when the line gave no incident, or one that is not primary. */
  readonly given: Action | null;
  /** What the answer says for another action than expected: the outcome of the workflow. */
  readonly why?: string;
}

export interface ConformanceTable {
  /** Every vendor bucket, with the one action it maps to. */
  readonly buckets: readonly { readonly bucket: VendorBucket; readonly action: Action }[];
  /** One for each Xid of the catalogue. */
  readonly rows: readonly ConformanceRow[];
  /** The rows whose answer gives another action. */
  readonly exceptions: readonly ConformanceRow[];
}

/** A line as the driver prints it when it has no more to say than the number. */
export const plainXidLine = (xid: number): string => `[ 1000.000000] NVRM: Xid (PCI:0000:3b:00): ${xid}, `;

/** Puts one plain line of every Xid through reader, parser and grouping. Pure; also what the conformance command prints. */
export function conformanceRows(catalogue: readonly XidEntry[] = xidCatalogue): ConformanceTable {
  const rows = catalogue.map((entry): ConformanceRow => {
    const expected = actionOfXid(entry);
    const incident = incidentOf(plainXidLine(entry.code));
    const given = incident?.standing === 'primary' ? incident.action : null;
    const why = incident?.workflow?.outcome;
    return {
      xid: entry.code,
      bucket: entry.immediate,
      expected,
      given,
      ...(given === expected || why === undefined ? {} : { why }),
    };
  });
  return {
    buckets: vendorBuckets.map((bucket) => ({ bucket, action: bucketActions[bucket] })),
    rows,
    exceptions: rows.filter(({ expected, given }) => given !== expected),
  };
}

function incidentOf(line: string) {
  const reader = createKernelLogLineReader({ nowMilliseconds: 0 });
  const records = [...reader.push(line, 1), ...reader.end()];
  return groupIncidents(records.flatMap((record) => parseKernelEvent(record) ?? []))[0];
}
