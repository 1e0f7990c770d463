import { describe, expect, test } from 'vitest';
import { xidCatalogue } from './catalogue.ts';
import type { Label } from './group.ts';
import { type SympathyRule, sympathyRules } from './sympathy-rules.ts';

/** Who can, by the rows, be brought about by whom. */
function edges(rules: readonly SympathyRule[]): Map<Label, Set<Label>> {
  const never: readonly Label[] = [43, 45, 154];
  const numbers: readonly Label[] = xidCatalogue.map(({ code }) => code);
  const common: readonly Label[] = xidCatalogue
    .filter(({ applicationCommon }) => applicationCommon)
    .map(({ code }) => code);
  const causesOf = new Map<Label, Set<Label>>();
  for (const { effects, causes } of rules) {
    const all = causes === 'any-xid' ? numbers.filter((code) => !never.includes(code)) : causes;
    for (const effect of effects === 'application-xids' ? common : effects) {
      const known = causesOf.get(effect) ?? new Set<Label>();
      for (const cause of all) known.add(cause);
      causesOf.set(effect, known);
    }
  }
  return causesOf;
}

/** A number that is, through others, its own cause. */
function circleOf(causesOf: ReadonlyMap<Label, ReadonlySet<Label>>): readonly Label[] | undefined {
  const done = new Set<Label>();
  const visit = (label: Label, path: readonly Label[]): readonly Label[] | undefined => {
    if (path.includes(label)) return [...path, label];
    if (done.has(label)) return undefined;
    for (const cause of causesOf.get(label) ?? []) {
      const circle = visit(cause, [...path, label]);
      if (circle) return circle;
    }
    done.add(label);
    return undefined;
  };
  for (const label of causesOf.keys()) {
    const circle = visit(label, []);
    if (circle) return circle;
  }
  return undefined;
}

describe('the table of consequences', () => {
  test('nothing is, through others, its own cause', () => {
    expect(circleOf(edges(sympathyRules))).toBeUndefined();
  });

  test('a circle would be seen', () => {
    const round: SympathyRule = { effects: [48], causes: [94], where: 'gpu', because: 'Round.' };
    expect(circleOf(edges([...sympathyRules, round]))).toBeDefined();
  });

  test('every row says why, in a sentence', () => {
    for (const { because } of sympathyRules) expect(because).toMatch(/^[A-Z][^.]*\.$|;.*\.$/);
  });
});
