import type { Action } from '../domain/verdict.ts';
import { actionOfXid, xidCatalogue } from './catalogue.ts';
import { createKernelLogLineReader } from './container.ts';
import type { XidEntry } from './entries.ts';
import { groupIncidents } from './incidents.ts';
import { parseKernelEvent } from './parse.ts';
import { bucketActions, type VendorBucket, vendorBuckets } from './vendor-buckets.ts';

/** What one line of an Xid gives, against what the vendor's bucket for it maps to. */
export interface ConformanceRow {
  readonly xid: number;
  /** `plain`: the number and nothing else. `with-process`: pid and name as well, as drivers print them when they know. */
  readonly line: 'plain' | 'with-process';
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
  /** Two for each Xid of the catalogue. */
  readonly rows: readonly ConformanceRow[];
  /** The rows whose answer gives another action. */
  readonly exceptions: readonly ConformanceRow[];
}

const lineEnds = [
  ['plain', ''],
  ['with-process', 'pid=4711, name=python3, '],
] as const;

/** Puts single lines of every Xid, each alone in its log, through reader, parser and grouping. Pure; also what the conformance command prints. */
export function conformanceRows(catalogue: readonly XidEntry[] = xidCatalogue): ConformanceTable {
  const rows = catalogue.flatMap((entry) =>
    lineEnds.map(([line, rest]): ConformanceRow => {
      const expected = actionOfXid(entry);
      const incident = incidentOf(`[ 1000.000000] NVRM: Xid (PCI:0000:3b:00): ${entry.code}, ${rest}`);
      const given = incident?.standing === 'primary' ? incident.action : null;
      const why = incident?.workflow?.outcome;
      return {
        xid: entry.code,
        line,
        bucket: entry.immediate,
        expected,
        given,
        ...(given === expected || why === undefined ? {} : { why }),
      };
    }),
  );
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
