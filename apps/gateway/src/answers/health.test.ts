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

describe('of several critical nodes', () => {
  const node = (score: number, ...findings: readonly (readonly [string, string])[]) => ({
    ...(healthy as object),
    verdict: 'critical',
    score,
    findings: findings.map(([ruleId, action]) => ({ ruleId, verdict: 'critical', gpu: 1, what: '', action })),
    nextSteps: [],
  });
  const stepsOf = (nodes: Readonly<Record<string, unknown>>) => {
    const outcomes = Object.entries(nodes).map(([name, content]) => ok(name, content));
    const { nextSteps, summary } = presentHealth(question, fanOut(outcomes));
    const steps = nextSteps as { node: string; action: string }[];
    return { summary, steps: steps.map((step) => `${step.action} ${step.node}`) };
  };
  const hot = ['clocks.thermal-slowdown', 'check-mechanicals'] as const;
  const lost = ['gpu.lost', 'reboot-node'] as const;

  test('the one with a GPU off the bus comes first, however drastic the action of another is', () => {
    const { steps, summary } = stepsOf({ 'gpu-1': node(60, lost), 'gpu-3': node(40, hot) });
    expect(steps).toEqual(['reboot-node gpu-1', 'check-mechanicals gpu-3']);
    expect(summary).toContain('Worst: GPU lost on gpu-1, GPU 1.');
    // Planted: without the loss the lower score decides.
    const other = stepsOf({
      'gpu-1': node(60, ['pcie.fatal-errors', 'reboot-node']),
      'gpu-3': node(40, hot),
    });
    expect(other.steps[0]).toBe('check-mechanicals gpu-3');
  });

  test('then the lower score, the more drastic action, the name; the summary names the node of the first step', () => {
    const brake = ['power.brake', 'check-mechanicals'] as const;
    const fatal = ['pcie.fatal-errors', 'reboot-node'] as const;
    expect(stepsOf({ a: node(50, brake), b: node(20, fatal) }).steps[0]).toBe('reboot-node b');
    expect(stepsOf({ a: node(50, fatal), b: node(50, brake) }).steps[0]).toBe('check-mechanicals b');
    const { steps, summary } = stepsOf({ a: node(50, lost), b: node(20, lost) });
    expect(steps).toEqual(['reboot-node b']);
    expect(summary).toContain('GPU lost on b, GPU 1, and on 1 more node.');
  });

  test('one step for each action, three at most; a warning adds none', () => {
    const nodes = { a: node(10, lost), b: node(20, hot), c: node(30, ['remap.failed', 'reset-gpu']) };
    const more = { d: node(40, ['inforom.corrupt', 'contact-support']), e: node(5, hot), f: drifted };
    const actions = ['reboot-node a', 'check-mechanicals e', 'reset-gpu c'];
    expect(stepsOf({ ...nodes, ...more }).steps).toEqual(actions);
  });
});

test('of a node that did not answer the API server is asked, unless its agent has to be upgraded', () => {
  const stepOf = (outcome: ReturnType<typeof failed>, directoryKind = 'kubernetes') => {
    const answer = presentHealth(asking('get_gpu_health', { directoryKind }), fanOut([outcome]));
    return (answer['nextSteps'] as { tool: string }[])[0]?.tool;
  };
  for (const status of ['error', 'timeout', 'circuit-open', 'not-ready', 'stale'] as const) {
    expect(stepOf(failed('gpu-a', status))).toBe('describe_gpu_node');
    expect(stepOf(failed('gpu-a', status), 'static')).toBe('get_gpu_health');
  }
  const old = { ...failed('gpu-a', 'error'), failure: 'incompatible' as const };
  expect(stepOf(old)).toBe('get_gpu_health');
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
