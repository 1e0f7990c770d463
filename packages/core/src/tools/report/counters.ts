import type { GpuReading } from '../../domain/gpu.ts';
import type { ReadingPath } from '../../health/rule.ts';
import { readingOf } from '../../health/rule.ts';

/** A counter as a ticket shows it: what it was, what it is. */
export interface CounterRow {
  readonly field: string;
  /** Null when nothing was read before, or the counter was not there. */
  readonly before: number | boolean | null;
  /** Null when it can no longer be read. */
  readonly after: number | boolean | null;
}

/** What a vendor asks for before a GPU is replaced. Counts end in `Count`; lifetime ones say `Aggregate`. */
const reported = [
  'ecc.correctableVolatileCount',
  'ecc.uncorrectableVolatileCount',
  'ecc.correctableAggregateCount',
  'ecc.uncorrectableAggregateCount',
  'ecc.sramUncorrectableAggregateCount',
  'ecc.sramThresholdExceeded',
  'rowRemap.correctableRowCount',
  'rowRemap.uncorrectableRowCount',
  'rowRemap.pending',
  'rowRemap.failureOccurred',
  'rowRemap.retiredPageCount',
  'rowRemap.retiredPagesPending',
  'rowRemap.memoryUnrepairable',
  'pcie.replayCount',
  'pcie.replayRolloverCount',
  'pcie.linkRecoveryCount',
  'pcie.nonFatalErrorCount',
  'pcie.fatalErrorCount',
] as const satisfies readonly ReadingPath[];

/** Summed over the links of a GPU. */
const linkCounters = [
  'replayErrorCount',
  'recoveryErrorCount',
  'crcFlitErrorCount',
  'crcDataErrorCount',
  'effectiveErrorCount',
  'symbolErrorCount',
] as const;

/** Counters of one GPU before and after, those that neither reading has left out. */
export function countersOf(reading: GpuReading, before: GpuReading | undefined): readonly CounterRow[] {
  const rows = reported.map((field) => ({
    field,
    before: (before && readingOf(before, field)) ?? null,
    after: readingOf(reading, field) ?? null,
  }));
  const links = linkCounters.map((leaf) => ({
    field: `nvlink.links.${leaf}`,
    before: before ? sumOf(before, leaf) : null,
    after: sumOf(reading, leaf),
  }));
  return [...rows, ...links].filter((row) => row.before !== null || row.after !== null);
}

/** Whether a counter has anything to say: it counted, it changed, or it can no longer be read. */
export function isTelling({ before, after }: CounterRow): boolean {
  return after === null || Boolean(after) || (before !== null && before !== after);
}

/** Whether it changed since the earlier reading. */
export const hasChanged = ({ before, after }: CounterRow): boolean => before !== null && before !== after;

function sumOf({ nvlink }: GpuReading, leaf: (typeof linkCounters)[number]): number | null {
  let sum: number | null = null;
  for (const link of nvlink?.links ?? []) {
    const count = link[leaf];
    if (typeof count === 'number') sum = (sum ?? 0) + count;
  }
  return sum;
}
