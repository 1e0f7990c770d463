import type { Gap } from '../domain/gap.ts';
import { type GpuReading, type GpuSection, gpuSections } from '../domain/gpu.ts';
import { gpuSectionLeaves } from '../sample.ts';
import { counterOf, gaugeOf, sharesOf, type TimedValue } from './statistics.ts';

/**
 * How a leaf is told over a window. `gauge`: min, mean, max and last. `counter`: how much it grew, and how fast. `duty-cycle`: the
 * growth of a time as a percentage of the window. `shares`: how often each member of a list was there. `last`: what it was at the end.
 */
export type LeafKind = 'gauge' | 'counter' | 'duty-cycle' | 'shares' | 'last';

const counting: ReadonlySet<GpuSection> = new Set(['ecc', 'rowRemap', 'pcie', 'nvlink']);
const measuring: ReadonlySet<GpuSection> = new Set([
  'memory',
  'thermal',
  'power',
  'clocks',
  'utilization',
  'profiling',
  'pcie',
  'pcieTraffic',
]);
/** Limits, thresholds and settings: numbers that nothing measures. */
const settings =
  /^(?:max|deviceMax|default|application|total|bar1Total)[A-Z]|Threshold|LimitWatts$|^(?:slowdown|shutdown|memoryMax|maxOperating)Margin|^index$/;

/** By the names of the leaves, which say what they are: those of counters end in `Count` in the sections that count. */
export function leafKind(section: GpuSection, leaf: string): LeafKind {
  if (section === 'violations') return 'duty-cycle';
  if (section === 'clocks' && leaf === 'eventReasons') return 'shares';
  if ((counting.has(section) && leaf.endsWith('Count')) || leaf === 'energyJoules') return 'counter';
  return measuring.has(section) && !settings.test(leaf) ? 'gauge' : 'last';
}

/** The lists whose members are told one by one, and the key that tells which member is which. */
const memberKeys: Readonly<Record<string, string>> = {
  'nvlink.links': 'link',
  'ecc.locations': 'location',
  'thermal.fans': 'index',
};

type Values = Readonly<Record<string, unknown>>;
interface Sample {
  readonly atMilliseconds: number;
  readonly value: unknown;
}

/** The readings of one GPU over a window, each leaf summarised by its kind. */
export interface WindowedReading {
  /** By section and leaf; a leaf that was never read is null. Leaves of other kinds have other names: see `keyOf`. */
  readonly sections: { readonly [S in GpuSection]?: Values };
  /** Those of the last reading, and why a counter's growth is not known. */
  readonly gaps: readonly Gap[];
  /** Readings that succeeded, and the time from the first to the last of them. */
  readonly sampleCount: number;
  readonly elapsedMilliseconds: number;
}

/** `powerMicroseconds` becomes `powerPercent`, `eventReasons` becomes `eventReasonsPercent`; others keep their name. */
export function keyOf(section: GpuSection, leaf: string): string {
  const kind = leafKind(section, leaf);
  if (kind === 'duty-cycle') return leaf.replace(/Microseconds$/, 'Percent');
  return kind === 'shares' ? `${leaf}Percent` : leaf;
}

/** Pure. The readings are of one GPU, oldest first; those that failed count only for their gaps. */
export function windowOf(readings: readonly GpuReading[]): WindowedReading {
  const read = readings.filter(({ state }) => state === 'ok');
  const times = read.map(({ observedAt }) => Date.parse(observedAt));
  const gpu = readings[0]?.gpu.index;
  const gaps: Gap[] = [...(readings.at(-1)?.gaps ?? [])];
  const lose = (field: string, detail: string) => {
    const gap = { field, reason: 'not-observable', detail } as const;
    if (!gaps.some((each) => each.field === field && each.detail === detail))
      gaps.push(gpu === undefined ? gap : { gpu, ...gap });
  };
  const sections = gpuSections.flatMap((section) => {
    if (!read.some((reading) => reading[section])) return [];
    const entries = gpuSectionLeaves[section].map((leaf) => {
      const samples = read.flatMap((reading, index) => {
        const value = (reading[section] as Values | undefined)?.[leaf] ?? null;
        return value === null ? [] : [{ atMilliseconds: times[index] ?? Number.NaN, value }];
      });
      const field = `${section}.${leaf}`;
      const key = memberKeys[field];
      const value = key
        ? members(section, field, key, samples, lose)
        : told(section, leaf, field, samples, lose);
      return [keyOf(section, leaf), value] as const;
    });
    return [[section, Object.fromEntries(entries)] as const];
  });
  return {
    sections: Object.fromEntries(sections),
    gaps,
    sampleCount: read.length,
    // A clock that was set back meanwhile tells no time.
    elapsedMilliseconds: Math.max(0, (times.at(-1) ?? 0) - (times[0] ?? 0)),
  };
}

type Lose = (field: string, detail: string) => void;

function told(
  section: GpuSection,
  leaf: string,
  field: string,
  samples: readonly Sample[],
  lose: Lose,
): unknown {
  const last = samples.at(-1);
  if (!last) return null;
  const kind = leafKind(section, leaf);
  if (kind === 'shares')
    return sharesOf(samples.flatMap(({ value }) => (Array.isArray(value) ? [value.map(String)] : [])));
  const numbers = samples.filter((sample): sample is TimedValue => typeof sample.value === 'number');
  if (numbers.length === 0 || kind === 'last') return last.value;
  if (kind === 'gauge') return gaugeOf(numbers.map(({ value }) => value)) ?? null;
  const growth = counterOf(numbers);
  if (growth === 'too-few') lose(field, 'read once in the window: there is nothing to compare with');
  else if (growth === 'went-back') lose(field, 'the counter went back during the window, as after a reset');
  else if (kind === 'counter') return growth;
  // Read a moment after the clock was, so that a GPU held back all the time may seem to exceed it.
  else return Math.min(100, Number((growth.perSecond / 10_000).toFixed(2)));
  return null;
}

/** Members of a list, told apart by `key`: as they are now, with their own statistics. */
function members(
  section: GpuSection,
  field: string,
  key: string,
  samples: readonly Sample[],
  lose: Lose,
): unknown {
  const last = samples.at(-1);
  if (!last) return null;
  const lists = samples.map(({ atMilliseconds, value }) => ({
    atMilliseconds,
    list: Array.isArray(value) ? (value as readonly Values[]) : [],
  }));
  const now = lists.at(-1)?.list ?? [];
  return now.map((member) =>
    Object.fromEntries(
      Object.keys(member).map((leaf) => {
        const own = lists.flatMap(({ atMilliseconds, list }) => {
          const value = list.find((each) => each[key] === member[key])?.[leaf] ?? null;
          return value === null ? [] : [{ atMilliseconds, value }];
        });
        return [leaf, told(section, leaf, `${field}.${leaf}`, own, lose)] as const;
      }),
    ),
  );
}
