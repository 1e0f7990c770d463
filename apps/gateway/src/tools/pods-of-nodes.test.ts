import { type Cluster, type ClusterPod, GpuError, type ListReading, silentLogger } from '@k8s-gpu-mcp/core';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, test } from 'vitest';
import { containerOf, podOf } from '../../../../packages/core/test/cluster.ts';
import { createPodsOfNodes } from './pods-of-nodes.ts';

const id = 'ab'.repeat(32);
const pod = podOf({ containers: [containerOf({ containerId: id })] });
const whole = (items: readonly ClusterPod[]) => ({ items, isComplete: true, gaps: [] });
const place = { podUid: pod.uid, container: { id, runtime: null }, startedAt: null };
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function rig(read: () => Promise<ListReading<ClusterPod>>) {
  const clock = fixedClock();
  const asked: (string | null)[] = [];
  const note = (what: string | null) => {
    asked.push(what);
    return read();
  };
  const cluster = {
    pods: (namespace: string | null) => note(namespace),
    podsOnNode: (node: string) => note(node),
  } as unknown as Cluster;
  const logged: unknown[] = [];
  const logger = { ...silentLogger, error: (message: string) => void logged.push(message) };
  const podsOfNodes = createPodsOfNodes({ cluster, clock, logger });
  const signal = new AbortController().signal;
  return { clock, asked, logged, podsOfNodes, ask: (...nodes: string[]) => podsOfNodes(nodes, signal) };
}

describe('reads', () => {
  test('one node: its pods; several: one list; none: nothing', async () => {
    const { ask, asked } = rig(async () => whole([pod]));
    const known = await ask('gpu-node-7');
    expect(known.join?.('gpu-node-7', place).pod?.name).toBe('train-0');
    await ask('a', 'b', 'c');
    expect(await ask()).toEqual({ join: null, gaps: [] });
    expect(asked).toEqual(['gpu-node-7', null]);
  });

  test('once for questions of ten seconds, at the same time too; then again', async () => {
    const { ask, asked, clock } = rig(async () => whole([pod]));
    await Promise.all([ask('a', 'b'), ask('a', 'b', 'c')]);
    clock.advance(9_000);
    await ask('a');
    expect(asked).toEqual([null]);
    clock.advance(1_000);
    await ask('a');
    expect(asked).toEqual([null, 'a']);
  });

  test('planted fault: a failure is told and not kept', async () => {
    const answers = [
      {
        items: null,
        isComplete: false,
        gaps: [{ field: 'pods', reason: 'no-permission' as const, detail: 'may not list pods' }],
      },
      whole([pod]),
    ];
    const { ask } = rig(async () => answers.shift() ?? whole([]));
    expect(await ask('a')).toMatchObject({ join: null, gaps: [{ reason: 'no-permission' }] });
    await turn();
    expect((await ask('a')).join).not.toBeNull();
  });

  test('too many pods: those read count, and the rest is a gap', async () => {
    const { ask } = rig(async () => ({ items: [pod], isComplete: false, gaps: [] }));
    const { join, gaps } = await ask('a');
    expect(join).not.toBeNull();
    expect(gaps).toMatchObject([{ field: 'pods', reason: 'error' }]);
  });
});

describe('an API server that does not answer', () => {
  test('costs five seconds, and what comes later serves the next question', async () => {
    let answer: (reading: ListReading<ClusterPod>) => void = () => {};
    const { ask, asked, clock } = rig(
      () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    );
    const first = ask('a', 'b');
    await turn();
    clock.advance(5_000);
    expect(await first).toMatchObject({ join: null, gaps: [{ field: 'pods', reason: 'timeout' }] });
    answer(whole([pod]));
    expect((await ask('a', 'b')).join).not.toBeNull();
    expect(asked).toEqual([null]);
  });

  test('the end of the question ends the wait', async () => {
    const { podsOfNodes } = rig(() => new Promise(() => {}));
    const controller = new AbortController();
    const asked = podsOfNodes(['a'], controller.signal);
    controller.abort();
    expect((await asked).gaps).toMatchObject([{ reason: 'timeout' }]);
  });

  test.each([
    [new GpuError('TIMEOUT', 'late'), 'timeout', 0],
    [new GpuError('UNAVAILABLE', 'none'), 'error', 0],
    [new TypeError('a defect'), 'error', 1],
  ])('%s', async (thrown, reason, logCount) => {
    const { ask, logged } = rig(() => Promise.reject(thrown));
    expect((await ask('a')).gaps).toMatchObject([{ field: 'pods', reason }]);
    expect(logged).toHaveLength(logCount);
  });
});
