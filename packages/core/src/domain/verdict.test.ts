import { describe, expect, test } from 'vitest';
import { type Action, actions, isDisruptive, strongestAction, verdicts, worstVerdict } from './verdict.ts';

describe('worstVerdict', () => {
  test.each([
    [['ok', 'ok'], 'ok'],
    [['ok', 'unknown'], 'unknown'],
    [['unknown', 'warning'], 'warning'],
    [['warning', 'critical', 'ok'], 'critical'],
  ] as const)('%j is %s', (list, worst) => {
    expect(worstVerdict(list)).toBe(worst);
    expect(worstVerdict([...list].reverse())).toBe(worst);
  });

  test('of nothing it is unknown, never ok', () => {
    expect(worstVerdict([])).toBe('unknown');
  });

  test('verdicts are listed worst first', () => {
    expect(verdicts).toEqual(['critical', 'warning', 'unknown', 'ok']);
  });
});

describe('actions', () => {
  test('are the closed list, in order of blast radius', () => {
    expect(actions).toEqual([
      'none',
      'monitor',
      'restart-app',
      'check-app',
      'restart-service',
      'update-software',
      'reset-gpu',
      'drain-node',
      'reboot-node',
      'power-cycle',
      'check-mechanicals',
      'run-field-diagnostic',
      'contact-support',
    ]);
  });

  test('reset-gpu and all after it are disruptive, none before it is', () => {
    const harmless: Action[] = [
      'none',
      'monitor',
      'restart-app',
      'check-app',
      'restart-service',
      'update-software',
    ];
    expect(actions.filter((action) => !isDisruptive(action))).toEqual(harmless);
  });

  test('the strongest of several', () => {
    expect(strongestAction([])).toBe('none');
    expect(strongestAction(['monitor', 'reset-gpu', 'restart-app'])).toBe('reset-gpu');
  });
});
