import { describe, expect, test } from 'vitest';
import { assessNode } from '../health/assess.ts';
import { type Drift, type DriftSubject, driftFindings, driftRules, findDrift } from './drift.ts';

const gpus = (
  field: string,
  ...values: readonly (string | number | boolean | null)[]
): DriftSubject<number>[] =>
  values.map((value, id) => ({ id, cohort: 'H100', settings: { [field]: value } }));

describe('findDrift', () => {
  test('equal things have none', () => {
    expect(findDrift(gpus('vbiosVersion', 'a', 'a', 'a'))).toEqual([]);
    expect(findDrift(gpus('vbiosVersion', 'a'))).toEqual([]);
    expect(findDrift([])).toEqual([]);
  });

  test('values stand with those that have them, the most common first, and the majority is named', () => {
    expect(findDrift(gpus('vbiosVersion', 'b', 'a', 'a'))).toEqual([
      {
        cohort: 'H100',
        field: 'vbiosVersion',
        majority: 'a',
        values: [
          { value: 'a', ids: [1, 2] },
          { value: 'b', ids: [0] },
        ],
      },
    ]);
  });

  test('half is no majority, nor is the most common of three', () => {
    expect(findDrift(gpus('x', 1, 1, 2, 2))).toMatchObject([{ majority: null }]);
    expect(findDrift(gpus('x', 1, 1, 2, 3))).toMatchObject([{ majority: null }]);
    expect(findDrift(gpus('x', 1, 1, 1, 2, 3))).toMatchObject([{ majority: 1 }]);
  });

  test('what could not be read is no difference, and no vote', () => {
    expect(findDrift(gpus('x', 'a', null, 'a'))).toEqual([]);
    expect(findDrift(gpus('x', 'a', null, null, 'a', 'b'))).toMatchObject([{ majority: 'a' }]);
  });

  test('zero and false are values', () => {
    expect(findDrift(gpus('x', 0, 1))).toHaveLength(1);
    expect(findDrift(gpus('x', false, true, true))).toMatchObject([{ majority: true }]);
  });

  test('other products are not compared with; a product that drifts is named', () => {
    const mixed = [...gpus('x', 1, 1), ...gpus('x', 2, 2).map((each) => ({ ...each, cohort: 'L4' }))];
    expect(findDrift(mixed)).toEqual([]);
    const drifting = [...mixed, { id: 9, cohort: 'L4', settings: { x: 3 } }];
    expect(findDrift(drifting)).toMatchObject([{ cohort: 'L4', majority: 2 }]);
  });

  test('a fleet may have names for its members', () => {
    const nodes = ['n1', 'n2', 'n3'].map((id, index) => ({
      id,
      cohort: 'H100',
      settings: { driverVersion: index === 1 ? '570.1' : '580.2' },
    }));
    expect(findDrift(nodes)).toMatchObject([{ values: [{ ids: ['n1', 'n3'] }, { ids: ['n2'] }] }]);
  });
});

describe('what drift means', () => {
  const finding = (field: string, ...values: readonly (string | number | boolean)[]) =>
    assessNode([], driftFindings(findDrift(gpus(field, ...values))))[0];

  test('one GPU with another VBIOS is a warning that names it and the majority', () => {
    expect(finding('vbiosVersion', '96.1', '96.1', '96.0')).toEqual({
      ruleId: 'drift.vbios-version',
      verdict: 'warning',
      gpu: 2,
      what: 'VBIOS version differs between GPUs of the same product: GPU 2 is apart from the others.',
      evidence: [
        { field: 'vbiosVersion of GPU 0, 1', value: '96.1', threshold: '96.1' },
        { field: 'vbiosVersion of GPU 2', value: '96.0', threshold: '96.1' },
      ],
      action: 'update-software',
      source: expect.any(String),
      confidence: 'high',
    });
  });

  test('several apart, or no majority, is no single GPU', () => {
    const several = finding('vbiosVersion', 'a', 'a', 'a', 'b', 'c');
    expect(several?.what).toContain('GPU 3, 4 are apart');
    expect(several).not.toHaveProperty('gpu');
    const split = finding('vbiosVersion', 'a', 'b');
    expect(split?.what).toContain('no majority');
    expect(split).not.toHaveProperty('gpu');
  });

  test.each([
    ['inforomVersion', 'warning', 'update-software'],
    ['eccEnabled', 'warning', 'monitor'],
    ['requestedPowerLimitWatts', 'warning', 'monitor'],
    ['enforcedPowerLimitWatts', 'warning', 'monitor'],
    ['persistenceModeEnabled', 'warning', 'restart-service'],
    ['maxPcieLinkWidthLanes', 'warning', 'monitor'],
    ['migEnabled', 'ok', 'none'],
    ['computeMode', 'ok', 'none'],
    ['boardPartNumber', 'ok', 'none'],
  ])('%s is %s: %s', (field, verdict, action) => {
    expect(finding(field, 1, 1, 2)).toMatchObject({ verdict, action });
  });

  test('a field without a rule is not judged', () => {
    const unknown: Drift<number>[] = [{ cohort: 'x', field: 'colour', majority: null, values: [] }];
    expect(driftFindings(unknown)).toEqual([]);
  });

  test('the published rows have an id of their own, words and a source', () => {
    expect(new Set(driftRules.map(({ id }) => id)).size).toBe(driftRules.length);
    for (const { id, title, source } of driftRules) {
      expect(id).toMatch(/^drift\.[a-z-]+$/);
      expect(title.length > 8 && source.length > 8).toBe(true);
    }
  });
});
