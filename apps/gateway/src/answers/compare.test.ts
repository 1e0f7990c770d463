import { beforeAll, describe, expect, test } from 'vitest';
import { agentAnswer, asking, failed, fanOut, nodeName, ok, shuffled } from '../../test/agent-answers.ts';
import { presentComparison } from './compare.ts';
import { comparisonQuestions } from './present-cluster.ts';

const question = asking('compare_gpus');
type Answer = Record<string, unknown>;
const { inventory: identity, comparison: readings } = comparisonQuestions;
const askBoth = async (scenario: Parameters<typeof agentAnswer>[1]) => ({
  inventory: await agentAnswer(identity.tool, scenario, { input: identity.arguments }),
  comparison: await agentAnswer(readings.tool, scenario, { input: readings.arguments }),
});
type Both = Awaited<ReturnType<typeof askBoth>>;

let even: Both;
let l40s: Both;
beforeAll(async () => {
  even = await askBoth('straggler');
  l40s = await askBoth('memory-held-by-nobody');
});

/** Every GPU like GPU 0, but for the changes. */
function likeFirst({ inventory, comparison }: Both, changes: Readonly<Record<number, Answer>> = {}): Both {
  const [first] = comparison['values'] as Answer[];
  const values = (comparison['values'] as Answer[]).map((row, index) => ({
    ...first,
    index: row['index'],
    ...changes[index],
  }));
  return { inventory, comparison: { ...comparison, verdict: 'ok', outliers: [], values } };
}

const over = (nodes: readonly (readonly [string, Both])[]) => ({
  inventory: fanOut(nodes.map(([node, both]) => ok(node, both.inventory))),
  comparison: fanOut(nodes.map(([node, both]) => ok(node, both.comparison))),
});

describe('a cohort over nodes', () => {
  test('planted fault: the one GPU that is slower is named with its node; without it nobody is', () => {
    const alike = [0, 1, 2].map((number) => [`gpu-${number}`, likeFirst(even)] as const);
    const clean = presentComparison(question, over(alike));
    expect(clean).toMatchObject({
      verdict: 'ok',
      outliers: [],
      comparedCount: 24,
      gpuCount: 24,
      nextSteps: [],
    });
    const slow = likeFirst(even, { 5: { 'clocks.smClockMegahertz': 1_100 } });
    const answer = presentComparison(question, over([...alike.slice(0, 2), ['gpu-2', slow]]));
    expect(answer).toMatchObject({
      verdict: 'warning',
      outliers: [
        { node: 'gpu-2', gpus: [5], metric: 'clocks.smClockMegahertz', value: 1_100, peerCount: 24 },
      ],
      nextSteps: [{ action: 'monitor', node: 'gpu-2', tool: 'compare_gpus', arguments: { node: 'gpu-2' } }],
    });
  });

  test('the straggler of a real answer is found, also among its siblings', () => {
    const answer = presentComparison(
      question,
      over([
        ['gpu-a', even],
        ['gpu-b', likeFirst(even)],
      ]),
    );
    expect(answer['outliers']).toContainEqual(
      expect.objectContaining({ node: 'gpu-a', gpus: [5], metric: 'clocks.smClockMegahertz' }),
    );
    expect(JSON.stringify(answer['findings'])).toContain('compare.sibling-outlier');
  });

  test('another driver is another cohort, and less than five GPUs say so', () => {
    const other = { ...even, inventory: { ...even.inventory, driverVersion: '535.10.01' } };
    const two = presentComparison(
      question,
      over([
        ['gpu-a', likeFirst(even)],
        ['gpu-b', likeFirst(other)],
      ]),
    );
    expect(new Set((two['cohorts'] as Answer[]).map((each) => each['driverVersion'])).size).toBe(2);
    const few = presentComparison(question, over([['gpu-a', l40s]]));
    expect(few).toMatchObject({
      verdict: 'unknown',
      comparedCount: 0,
      notCompared: [{ gpuCount: 4, product: 'NVIDIA L40S' }],
    });
    expect(few['summary']).toContain('4 GPUs in cohorts of fewer than 5 not compared.');
  });

  test('a GPU that is lost is told, and its node comes before what is merely unlike', () => {
    const rows = (even.inventory['gpus'] as Answer[]).map((row, index) =>
      index === 1 ? { ...row, state: 'lost' } : row,
    );
    const alike = likeFirst(even);
    const lost = {
      inventory: { ...alike.inventory, gpus: rows },
      comparison: { ...alike.comparison, verdict: 'critical', findings: [], nextSteps: [] },
    };
    const clean = presentComparison(question, over([['gpu-1', lost]]));
    expect(clean['summary']).toContain('None of the compared is unlike its cohort.');
    expect(clean['summary']).toContain('1 GPU not compared because lost.');
    expect(presentComparison(question, over([['gpu-1', alike]]))['summary']).not.toContain('lost');
    const slow = likeFirst(even, { 5: { 'clocks.smClockMegahertz': 1_100 } });
    const answer = presentComparison(
      question,
      over([
        ['gpu-1', lost],
        ['gpu-3', slow],
      ]),
    );
    expect(answer['nextSteps']).toMatchObject([
      { node: 'gpu-1', tool: 'get_gpu_health', reason: 'gpu-1 answered, but it is critical: see why.' },
      { node: 'gpu-3', action: 'monitor' },
    ]);
  });

  test('a node that answered only one of the questions did not answer', () => {
    const both = over([
      ['gpu-a', likeFirst(even)],
      ['gpu-b', likeFirst(even)],
    ]);
    const inventory = fanOut([both.inventory.outcomes[0]!, failed('gpu-b', 'timeout')]);
    expect(presentComparison(question, { ...both, inventory })).toMatchObject({
      verdict: 'unknown',
      statusCounts: { ok: 1, timeout: 1 },
    });
  });

  test('order of arrival cannot be seen, and 300 nodes cost at most 2,500 tokens', () => {
    const nodes = Array.from({ length: 300 }, (_, number) => {
      const changes = number % 2 === 0 ? { 3: { 'pcie.replayCount': 1_000 } } : {};
      return [nodeName(number), likeFirst(even, changes)] as const;
    });
    const bytes = JSON.stringify(presentComparison(question, over(nodes)));
    expect(JSON.stringify(presentComparison(question, over(shuffled(nodes))))).toBe(bytes);
    expect(Buffer.byteLength(bytes) / 4).toBeLessThan(2_500);
  });
});
