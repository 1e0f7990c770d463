import { sameLink } from '../diagnosis/interconnect.ts';
import { medianOf } from '../diagnosis/statistics.ts';
import type { GpuReading } from '../domain/gpu.ts';
import type { NvLink } from '../domain/readings/nvlink.ts';
import {
  missing,
  type ReadingPath,
  type RuleContext,
  type RuleFinding,
  type RuleOutcome,
  readingOf,
} from './rule.ts';

// What a reading is weighed against: what it was before, what its siblings are, and whether the GPU works at all.

/** How much a counter grew between two readings, and in what time. */
export interface Growth {
  readonly increase: number;
  readonly seconds: number;
}

/** Undefined when there is no earlier reading, no time between them, or the earlier one is of counters that began again since. */
export function secondsSince(reading: GpuReading, baseline: GpuReading | undefined): number | undefined {
  if (!baseline) return undefined;
  const seconds = (Date.parse(reading.observedAt) - Date.parse(baseline.observedAt)) / 1_000;
  return seconds > 0 ? seconds : undefined;
}

export function growthOf(
  reading: GpuReading,
  baseline: GpuReading | undefined,
  path: ReadingPath,
): Growth | undefined {
  const before = baseline && readingOf(baseline, path);
  const now = readingOf(reading, path);
  if (typeof before !== 'number' || typeof now !== 'number' || now < before) return undefined;
  const seconds = secondsSince(reading, baseline);
  return seconds === undefined ? undefined : { increase: now - before, seconds };
}

/** A rule on what a counter grew by; the first reading of a GPU has nothing to compare with. */
export function whenGrown(
  path: ReadingPath,
  toFinding: (growth: Growth, context: RuleContext) => RuleFinding | undefined,
) {
  return (reading: GpuReading, context: RuleContext): RuleOutcome => {
    if (readingOf(reading, path) === undefined) return missing(reading, path);
    const growth = growthOf(reading, context.baseline, path);
    if (!growth) return 'not-judged';
    const raised = growth.increase > 0 ? toFinding(growth, context) : undefined;
    return raised ? { finding: raised } : 'pass';
  };
}

type LinkCounter = Extract<keyof NvLink, `${string}Count`>;

export interface LinkGrowth extends Growth {
  readonly links: readonly number[];
}

/** The same over the counters of all links of a GPU, each compared with itself. */
export function whenLinksGrown(
  counters: readonly LinkCounter[],
  toFinding: (growth: LinkGrowth, context: RuleContext) => RuleFinding | undefined,
) {
  return (reading: GpuReading, context: RuleContext): RuleOutcome => {
    const links = readingOf(reading, 'nvlink.links');
    if (links === undefined) return missing(reading, 'nvlink.links');
    if (!links.some((link) => counters.some((counter) => link[counter] !== null)))
      return missingOfLinks(reading, links, counters);
    const seconds = secondsSince(reading, context.baseline);
    const before = context.baseline?.nvlink?.links;
    if (seconds === undefined || !before) return 'not-judged';
    const grown = links.flatMap((link, position) => {
      const earlier = sameLink(before, link, position);
      const increase = counters.reduce(
        (sum, counter) =>
          sum + Math.max(0, (link[counter] ?? 0) - (earlier?.[counter] ?? link[counter] ?? 0)),
        0,
      );
      return increase > 0 ? [{ link: link.link, increase }] : [];
    });
    if (grown.length === 0) return 'pass';
    const increase = grown.reduce((sum, each) => sum + each.increase, 0);
    const raised = toFinding({ increase, seconds, links: grown.map(({ link }) => link) }, context);
    return raised ? { finding: raised } : 'pass';
  };
}

/** What a rule answers when no link tells any of the leaves it needs. */
export function missingOfLinks(
  reading: GpuReading,
  links: readonly NvLink[],
  leaves: readonly (keyof NvLink)[],
): RuleOutcome {
  if (links.length === 0) return 'not-applicable';
  const gaps = leaves.map((leaf) => reading.gaps.find(({ field }) => field === `nvlink.links.${leaf}`));
  const unread = gaps.find((gap) => gap && gap.reason !== 'unsupported');
  if (unread) return { unknown: { field: unread.field, reason: unread.reason, detail: unread.detail } };
  return 'not-applicable';
}

/** Whether a GPU works. Speeds, clocks and power say something only of one that does. */
export type Load = 'busy' | 'idle' | 'unknown';

/** The numbers are ours. A driver that is loaded for the question alone may say 100 % for a moment, so rules look at more than this. */
const busy = { utilizationPercent: 50, shareOfPowerLimit: 0.5 } as const;

export function loadOf(reading: GpuReading): Load {
  if (readingOf(reading, 'clocks.eventReasons')?.includes('idle')) return 'idle';
  const utilization =
    readingOf(reading, 'utilization.gpuPercent') ?? readingOf(reading, 'profiling.graphicsActivePercent');
  const [draw, limit] = [
    readingOf(reading, 'power.drawWatts'),
    readingOf(reading, 'power.enforcedLimitWatts'),
  ];
  const drawsMuch = draw !== undefined && limit !== undefined && draw >= limit * busy.shareOfPowerLimit;
  if (drawsMuch || (utilization ?? 0) >= busy.utilizationPercent) return 'busy';
  return utilization === undefined ? 'unknown' : 'idle';
}

/** Performance state as a number: 0 is the fastest. Undefined where it is not told. */
export function performanceStateOf(reading: GpuReading): number | undefined {
  const match = /^P(\d{1,2})$/.exec(readingOf(reading, 'clocks.performanceState') ?? '');
  return match ? Number(match[1]) : undefined;
}

/** The siblings of the same product that answered. */
export const peersOf = (reading: GpuReading, { siblings }: RuleContext): readonly GpuReading[] =>
  siblings.filter(({ gpu, state }) => state === 'ok' && gpu.name !== null && gpu.name === reading.gpu.name);

/** The median of a reading over the siblings of the same product; undefined for none. */
export const usualOf = (peers: readonly GpuReading[], path: ReadingPath): number | undefined =>
  medianOf(
    peers.flatMap((peer) => {
      const value = readingOf(peer, path);
      return typeof value === 'number' ? [value] : [];
    }),
  );

/** What more than half of the siblings say; undefined when they do not agree. */
export function majorityOf<T>(values: readonly T[]): T | undefined {
  return values.find((value) => values.filter((each) => each === value).length * 2 > values.length);
}

/** A span in words: `40 s`, `12 min`, `3.5 h`. */
export function inWords(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3_600).toFixed(1)} h`;
}

export const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;
