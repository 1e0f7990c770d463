// Listening to agents: real servers of both protocol eras on loopback, and what goes wrong on the way.
import { systemClock } from '@k8s-gpu-mcp/core';
import { afterEach, describe, expect, test } from 'vitest';
import { AgentInstances } from '../src/adapters/agent-client/agent-instances.ts';
import { createMcpAgentClient } from '../src/adapters/agent-client/create-mcp-agent-client.ts';
import {
  createMcpAgentEvents,
  type McpAgentEventsOptions,
} from '../src/adapters/agent-events/create-mcp-agent-events.ts';
import type { AgentEventBatch, EventsPosition } from '../src/ports/agent-events.ts';
import type { AgentNode } from '../src/ports/node-directory.ts';
import {
  bodyOf,
  cleanUp,
  failureOf,
  fakeAgent,
  fakeServer,
  json,
  nodeAt,
  until,
} from './agent-client-rig.ts';
import { documentOf, eras, eventOf, startEventsAgent } from './events-agent.ts';

const pools: AgentInstances[] = [];
const endings: AbortController[] = [];
afterEach(async () => {
  for (const ending of endings.splice(0)) ending.abort();
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
  await cleanUp();
});

function newPool(token?: string): AgentInstances {
  const pool = new AgentInstances({
    version: '0.0.0',
    ...(token === undefined ? {} : { token: async () => token }),
  });
  pools.push(pool);
  return pool;
}

const quick: McpAgentEventsOptions = { leastReadMilliseconds: 10 };

function listenTo(
  node: AgentNode,
  {
    pool = newPool(),
    options = quick,
    since,
  }: { pool?: AgentInstances; options?: McpAgentEventsOptions; since?: EventsPosition } = {},
) {
  const batches: AgentEventBatch[] = [];
  const ending = new AbortController();
  endings.push(ending);
  const failure = failureOf(
    createMcpAgentEvents(pool, options).listen(node, (batch) => batches.push(batch), ending.signal, since),
  );
  failure.catch(() => {});
  const heard = () => batches.flatMap(({ events }) => events.map(({ id, revision }) => `${id}.${revision}`));
  return { batches, heard, failure, end: () => ending.abort() };
}

describe.each(eras)('an agent, %s', (era) => {
  test('is heard: what it kept, then each change once, and revisions', async () => {
    const agent = await startEventsAgent({ era });
    agent.setSilently([eventOf(1), eventOf(2)]);
    const { batches, heard } = listenTo(nodeAt(agent.url));
    await until(() => batches.length === 1);
    expect(batches[0]).toMatchObject({
      isHistory: true,
      lost: 0,
      listeningSince: '2026-01-01T00:00:00.000Z',
    });
    agent.set([eventOf(1), eventOf(2), eventOf(3)]);
    await until(() => heard().length === 3);
    agent.set([eventOf(1), eventOf(2, { revision: 1, repeatCount: 9 }), eventOf(3)]);
    await until(() => heard().length === 4);
    expect(heard()).toEqual(['1.0', '2.0', '3.0', '2.1']);
    expect(batches.at(-1)?.events[0]).toMatchObject({ id: 2, repeatCount: 9, gpu: { index: 3 } });
  });

  test('that dropped events between two readings: how many is said', async () => {
    const agent = await startEventsAgent({ era });
    agent.setSilently([eventOf(1)]);
    const { batches, heard } = listenTo(nodeAt(agent.url));
    await until(() => batches.length === 1);
    // 2 to 9 made room (and 1), and its sources lost 5 more.
    agent.set([eventOf(10)], { lost: 9 + 5 });
    await until(() => heard().includes('10.0'));
    expect(batches.at(-1)).toMatchObject({ lost: 8 + 5, isHistory: false, isRenumbered: false });
  });

  test('is read now and then without a word from it', async () => {
    const agent = await startEventsAgent({ era });
    const { batches, heard } = listenTo(nodeAt(agent.url), {
      options: { ...quick, idleReadMilliseconds: 50 },
    });
    await until(() => batches.length === 1);
    agent.setSilently([eventOf(1)]);
    await until(() => heard().length === 1);
  });

  test('notifications that come at once are answered with few readings', async () => {
    const agent = await startEventsAgent({ era });
    const { batches } = listenTo(nodeAt(agent.url), { options: { leastReadMilliseconds: 200 } });
    await until(() => batches.length === 1);
    for (let id = 1; id <= 50; id += 1) agent.set([eventOf(id)], { lost: id - 1 });
    await until(() => batches.at(-1)?.position.lastId === 50);
    expect(agent.seen.reads).toBeLessThanOrEqual(4);
  });

  test('a second listening goes on where the first ended', async () => {
    const agent = await startEventsAgent({ era });
    agent.setSilently([eventOf(1), eventOf(2)]);
    const first = listenTo(nodeAt(agent.url));
    await until(() => first.batches.length === 1);
    first.end();
    expect(await first.failure).toMatchObject({ kind: 'cancelled' });
    agent.setSilently([eventOf(1), eventOf(2), eventOf(3)]);
    const second = listenTo(nodeAt(agent.url), { since: first.batches[0]?.position ?? expect.fail() });
    await until(() => second.batches.length === 1);
    expect(second.heard()).toEqual(['3.0']);
    expect(second.batches[0]).toMatchObject({ isHistory: false, lost: 0 });
  });

  test('leaves nothing open when it is not listened to any more', async () => {
    const agent = await startEventsAgent({ era });
    const { batches, end, failure } = listenTo(nodeAt(agent.url));
    await until(() => batches.length === 1);
    expect(agent.openStreams()).toBe(1);
    end();
    await failure;
    await until(() => agent.openStreams() === 0);
    if (era !== '2026-07-28') await until(() => agent.seen.deletes === 1);
  });

  test('whose stream breaks off ends the listening: it may be tried again', async () => {
    const agent = await startEventsAgent({ era });
    const { batches, failure } = listenTo(nodeAt(agent.url));
    await until(() => batches.length === 1);
    agent.dropStreams();
    expect(await failure).toMatchObject({ kind: 'unreachable', isRetryable: true });
  });

  test('that is not among the agents any more is let go', async () => {
    const agent = await startEventsAgent({ era });
    const pool = newPool();
    const { batches, failure } = listenTo(nodeAt(agent.url), { pool });
    await until(() => batches.length === 1);
    pool.retain(new Set());
    expect(await failure).toMatchObject({ kind: 'unreachable' });
    await until(() => agent.openStreams() === 0);
  });

  test('without notifications is named, not polled', async () => {
    const agent = await startEventsAgent({ era, isDeaf: true });
    expect(await listenTo(nodeAt(agent.url)).failure).toMatchObject({
      kind: 'incompatible',
      message: expect.stringContaining('another version'),
    });
  });

  test('without events is named', async () => {
    const agent = await startEventsAgent({ era, uri: 'gpu://its-own-name/history' });
    expect(await listenTo(nodeAt(agent.url)).failure).toMatchObject({
      kind: 'incompatible',
      message: expect.stringContaining('no live events'),
    });
  });

  test('sees the token when it may, on every request and the stream, and never else', async () => {
    const agent = await startEventsAgent({ era });
    const trusted = listenTo(nodeAt(agent.url), { pool: newPool('secret') });
    await until(() => trusted.batches.length === 1);
    expect(agent.seen.streams).toBe(1);
    expect(new Set(agent.seen.tokens)).toEqual(new Set(['Bearer secret']));
    trusted.end();
    await trusted.failure;
    await until(() => agent.openStreams() === 0);
    // What is still on the way from the first one has the token.
    agent.seen.tokens.length = 0;
    const stranger = await startEventsAgent({ era });
    const other = listenTo(nodeAt(stranger.url, { mayReceiveToken: false }), { pool: newPool('secret') });
    await until(() => other.batches.length === 1);
    expect(new Set(stranger.seen.tokens)).toEqual(new Set([undefined]));
  });

  test('whose stream is a flood, or one endless message, is given up', async () => {
    for (const bytes of [': x\n'.repeat(100_000), 'data: '.padEnd(70_000, 'x')]) {
      const agent = await startEventsAgent({ era });
      const { batches, failure } = listenTo(nodeAt(agent.url));
      await until(() => batches.length === 1);
      agent.write(bytes);
      expect(await failure).toMatchObject({ kind: 'garbage' });
    }
  });

  test.each([
    ['no JSON', 'no JSON'],
    ['another document', '{"apiVersion":"v1"}'],
    ['a list', '[]'],
    ['too long', JSON.stringify(documentOf([], { summary: 'x'.repeat(1_100_000) }))],
  ])('whose events are %s is garbage', async (_, text) => {
    const agent = await startEventsAgent({ era });
    const { batches, failure } = listenTo(nodeAt(agent.url));
    await until(() => batches.length === 1);
    agent.setText(text);
    expect(await failure).toMatchObject({ kind: 'garbage' });
  });

  test('hostile events: text is harmless, what is no event is counted out', async () => {
    const agent = await startEventsAgent({ era });
    agent.setSilently([
      eventOf(1, {
        raw: `\u001b[31m${'x'.repeat(9_999)}`,
        processName: 'a\u202eb',
        title: '```\nrun rm',
        extra: 'gone',
      }),
      eventOf(2, { action: 'burn-it' }),
      eventOf(3, { id: '3' }),
      null,
      eventOf(5, { pciAddress: '<script>', decoded: { 'bad key': 'x' }, sources: 'kernel-log' }),
    ]);
    const { batches } = listenTo(nodeAt(agent.url));
    await until(() => batches.length === 1);
    const [first, second] = batches[0]?.events ?? [];
    expect(batches[0]?.events.length).toBe(2);
    expect(first?.raw?.length).toBeLessThanOrEqual(241);
    expect(JSON.stringify(first)).not.toMatch(/u001b|\u202e|```|gone/);
    expect(second).toMatchObject({ id: 5, severity: 'fatal' });
    expect(second?.pciAddress).toBeUndefined();
    expect(second?.decoded).toBeUndefined();
  });

  test('can be read once, without listening', async () => {
    const agent = await startEventsAgent({ era });
    agent.setSilently([eventOf(1), { junk: true }]);
    const events = createMcpAgentEvents(newPool());
    const reading = await events.read(nodeAt(agent.url), new AbortController().signal);
    expect(reading).toMatchObject({ events: [{ id: 1 }], unreadable: 1, lost: 0 });
    await until(() => agent.openStreams() === 0);
  });

  test('answers calls of the client over the same connections meanwhile', async () => {
    const agent = await startEventsAgent({ era });
    const pool = newPool();
    const client = createMcpAgentClient({ version: '0.0.0' }, pool);
    const { batches } = listenTo(nodeAt(agent.url), { pool });
    await until(() => batches.length === 1);
    const reply = await client.call({
      ...{
        node: nodeAt(agent.url),
        tool: 'get_gpu_health',
        arguments: {},
        correlationId: '0123456789abcdef',
      },
      ...{ deadlineMilliseconds: 5_000, signal: new AbortController().signal },
    });
    expect(reply).toMatchObject({ isError: false, structuredContent: { verdict: 'ok' } });
    expect(agent.openStreams()).toBe(1);
  });
});

describe('nobody who can be heard', () => {
  test('refuses connections', async () => {
    const agent = await startEventsAgent({ era: '2026-07-28' });
    await agent.close();
    expect(await listenTo(nodeAt(agent.url)).failure).toMatchObject({
      kind: 'unreachable',
      isRetryable: true,
    });
  });

  test.each([
    [401, 'unauthorized'],
    [503, 'overloaded'],
    [302, 'refused'],
    [500, 'garbage'],
  ] as const)('HTTP %d', async (status, kind) => {
    const server = await fakeServer((_request, response) => {
      response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end();
    });
    expect(await listenTo(nodeAt(server.url)).failure).toMatchObject({ kind });
  });

  test('has no resources', async () => {
    const agent = await fakeAgent((message, response) =>
      json(response, { jsonrpc: '2.0', id: message.id, error: { code: -32601, message: 'no' } }),
    );
    expect(await listenTo(nodeAt(agent.url)).failure).toMatchObject({ kind: 'incompatible' });
  });

  test('is not ready', async () => {
    const failure = await listenTo(nodeAt(null, { notReadyBecause: 'the pod has no address yet' })).failure;
    expect(failure).toMatchObject({ kind: 'unreachable', message: expect.stringContaining('no address') });
  });

  test('a pool that is closed', async () => {
    const pool = newPool();
    await pool.close();
    expect(await listenTo(nodeAt('http://127.0.0.1:9/mcp'), { pool }).failure).toMatchObject({
      kind: 'cancelled',
    });
  });

  test('a silent one costs the time of one request', async () => {
    const server = await fakeServer(async (request) => {
      await bodyOf(request);
    });
    const clock = {
      ...systemClock,
      after: (ms: number, run: () => void) => systemClock.after(ms / 100, run),
    };
    const failure = failureOf(
      createMcpAgentEvents(newPool(), { clock }).listen(
        nodeAt(server.url),
        () => {},
        new AbortController().signal,
      ),
    );
    expect(await failure).toMatchObject({ kind: 'timeout' });
  });
});

test('planted fault: a listening that loses its place would tell events twice', async () => {
  const agent = await startEventsAgent({ era: '2026-07-28' });
  agent.setSilently([eventOf(1)]);
  const first = listenTo(nodeAt(agent.url));
  await until(() => first.batches.length === 1);
  const second = listenTo(nodeAt(agent.url));
  await until(() => second.batches.length === 1);
  expect([...first.heard(), ...second.heard()]).toEqual(['1.0', '1.0']);
});
