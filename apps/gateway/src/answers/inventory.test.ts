import { beforeAll, expect, test } from 'vitest';
import { agentAnswer, asking, failed, fanOut, ok } from '../../test/agent-answers.ts';
import { presentInventory } from './inventory.ts';

const question = asking('get_gpu_inventory');
let h100: Record<string, unknown>;
let l40s: Record<string, unknown>;
let lost: Record<string, unknown>;
let full: Record<string, unknown>;
beforeAll(async () => {
  h100 = await agentAnswer('get_gpu_inventory', 'healthy-8xh100');
  l40s = await agentAnswer('get_gpu_inventory', 'memory-held-by-nobody');
  lost = await agentAnswer('get_gpu_inventory', 'mixed-faults');
  full = await agentAnswer('get_gpu_inventory', 'healthy-8xh100', { input: { detail: 'full' } });
});

test('products and drivers of the cluster', () => {
  const answer = presentInventory(
    question,
    fanOut([ok('gpu-a', h100), ok('gpu-b', h100), ok('gpu-c', l40s)]),
  );
  expect(answer).toMatchObject({
    verdict: 'ok',
    gpuCount: 20,
    products: [
      { product: 'NVIDIA H100 80GB HBM3', gpuCount: 16, nodeCount: 2 },
      { product: 'NVIDIA L40S', gpuCount: 4, nodeCount: 1 },
    ],
    drift: [],
    nextSteps: [],
  });
});

test('a node unlike the majority of its product is named', () => {
  const outcomes = ['gpu-a', 'gpu-b', 'gpu-d'].map((node) => ok(node, h100));
  const old = { ...h100, driverVersion: '535.10.01' };
  const answer = presentInventory(question, fanOut([...outcomes, ok('gpu-c', old)]));
  expect(answer['drift']).toEqual([
    {
      product: 'NVIDIA H100 80GB HBM3',
      field: 'driverVersion',
      majority: h100['driverVersion'],
      values: [
        { value: h100['driverVersion'], nodeCount: 3 },
        { value: '535.10.01', nodeCount: 1, nodes: ['gpu-c'] },
      ],
    },
  ]);
  expect(answer['nextSteps']).toMatchObject([
    { node: 'gpu-c', tool: 'get_gpu_inventory', arguments: { node: 'gpu-c' } },
  ]);
});

test('the settings of full answers are compared too', () => {
  const gpus = (full['gpus'] as object[]).map((gpu) => ({ ...gpu, vbiosVersion: '96.00.74.00.01' }));
  const answer = presentInventory(
    question,
    fanOut([ok('gpu-a', full), ok('gpu-b', full), ok('gpu-c', { ...full, gpus })]),
  );
  expect(answer['drift']).toMatchObject([
    { field: 'vbiosVersion', values: [{ nodeCount: 2 }, { nodes: ['gpu-c'] }] },
  ]);
});

test('a lost GPU and a silent node are not ok', () => {
  expect(presentInventory(question, fanOut([ok('gpu-a', lost)]))).toMatchObject({
    verdict: 'critical',
    nodes: [{ gpus: [{ index: 1, state: 'lost' }] }],
  });
  expect(presentInventory(question, fanOut([ok('gpu-a', h100), failed('gpu-b', 'not-ready')]))).toMatchObject(
    {
      verdict: 'unknown',
    },
  );
  // Planted fault: a list that lacks a GPU that was counted.
  const short = { ...h100, gpus: (h100['gpus'] as object[]).slice(1) };
  expect(presentInventory(question, fanOut([ok('gpu-a', short)]))).toMatchObject({ verdict: 'unknown' });
});
