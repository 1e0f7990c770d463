import type { GpuTool, ToolContext, ToolResult } from '@k8s-gpu-mcp/core';
import { describe, expect, it } from 'vitest';
import { trackOperations } from './operations.ts';

const done: ToolResult = { isError: false, structuredContent: {}, text: '{}' };

/** A tool whose calls end when the test says so. */
function slowTool() {
  const calls: { input: unknown; context: ToolContext | undefined; end: () => void }[] = [];
  const tool = {
    name: 'slow',
    call: (input: unknown, context?: ToolContext) =>
      new Promise<ToolResult>((resolve) => {
        calls.push({ input, context, end: () => resolve(done) });
      }),
  } as unknown as GpuTool;
  const operations = trackOperations();
  const [tracked = tool] = operations.watched([tool]);
  return { calls, operations, tracked };
}

async function isOver(work: Promise<unknown>): Promise<boolean> {
  const soon = new Promise<boolean>((resolve) => void setImmediate(resolve, false));
  return Promise.race([work.then(() => true), soon]);
}

describe('trackOperations', () => {
  it('has nothing to wait for when nothing goes on', async () => {
    const { operations } = slowTool();
    expect(await isOver(operations.finished())).toBe(true);
  });

  it('leaves the tool as it is otherwise: arguments, context and result', async () => {
    const { calls, tracked } = slowTool();
    const progress = () => {};
    const call = tracked.call({ gpu: 0 }, { caller: 'operator', progress });
    expect(tracked.name).toBe('slow');
    expect(calls[0]).toMatchObject({ input: { gpu: 0 }, context: { caller: 'operator', progress } });
    calls[0]?.end();
    expect(await call).toBe(done);
  });

  it('waits for every call, and for those that begin meanwhile', async () => {
    const { calls, operations, tracked } = slowTool();
    const both = [tracked.call({}), tracked.call({})];
    const finished = operations.finished();
    calls[0]?.end();
    await both[0];
    expect(await isOver(finished)).toBe(false);
    const third = tracked.call({});
    calls[1]?.end();
    expect(await isOver(finished)).toBe(false);
    calls[2]?.end();
    await third;
    expect(await isOver(finished)).toBe(true);
  });

  it('stop cancels what is going on, and what comes after', async () => {
    const { calls, operations, tracked } = slowTool();
    void tracked.call({});
    expect(calls[0]?.context?.signal?.aborted).toBe(false);
    operations.stop();
    void tracked.call({});
    expect(calls.map(({ context }) => context?.signal?.aborted)).toEqual([true, true]);
  });

  it('the caller can still cancel its own call, and no other', () => {
    const { calls, tracked } = slowTool();
    const caller = new AbortController();
    void tracked.call({}, { signal: caller.signal });
    void tracked.call({});
    caller.abort();
    expect(calls.map(({ context }) => context?.signal?.aborted)).toEqual([true, false]);
  });
});
