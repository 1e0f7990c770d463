import type { GapReason } from '../domain/gap.ts';
import { type GpuReading, type GpuSection, type GpuSectionReadings, gpuSections } from '../domain/gpu.ts';
import type { Action, Confidence, Evidence, Verdict } from '../domain/verdict.ts';
import { gpuSectionLeaves } from '../sample.ts';
import type { ProductFacts } from './applicability.ts';

/** Dotted path of a leaf reading, checked by the compiler. */
export type ReadingPath = {
  [S in GpuSection]: `${S}.${Extract<keyof NonNullable<GpuSectionReadings[S]>, string>}`;
}[GpuSection];

export interface RuleFinding {
  /** `ok` is worth telling and no fault: a setting that somebody may have meant. */
  readonly verdict: Verdict;
  readonly what: string;
  readonly evidence: readonly Evidence[];
  /** What to do once confirmed: by the vendor's own signal, or by a second independent finding. */
  readonly action: Action;
  /** What to do on this finding alone; defaults to `action`, which must then not be disruptive unless `authoritative`. */
  readonly actionAlone?: Action;
  /** Beginnings of the rule ids that confirm `action`: independent signals of the same kind of fault. */
  readonly confirmedBy?: readonly string[];
  /** The vendor's own statement, enough for a disruptive action by itself. */
  readonly authoritative?: boolean;
  readonly confidence: Confidence;
}

/** What may become a finding once it is known what else is known of the same device. */
export interface Candidate extends RuleFinding {
  readonly ruleId: string;
  readonly source: string;
  /** Index of the GPU; absent for what the driver does not list. */
  readonly gpu?: number;
  /** `domain:bus:device`, where it is about a device. */
  readonly pciDevice?: string;
}

export interface MissingReading {
  readonly field: string;
  readonly reason: GapReason;
  readonly detail: string;
}

/**
 * `pass`, `not-applicable` (this product does not have it), `not-judged` (it says something only beside an earlier reading, a sibling or
 * under load, and there is none), `unknown` (it could not be read), or a finding.
 */
export type RuleOutcome =
  | 'pass'
  | 'not-applicable'
  | 'not-judged'
  | { readonly unknown: MissingReading }
  | { readonly finding: RuleFinding };

/** A number that a rule turns on, which an operator may set. */
export interface ThresholdSpec {
  readonly value: number;
  readonly unit: string;
  /** What happens at it. */
  readonly what: string;
  readonly minimum: number;
  readonly maximum: number;
}

/** A row of the published table. */
export interface PublishedRule {
  /** `family.name`. */
  readonly id: string;
  readonly title: string;
  /** Threshold in words and unit. */
  readonly threshold: string;
  /** The numbers of it that can be set, by name. */
  readonly thresholds?: Readonly<Record<string, ThresholdSpec>>;
  /** Products and modes it is for. */
  readonly appliesTo?: string;
  /** The worst it raises. */
  readonly verdict?: Verdict;
  /** The strongest it asks for; a gentler one stands until a disruptive action is confirmed. */
  readonly action?: Action;
  /** The most it is sure of. */
  readonly confidence?: Confidence;
  /** Public source of threshold and action. */
  readonly source: string;
  /** False alarms it must not raise, or limits of what it can tell. */
  readonly note?: string;
}

/** What a rule can weigh a reading against. */
export interface RuleContext {
  /** The readings of the node's other GPUs, as far as they were asked for. */
  readonly siblings: readonly GpuReading[];
  /** An earlier reading of the same GPU since its counters began, for what grew; undefined when there is none. */
  readonly baseline?: GpuReading | undefined;
  /** The threshold of a rule, by the name it has in `thresholds`: the default, or what the operator set instead. */
  threshold(ruleId: string, name: string): number;
}

export interface HealthRule extends PublishedRule {
  readonly appliesTo: string;
  readonly verdict: Verdict;
  readonly action: Action;
  readonly confidence: Confidence;
  /** Without these the GPU cannot be called healthy. */
  readonly essential: boolean;
  /** An answer that was given and could not be understood leaves the GPU unknown, though the rule is not essential. */
  readonly mustBeUnderstood?: true;
  readonly sections: readonly GpuSection[];
  /** Whether the rule is for this product and mode at all; absent where every product that tells the reading is meant. */
  applies?(product: ProductFacts, reading: GpuReading): boolean;
  evaluate(reading: GpuReading, context: RuleContext): RuleOutcome;
}

type Leaf<P extends ReadingPath> = P extends `${infer S extends GpuSection}.${infer K}`
  ? K extends keyof NonNullable<GpuSectionReadings[S]>
    ? NonNullable<NonNullable<GpuSectionReadings[S]>[K]>
    : never
  : never;

/** Section and leaf of every path: rules ask for some hundred readings of each GPU, and taking paths apart would cost more than they do. */
const places: ReadonlyMap<string, readonly [section: GpuSection, leaf: string]> = new Map(
  gpuSections.flatMap((section) =>
    gpuSectionLeaves[section].map((leaf) => [`${section}.${leaf}`, [section, leaf]]),
  ),
);

/** The value of a reading, or `undefined` when it is missing. */
export function readingOf<P extends ReadingPath>(reading: GpuReading, path: P): Leaf<P> | undefined {
  const place = places.get(path);
  if (!place) return undefined;
  const [section, leaf] = place;
  const values = reading[section] as Readonly<Record<string, unknown>> | undefined;
  return (values?.[leaf] ?? undefined) as Leaf<P> | undefined;
}

/** Row remapping cannot be asked for while MIG instances exist. Source: NVIDIA GPU memory error management. */
const hiddenByMig: ReadonlySet<ReadingPath> = new Set([
  'rowRemap.pending',
  'rowRemap.failureOccurred',
  'rowRemap.correctableRowCount',
  'rowRemap.uncorrectableRowCount',
  'rowRemap.histogram',
]);

/** What a rule answers when its reading is missing: not applicable where the product has none, else unknown. */
export function missing(reading: GpuReading, path: ReadingPath): RuleOutcome {
  const section = places.get(path)?.[0];
  const gap =
    reading.gaps.find((each) => each.field === path) ?? reading.gaps.find((each) => each.field === section);
  if (gap?.reason === 'unsupported' && reading.mig?.enabled === true && hiddenByMig.has(path))
    return { unknown: { field: path, reason: 'not-observable', detail: 'hidden while MIG is enabled' } };
  if (gap?.reason === 'unsupported') return 'not-applicable';
  return { unknown: { field: path, reason: gap?.reason ?? 'error', detail: gap?.detail ?? 'not read' } };
}

/**
 * What a rule on several readings answers when none of those that were read raises it: unknown as soon as one that the product has is
 * missing, not applicable when it has none of them.
 */
export function passUnlessMissing(reading: GpuReading, paths: readonly ReadingPath[]): RuleOutcome {
  const outcomes = paths
    .filter((path) => readingOf(reading, path) === undefined)
    .map((path) => missing(reading, path));
  const unknown = outcomes.find((outcome) => typeof outcome === 'object');
  if (unknown) return unknown;
  return outcomes.length === paths.length ? 'not-applicable' : 'pass';
}

export const finding = (outcome: RuleFinding): RuleOutcome => ({ finding: outcome });

/** A rule on a counter or flag: missing, zero or false passes on; anything else is the finding. */
export function whenSet(path: ReadingPath, toFinding: (value: number) => RuleFinding) {
  return (reading: GpuReading): RuleOutcome => {
    const value = readingOf(reading, path);
    if (value === undefined) return missing(reading, path);
    const amount = Number(value);
    return amount > 0 ? finding(toFinding(amount)) : 'pass';
  };
}

export function evidence(
  field: ReadingPath,
  value: Evidence['value'],
  threshold?: string | number,
): Evidence {
  return threshold === undefined ? { field, value } : { field, value, threshold };
}

/** With file and line, for readings that come from files. */
export function cited(evidence: Evidence, { citations }: GpuReading): Evidence {
  const citation = citations?.[evidence.field];
  return citation ? { ...evidence, file: citation.file, line: citation.line } : evidence;
}
