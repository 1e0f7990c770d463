import { beforeAll, describe, expect, test } from 'vitest';
import { agentAnswer, asking, failed, fanOut, nodeName, ok } from '../../test/agent-answers.ts';
import { identify } from '../domain/agent-version.ts';
import type { NodeOutcome } from '../domain/node-outcome.ts';
import { presentHealth } from './health.ts';

const gatewayVersion = '0.1.0';
const by = (version: string, outcome: NodeOutcome): NodeOutcome => ({
  ...outcome,
  agent: identify({ name: 'k8s-gpu-mcp-server', version }, gatewayVersion),
});
let healthy: unknown;
let faulty: unknown;
beforeAll(async () => {
  healthy = await agentAnswer('get_gpu_health', 'healthy-8xh100');
  faulty = await agentAnswer('get_gpu_health', 'mixed-faults');
});
const present = (outcomes: readonly NodeOutcome[], more: Parameters<typeof asking>[1] = {}) =>
  presentHealth(asking('get_gpu_health', more), fanOut(outcomes));

describe('versions of agents in the answer of a cluster', () => {
  test('silent while all are of the line of the gateway', () => {
    const answer = present([by('0.1.0', ok('a', healthy)), by('0.1.4', ok('b', healthy)), ok('c', healthy)]);
    expect(answer).not.toHaveProperty('agentVersions');
    expect(JSON.stringify(answer)).not.toContain('agentVersion');
  });

  test('named, most nodes first, when one is of another line; its answer is used', () => {
    const answer = present([
      by('0.1.0', ok('a', healthy)),
      by('0.1.0', ok('b', healthy)),
      by('0.0.9', ok('c', faulty)),
      by('', failed('d', 'error')),
      failed('e', 'not-ready'),
    ]);
    expect(answer['agentVersions']).toEqual([
      { version: '0.1.0', compatible: true, nodeCount: 2, nodes: ['a', 'b'] },
      { version: null, compatible: false, nodeCount: 1, nodes: ['d'] },
      { version: '0.0.9', compatible: false, nodeCount: 1, nodes: ['c'] },
    ]);
    expect(answer).toMatchObject({ verdict: 'critical', statusCounts: { ok: 3 } });
    const rows = answer['nodes'] as readonly Record<string, unknown>[];
    expect(rows.map(({ node, agentVersion }) => [node, agentVersion])).toEqual([
      ['c', '0.0.9'],
      ['d', null],
      ['e', undefined],
      ['a', undefined],
      ['b', undefined],
    ]);
  });

  test('bounded, whatever a thousand agents say', () => {
    const outcomes = Array.from({ length: 1_000 }, (_, n) => by(`${n}.0.0`, ok(nodeName(n), healthy)));
    const answer = present(outcomes);
    const rows = answer['agentVersions'] as readonly unknown[];
    expect(rows.length).toBeLessThanOrEqual(8);
    expect(answer['agentVersionCount']).toBe(1_000);
    expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThanOrEqual(10_000);
    const one = present(outcomes.map((outcome) => by('1.0.0', outcome)));
    expect(one['agentVersions']).toMatchObject([{ nodeCount: 1_000, nodes: { length: 5 } }]);
  });

  test('an agent that is incompatible is a gap of its own, and unknown', () => {
    const reason = 'agent 0.0.9 does not have get_gpu_health; this gateway is 0.1.0: upgrade the agents';
    const outcome = { ...failed('b', 'error'), reason, failure: 'incompatible' as const };
    const answer = present([by('0.1.0', ok('a', healthy)), by('0.0.9', outcome)]);
    expect(answer).toMatchObject({
      verdict: 'unknown',
      nodes: [{ node: 'b', status: 'error', reason, agentVersion: '0.0.9' }, { node: 'a' }],
      gaps: [{ field: 'node', reason: 'unsupported', nodeCount: 1, nodes: ['b'] }],
      nextSteps: [
        { node: 'b', reason: '1 node did not answer (1 incompatible): upgrade as its reason says, b first.' },
      ],
    });
  });
});

describe('the first thing to do', () => {
  const finding = (action: string) => ({
    ...(healthy as object),
    verdict: 'critical',
    findings: [{ ruleId: 'gpu.lost', verdict: 'critical', gpu: 0, what: '', action }],
    nextSteps: [{ action }],
  });
  const first = (outcomes: readonly NodeOutcome[], directoryKind = 'static') =>
    (present(outcomes, { directoryKind })['nextSteps'] as readonly Record<string, unknown>[])[0];

  test('is of the node that asks for most among those of the worst verdict, then by name', () => {
    const outcomes = [
      ok('a', finding('check-app')),
      ok('b', finding('reboot-node')),
      ok('c', finding('reboot-node')),
      ok('d', finding('reset-gpu')),
    ];
    expect(first(outcomes)).toMatchObject({ node: 'b', action: 'reboot-node' });
    expect(first(outcomes.toReversed())).toMatchObject({ node: 'b' });
    // Planted fault: without the second node the choice is another.
    expect(first(outcomes.filter(({ node }) => node === 'a' || node === 'd'))).toMatchObject({ node: 'd' });
  });

  test.each([
    ['kubernetes', 'not-ready', 'describe_gpu_node'],
    ['kubernetes', 'timeout', 'describe_gpu_node'],
    ['static', 'not-ready', 'get_gpu_health'],
  ] as const)('in a directory of kind %s, of a node that is %s, is asked with %s', (kind, status, tool) => {
    expect(first([ok('a', healthy), failed('b', status)], kind)).toMatchObject({
      tool,
      arguments: { node: 'b' },
    });
  });
});
