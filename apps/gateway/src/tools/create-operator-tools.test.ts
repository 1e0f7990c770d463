import { type Confirmation, type GpuTool, silentLogger, type ToolContext } from '@k8s-gpu-mcp/core';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, test } from 'vitest';
import { Circuits } from '../domain/circuit.ts';
import { FanOut } from '../domain/fan-out.ts';
import { operatorCallMilliseconds } from '../operator-call.ts';
import {
  type AgentCall,
  AgentFailure,
  type AgentFailureKind,
  type AgentReply,
} from '../ports/agent-client.ts';
import type { AgentNode, NodeDirectorySnapshot } from '../ports/node-directory.ts';
import { createOperatorTools, type OperatorRecord } from './create-operator-tools.ts';

const nodeOf = (name: string, changed: Partial<AgentNode> = {}): AgentNode => ({
  name,
  url: `http://${name}/mcp`,
  labels: { gpu: 'h100' },
  notReadyBecause: null,
  instance: `${name}-pod`,
  mayReceiveToken: true,
  ...changed,
});

const said = (outcome: string): AgentReply => ({ isError: false, structuredContent: { outcome } });
const fails = (kind: AgentFailureKind) => async (): Promise<AgentReply> => {
  throw new AgentFailure(kind, `our words for ${kind}`, { isRetryable: true });
};

/** A gateway in memory: how the one agent that is asked behaves, and what the directory knows. */
function setUp(
  agent: (call: AgentCall) => Promise<AgentReply>,
  snapshot: Partial<NodeDirectorySnapshot> = {},
  firstRead?: Promise<void>,
) {
  const clock = fixedClock();
  const calls: AgentCall[] = [];
  const records: OperatorRecord[] = [];
  const stopping = new AbortController();
  let isRead = firstRead === undefined;
  const reading = firstRead?.then(() => {
    isRead = true;
  });
  const directory = {
    kind: 'memory',
    snapshot: () => ({
      nodes: isRead ? [nodeOf('node-a'), nodeOf('node-b')] : [],
      readAt: '2026-01-01T00:00:00.000Z',
      staleSince: null,
      problem: null,
      ...snapshot,
    }),
    settled: () => reading ?? Promise.resolve(),
    onChange: () => () => {},
    async close() {},
  };
  const client = {
    call(call: AgentCall) {
      calls.push(call);
      return agent(call);
    },
    retain() {},
    async close() {},
  };
  const circuits = new Circuits({ clock });
  let lastId = 0;
  const tools = createOperatorTools({
    directory,
    fanOut: new FanOut({ directory, client, circuits, clock, logger: silentLogger, random: () => 0.5 }),
    clock,
    logger: silentLogger,
    newCorrelationId: () => '0123456789abcdef',
    newQuestionId: () => {
      lastId += 1;
      return `question-${lastId}`;
    },
    record: async (entry) => void records.push(entry),
    stopping: stopping.signal,
  });
  const reset = tools.find(({ name }) => name === 'reset_gpu');
  if (!reset) throw new Error('there is no reset_gpu');
  const call = (input: object, context: ToolContext = {}) =>
    reset.call({ gpu: 0, ...input }, { caller: 'operator', ...context });
  return { tools, call, calls, records, clock, stopping };
}
const act = { node: 'node-a', planId: 'plan-1' };
const textOf = (result: Awaited<ReturnType<GpuTool['call']>>) => result.text;

test('each tool takes one node by name, and says that it destroys', () => {
  const { tools } = setUp(async () => said('planned'));
  expect(tools.map(({ name }) => name)).toEqual(['kill_gpu_process', 'reset_gpu']);
  for (const { inputSchema, annotations } of tools) {
    expect(inputSchema.shape['node']?.safeParse(undefined).success).toBe(false);
    expect(inputSchema.shape['node']?.safeParse(['node-a']).success).toBe(false);
    expect(annotations).toMatchObject({ readOnlyHint: false, destructiveHint: true });
  }
});

test('the one node is asked, without the name of the node among the arguments', async () => {
  const { call, calls, records } = setUp(async () => said('planned'));
  expect(await call({ node: 'node-b' })).toMatchObject({
    isError: false,
    structuredContent: { outcome: 'planned' },
  });
  expect(calls).toMatchObject([
    { node: { name: 'node-b' }, tool: 'reset_gpu', correlationId: '0123456789abcdef' },
  ]);
  expect(calls[0]?.arguments).toEqual({ gpu: 0 });
  expect(records).toEqual([
    {
      at: '2026-01-01T00:00:00.000Z',
      caller: 'operator',
      tool: 'reset_gpu',
      node: 'node-b',
      correlationId: '0123456789abcdef',
      outcome: 'planned',
      detail: 'the agent answered: planned',
    },
  ]);
});

test.each(['all', 'node-a,node-b', 'gpu=h100', 'gpu', ' node-a', 'NODE-A', ''])(
  '%j names no node',
  async (node) => {
    const { call, calls } = setUp(async () => said('done'));
    const result = await call({ ...act, node });
    expect(textOf(result)).toMatch(/^INVALID_INPUT: /);
    expect(calls).toEqual([]);
  },
);

test.each<[string, Partial<NodeDirectorySnapshot>, string]>([
  ['stale', { staleSince: '2026-01-01T00:00:00.000Z' }, 'out of date since 2026-01-01T00:00:00.000Z'],
  [
    'not ready',
    { nodes: [nodeOf('node-a', { notReadyBecause: 'the pod is starting' })] },
    'the pod is starting',
  ],
  ['without an address', { nodes: [nodeOf('node-a', { url: null })] }, 'no address yet'],
  ["somebody else's pod", { nodes: [nodeOf('node-a', { mayReceiveToken: false })] }, 'expected DaemonSet'],
])('a node that is %s is not asked to act', async (_, snapshot, why) => {
  const { call, calls, records } = setUp(async () => said('done'), snapshot);
  const result = await call(act);
  expect(result).toMatchObject({ isError: true, code: 'UNAVAILABLE' });
  expect(textOf(result)).toContain(why);
  expect(textOf(result)).toContain('Nothing was done');
  expect(calls).toEqual([]);
  expect(records).toMatchObject([{ outcome: 'refused', node: 'node-a' }]);
});

test('before the directory was read nothing is known of the node, so it is waited for; not when the gateway is stopped meanwhile', async () => {
  for (const isStopped of [false, true]) {
    let read = () => {};
    const firstRead = new Promise<void>((resolve) => {
      read = resolve;
    });
    const { call, calls, stopping } = setUp(async () => said('done'), {}, firstRead);
    const acted = call(act);
    await Promise.resolve();
    expect(calls).toEqual([]);
    if (isStopped) stopping.abort();
    read();
    expect((await acted).isError).toBe(isStopped);
    expect(calls).toHaveLength(isStopped ? 0 : 1);
  }
});

describe('times', () => {
  test('a reset is not cut short, whatever deadline the caller has', async () => {
    let finish = (_: AgentReply) => {};
    const { call, calls, clock } = setUp(
      () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    );
    const result = call(act, { deadlineMilliseconds: 5_000 });
    await Promise.resolve();
    // 120 s for the answer of a person, 120 s for the reset, 60 s for its verification.
    clock.advance(300_000);
    expect(calls[0]?.signal.aborted).toBe(false);
    finish(said('done'));
    expect(await result).toMatchObject({ structuredContent: { outcome: 'done' } });
  });

  test('an agent that never answers is given up in the end, and that it may be done is said', async () => {
    const { call, clock, records } = setUp(() => new Promise(() => {}));
    const result = call(act);
    await Promise.resolve();
    clock.advance(operatorCallMilliseconds);
    expect(textOf(await result)).toContain('whether the action was carried out is not known');
    expect(records).toMatchObject([{ outcome: 'unknown' }]);
  });

  test('a plan only looks, and is given up sooner', async () => {
    const { call, clock, records } = setUp(() => new Promise(() => {}));
    const result = call({ node: 'node-a' });
    await Promise.resolve();
    clock.advance(30_000);
    expect(textOf(await result)).not.toContain('whether the action');
    expect(records).toMatchObject([{ outcome: 'refused' }]);
  });

  test('the caller is told every 10 s that the call is alive, and nothing after its end', async () => {
    let finish = (_: AgentReply) => {};
    const { call, clock } = setUp(
      () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    );
    const notes: unknown[] = [];
    const result = call(act, { progress: (...note) => notes.push(note) });
    await Promise.resolve();
    clock.advance(25_000);
    finish(said('done'));
    await result;
    clock.advance(60_000);
    expect(notes).toEqual([
      [10, 335, 'waiting for the agent'],
      [20, 335, 'waiting for the agent'],
    ]);
  });
});

describe('what came of it', () => {
  test.each([
    ['cannot-act', 'refused'],
    ['declined', 'declined'],
    ['cancelled', 'declined'],
    ['done', 'done'],
    ['failed', 'failed'],
    ['unverified', 'unknown'],
    // An agent of another version: not to be taken for a success.
    ['toString', 'unknown'],
    ['splendid', 'unknown'],
  ])('the answer %s is recorded as %s', async (outcome, recorded) => {
    const { call, records } = setUp(async () => said(outcome));
    await call(act);
    expect(records).toMatchObject([{ outcome: recorded, planId: 'plan-1' }]);
  });

  test.each<[AgentFailureKind, boolean]>([
    ['unreachable', true],
    ['timeout', true],
    ['overloaded', true],
    ['garbage', true],
    ['unauthorized', false],
    ['certificate', false],
    ['incompatible', false],
    ['refused', false],
  ])('%s: asked once; in doubt: %s', async (kind, isDoubtful) => {
    const { call, calls, records } = setUp(fails(kind));
    const text = textOf(await call(act));
    expect(calls).toHaveLength(1);
    expect(text.includes('may have been done')).toBe(isDoubtful);
    expect(text.includes('Nothing was done')).toBe(!isDoubtful);
    expect(records).toMatchObject([{ outcome: isDoubtful ? 'unknown' : 'refused' }]);
  });

  test('an agent that is not in operator mode: what it needs', async () => {
    const { call } = setUp(fails('unauthorized'));
    expect(textOf(await call(act))).toContain('--agent-operator-token-file');
  });

  test("the agent's refusal keeps its code and words, as quoted", async () => {
    const { call, records } = setUp(async () => ({
      isError: true,
      text: 'NOT_SUPPORTED: A person has to confirm.',
    }));
    const result = await call(act);
    expect(result).toMatchObject({ code: 'NOT_SUPPORTED' });
    expect(textOf(result)).toContain('The agent said: "NOT_SUPPORTED: A person has to confirm."');
    expect(records).toMatchObject([{ outcome: 'refused' }]);
  });

  test('a defect of the agent leaves it in doubt', async () => {
    const { call, records } = setUp(async () => ({ isError: true, text: 'INTERNAL: failed unexpectedly.' }));
    expect(textOf(await call(act))).toContain('may have been done');
    expect(records).toMatchObject([{ outcome: 'unknown' }]);
  });

  test('a caller that cancels leaves it in doubt, and the record says so', async () => {
    const caller = new AbortController();
    const { call, calls, records } = setUp(() => new Promise(() => {}));
    const result = call(act, { signal: caller.signal });
    await Promise.resolve();
    caller.abort();
    expect(await result).toMatchObject({ isError: true, code: 'CANCELLED' });
    expect(calls[0]?.signal.aborted).toBe(true);
    expect(records).toMatchObject([{ outcome: 'unknown' }]);
  });

  test('nothing new is begun at shutdown', async () => {
    const { call, calls, stopping } = setUp(async () => said('done'));
    stopping.abort();
    expect(textOf(await call(act))).toContain('shutting down. Nothing was done');
    expect(calls).toEqual([]);
  });
});

describe('the question', () => {
  const asks = async ({ confirm, answeredQuestion }: AgentCall): Promise<AgentReply> => {
    const answer: Confirmation | undefined = await confirm?.({
      id: 'of-the-agent',
      message: 'Resets GPU 0.',
      signal: new AbortController().signal,
      timeoutMilliseconds: 1_000,
    });
    if (answer === 'pending') return { isError: false, structuredContent: {}, isPending: true };
    return said(answer === 'accepted' && answeredQuestion === 'of-the-agent' ? 'done' : 'declined');
  };
  /** As a server object of 2026-07-28 asks: the answer comes with the next call. */
  function byResult(answeredQuestion?: string) {
    const asked: string[] = [];
    const context: ToolContext = {
      ...(answeredQuestion === undefined ? {} : { answeredQuestion }),
      async confirm({ id }) {
        if (id === answeredQuestion) return 'accepted';
        asked.push(id);
        return 'pending';
      },
    };
    return { asked, context };
  }

  test('goes to the caller and its answer to the agent', async () => {
    const { call, records } = setUp(asks);
    const first = byResult();
    await call(act, first.context);
    expect(first.asked).toEqual(['question-1']);
    expect(await call(act, byResult('question-1').context)).toMatchObject({
      structuredContent: { outcome: 'done' },
    });
    expect(records.map(({ outcome }) => outcome)).toEqual(['asked', 'done']);
  });

  test.each<[string, object, ToolContext]>([
    ['another node', { ...act, node: 'node-b' }, {}],
    ['another GPU', { ...act, gpu: 1 }, {}],
    ['another plan', { ...act, planId: 'plan-2' }, {}],
    ['another caller', act, { caller: 'somebody' }],
  ])('an answer does not confirm for %s', async (_, input, context) => {
    const { call, calls, records } = setUp(asks);
    await call(act, byResult().context);
    const result = await call(input, { ...byResult('question-1').context, ...context });
    expect(textOf(result)).toMatch(/^INVALID_INPUT: .*the answer is .* Nothing was done\./);
    expect(calls).toHaveLength(1);
    expect(records.at(-1)).toMatchObject({ outcome: 'refused' });
  });

  test('is not offered for a plan, which changes nothing', async () => {
    const { call, calls } = setUp(async () => said('planned'));
    await call({ node: 'node-a' }, byResult().context);
    expect(calls[0]).not.toHaveProperty('confirm');
  });
});
