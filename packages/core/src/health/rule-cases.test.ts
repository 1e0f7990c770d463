import { describe, expect, test } from 'vitest';
import { type RuleCase, ruleCases } from '../../test/rule-cases.ts';
import { actions, confidences, type Verdict, verdicts } from '../domain/verdict.ts';
import { productOf } from './applicability.ts';
import type { HealthRule, RuleContext, RuleFinding } from './rule.ts';
import { healthRules } from './rules.ts';
import { defaultThreshold } from './thresholds.ts';

function contextOf({ siblings = [], baseline }: RuleCase): RuleContext {
  return {
    siblings,
    baseline,
    threshold: (ruleId, name) => {
      const value = defaultThreshold(ruleId, name);
      if (value === undefined) throw new Error(`no threshold ${ruleId} ${name}`);
      return value;
    },
  };
}

/** The finding that a rule raises on a case, if any. */
function raisedBy(rule: HealthRule, each: RuleCase): RuleFinding | undefined {
  if (rule.applies?.(productOf(each.reading), each.reading) === false) return undefined;
  const outcome = rule.evaluate(each.reading, contextOf(each));
  return typeof outcome === 'object' && 'finding' in outcome ? outcome.finding : undefined;
}

describe.each(healthRules.map((rule) => [rule.id, rule] as const))('%s', (id, rule) => {
  const { raises = [], passes = [] } = ruleCases[id] ?? {};

  test.each(raises.map((each) => [each.name, each] as const))('raised: %s', (_, each) => {
    const finding = raisedBy(rule, each);
    expect(finding).toBeDefined();
    expect(finding).toMatchObject(each.finding ?? {});
  });

  test.each(passes.map((each) => [each.name, each] as const))('not raised: %s', (_, each) => {
    expect(raisedBy(rule, each)).toBeUndefined();
  });
});

/** Rules without a case that raises them or one that does not, and cases of rules that do not exist. */
function uncovered(rules: readonly HealthRule[]): string[] {
  const ids = new Set(rules.map(({ id }) => id));
  return [
    ...rules.flatMap((rule) => {
      const { raises = [], passes = [] } = ruleCases[rule.id] ?? {};
      return [
        ...(raises.some((each) => raisedBy(rule, each)) ? [] : [`${rule.id} is never raised`]),
        ...(passes.length > 0 ? [] : [`${rule.id} has no case that passes`]),
      ];
    }),
    ...Object.keys(ruleCases)
      .filter((id) => !ids.has(id))
      .map((id) => `${id} is no rule`),
  ];
}

describe('coverage', () => {
  test('every rule has a case that raises it and one that does not', () => {
    expect(uncovered(healthRules)).toEqual([]);
    expect(healthRules.length).toBeGreaterThanOrEqual(45);
  });

  test('the check finds planted faults', () => {
    const [first, ...rest] = healthRules;
    if (!first) throw new Error('no rules');
    expect(uncovered([...healthRules, { ...first, id: 'made.up' }])).toEqual([
      'made.up is never raised',
      'made.up has no case that passes',
    ]);
    expect(uncovered([{ ...first, evaluate: () => 'pass' }, ...rest])).toEqual([
      `${first.id} is never raised`,
    ]);
    expect(uncovered(rest)).toEqual([`${first.id} is no rule`]);
  });
});

describe('what a row publishes', () => {
  const rank = (verdict: Verdict) => verdicts.indexOf(verdict);

  test.each(healthRules.map((rule) => [rule.id, rule] as const))('%s raises what it says', (id, rule) => {
    const findings = (ruleCases[id]?.raises ?? []).flatMap((each) => raisedBy(rule, each) ?? []);
    const worst = Math.min(...findings.map(({ verdict }) => rank(verdict)));
    const strongest = Math.max(...findings.map(({ action }) => actions.indexOf(action)));
    const surest = Math.max(...findings.map(({ confidence }) => confidences.indexOf(confidence)));
    expect([verdicts[worst], actions[strongest], confidences[surest]]).toEqual([
      rule.verdict,
      rule.action,
      rule.confidence,
    ]);
  });

  test('defaults are within their range', () => {
    for (const { id, thresholds = {} } of healthRules) {
      for (const [name, { value, minimum, maximum, unit, what }] of Object.entries(thresholds)) {
        expect(value >= minimum && value <= maximum, `${id} ${name}`).toBe(true);
        expect(Math.min(unit.length, what.length), `${id} ${name}`).toBeGreaterThan(0);
      }
    }
  });
});
