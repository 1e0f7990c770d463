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

describe('one line of every Xid', () => {
  test('is looked at for every number of the published catalogue', () => {
    for (const line of ['plain', 'with-process']) {
      const rows = table.rows.filter((row) => row.line === line);
      expect(rows.map(({ xid }) => xid)).toEqual(facts.xids.map(({ code }) => code));
    }
  });

  test.each(facts.xids.filter(({ immediate }) => immediate !== null))(
    'Xid $code gives the action of the published bucket, or the answer says why not',
    ({ code, immediate }) => {
      const expected = bucketActions[immediate as keyof typeof bucketActions];
      const rows = table.rows.filter(({ xid }) => xid === code);
      expect(rows).toHaveLength(2);
      for (const row of rows) {
        expect(row.expected).toBe(expected);
        if (row.given !== expected) expect(row.why).toMatch(/\w{3}/);
      }
    },
  );

  test('a plain line has no exception; one that names the process has one', () => {
    expect(table.exceptions).toEqual([
      {
        xid: 137,
        line: 'with-process',
        bucket: 'IGNORE',
        expected: 'none',
        given: 'check-app',
        why: expect.stringContaining('XID_137_FLOW'),
      },
    ]);
  });
});

test('a catalogue that says otherwise than the answer would be seen', () => {
  const wrong = xidCatalogue.map((entry) =>
    entry.code === 79 ? { ...entry, immediate: 'IGNORE' as const } : entry,
  );
  expect(conformanceRows(wrong).exceptions).toContainEqual(
    expect.objectContaining({ xid: 79, line: 'plain', expected: 'none', given: 'reboot-node' }),
  );
});
