import { describe, expect, test } from 'vitest';
import type { NodeDescription } from '../domain/gpu.ts';
import { isDisruptive } from '../domain/verdict.ts';
import { assessNode } from './assess.ts';
import { driverUnusable, nodeObservations, nodeRules } from './node-rules.ts';
import { publishedRules } from './published.ts';

const node = (changes: Partial<NodeDescription>): NodeDescription => ({
  driverVersion: '580.95.05',
  libraryVersion: '13.580.95.05',
  computeApiVersion: '13.0',
  driverBranch: 'r580_00',
  confidentialComputingEnabled: false,
  gpus: [],
  gaps: [],
  ...changes,
});

describe('what the node tells by itself', () => {
  test('a driver and a library of one release, nothing switched on: nothing', () => {
    expect(nodeObservations(node({}))).toEqual([]);
  });

  test('a library of another release is a warning', () => {
    expect(nodeObservations(node({ libraryVersion: '13.590.48.01' }))).toMatchObject([
      { ruleId: 'driver.version-mismatch', verdict: 'warning', action: 'update-software' },
    ]);
  });

  test.each([
    { driverVersion: null },
    { libraryVersion: null },
    // Other vendors, and files, tell only part of it.
    { libraryVersion: '7.8.0', driverVersion: '6.16.13' },
    { libraryVersion: '580.95.05' },
    { libraryVersion: '13.580' },
  ])('%j: nothing to compare', (changes) => {
    expect(nodeObservations(node(changes))).toEqual([]);
  });

  test('confidential computing is told, and no fault', () => {
    const findings = assessNode([], nodeObservations(node({ confidentialComputingEnabled: true })));
    expect(findings).toMatchObject([
      { ruleId: 'driver.confidential-computing', verdict: 'ok', action: 'none' },
    ]);
    expect(nodeObservations(node({ confidentialComputingEnabled: null }))).toEqual([]);
  });

  const none = { field: 'gpus', reason: 'error', detail: 'no devices' } as const;
  const short = { field: 'gpus', reason: 'not-observable', detail: '1 more' } as const;

  test('no GPU at all is the worst count; fewer than are counted, or half of one, leaves the node unknown', () => {
    expect(nodeObservations(node({ gaps: [none] }))).toMatchObject([
      { ruleId: 'gpu.missing-all', verdict: 'critical' },
    ]);
    expect(nodeObservations(node({ gaps: [short, { ...short, gpu: 7 }] }))).toMatchObject([
      { ruleId: 'gpu.unreadable-rest', verdict: 'unknown' },
      { ruleId: 'gpu.unreadable-rest', verdict: 'unknown', gpu: 7 },
    ]);
    expect(nodeObservations(node({ gaps: [{ ...short, field: 'driverVersion' }] }))).toEqual([]);
  });

  test('every row is raised by one of the above', () => {
    const raised = nodeObservations(
      node({
        libraryVersion: '13.590.48.01',
        confidentialComputingEnabled: true,
        gaps: [none, short],
      }),
    );
    const all = [...raised, driverUnusable].map(({ ruleId }) => ruleId);
    expect(new Set(all)).toEqual(new Set(nodeRules.map(({ id }) => id)));
    expect(raised.some(({ action }) => isDisruptive(action))).toBe(false);
  });
});

describe('the whole table', () => {
  const faultsOf = (rules: typeof publishedRules) => [
    ...rules
      .filter(({ id }, index) => rules.findIndex((each) => each.id === id) !== index)
      .map(({ id }) => `${id} twice`),
    ...rules
      .filter(({ source, title, threshold }) => !source || !title || !threshold)
      .map(({ id }) => `${id} is empty`),
  ];

  test('each id is there once, with source, title and threshold', () => {
    expect(faultsOf(publishedRules)).toEqual([]);
    expect(publishedRules.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['gpu.lost', 'gpu.not-on-bus', 'processes.zombie-holder', 'drift.ecc-enabled']),
    );
  });

  test('the check finds planted faults', () => {
    const [first] = publishedRules;
    if (!first) throw new Error('no rules');
    expect(faultsOf([first, first, { ...first, id: 'x', source: '' }])).toEqual([
      `${first.id} twice`,
      'x is empty',
    ]);
  });
});
