import type { GpuReading } from '../domain/gpu.ts';
import { type ComparisonMetric, comparisonMetrics } from './comparison-metrics.ts';

/**
 * Robust outliers among the GPUs of one node: what is unlike its siblings, without a limit that somebody would have to know. A value is
 * an outlier when it is further from the median than both the metric's floor and 3.5 modified z-scores.
 * Source of the score: Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993): 0.6745 (x - median) / MAD, cut at 3.5.
 */
export const modifiedZScoreLimit = 3.5;
const consistency = 0.6745;

/** Fewer have no majority to tell who is the odd one. */
export const minimumCohort = 3;

/** Utilization up to which a GPU is called idle: a monitoring client makes a percent or two. */
const idlePercent = 5;
/** GPUs further from the median utilization of the busy ones than this do not do the same work. */
const likeLoadPercent = 25;

export type Load = 'idle' | 'busy' | 'unlike' | 'unknown';

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** GPUs that are compared with each other. */
export interface Cohort {
  readonly product: string | null;
  readonly migEnabled: boolean;
  /** `any`: for what does not depend on load. */
  readonly load: 'idle' | 'busy' | 'any';
  readonly gpus: readonly number[];
  readonly utilizationPercent: Range | null;
  readonly powerDrawWatts: Range | null;
  /** Of every metric that at least three of them tell. */
  readonly medians: Readonly<Record<string, number>>;
}

export interface Outlier {
  readonly gpu: number;
  readonly metric: string;
  readonly value: number;
  readonly median: number;
  /** Value less median. */
  readonly deviation: number;
  /** Null where all others are alike, so that no spread can be told. */
  readonly modifiedZScore: number | null;
  readonly cohort: readonly number[];
  readonly why: string;
  readonly tool: string;
}

export interface NotCompared {
  readonly gpu: number;
  /** What was left out: everything, or only what depends on load. */
  readonly scope: 'all' | 'load-dependent';
  readonly reason: string;
}

export interface Comparison {
  readonly cohorts: readonly Cohort[];
  readonly outliers: readonly Outlier[];
  readonly notCompared: readonly NotCompared[];
  /** How many GPUs were compared in at least one metric. */
  readonly comparedCount: number;
}

/** One or more readings of one GPU, oldest first: gauges are their median, so a single odd sample does not count. */
export type GpuSeries = readonly [GpuReading, ...GpuReading[]];

interface Member {
  readonly gpu: number;
  readonly series: GpuSeries;
  readonly utilization: number | undefined;
  load: Load;
}

export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  return upper === undefined || lower === undefined ? undefined : (lower + upper) / 2;
}

/** Compares the GPUs of a node. Pure: the same readings give the same answer. */
export function compareGpus(
  series: readonly GpuSeries[],
  metrics: readonly ComparisonMetric[] = comparisonMetrics,
): Comparison {
  const notCompared: NotCompared[] = [];
  const cohorts: Cohort[] = [];
  const outliers: Outlier[] = [];
  const compared = new Set<number>();
  for (const members of bySibling(series, notCompared)) {
    if (members.length < minimumCohort) {
      notCompared.push(...members.map(({ gpu }) => tooFew(gpu, members.length)));
      continue;
    }
    classifyLoad(members);
    for (const load of ['any', 'busy', 'idle'] as const) {
      const alike = load === 'any' ? members : members.filter((member) => member.load === load);
      if (alike.length < minimumCohort) continue;
      const own = metrics.filter((metric) => isComparedAt(metric, load));
      const found = compareCohort(alike, own);
      if (Object.keys(found.medians).length === 0) continue;
      for (const { gpu } of alike) compared.add(gpu);
      cohorts.push(describeCohort(alike, load, found.medians));
      outliers.push(...found.outliers);
    }
    if (metrics.some(({ compared: when }) => when !== 'always')) notCompared.push(...unlikeLoads(members));
  }
  return { cohorts, outliers: outliers.sort(byDeviation), notCompared, comparedCount: compared.size };
}

function isComparedAt({ compared }: ComparisonMetric, load: Cohort['load']): boolean {
  if (load === 'any') return compared === 'always';
  return compared === 'load' || (compared === 'busy' && load === 'busy');
}

/** Siblings are of one product and divided alike; a GPU that did not answer has none. */
function bySibling(series: readonly GpuSeries[], notCompared: NotCompared[]): readonly Member[][] {
  const groups = new Map<string, Member[]>();
  for (const each of series) {
    const [{ gpu, state, mig }] = each;
    if (state !== 'ok') {
      notCompared.push({ gpu: gpu.index, scope: 'all', reason: `it is ${state}` });
      continue;
    }
    const key = JSON.stringify([gpu.name, mig?.enabled === true]);
    const percent = median(each.flatMap((reading) => reading.utilization?.gpuPercent ?? []));
    const member: Member = { gpu: gpu.index, series: each, utilization: percent, load: 'unknown' };
    const known = groups.get(key);
    if (known) known.push(member);
    else groups.set(key, [member]);
  }
  return [...groups.values()];
}

const tooFew = (gpu: number, count: number): NotCompared => ({
  gpu,
  scope: 'all',
  reason: `${count} of its product and MIG mode, ${minimumCohort} are needed to tell the odd one`,
});

function classifyLoad(members: readonly Member[]): void {
  const busy = members.flatMap(({ utilization }) =>
    (utilization ?? 0) > idlePercent ? (utilization ?? []) : [],
  );
  const centre = median(busy);
  for (const member of members) {
    const { utilization } = member;
    if (utilization === undefined) member.load = 'unknown';
    else if (utilization <= idlePercent) member.load = 'idle';
    else if (centre !== undefined && Math.abs(utilization - centre) <= likeLoadPercent) member.load = 'busy';
    else member.load = 'unlike';
  }
}

function unlikeLoads(members: readonly Member[]): NotCompared[] {
  const counts = new Map<Member['load'], number>();
  for (const { load } of members) counts.set(load, (counts.get(load) ?? 0) + 1);
  return members.flatMap(({ gpu, load, utilization }) => {
    if ((load === 'idle' || load === 'busy') && (counts.get(load) ?? 0) >= minimumCohort) return [];
    const reason =
      load === 'unknown'
        ? 'its utilization could not be read'
        : `no ${minimumCohort} siblings with like load (${Math.round(utilization ?? 0)} % utilization)`;
    return [{ gpu, scope: 'load-dependent', reason }];
  });
}

function compareCohort(members: readonly Member[], metrics: readonly ComparisonMetric[]) {
  const medians: Record<string, number> = {};
  const outliers: Outlier[] = [];
  for (const metric of metrics) {
    const values = members.flatMap(({ gpu, series, utilization }) => {
      const value = median(series.flatMap((reading) => metric.read(reading) ?? []));
      return value === undefined ? [] : [{ gpu, value, utilization }];
    });
    if (values.length < minimumCohort) continue;
    const centre = median(values.map(({ value }) => value)) ?? 0;
    const spread = median(values.map(({ value }) => Math.abs(value - centre))) ?? 0;
    medians[metric.name] = round(centre);
    const limit = Math.max(metric.floor(centre), (modifiedZScoreLimit * spread) / consistency);
    const usual = median(values.flatMap(({ utilization }) => utilization ?? []));
    const cohort = values.map(({ gpu }) => gpu);
    for (const { gpu, value, utilization } of values) {
      const deviation = value - centre;
      const isWorse = metric.worse === 'either' || (metric.worse === 'low') === deviation < 0;
      const busier = metric.followsUtilization && usual ? (utilization ?? usual) / usual : 1;
      if (!isWorse || Math.abs(unexplained(value, centre, centre * busier)) <= limit) continue;
      outliers.push({
        gpu,
        metric: metric.name,
        value: round(value),
        median: round(centre),
        deviation: round(deviation),
        modifiedZScore: spread === 0 ? null : round((consistency * deviation) / spread),
        cohort,
        why: metric.why,
        tool: metric.tool,
      });
    }
  }
  return { medians, outliers };
}

/** How far a value is from the range between two expectations. */
function unexplained(value: number, one: number, other: number): number {
  return value - Math.min(Math.max(value, Math.min(one, other)), Math.max(one, other));
}

const round = (value: number) => Math.round(value * 100) / 100;

function describeCohort(
  members: readonly Member[],
  load: Cohort['load'],
  medians: Readonly<Record<string, number>>,
): Cohort {
  const [first] = members;
  const reading = first?.series[0];
  return {
    product: reading?.gpu.name ?? null,
    migEnabled: reading?.mig?.enabled === true,
    load,
    gpus: members.map(({ gpu }) => gpu),
    utilizationPercent: rangeOf(members.flatMap(({ utilization }) => utilization ?? [])),
    powerDrawWatts: rangeOf(
      members.flatMap(({ series }) => median(series.flatMap(({ power }) => power?.drawWatts ?? [])) ?? []),
    ),
    medians,
  };
}

const rangeOf = (values: readonly number[]): Range | null =>
  values.length === 0 ? null : { min: round(Math.min(...values)), max: round(Math.max(...values)) };

/** How many times the median a value is off; the order in which a person wants them. */
const weight = ({ deviation, median: centre }: Outlier) =>
  Math.abs(deviation) / Math.max(1, Math.abs(centre));
const byDeviation = (a: Outlier, b: Outlier) => weight(b) - weight(a) || a.gpu - b.gpu;
