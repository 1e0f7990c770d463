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

export interface HealthRule {
  /** `family.name`. */
  readonly id: string;
  readonly title: string;
  /** Threshold in words and unit, for the published table. */
  readonly threshold: string;
  /** Public source of threshold and action. */
  readonly source: string;
  /** False alarms it must not raise, or limits of what it can tell. */
  readonly note?: string;
  /** Without these the GPU cannot be called healthy. */
  readonly essential: boolean;
  readonly sections: readonly GpuSection[];
  evaluate(reading: GpuReading): RuleOutcome;
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

export function evidence(
  field: ReadingPath,
  value: Evidence['value'],
  threshold?: string | number,
): Evidence {
  return threshold === undefined ? { field, value } : { field, value, threshold };
}
