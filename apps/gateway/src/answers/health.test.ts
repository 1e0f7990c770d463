import { beforeAll, describe, expect, test } from 'vitest';
import {
  agentAnswer,
  asking,
  failed,
  fanOut,
  nodeName,
  observedAt,
  ok,
  shuffled,
} from '../../test/agent-answers.ts';
import { presentHealth } from './health.ts';

const question = asking('get_gpu_health');
let healthy: unknown;
let mixed: unknown;
let drifted: unknown;
beforeAll(async () => {
  healthy = await agentAnswer('get_gpu_health', 'healthy-8xh100');
  mixed = await agentAnswer('get_gpu_health', 'mixed-faults');
  drifted = await agentAnswer('get_gpu_health', 'power-brake');
});

describe('a cluster with one node at fault', () => {
  test('names node, GPU and action first', () => {
    const answer = presentHealth(
      question,
      fanOut([ok('gpu-a', healthy), ok('gpu-b', mixed), failed('gpu-c', 'timeout')]),
    );
    expect(answer).toMatchObject({
      apiVersion: 'v1',
      scope: 'cluster',
      observedAt,
      verdict: 'critical',
      nodeCount: 3,
      statusCounts: { ok: 2, error: 0, timeout: 1, 'circuit-open': 0, 'not-ready': 0, stale: 0 },
      directory: { kind: 'static', staleSince: null, problem: null },
      verdictCounts: { critical: 1, warning: 0, unknown: 1, ok: 1 },
      gpuCount: 16,
      // GPU 1 lost, GPU 3 to be reset, GPU 5 power-braked; GPU 6 on half of its lanes.
      gpuVerdictCounts: { critical: 3, warning: 1, unknown: 0, ok: 12 },
      nodes: [
        { node: 'gpu-b', status: 'ok', verdict: 'critical', gpuCount: 8 },
        { node: 'gpu-c', status: 'timeout', verdict: 'unknown', reason: 'It is timeout.' },
        { node: 'gpu-a', status: 'ok', verdict: 'ok', gpuCount: 8 },
      ],
      coverage: { gpuBackend: { readableNodeCount: 2, simulatedNodeCount: 2 } },
      total: 3,
      truncated: false,
    });
    expect(answer['nextSteps']).toMatchObject([
      {
        action: 'reboot-node',
        node: 'gpu-b',
        reason: 'gpu-b, GPU 1: GPU lost.',
        tool: 'explain_failure',
        arguments: { node: 'gpu-b' },
      },
      { action: 'none', node: 'gpu-c', tool: 'get_gpu_health', arguments: { node: 'gpu-c' } },
    ]);
    expect(answer['gaps']).toContainEqual({
      field: 'node',
      reason: 'timeout',
      detail: 'timeout',
      nodeCount: 1,
      nodes: ['gpu-c'],
    });
    expect(answer['summary']).toContain('3 nodes: 1 critical, 1 unknown, 1 ok.');
  });

  test('the same facts make the same bytes in whatever order they arrive', () => {
    const outcomes = Array.from({ length: 60 }, (_, index) =>
      index % 9 === 0
        ? failed(nodeName(index), 'error', 'no')
        : ok(nodeName(index), [healthy, mixed, drifted][index % 3]),
    );
    const bytes = JSON.stringify(presentHealth(question, fanOut(outcomes)));
    expect(JSON.stringify(presentHealth(question, fanOut(shuffled(outcomes))))).toBe(bytes);
    expect(JSON.stringify(presentHealth(question, fanOut(outcomes.slice(1))))).not.toBe(bytes);
  });

  test('one finding of many nodes is one row that counts them', () => {
    const outcomes = Array.from({ length: 37 }, (_, index) => ok(nodeName(index), mixed));
    const { findings, nextSteps } = presentHealth(question, fanOut(outcomes));
    expect(findings).toContainEqual(
      expect.objectContaining({ ruleId: 'gpu.lost', node: nodeName(0), gpu: 1, nodeCount: 37 }),
    );
    expect(nextSteps).toMatchObject([{ reason: expect.stringContaining('The same on 36 more nodes.') }]);
  });
});

describe('what is not known is never ok', () => {
  const verdictOf = (outcomes: Parameters<typeof fanOut>[0]) =>
    presentHealth(question, fanOut(outcomes))['verdict'];

  test('planted fault: every failed status turns a healthy cluster to unknown', () => {
    expect(verdictOf([ok('gpu-a', healthy)])).toBe('ok');
    for (const status of ['error', 'timeout', 'circuit-open', 'not-ready', 'stale'] as const) {
      expect(verdictOf([ok('gpu-a', healthy), failed('gpu-b', status)])).toBe('unknown');
    }
  });

  test('no node at all, none that answers, and a warning beside one that does not', () => {
    expect(verdictOf([])).toBe('unknown');
    expect(verdictOf([failed('gpu-a', 'stale'), failed('gpu-b', 'error')])).toBe('unknown');
    expect(verdictOf([failed('gpu-a', 'stale'), ok('gpu-b', mixed)])).toBe('critical');
  });

  test('an agent that says ok while its own GPUs or findings say otherwise', () => {
    const lying = { ...(mixed as object), verdict: 'ok' };
    expect(verdictOf([ok('gpu-a', lying)])).toBe('critical');
    expect(verdictOf([ok('gpu-a', { apiVersion: 'v1', verdict: 'ok', gpus: [], findings: [] })])).toBe(
      'unknown',
    );
    expect(verdictOf([ok('gpu-a', { ...(healthy as object), apiVersion: 'v2' })])).toBe('unknown');
    expect(verdictOf([ok('gpu-a', { ...(healthy as object), gpus: 'eight' })])).toBe('unknown');
  });

  test('an action that no finding supports is not passed on', () => {
    const pushy = { ...(healthy as object), nextSteps: [{ action: 'power-cycle', reason: 'because' }] };
    expect(presentHealth(question, fanOut([ok('gpu-a', pushy)]))['nextSteps']).toEqual([]);
  });
});

test('an old directory is said', () => {
  const stale = {
    ...fanOut([ok('gpu-a', healthy)]),
    staleSince: '2026-03-01T11:00:00.000Z',
    directoryProblem: 'API server gone',
  };
  const answer = presentHealth(question, stale);
  expect(answer).toMatchObject({
    directory: { staleSince: '2026-03-01T11:00:00.000Z', problem: 'API server gone' },
    gaps: [{ field: 'directory', reason: 'not-observable' }],
  });
  expect(answer['summary']).toContain('may be out of date, since 2026-03-01T11:00:00.000Z');
});
