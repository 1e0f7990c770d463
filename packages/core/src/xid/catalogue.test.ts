import { describe, expect, test } from 'vitest';
import { readCatalogueFacts } from '../../fixtures/kernel-log/read.ts';
import { actions } from '../domain/verdict.ts';
import { actionOfXid, findSxid, findXid, sxidCatalogue, xidCatalogue } from './catalogue.ts';
import { bucketActions, vendorBuckets } from './vendor-buckets.ts';

const facts = readCatalogueFacts();

describe('Xid catalogue', () => {
  test('has every published number once, in order, and no other', () => {
    expect(xidCatalogue.map(({ code }) => code)).toEqual(facts.xids.map(({ code }) => code));
    expect(facts.xids).toHaveLength(177);
  });

  test.each(facts.xids)('Xid $code agrees with the published values', (fact) => {
    const entry = findXid(fact.code);
    expect(entry).toMatchObject({
      severity: fact.severity,
      applicationCommon: fact.applicationCommon,
      immediate: fact.immediate,
    });
    expect(entry?.title).toMatch(/^[A-Za-z]/);
    expect(entry?.explanation).toMatch(/[.]$/);
    expect(actions).toContain(actionOfXid(entry));
  });

  test('a number without a vendor bucket has an action of our own', () => {
    for (const entry of xidCatalogue) expect(entry.immediate === null).toBe(entry.action !== undefined);
  });

  test('a number that nobody published is not found, and only watched', () => {
    for (const code of [0, -1, 178, 999, Number.NaN]) expect(findXid(code)).toBeUndefined();
    expect(actionOfXid(findXid(999))).toBe('monitor');
  });

  test.each([
    [13, 'restart-app'],
    [63, 'none'],
    [79, 'reboot-node'],
    [95, 'reset-gpu'],
    [54, 'check-mechanicals'],
    [78, 'update-software'],
  ] as const)('Xid %d: %s', (code, action) => {
    expect(actionOfXid(findXid(code))).toBe(action);
  });
});

describe('vendor buckets', () => {
  test('are the published ones, each with an action', () => {
    expect([...vendorBuckets].sort()).toEqual([...facts.buckets].sort());
    expect(Object.keys(bucketActions).sort()).toEqual([...facts.buckets].sort());
  });
});

describe('SXid catalogue', () => {
  test('has every published number once, in order, and no other', () => {
    expect(sxidCatalogue.map(({ code }) => code)).toEqual(facts.sxids.map(({ code }) => code));
    expect(facts.sxids).toHaveLength(420);
    expect(findSxid(9999)).toBeUndefined();
  });

  test.each(facts.sxids)('SXid $code agrees with the published values', (fact) => {
    const entry = findSxid(fact.code);
    expect(`NVSWITCH_ERR_HW_${entry?.mnemonic}`).toBe(fact.mnemonic);
    expect(entry?.severity).toBe(fact.severity === 'unknown' ? 'warning' : fact.severity);
    expect(entry?.guideClass === null).toBe(fact.guide === null);
    if (fact.guide?.alwaysFatal) expect(entry?.action).toBe('reboot-node');
    else if (fact.guide?.class === 'fatal') expect(entry?.action).toBe('reset-gpu');
    else expect(entry?.action).not.toBe('reboot-node');
  });
});

test('a missing or changed row would be seen', () => {
  const without = xidCatalogue.filter(({ code }) => code !== 79);
  expect(without.map(({ code }) => code)).not.toEqual(facts.xids.map(({ code }) => code));
  expect({ ...findXid(79), severity: 'info' }).not.toMatchObject({
    severity: facts.xids.find(({ code }) => code === 79)?.severity,
  });
});
