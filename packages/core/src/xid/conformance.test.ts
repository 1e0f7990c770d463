import { describe, expect, test } from 'vitest';
import { readCatalogueFacts } from '../../fixtures/kernel-log/read.ts';
import { actions } from '../domain/verdict.ts';
import { xidCatalogue } from './catalogue.ts';
import { conformanceRows } from './conformance.ts';
import { bucketActions } from './vendor-buckets.ts';

const facts = readCatalogueFacts();
const table = conformanceRows();

describe('vendor buckets', () => {
  test('every published one maps to exactly one action of the closed list', () => {
    expect(table.buckets.map(({ bucket }) => bucket).sort()).toEqual([...facts.buckets].sort());
    for (const { action } of table.buckets) expect(actions).toContain(action);
  });
});

describe('one plain line of every Xid', () => {
  test('is looked at for every number of the published catalogue', () => {
    expect(table.rows.map(({ xid }) => xid)).toEqual(facts.xids.map(({ code }) => code));
  });

  test.each(facts.xids.filter(({ immediate }) => immediate !== null))(
    'Xid $code gives the action of the published bucket, or the answer says why not',
    ({ code, immediate }) => {
      const row = table.rows.find(({ xid }) => xid === code);
      const expected = bucketActions[immediate as keyof typeof bucketActions];
      if (row?.given !== expected) expect(row?.why).toMatch(/\w{3}/);
      expect(row?.expected).toBe(expected);
    },
  );

  test('the exceptions are known; there is none', () => {
    expect(table.exceptions).toEqual([]);
  });
});

test('a catalogue that says otherwise than the answer would be seen', () => {
  const wrong = xidCatalogue.map((entry) =>
    entry.code === 79 ? { ...entry, immediate: 'IGNORE' as const } : entry,
  );
  expect(conformanceRows(wrong).exceptions).toEqual([
    expect.objectContaining({ xid: 79, expected: 'none', given: 'reboot-node', why: expect.any(String) }),
  ]);
});
