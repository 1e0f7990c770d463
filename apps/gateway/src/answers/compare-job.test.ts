import { beforeAll, describe, expect, test } from 'vitest';
import { containerOf, gpuPod, podOf } from '../../../../packages/core/test/cluster.ts';
import {
  agentAnswer,
  asking,
  failed,
  fanOut,
  nodeName,
  ok,
  shuffled,
  tokens,
} from '../../test/agent-answers.ts';
import { ownedBy } from '../../test/pods.ts';
import type { AgentNode } from '../ports/node-directory.ts';
import { presentComparison } from './compare.ts';
import { type JobOnNodes, sharesOf } from './compare-job.ts';
import { comparisonQuestions } from './present-cluster.ts';

type Row = Readonly<Record<string, unknown>>;
const name = { namespace: 'ml', kind: 'PyTorchJob', name: 'llama' };
const question = asking('compare_gpus', { arguments: { job: 'ml/PyTorchJob/llama' } });
const agent = (node: string, labels: AgentNode['labels'] = {}): AgentNode => ({
  name: node,
  url: `http://${node}/mcp`,
  labels,
  notReadyBecause: null,
  instance: node,
  mayReceiveToken: true,
});
const podOn = (node: string, count: number, number = 0) =>
  gpuPod(`llama-${node}-${number}`, count, { namespace: 'ml', node, owner: ownedBy('PyTorchJob', 'llama') });
const jobOf = (pods: JobOnNodes['pods'], labels?: AgentNode['labels']): JobOnNodes => ({
  name,
  pods,
  nodes: [...new Set(pods.map(({ node }) => node ?? ''))].map((node) => agent(node, labels)),
  gaps: [],
});

let inventory: Row;
let comparison: Row;
let uuids: readonly string[];
beforeAll(async () => {
  inventory = await agentAnswer('get_gpu_inventory', 'straggler', {
    input: comparisonQuestions.inventory.arguments,
  });
  const read = await agentAnswer('compare_gpus', 'straggler', {
    input: comparisonQuestions.comparison.arguments,
  });
  const [first] = read['values'] as Row[];
  const values = (read['values'] as Row[]).map((row) => ({ ...first, index: row['index'] }));
  comparison = { ...read, verdict: 'ok', outliers: [], values };
  uuids = (inventory['gpus'] as Row[]).map(({ uuid }) => uuid as string);
});

const kubelet = (
  pod: JobOnNodes['pods'][number],
  indexes: readonly number[],
  idOf = (uuid: string) => uuid,
) => ({
  apiVersion: 'v1',
  containers: [
    {
      namespace: pod.namespace,
      pod: pod.name,
      container: 'main',
      devices: [
        { resourceName: 'nvidia.com/gpu', deviceIds: indexes.map((index) => idOf(uuids[index] ?? '')) },
        { resourceName: 'rdma/hca', deviceIds: ['mlx5_0'] },
      ],
      claims: [],
    },
  ],
});
const running = (podUid: string, id: string, indexes: readonly number[]) => ({
  apiVersion: 'v1',
  processes: indexes.map((index) => ({
    pid: 100 + index,
    name: 'python3',
    startedAt: '2026-11-21T10:00:05Z',
    podUid,
    container: { id, runtime: 'containerd' },
    gpus: [{ index, memoryUsedBytes: 1e9 }],
  })),
});

const ask = (
  job: JobOnNodes,
  { processes, allocation, changes = {} }: { processes?: unknown; allocation?: unknown; changes?: Row } = {},
) => {
  const all = (content: unknown) =>
    fanOut(
      job.nodes.map((node) => (content === undefined ? failed(node.name, 'error') : ok(node.name, content))),
    );
  const shares = sharesOf(job, {
    inventory: all(inventory),
    processes: all(processes),
    allocation: all(allocation),
  });
  const answers = { inventory: all(inventory), comparison: all({ ...comparison, ...changes }) };
  return { shares, answer: presentComparison(question, answers, shares) };
};
const shareOn = (node: string, { shares }: ReturnType<typeof sharesOf>) => {
  const share = shares.get(node);
  return share && { basis: share.basis, gpus: share.gpus && [...share.gpus].sort() };
};

describe('which GPUs a job has on a node', () => {
  const id = 'ab'.repeat(32);
  const pod = {
    ...podOn('gpu-a', 4),
    containers: [containerOf({ containerId: id, limits: { 'nvidia.com/gpu': 4 } })],
  };
  const job = jobOf([pod]);

  test('by the device ids of the kubelet, a share of a GPU too', () => {
    const allocation = kubelet(pod, [1, 3, 5, 7]);
    expect(shareOn('gpu-a', ask(job, { allocation }).shares)).toEqual({
      basis: 'device-ids',
      gpus: [1, 3, 5, 7],
    });
    const shared = kubelet(pod, [2], (uuid) => `${uuid}::3`);
    expect(shareOn('gpu-a', ask(job, { allocation: shared }).shares)).toEqual({
      basis: 'device-ids',
      gpus: [2],
    });
  });

  test('a pod that asks for all of them has all', () => {
    const whole = jobOf([podOn('gpu-a', 8)]);
    expect(shareOn('gpu-a', ask(whole).shares)).toEqual({ basis: 'all-requested', gpus: null });
    const sliced = jobOf([podOn('gpu-a', 8)], { 'nvidia.com/gpu.replicas': '4' });
    expect(shareOn('gpu-a', ask(sliced).shares)?.basis).toBe('unknown');
  });

  test('by its processes, when they are on as many GPUs as the pods ask for', () => {
    const processes = running(pod.uid, id, [0, 1, 2, 6]);
    expect(shareOn('gpu-a', ask(job, { processes }).shares)).toEqual({
      basis: 'processes',
      gpus: [0, 1, 2, 6],
    });
    const oneDied = running(pod.uid, id, [0, 1, 2]);
    expect(shareOn('gpu-a', ask(job, { processes: oneDied }).shares)?.basis).toBe('unknown');
  });

  test('planted fault: ids of another pod, of no GPU here, and processes of a forged container tell nothing', () => {
    const others = kubelet({ ...pod, name: 'other' }, [1]);
    const foreign = kubelet(pod, [1], () => 'GPU-of-another-node');
    const forged = running(pod.uid, 'cd'.repeat(32), [0, 1, 2, 6]);
    for (const lie of [{ allocation: others }, { allocation: foreign }, { processes: forged }]) {
      expect(shareOn('gpu-a', ask(job, lie).shares)).toEqual({ basis: 'unknown', gpus: null });
    }
  });

  test('where it is not known, all are compared, and the answer says so', () => {
    const { answer } = ask(job);
    expect(answer).toMatchObject({
      job: { ...name, podCount: 1, nodeCount: 1, gpusKnownBy: { unknown: 1 } },
      gpuCount: 8,
      comparedCount: 8,
    });
    expect(answer['gaps']).toContainEqual(
      expect.objectContaining({ field: 'job.gpus', reason: 'not-observable' }),
    );
    expect(answer['summary']).toContain('PyTorchJob ml/llama: 1 pod on 1 node. On 1 node all GPUs');
  });

  test.each([
    null,
    1,
    'x',
    [],
    [null],
    { devices: 1 },
    [{ namespace: 'ml', pod: pod.name, devices: [{ deviceIds: [1, null, {}] }] }],
  ])('hostile: containers and processes that are %j', (list) => {
    const { shares } = ask(job, { allocation: { containers: list }, processes: { processes: list } });
    expect(shareOn('gpu-a', shares)?.basis).toBe('unknown');
  });

  test('claims, and pods that ask for nothing', () => {
    const claiming = { ...pod, claims: [{ name: 'gpu', claimName: 'gpu-1' }] };
    expect(
      shareOn('gpu-a', ask(jobOf([claiming]), { processes: running(pod.uid, id, [0]) }).shares)?.basis,
    ).toBe('unknown');
    const bare = { ...pod, containers: [containerOf({ containerId: id })] };
    expect(shareOn('gpu-a', ask(jobOf([bare]), { processes: running(pod.uid, id, [0]) }).shares)).toEqual({
      basis: 'processes',
      gpus: [0],
    });
  });
});

describe('a job as one cohort', () => {
  const pods = ['gpu-a', 'gpu-b'].map((node) => podOn(node, 4));
  const allocation = {
    apiVersion: 'v1',
    containers: [] as unknown[],
  };
  beforeAll(() => {
    allocation.containers = pods.flatMap((pod) => kubelet(pod, [0, 1, 2, 3]).containers);
  });
  const slow = (index: number) => ({
    values: (comparison['values'] as Row[]).map((row) =>
      row['index'] === index ? { ...row, 'clocks.smClockMegahertz': 900 } : row,
    ),
  });

  test('a slow GPU of the job is named; one of somebody else is not', () => {
    const job = jobOf(pods);
    const mine = ask(job, { allocation, changes: slow(2) }).answer;
    expect(mine).toMatchObject({ verdict: 'warning', gpuCount: 8, comparedCount: 8 });
    expect(mine['outliers']).toContainEqual(
      expect.objectContaining({ node: 'gpu-a', gpus: [2], metric: 'clocks.smClockMegahertz', peerCount: 8 }),
    );
    const other = {
      ...slow(6),
      verdict: 'critical',
      // Unlike the GPUs of somebody else beside it.
      outliers: [{ gpu: 1, metric: 'clocks.smClockMegahertz', value: 900, median: 1_900 }],
      findings: [
        { ruleId: 'compare.stalled-collective', verdict: 'critical', gpu: 6, what: 'x', action: 'none' },
      ],
    };
    expect(ask(job, { allocation, changes: other }).answer).toMatchObject({
      verdict: 'ok',
      outliers: [],
      nodes: [{ gpus: [0, 1, 2, 3], gpuCount: 4 }, {}],
    });
  });

  test('planted fault: a GPU of the job that is lost holds back the ok', () => {
    const before = inventory;
    inventory = {
      ...before,
      gpus: (before['gpus'] as Row[]).map((row) => (row['index'] === 1 ? { ...row, state: 'lost' } : row)),
    };
    try {
      expect(ask(jobOf(pods), { allocation }).answer['verdict']).toBe('critical');
    } finally {
      inventory = before;
    }
  });

  test('125 nodes and 1,000 GPUs within the budget, in any order', () => {
    const many = Array.from({ length: 125 }, (_, number) => podOn(nodeName(number), 8));
    const job = jobOf(many);
    const answer = ask(job, { changes: slow(5) }).answer;
    expect(answer).toMatchObject({ gpuCount: 1_000, job: { gpusKnownBy: { 'all-requested': 125 } } });
    expect(tokens(answer)).toBeLessThanOrEqual(2_500);
    const other = jobOf(shuffled(many));
    expect(JSON.stringify(ask(other, { changes: slow(5) }).answer)).toBe(JSON.stringify(answer));
  });
});

test('two pods of the job on one node are taken together', () => {
  const pods = [podOn('gpu-a', 4, 0), podOn('gpu-a', 4, 1)];
  expect(shareOn('gpu-a', ask(jobOf(pods)).shares)).toEqual({ basis: 'all-requested', gpus: null });
  const [first] = pods;
  if (!first) throw new Error('no pod');
  // Only one of the two is told: what the other has is open.
  const half = ask(jobOf([first, podOf({ ...podOn('gpu-a', 2, 1) })]), {
    allocation: kubelet(first, [0, 1, 2, 3]),
  });
  expect(shareOn('gpu-a', half.shares)?.basis).toBe('unknown');
});
