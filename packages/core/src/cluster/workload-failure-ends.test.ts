import { describe, expect, test } from 'vitest';
import { containerOf, ended, podOf } from '../../test/cluster.ts';
import type { ClusterPod } from '../domain/cluster.ts';
import { endsOf, nodesInOrder } from './workload-failure-ends.ts';

const pod = (
  name: string,
  exitCode: number,
  finishedAt: string,
  reason = 'Error',
  node = `node-of-${name}`,
): ClusterPod =>
  podOf({
    name,
    node,
    containers: [
      containerOf({ state: ended(exitCode, reason, { finishedAt: `2026-11-21T${finishedAt}Z` }) }),
    ],
  });
const names = (pods: readonly ClusterPod[], asked?: string) => endsOf(pods, asked).map((end) => end.pod.name);

describe('endsOf', () => {
  test('the first to end first, whatever the order of the list', () => {
    expect(names([pod('b', 134, '11:10:00'), pod('a', 1, '11:00:00')])).toEqual(['a', 'b']);
  });

  test('within one moment, what says why comes before its consequences', () => {
    const pods = [pod('stopped', 143, '11:00:00'), pod('memory', 137, '11:00:02', 'OOMKilled')];
    expect(names(pods)).toEqual(['memory', 'stopped']);
    // Planted fault: a minute apart it is not one moment any more.
    expect(names([pod('stopped', 143, '11:00:00'), pod('memory', 137, '11:01:02', 'OOMKilled')])).toEqual([
      'stopped',
      'memory',
    ]);
  });

  test('a run of yesterday is not this one, unless it was asked for', () => {
    const pods = [pod('old', 1, '05:00:00'), pod('new', 1, '11:00:00'), pod('peer', 134, '11:30:00')];
    expect(names(pods)).toEqual(['new', 'peer']);
    expect(names(pods, '2026-11-21T05:10:00Z')).toEqual(['old']);
    expect(names(pods, '2026-11-20T05:10:00Z')).toEqual(['new', 'peer']);
  });

  test('what ended well is no end, and what has no time comes last', () => {
    const evicted = podOf({ name: 'evicted', reason: 'Evicted', startedAt: null, containers: [] });
    expect(names([evicted, pod('well', 0, '11:00:00', 'Completed'), pod('a', 1, '11:00:00')])).toEqual([
      'a',
      'evicted',
    ]);
    expect(endsOf([podOf()])).toEqual([]);
  });
});

describe('nodesInOrder', () => {
  test('by turns the first to end and the odd one out; nodes of running pods last', () => {
    const same = Array.from({ length: 20 }, (_, index) =>
      pod(`p${index}`, 134, `11:00:${String(index + 10)}`),
    );
    const odd = pod('odd', 1, '11:05:00');
    const running = podOf({ name: 'running', node: 'last' });
    const pods = [running, ...same, odd];
    const order = nodesInOrder(pods, endsOf(pods));
    expect(order.slice(0, 3)).toEqual(['node-of-p0', 'node-of-odd', 'node-of-p1']);
    expect(order.at(-1)).toBe('last');
    expect(new Set(order).size).toBe(22);
  });
});
