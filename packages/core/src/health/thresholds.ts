import { GpuError } from '../errors.ts';
import type { ThresholdSpec } from './rule.ts';
import { healthRules } from './rules.ts';

/** Numbers set by an operator in the place of defaults: by rule, then by the name of the threshold. */
export type ThresholdOverrides = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** A threshold that does not have its default. */
export interface OverrideInForce {
  readonly ruleId: string;
  readonly name: string;
  readonly unit: string;
  readonly default: number;
  readonly value: number;
}

type Table = ReadonlyMap<string, Readonly<Record<string, ThresholdSpec>>>;

const table: Table = new Map(
  healthRules.flatMap(({ id, thresholds }) => (thresholds ? [[id, thresholds] as const] : [])),
);

/** Every number that can be set, with its default: what a file of overrides may contain. */
export const defaultThresholds: ThresholdOverrides = Object.fromEntries(
  [...table].map(([id, specs]) => [
    id,
    Object.fromEntries(Object.entries(specs).map(([name, { value }]) => [name, value])),
  ]),
);

/** The default of a threshold; undefined for one that does not exist. */
export function defaultThreshold(ruleId: string, name: string): number | undefined {
  const specs = table.get(ruleId);
  return specs && Object.hasOwn(specs, name) ? specs[name]?.value : undefined;
}

const asText = (value: unknown) => (JSON.stringify(value) ?? String(value)).slice(0, 80);

function invalid(path: string, value: unknown, expected: string): GpuError {
  return new GpuError('INVALID_INPUT', `thresholds: ${path} = ${asText(value)}: ${expected}`, {
    hint: 'The thresholds that can be set, with unit and default, stand in docs/health-rules.md.',
  });
}

const isPlain = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** More keys than there are rules are not a file of thresholds. */
const maximumKeys = 1_000;

function entriesOf(path: string, value: unknown, expected: string): [string, unknown][] {
  if (!isPlain(value)) throw invalid(path, value, expected);
  const entries = Object.entries(value);
  if (entries.length > maximumKeys) throw invalid(path, entries.length, `at most ${maximumKeys} entries`);
  return entries;
}

/**
 * Checks what a file of overrides contains: `{ "rule.id": { "name": number } }`.
 * @throws GpuError INVALID_INPUT that names the path, the value, the valid range, or the nearest name that exists.
 */
export function parseThresholds(value: unknown): ThresholdOverrides {
  const shape = 'an object such as {"thermal.hot-neighbour": {"aboveMedianCelsius": 20}} is expected';
  const rules = entriesOf('(file)', value, shape).map(([ruleId, names]) => {
    const specs = table.get(ruleId);
    if (!specs) throw invalid(quoted(ruleId), names, `no such rule; ${nearest(ruleId, [...table.keys()])}`);
    const numbers = entriesOf(
      quoted(ruleId),
      names,
      `an object of ${Object.keys(specs).join(', ')} is expected`,
    );
    return [
      ruleId,
      Object.fromEntries(numbers.map(([name, set]) => [name, checked(ruleId, specs, name, set)])),
    ];
  });
  return Object.fromEntries(rules) as ThresholdOverrides;
}

/** A key comes out of a file: shortened, and nothing in it can end the line. */
const quoted = (key: string) => asText(key);

function checked(
  ruleId: string,
  specs: Readonly<Record<string, ThresholdSpec>>,
  name: string,
  value: unknown,
): number {
  const path = `${quoted(ruleId)}.${quoted(name)}`;
  const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
  if (!spec) throw invalid(path, value, `no such threshold; ${nearest(name, Object.keys(specs))}`);
  const { minimum, maximum, unit } = spec;
  if (typeof value !== 'number' || !Number.isFinite(value) || value < minimum || value > maximum)
    throw invalid(path, value, `a number from ${minimum} to ${maximum} (${unit}) is expected`);
  return value;
}

function nearest(name: string, names: readonly string[]): string {
  const short = name.slice(0, 80);
  const [best] = names
    .map((each) => ({ each, distance: editDistance(short, each) }))
    .sort((a, b) => a.distance - b.distance);
  return best ? `the nearest is "${best.each}"` : 'there is none';
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Which thresholds do not have their default, for an answer to say so. */
export function overridesInForce(overrides: ThresholdOverrides): readonly OverrideInForce[] {
  return Object.entries(overrides).flatMap(([ruleId, names]) =>
    Object.entries(names).flatMap(([name, value]) => {
      const spec = table.get(ruleId)?.[name];
      if (!spec || spec.value === value) return [];
      return [{ ruleId, name, unit: spec.unit, default: spec.value, value }];
    }),
  );
}
