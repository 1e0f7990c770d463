import { GpuError } from '@k8s-gpu-mcp/core';
import { expect, test } from 'vitest';
import { agentAnswer, asking, fanOut, nodeName, ok } from '../../test/agent-answers.ts';
import { presentHealth } from './health.ts';
import { pageRequestOf } from './question.ts';

const question = asking('get_gpu_health', { limit: 7, arguments: { node: 'all', since: '1h' } });

async function walk() {
  const content = await agentAnswer('get_gpu_health', 'healthy-8xh100');
  const result = fanOut(Array.from({ length: 40 }, (_, number) => ok(nodeName(number), content)));
  const names: string[] = [];
  const cursors: string[] = [];
  for (let cursor: string | undefined; names.length < 100; ) {
    const answer = presentHealth({ ...question, cursor }, result);
    names.push(...(answer['nodes'] as { node: string }[]).map(({ node }) => node));
    cursor = answer['nextCursor'] as string | undefined;
    expect(answer['truncated']).toBe(cursor !== undefined);
    if (cursor === undefined) break;
    cursors.push(cursor);
  }
  return { names, cursors };
}

test('pages have every node once', async () => {
  const { names, cursors } = await walk();
  expect(names).toEqual(Array.from({ length: 40 }, (_, number) => nodeName(number)));
  expect(cursors).toHaveLength(5);
});

test('planted fault: a cursor of another question, or garbage, is refused', async () => {
  const [cursor = ''] = (await walk()).cursors;
  expect(pageRequestOf({ ...question, cursor })).toEqual({ offset: 7, limit: 7 });
  expect(pageRequestOf({ ...question, cursor, arguments: { since: '1h', node: 'all' } })).toMatchObject({
    offset: 7,
  });
  const others = [
    { ...question, cursor, tool: 'get_gpu_inventory' },
    { ...question, cursor, detail: 'full' as const },
    { ...question, cursor, arguments: { node: 'gpu-1', since: '1h' } },
    ...['7', '', '0', `-${cursor}`, `${cursor} `, '__proto__', `\u001b${cursor}`, 'z'.repeat(1_000_000)].map(
      (garbage) => ({
        ...question,
        cursor: garbage,
      }),
    ),
  ];
  for (const other of others) {
    expect(() => pageRequestOf(other)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
    expect(() => pageRequestOf(other)).toThrow(GpuError);
  }
});

test('a limit outside of its range is refused', () => {
  for (const limit of [0, -1, 1.5, Number.NaN, 201]) {
    expect(() => pageRequestOf({ ...question, limit })).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT' }),
    );
  }
});
