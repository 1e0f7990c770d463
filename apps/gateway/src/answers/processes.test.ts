import { beforeAll, expect, test } from 'vitest';
import { agentAnswer, asking, failed, fanOut, ok } from '../../test/agent-answers.ts';
import { presentProcesses } from './processes.ts';

const question = asking('get_gpu_processes');
let busy: Record<string, unknown>;
let orphaned: Record<string, unknown>;
beforeAll(async () => {
  busy = await agentAnswer('get_gpu_processes', 'healthy-8xh100');
  orphaned = await agentAnswer('get_gpu_processes', 'memory-held-by-nobody');
});

test('holders of the cluster, and memory that nobody owns', () => {
  const answer = presentProcesses(question, fanOut([ok('gpu-a', busy), ok('gpu-b', orphaned)]));
  expect(answer).toMatchObject({
    verdict: 'warning',
    gpuCount: 12,
    processCount: (busy['total'] as number) + (orphaned['total'] as number),
    heldByNobody: [{ node: 'gpu-b', gpu: 1, ruleId: 'processes.memory-held-by-nobody' }],
    heldByNobodyCount: 1,
    nodes: [{ node: 'gpu-b' }, { node: 'gpu-a' }],
    nextSteps: [{ node: 'gpu-b', tool: 'get_gpu_processes', arguments: { node: 'gpu-b' } }],
  });
  const bytes = (answer['holders'] as { memoryUsedBytes: number }[]).map((holder) => holder.memoryUsedBytes);
  expect(bytes).toEqual(bytes.toSorted((a, b) => b - a));
});

test('a process that the operating system does not show is not called outside pods', () => {
  const hidden = (busy['processes'] as object[]).map((each) => ({
    ...each,
    name: null,
    podUid: undefined,
    container: undefined,
  }));
  const bare = hidden.map((each) => ({ ...each, name: 'python3' }));
  const outside = (processes: object[]) =>
    presentProcesses(question, fanOut([ok('gpu-a', { ...busy, processes })]))['outsidePodsCount'];
  expect(outside(hidden)).toBe(0);
  expect(outside(bare)).toBe(bare.length);
});

test('planted fault: a node that did not answer holds back the ok', () => {
  expect(presentProcesses(question, fanOut([ok('gpu-a', busy)]))['verdict']).toBe('ok');
  expect(presentProcesses(question, fanOut([ok('gpu-a', busy), failed('gpu-b', 'error')]))['verdict']).toBe(
    'unknown',
  );
});

test('a lost GPU, which no finding of this tool names, has a step', async () => {
  const lost = await agentAnswer('get_gpu_processes', 'mixed-faults');
  expect(presentProcesses(question, fanOut([ok('gpu-a', busy), ok('gpu-b', lost)]))).toMatchObject({
    verdict: 'critical',
    nextSteps: [{ action: 'none', node: 'gpu-b', tool: 'get_gpu_health', arguments: { node: 'gpu-b' } }],
  });
});
