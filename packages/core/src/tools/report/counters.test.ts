import { expect, test } from 'vitest';
import { h100Reading } from '../../../test/h100.ts';
import { countersOf, hasChanged, isTelling } from './counters.ts';

const now = h100Reading({ ecc: { correctableVolatileCount: 17_700 } });
const earlier = {
  ...h100Reading({ ecc: { correctableVolatileCount: 12 } }),
  observedAt: '2026-11-21T11:00:00.000Z',
};
const rowOf = (field: string, rows: ReturnType<typeof countersOf>) => rows.find((row) => row.field === field);

test('a counter stands with what it was', () => {
  expect(rowOf('ecc.correctableVolatileCount', countersOf(now, earlier))).toEqual({
    field: 'ecc.correctableVolatileCount',
    before: 12,
    after: 17_700,
  });
});

test('without an earlier reading nothing is said of before', () => {
  expect(rowOf('ecc.correctableVolatileCount', countersOf(now, undefined))).toMatchObject({
    before: null,
    after: 17_700,
  });
});

test('a counter that neither reading has is left out; one that got lost is null, not zero', () => {
  const lost = h100Reading({ ecc: { correctableVolatileCount: null } });
  expect(rowOf('ecc.correctableVolatileCount', countersOf(lost, undefined))).toBeUndefined();
  expect(rowOf('ecc.correctableVolatileCount', countersOf(lost, earlier))).toMatchObject({
    before: 12,
    after: null,
  });
});

test('errors of links are summed over the links that count them', () => {
  const [link] = now.nvlink?.links ?? [];
  if (!link) throw new Error('no links');
  const links = [
    { ...link, link: 0, replayErrorCount: 3 },
    { ...link, link: 1, replayErrorCount: null },
    { ...link, link: 2, replayErrorCount: 4 },
  ];
  const rows = countersOf({ ...now, nvlink: { links } }, undefined);
  expect(rowOf('nvlink.links.replayErrorCount', rows)).toMatchObject({ after: 7 });
});

test.each([
  [{ before: null, after: 0 }, false, false],
  [{ before: 0, after: 0 }, false, false],
  [{ before: null, after: false }, false, false],
  [{ before: null, after: 3 }, true, false],
  [{ before: 3, after: 3 }, true, false],
  [{ before: 3, after: 5 }, true, true],
  [{ before: 3, after: 0 }, true, true],
  // Missing is not zero.
  [{ before: 0, after: null }, true, true],
  [{ before: false, after: true }, true, true],
])('%j tells something: %j, has changed: %j', (counts, telling, changed) => {
  const row = { field: 'ecc.correctableVolatileCount', ...counts };
  expect(isTelling(row)).toBe(telling);
  expect(hasChanged(row)).toBe(changed);
});
