import { expect, test } from 'vitest';
import { h100Reading } from '../../../test/h100.ts';
import { countersOf } from './counters.ts';

const now = h100Reading({ ecc: { correctableVolatileCount: 17_700 } });
const earlier = {
  ...h100Reading({ ecc: { correctableVolatileCount: 12 } }),
  observedAt: '2026-11-21T11:00:00.000Z',
};
const rowOf = (field: string, rows: ReturnType<typeof countersOf>) => rows.find((row) => row.field === field);

test('a counter stands with what it was and when', () => {
  expect(rowOf('ecc.correctableVolatileCount', countersOf(now, earlier))).toEqual({
    field: 'ecc.correctableVolatileCount',
    before: 12,
    beforeAt: '2026-11-21T11:00:00.000Z',
    after: 17_700,
  });
});

test('without an earlier reading nothing is said of before', () => {
  expect(rowOf('ecc.correctableVolatileCount', countersOf(now, undefined))).toMatchObject({
    before: null,
    beforeAt: null,
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
