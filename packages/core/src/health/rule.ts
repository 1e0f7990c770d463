import type { GapReason } from '../domain/gap.ts';
import type { GpuReading, GpuSection, GpuSectionReadings } from '../domain/gpu.ts';
import type { Action, Confidence, Evidence, Verdict } from '../domain/verdict.ts';

/** Dotted path of a leaf reading, checked by the compiler. */
export type ReadingPath = {
  [S in GpuSection]: `${S}.${Extract<keyof NonNullable<GpuSectionReadings[S]>, string>}`;
}[GpuSection];

export interface RuleFinding {
  readonly verdict: Exclude<Verdict, 'ok'>;
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

/** What may become a finding once it is known what else is known of the same device. `ok` is worth telling and nothing more. */
export interface Candidate extends Omit<RuleFinding, 'verdict'> {
  readonly verdict: Verdict;
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

/** `pass`, `not-applicable` (this product does not have it), `unknown` (it could not be read), or a finding. */
export type RuleOutcome =
  | 'pass'
  | 'not-applicable'
  | { readonly unknown: MissingReading }
  | { readonly finding: RuleFinding };

/** A row of the published table. */
export interface PublishedRule {
  /** `family.name`. */
  readonly id: string;
  readonly title: string;
  /** Threshold in words and unit. */
  readonly threshold: string;
  /** Public source of threshold and action. */
  readonly source: string;
  /** False alarms it must not raise, or limits of what it can tell. */
  readonly note?: string;
}

export interface HealthRule extends PublishedRule {
  /** Without these the GPU cannot be called healthy. */
  readonly essential: boolean;
  readonly sections: readonly GpuSection[];
  /** `siblings`: the readings of the node's other GPUs, as far as they were asked for. */
  evaluate(reading: GpuReading, siblings?: readonly GpuReading[]): RuleOutcome;
}

type Leaf<P extends ReadingPath> = P extends `${infer S extends GpuSection}.${infer K}`
  ? K extends keyof NonNullable<GpuSectionReadings[S]>
    ? NonNullable<NonNullable<GpuSectionReadings[S]>[K]>
    : never
  : never;

/** The value of a reading, or `undefined` when it is missing. */
export function readingOf<P extends ReadingPath>(reading: GpuReading, path: P): Leaf<P> | undefined {
  const [section, key] = path.split('.') as [GpuSection, string];
  const values = reading[section] as Readonly<Record<string, unknown>> | undefined;
  return (values?.[key] ?? undefined) as Leaf<P> | undefined;
}

/** What a rule answers when its reading is missing: not applicable where the product has none, else unknown. */
export function missing(reading: GpuReading, path: ReadingPath): RuleOutcome {
  const section = path.split('.')[0];
  const gap =
    reading.gaps.find((each) => each.field === path) ?? reading.gaps.find((each) => each.field === section);
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
  const unknown = outcomes.find((outcome) => outcome !== 'not-applicable');
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
