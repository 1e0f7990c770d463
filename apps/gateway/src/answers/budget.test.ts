import { describe, expect, test } from 'vitest';
import { agentAnswer, asking, failed, fanOut, nodeName, ok, tokens } from '../../test/agent-answers.ts';
import { ownedBy, podsIn } from '../../test/pods.ts';
import type { NodeOutcome } from '../domain/node-outcome.ts';
import { createPodJoin } from '../domain/pod-join.ts';
import { type ClusterToolName, clusterTools } from './present-cluster.ts';

const thousand = (outcomeOf: (number: number) => NodeOutcome) =>
  fanOut(Array.from({ length: 1_000 }, (_, number) => outcomeOf(number)));
const statuses = ['error', 'timeout', 'circuit-open', 'not-ready', 'stale'] as const;
const scenarios = [
  'healthy-8xh100',
  'mixed-faults',
  'gsp-storm',
  'nvlink-down',
  'memory-held-by-nobody',
  'mig',
] as const;

describe.each(Object.keys(clusterTools) as ClusterToolName[])('%s at 1,000 nodes', (tool) => {
  const { present, agentArguments } = clusterTools[tool];
  const ask = (scenario: (typeof scenarios)[number]) =>
    agentAnswer(tool, scenario, { input: agentArguments.summary });

  test('a healthy cluster costs at most 800 tokens', async () => {
    const content = await ask('healthy-8xh100');
    const answer = present(
      asking(tool),
      thousand((number) => ok(nodeName(number), content)),
    );
    expect(answer).toMatchObject({ verdict: 'ok', total: 1_000, truncated: true });
    expect(tokens(answer)).toBeLessThanOrEqual(800);
  });

  test('a sick and half silent one at most 2,500, also with a long page', async () => {
    const contents = await Promise.all(scenarios.map(ask));
    const result = thousand((number) =>
      number % 3 === 0
        ? failed(
            nodeName(number),
            statuses[number % 5] ?? 'error',
            `connect ECONNREFUSED ${'x'.repeat(5_000)}`,
          )
        : ok(nodeName(number), contents[number % contents.length]),
    );
    const holders = await Promise.all(scenarios.map((each) => agentAnswer('get_gpu_processes', each)));
    const pods = result.outcomes.flatMap(({ node }, number) => {
      const name = `pretraining-of-a-large-model-${number}`;
      return podsIn(node, holders[number % holders.length] ?? {}, {
        name,
        owner: ownedBy('PyTorchJob', name),
      });
    });
    for (const known of [null, { join: createPodJoin(pods), gaps: [] }]) {
      for (const limit of [undefined, 200]) {
        const answer = present(asking(tool, { limit }), result, known);
        expect((answer['nodes'] as []).length).toBeGreaterThan(4);
        expect(tokens(answer)).toBeLessThanOrEqual(2_500);
      }
      const full = present(asking(tool, { detail: 'full', limit: 200 }), result, known);
      expect(tokens(full)).toBeLessThanOrEqual(10_000);
    }
  });

  test('planted fault: names as long as Kubernetes allows do not break it', async () => {
    const content = await ask('mixed-faults');
    const long = (number: number) =>
      `n${number}.${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}`;
    const answer = present(
      asking(tool),
      thousand((number) => ok(long(number), content)),
    );
    expect(tokens(answer)).toBeLessThanOrEqual(2_500);
    // What all of it would cost, so that the budget is known to cut.
    expect(tokens(content) * 1_000).toBeGreaterThan(100_000);
  });
});
