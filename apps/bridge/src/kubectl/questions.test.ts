import type { StructuredContent } from '@k8s-gpu-mcp/core';
import { describe, expect, test } from 'vitest';
import { InterruptedError, ToolFailure } from './gateway-session.ts';
import { type Ask, askNodes, failureArguments, nodeArgument } from './questions.ts';
import { askTop } from './top.ts';

interface Call {
  readonly tool: string;
  readonly given: StructuredContent;
}

/** A gateway of so many nodes that gives at most `perPage` a page, whatever is asked for. */
function gatewayOf(nodeCount: number, perPage: number) {
  const calls: Call[] = [];
  const ask: Ask = async (tool, given) => {
    calls.push({ tool, given });
    if (tool === 'get_gpu_telemetry') return { node: given['node'], gpus: [] };
    const from = Number(given['cursor'] ?? 0);
    const end = Math.min(nodeCount, from + Math.min(perPage, Number(given['limit'])));
    const nodes = Array.from({ length: end - from }, (_, at) => ({
      node: `n${from + at}`,
      status: from + at === 0 ? 'timeout' : 'ok',
    }));
    const cursor = end < nodeCount ? { nextCursor: String(end) } : {};
    return {
      scope: 'cluster',
      summary: `page at ${from}`,
      verdict: 'ok',
      nodes,
      total: nodeCount,
      truncated: end < nodeCount,
      ...cursor,
    };
  };
  return { ask, calls };
}
const namesOf = (answer: StructuredContent) =>
  (answer['nodes'] as readonly StructuredContent[]).map(({ node }) => node);

describe('pages', () => {
  test('are followed to the limit, and the first speaks for the whole', async () => {
    const { ask, calls } = gatewayOf(100, 20);
    const answer = await askNodes(ask, 'get_gpu_health', {}, 50);
    expect(namesOf(answer)).toEqual(Array.from({ length: 50 }, (_, at) => `n${at}`));
    expect(answer).toMatchObject({ summary: 'page at 0', total: 100, truncated: true, nextCursor: '50' });
    expect(calls.map(({ given }) => given['limit'])).toEqual([50, 30, 10]);
  });

  test('that skip nodes would be seen', async () => {
    const { ask } = gatewayOf(100, 20);
    const skipping: Ask = (tool, given) =>
      ask(tool, 'cursor' in given ? { ...given, cursor: Number(given['cursor']) + 1 } : given);
    const names = namesOf(await askNodes(skipping, 'get_gpu_health', {}, 50));
    expect(names).not.toEqual(Array.from({ length: 50 }, (_, at) => `n${at}`));
  });

  test('end with the nodes', async () => {
    const { ask, calls } = gatewayOf(30, 20);
    const answer = await askNodes(ask, 'get_gpu_health', {}, 50);
    expect(answer).toMatchObject({ truncated: false });
    expect(answer).not.toHaveProperty('nextCursor');
    expect(namesOf(answer)).toHaveLength(30);
    expect(calls).toHaveLength(2);
  });

  test('of a gateway that repeats itself without end are given up', async () => {
    let calls = 0;
    const ask: Ask = async () => {
      calls += 1;
      return { scope: 'cluster', nodes: [{ node: 'a' }], nextCursor: 'again' };
    };
    await askNodes(ask, 'get_gpu_health', {}, 50);
    expect(calls).toBe(2);
  });

  test('that do not come leave what there is; an interruption does not', async () => {
    const { ask } = gatewayOf(30, 20);
    const failing =
      (error: Error): Ask =>
      async (tool, given) => {
        if (given['cursor'] !== undefined) throw error;
        return ask(tool, given);
      };
    const answer = await askNodes(failing(new ToolFailure('TIMEOUT: late')), 'get_gpu_health', {}, 50);
    expect(answer).toMatchObject({ truncated: true });
    expect(namesOf(answer)).toHaveLength(20);
    const interrupted = askNodes(failing(new InterruptedError('now')), 'get_gpu_health', {}, 50);
    await expect(interrupted).rejects.toThrow(InterruptedError);
  });
});

describe('top', () => {
  test('reads only nodes that answered, and says how far it is', async () => {
    const { ask, calls } = gatewayOf(20, 200);
    const notes: string[] = [];
    const answer = await askTop(ask, {}, 50, (done, total) => notes.push(`${done}/${total}`));
    expect(calls.filter(({ tool }) => tool === 'get_gpu_telemetry')).toHaveLength(19);
    expect(notes.at(-1)).toBe('19/19');
    const [silent, read] = answer['nodes'] as readonly StructuredContent[];
    expect(silent).not.toHaveProperty('telemetry');
    expect(read).toMatchObject({ node: 'n1', telemetry: { node: 'n1' } });
    expect(answer).toMatchObject({ verdict: 'ok' });
  });

  test('a node without readings makes it unknown, a GPU that is down critical', async () => {
    const { ask } = gatewayOf(4, 200);
    const troubled =
      (trouble: (node: unknown) => StructuredContent): Ask =>
      async (tool, given) =>
        tool === 'get_gpu_telemetry' ? trouble(given['node']) : ask(tool, given);
    const failing = troubled((node) => {
      if (node === 'n2') throw new ToolFailure('UNAVAILABLE: gone');
      return { gpus: [] };
    });
    const answer = await askTop(failing, {}, 50, () => {});
    expect(answer).toMatchObject({ verdict: 'unknown' });
    expect((answer['nodes'] as readonly StructuredContent[])[2]).toMatchObject({
      telemetryProblem: 'UNAVAILABLE: gone',
    });
    const down = troubled(() => ({ verdict: 'critical', gpus: [] }));
    expect(await askTop(down, {}, 50, () => {})).toMatchObject({ verdict: 'critical' });
  });
});

test('what is asked for', () => {
  expect(nodeArgument([])).toEqual({});
  expect(nodeArgument(['gpu=h100'])).toEqual({ node: 'gpu=h100' });
  expect(nodeArgument(['a', 'b'])).toEqual({ node: ['a', 'b'] });
  expect(failureArguments({ kind: 'node', node: 'a' }, '', '1h')).toEqual({ node: 'a', since: '1h' });
  expect(failureArguments({ kind: 'pod', name: 'p' }, 'ml', undefined)).toEqual({ pod: 'ml/p' });
  expect(failureArguments({ kind: 'job', ownerKind: 'RayJob', name: 'j' }, 'ml', undefined)).toEqual({
    job: 'RayJob/j',
    namespace: 'ml',
  });
});
