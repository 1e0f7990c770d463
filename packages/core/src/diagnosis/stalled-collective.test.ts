import { describe, expect, test } from 'vitest';
import { type Changes, h100Reading } from '../../test/h100.ts';
import type { GpuSeries } from './outliers.ts';
import { stalledCollectiveFindings } from './stalled-collective.ts';

const gibibyte = 1024 ** 3;
const spinning: Changes = {
  utilization: { gpuPercent: 100, memoryPercent: 0 },
  power: { drawWatts: 124 },
  memory: { usedBytes: 70 * gibibyte },
};
const idle: Changes = { memory: { usedBytes: 70 * gibibyte } };

const node = (base: Changes, changed: Readonly<Record<number, Changes>> = {}): GpuSeries[] =>
  Array.from({ length: 8 }, (_, index) => [h100Reading(changed[index] ?? base, [], index)]);

test('all wait together: told, although nobody is an outlier', () => {
  const [finding, ...more] = stalledCollectiveFindings(node(spinning));
  expect(more).toEqual([]);
  expect(finding).toMatchObject({
    ruleId: 'compare.stalled-collective',
    verdict: 'warning',
    action: 'check-app',
    confidence: 'low',
  });
  expect(finding?.what).toMatch(/^GPU 0, 1, 2, 3, 4, 5, 6, 7: full utilization/);
});

test('the idle one that holds as much memory is named', () => {
  const [finding] = stalledCollectiveFindings(node(spinning, { 5: idle }));
  expect(finding).toMatchObject({ confidence: 'medium' });
  expect(finding?.what).toContain('GPU 5 holds as much memory and does nothing.');
});

test('an idle one that holds nothing does not belong to the job', () => {
  const [finding] = stalledCollectiveFindings(node(spinning, { 5: { memory: { usedBytes: 0 } } }));
  expect(finding?.what).not.toContain('holds as much');
});

describe('work is no stall', () => {
  test.each<[string, Changes]>([
    ['training', { utilization: { gpuPercent: 100, memoryPercent: 45 }, power: { drawWatts: 640 } }],
    [
      'a kernel bound by memory',
      { utilization: { gpuPercent: 100, memoryPercent: 90 }, power: { drawWatts: 205 } },
    ],
    [
      'a kernel without memory traffic',
      { utilization: { gpuPercent: 100, memoryPercent: 0 }, power: { drawWatts: 480 } },
    ],
    ['idle', {}],
    ['power not known', { ...spinning, power: { drawWatts: null } }],
    ['limit not known', { ...spinning, power: { drawWatts: 124, enforcedLimitWatts: null } }],
  ])('%s', (_, changes) => {
    expect(stalledCollectiveFindings(node(changes))).toEqual([]);
  });
});
