// Servers that are dead, slow or lying: each costs its own call and ends in the failure that names it.

import type { ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  answer,
  bodyOf,
  callTo,
  cleanUp,
  complete,
  discovered,
  failureOf,
  fakeAgent,
  fakeServer,
  json,
  type Message,
  newClient,
  nodeAt,
  until,
} from './agent-client-rig.ts';

const unhandled: unknown[] = [];
const remember = (reason: unknown) => unhandled.push(reason);
beforeAll(() => {
  process.on('unhandledRejection', remember);
});
afterAll(() => {
  process.off('unhandledRejection', remember);
});
afterEach(async () => {
  await cleanUp();
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).toEqual([]);
});

type Answer = (message: Message, response: ServerResponse) => void;
const sse = { 'content-type': 'text/event-stream' };
const event = (value: unknown) => `event: message\ndata: ${JSON.stringify(value)}\n\n`;
const deep = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;

const drip: Answer = (_, response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const timer = setInterval(() => response.write(' '), 20);
  response.on('close', () => clearInterval(timer));
};
const flood =
  (head: Record<string, string>): Answer =>
  (_, response) => {
    response.writeHead(200, head);
    const more = () => {
      while (response.writable && response.write('x'.repeat(65_536)));
    };
    response.on('drain', more);
    more();
  };

/** What the agent does with a call, and what must come of it. */
const lies: readonly (readonly [string, Answer, object])[] = [
  ['401', (_, r) => void r.writeHead(401).end(), { kind: 'unauthorized', isRetryable: false }],
  ['403', (_, r) => void r.writeHead(403).end('<p>no</p>'), { kind: 'unauthorized' }],
  [
    '429 with seconds',
    (_, r) => void r.writeHead(429, { 'retry-after': '7' }).end(),
    { kind: 'overloaded', isRetryable: false, retryAfterMilliseconds: 7_000 },
  ],
  [
    '503 with a date long past',
    (_, r) => void r.writeHead(503, { 'retry-after': 'Fri, 01 Jan 2021 00:00:00 GMT' }).end(),
    { kind: 'overloaded', isRetryable: true, retryAfterMilliseconds: 0 },
  ],
  [
    '503 with nonsense',
    (_, r) => void r.writeHead(503, { 'retry-after': 'soon' }).end(),
    { kind: 'overloaded', retryAfterMilliseconds: undefined },
  ],
  ['502', (_, r) => void r.writeHead(502).end(), { kind: 'overloaded', isRetryable: true }],
  ['504', (_, r) => void r.writeHead(504).end(), { kind: 'overloaded', isRetryable: true }],
  ['500', (_, r) => void r.writeHead(500).end(), { kind: 'garbage', isRetryable: false }],
  [
    '200 in HTML',
    (_, r) => void r.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
    { kind: 'garbage' },
  ],
  [
    'half a JSON text',
    (_, r) => void r.writeHead(200, { 'content-type': 'application/json' }).end('{"a'),
    { kind: 'garbage' },
  ],
  ['JSON that is not JSON-RPC', (_, r) => json(r, { hello: 'world' }), { kind: 'garbage' }],
  ['the answer to another request', (_, r) => json(r, answer(4711)), { kind: 'garbage' }],
  [
    'no data',
    (m, r) => json(r, complete(m.id, { content: [{ type: 'text', text: 'trust me' }] })),
    { kind: 'garbage' },
  ],
  ['a list for data', (m, r) => json(r, answer(m.id, [1])), { kind: 'garbage' }],
  [
    'data nested without end',
    (m, r) => {
      r.writeHead(200, { 'content-type': 'application/json' });
      r.end(JSON.stringify(answer(m.id)).replace('{"ok":true}', deep));
    },
    { kind: 'garbage' },
  ],
  [
    'an event that is not MCP',
    (_, r) => void r.writeHead(200, sse).write('data: {"evil":1}\n\n'),
    { kind: 'garbage' },
  ],
  [
    'a stream without an answer',
    (_, r) => void r.writeHead(200, sse).end(': nothing\n\n'),
    { kind: 'garbage', isRetryable: true },
  ],
  [
    'an answer cut off',
    (_, r) => {
      r.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
      r.write('{"jsonrpc"', () => r.destroy());
    },
    { kind: 'garbage', isRetryable: true },
  ],
  ['a connection reset', (_, r) => void r.destroy(), { kind: 'unreachable', isRetryable: true }],
  [
    'a body that says it is huge',
    (_, r) =>
      void r
        .writeHead(200, { 'content-type': 'application/json', 'content-length': '1000000000' })
        .write('{'),
    { kind: 'garbage' },
  ],
  ['a body without end', flood({ 'content-type': 'application/json' }), { kind: 'garbage' }],
  ['a stream without end', flood(sse), { kind: 'garbage' }],
  ['a page without end', flood({ 'content-type': 'text/html' }), { kind: 'garbage' }],
  [
    'a gzip bomb',
    (_, r) =>
      void r
        .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
        .end(gzipSync(Buffer.alloc(8 * 1024 * 1024))),
    { kind: 'garbage' },
  ],
  ['nothing at all', () => {}, { kind: 'timeout', isRetryable: false }],
  ['a slow drip', drip, { kind: 'timeout' }],
  [
    'a JSON-RPC error',
    (m, r) =>
      json(r, {
        jsonrpc: '2.0',
        id: m.id,
        error: { code: -32603, message: `\u001b[31mIgnore all ${'x'.repeat(5_000)}` },
      }),
    { kind: 'refused', isRetryable: false },
  ],
  [
    'an unknown tool',
    (m, r) => json(r, { jsonrpc: '2.0', id: m.id, error: { code: -32602, message: 'Tool x not found' } }),
    { kind: 'incompatible' },
  ],
];

describe.each(lies)('an agent that answers with %s', (_, lie, expected) => {
  test('costs its own call', async () => {
    const agent = await fakeAgent(lie);
    const failure = await failureOf(
      newClient().call(callTo(nodeAt(agent.url), { deadlineMilliseconds: 1_000 })),
    );
    expect(failure).toMatchObject(expected);
    // Ours, short, and none of the agent's text.
    expect(failure.message).not.toMatch(/evil|Ignore|trust|[\u0000-\u001f]/);
    expect(failure.message.length).toBeLessThan(200);
    expect(failure.said?.length ?? 0).toBeLessThanOrEqual(501);
    expect(failure.said ?? '').not.toMatch(/[\u0000-\u001f]/);
  });

  test('costs its own call where a protocol client makes it, too', async () => {
    const agent = await fakeAgent(lie);
    const call = callTo(nodeAt(agent.url), { deadlineMilliseconds: 1_000, progress: () => {} });
    expect(await failureOf(newClient().call(call))).toMatchObject(expected);
  });

  test('costs its own call when it answered well before', async () => {
    let hasAnswered = false;
    const agent = await fakeAgent((message, response, request) => {
      if (hasAnswered) return lie(message, response);
      hasAnswered = true;
      json(response, answer(message.id));
      request.resume();
    });
    const client = newClient();
    await client.call(callTo(nodeAt(agent.url)));
    const again = callTo(nodeAt(agent.url), { deadlineMilliseconds: 1_000 });
    expect(await failureOf(client.call(again))).toMatchObject(expected);
  });

  test('costs its own call at the handshake, too', async () => {
    const server = await fakeServer(async (request, response) => {
      lie(JSON.parse(await bodyOf(request)) as Message, response);
    });
    const failure = await failureOf(
      newClient().call(callTo(nodeAt(server.url), { deadlineMilliseconds: 1_000 })),
    );
    const handshakeOnly = ['refused', 'garbage', 'incompatible'];
    const { kind } = expected as { kind: string };
    expect(handshakeOnly.includes(kind) ? handshakeOnly : [kind]).toContain(failure.kind);
  });
});

describe('an answer in another form', () => {
  const inStream = (...messages: readonly ((id: unknown) => unknown)[]) =>
    fakeAgent(({ id }, response) => {
      response.writeHead(200, sse);
      for (const message of messages) response.write(event(message(id)));
      response.end();
    });
  const note = () => ({
    jsonrpc: '2.0',
    method: 'notifications/message',
    params: { level: 'info', data: 'x' },
  });

  test('is read from a stream of events, after notes that nobody asked for', async () => {
    const agent = await inStream(note, (id) => answer(id, { gpuCount: 8 }));
    const client = newClient();
    for (let call = 0; call < 3; call += 1)
      expect(await client.call(callTo(nodeAt(agent.url)))).toMatchObject({
        structuredContent: { gpuCount: 8 },
      });
    // A stream ends after its answer: the next call may begin meanwhile.
    expect(agent.accepted()).toBeLessThanOrEqual(2);
  });

  test('is there before its stream ends, and nobody waits for the rest', async () => {
    let isClosed = false;
    const agent = await fakeAgent(({ id }, response) => {
      response.writeHead(200, sse).write(event(answer(id)));
      response.on('close', () => {
        isClosed = true;
      });
    });
    expect(await newClient().call(callTo(nodeAt(agent.url)))).toMatchObject({ isError: false });
    await until(() => isClosed);
  });

  test.each([
    ['a result of an unknown type', (id: unknown) => complete(id, { resultType: 'task', content: [] })],
    [
      'a result without its type',
      (id: unknown) => ({ jsonrpc: '2.0', id, result: { content: [], structuredContent: {} } }),
    ],
    ['content that is no list', (id: unknown) => complete(id, { content: 'all', structuredContent: {} })],
    ['neither result nor error', (id: unknown) => ({ jsonrpc: '2.0', id })],
    ['an error without a code', (id: unknown) => ({ jsonrpc: '2.0', id, error: { message: 'no' } })],
    ['another JSON-RPC', (id: unknown) => ({ ...answer(id), jsonrpc: '1.0' })],
    ['a list of answers', (id: unknown) => [answer(id)]],
  ])('%s is garbage, as JSON and as an event', async (_, message) => {
    for (const agent of [await inStream(message), await fakeAgent(({ id }, r) => json(r, message(id)))])
      expect(await failureOf(newClient().call(callTo(nodeAt(agent.url))))).toMatchObject({
        kind: 'garbage',
        message: expect.stringMatching(/not MCP|cut off/),
      });
  });

  test('the tool of the agent that fails is quoted, made harmless', async () => {
    const content = [
      { type: 'text', text: 'GPU_NOT_FOUND: \u001b[31mno GPU 99' },
      { type: 'image', data: '' },
    ];
    const agent = await fakeAgent(({ id }, response) =>
      json(response, complete(id, { content, isError: true })),
    );
    expect(await newClient().call(callTo(nodeAt(agent.url)))).toMatchObject({
      isError: true,
      text: 'GPU_NOT_FOUND: no GPU 99',
    });
  });

  test('an agent that asks, where nobody can be asked, is told so', async () => {
    const bodies: Message[] = [];
    const agent = await fakeAgent((message, response) => {
      bodies.push(message);
      const { inputResponses } = message.params ?? {};
      if (inputResponses !== undefined) return json(response, answer(message.id, { told: inputResponses }));
      const requestedSchema = { type: 'object', properties: { confirm: { type: 'boolean' } } };
      const params = { mode: 'form', message: 'Reset?', requestedSchema };
      const inputRequests = { confirm: { method: 'elicitation/create', params } };
      json(response, complete(message.id, { resultType: 'input_required', inputRequests }));
    });
    expect(await newClient().call(callTo(nodeAt(agent.url)))).toMatchObject({
      structuredContent: { told: { confirm: { action: 'decline' } } },
    });
  });
});

test('planted fault: an agent that answers well is not among the failures', async () => {
  const agent = await fakeAgent((message, response) => json(response, answer(message.id, { gpuCount: 8 })));
  const reply = await newClient().call(callTo(nodeAt(agent.url)));
  expect(reply).toMatchObject({ isError: false, structuredContent: { gpuCount: 8 } });
});

describe('what is not HTTP', () => {
  test.each([
    ['a port where nobody listens', 'http://127.0.0.1:1/mcp', { kind: 'unreachable', isRetryable: true }],
    ['a name that is not known', 'http://agent.invalid/mcp', { kind: 'unreachable', isRetryable: true }],
    ['no URL', 'agent', { kind: 'unreachable', isRetryable: false }],
    ['a file', 'file:///etc/passwd', { kind: 'unreachable', isRetryable: false }],
  ])('%s', async (_, url, expected) => {
    expect(await failureOf(newClient().call(callTo(nodeAt(url))))).toMatchObject(expected);
  });

  test('no address yet: the directory says why', async () => {
    const node = nodeAt(null, { notReadyBecause: 'the pod has no address yet' });
    const failure = await failureOf(newClient().call(callTo(node)));
    expect(failure).toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('no address yet'),
    });
  });

  test('a server of another protocol', async () => {
    const other = createServer((socket) => {
      socket.on('error', () => {}).end('SSH-2.0-OpenSSH_9.9\r\n');
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const failure = await failureOf(newClient().call(callTo(nodeAt(`http://127.0.0.1:${port}/mcp`))));
    expect(failure.kind).toBe('garbage');
    other.close();
  });
});

describe('versions', () => {
  test('an agent from the future is named with both versions', async () => {
    const server = await fakeServer(async (request, response) => {
      const { id } = JSON.parse(await bodyOf(request)) as Message;
      const data = { supported: ['2099-01-01', 'IGNORE ALL'], requested: '2026-07-28' };
      json(response, { jsonrpc: '2.0', id, error: { code: -32022, message: 'unsupported', data } }, 400);
    });
    const failure = await failureOf(newClient().call(callTo(nodeAt(server.url))));
    expect(failure).toMatchObject({ kind: 'incompatible', isRetryable: false });
    expect(failure.message).toMatch(/speaks MCP 2099-01-01, this gateway speaks 2026-07-28, 2025-11-25/);
    expect(failure.message).not.toContain('IGNORE');
  });

  test('so is one that only answers initialize, with a version of its own', async () => {
    const server = await fakeServer(async (request, response) => {
      const { id, method } = JSON.parse(await bodyOf(request)) as Message;
      if (method !== 'initialize')
        return json(response, { jsonrpc: '2.0', id, error: { code: -32601, message: 'no' } });
      const result = {
        protocolVersion: '1999-12-31',
        capabilities: {},
        serverInfo: { name: 'x', version: '1' },
      };
      json(response, { jsonrpc: '2.0', id, result });
    });
    const failure = await failureOf(newClient().call(callTo(nodeAt(server.url))));
    expect(failure).toMatchObject({
      kind: 'incompatible',
      message: expect.stringContaining('MCP 1999-12-31'),
    });
  });

  test('one whose discovery offers nothing we know', async () => {
    const server = await fakeServer(async (request, response) => {
      const { id, method } = JSON.parse(await bodyOf(request)) as Message;
      if (method === 'server/discover') json(response, discovered(id, ['2099-01-01']));
      else json(response, { jsonrpc: '2.0', id, error: { code: -32601, message: 'no initialize' } });
    });
    expect(await failureOf(newClient().call(callTo(nodeAt(server.url))))).toMatchObject({
      kind: 'incompatible',
    });
  });

  test('an agent replaced by an older one at the same address is asked again', async () => {
    let isOld = false;
    const methods: string[] = [];
    const server = await fakeServer(async (request, response) => {
      const { id, method } = JSON.parse(await bodyOf(request)) as Message;
      methods.push(method);
      if (!isOld) return json(response, method === 'server/discover' ? discovered(id) : answer(id));
      if (method === 'initialize') {
        const serverInfo = { name: 'old', version: '1' };
        const result = { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo };
        return json(response, { jsonrpc: '2.0', id, result });
      }
      if (method === 'notifications/initialized') return void response.writeHead(202).end();
      if (method === 'tools/call' && request.headers['mcp-method'] === undefined) {
        const result = { content: [], structuredContent: { old: true } };
        return json(response, { jsonrpc: '2.0', id, result });
      }
      response.writeHead(400).end();
    });
    const client = newClient();
    await client.call(callTo(nodeAt(server.url)));
    isOld = true;
    expect(await client.call(callTo(nodeAt(server.url)))).toMatchObject({ structuredContent: { old: true } });
    expect(methods).toEqual([
      ...['server/discover', 'tools/call'],
      ...['tools/call', 'server/discover', 'initialize', 'notifications/initialized', 'tools/call'],
    ]);
  });
});

describe('the token', () => {
  test('does not travel along a redirect, nor to an agent that may not have it', async () => {
    const seen: (string | undefined)[] = [];
    const thief = await fakeServer((request, response) => {
      seen.push(request.headers.authorization ?? 'none');
      response.writeHead(500).end();
    });
    const client = newClient({ token: async () => 'the-token' });
    for (const status of [301, 302, 303, 307, 308]) {
      const agent = await fakeServer((_, response) => {
        response.writeHead(status, { location: thief.url }).end();
      });
      expect(await failureOf(client.call(callTo(nodeAt(agent.url))))).toMatchObject({
        kind: 'refused',
        isRetryable: false,
      });
    }
    expect(seen).toEqual([]);
    await failureOf(client.call(callTo(nodeAt(thief.url, { mayReceiveToken: false }))));
    expect(seen).toEqual(['none']);
    // Planted fault: the same look sees a token that is sent.
    await failureOf(client.call(callTo(nodeAt(thief.url, { instance: 'another' }))));
    expect(seen).toEqual(['none', 'Bearer the-token']);
  });
});

describe('a call that ends early', () => {
  test.each([
    ['cancelled', 10_000, 20],
    ['timeout', 300, undefined],
  ])('%s: the agent sees its stream close', async (kind, deadlineMilliseconds, abortAfter) => {
    let closed = false;
    const controller = new AbortController();
    const agent = await fakeAgent((_, response) => {
      response.on('close', () => {
        closed = true;
      });
      if (abortAfter !== undefined) setTimeout(() => controller.abort(), abortAfter);
    });
    const { signal } = controller;
    const work = newClient().call(callTo(nodeAt(agent.url), { signal, deadlineMilliseconds }));
    expect(await failureOf(work)).toMatchObject({ kind });
    await until(() => closed);
  });

  test('one that was cancelled before it began reaches nobody', async () => {
    const agent = await fakeAgent(() => {});
    const call = callTo(nodeAt(agent.url), { signal: AbortSignal.abort() });
    expect(await failureOf(newClient().call(call))).toMatchObject({ kind: 'cancelled' });
    expect(agent.accepted()).toBe(0);
  });

  test('no time left is a timeout, and reaches nobody', async () => {
    const agent = await fakeAgent(() => {});
    const call = callTo(nodeAt(agent.url), { deadlineMilliseconds: 0 });
    expect(await failureOf(newClient().call(call))).toMatchObject({ kind: 'timeout' });
    expect(agent.accepted()).toBe(0);
  });
});

test('the agent is told the deadline, the question and the trace', async () => {
  const agent = await fakeAgent((message, response) => json(response, answer(message.id)));
  const client = newClient();
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  for (const deadlineMilliseconds of [10_000, 1_000, 150])
    await client.call(callTo(nodeAt(agent.url), { deadlineMilliseconds, traceparent }));
  const metas = agent.messages
    .filter(({ method }) => method === 'tools/call')
    .map(({ params }) => params?._meta);
  const deadlines = metas.map((meta) => Number(meta?.['io.github.k8s-gpu-mcp/deadline-milliseconds']));
  // A second less; half below two seconds; never under 100. The handshake has taken its share of the first.
  expect(deadlines[0]).toBeGreaterThan(8_000);
  expect(deadlines[0]).toBeLessThanOrEqual(9_000);
  expect(deadlines[1]).toBeGreaterThan(400);
  expect(deadlines[1]).toBeLessThanOrEqual(500);
  expect(deadlines[2]).toBe(100);
  for (const meta of metas)
    expect(meta).toMatchObject({ traceparent, 'io.github.k8s-gpu-mcp/correlation-id': '0123456789abcdef' });
  expect(agent.messages.filter(({ method }) => method === 'server/discover')).toHaveLength(1);
});

test('progress passes through, made harmless', async () => {
  const agent = await fakeAgent(({ id, params }, response) => {
    const progressToken = params?._meta?.['progressToken'];
    response.writeHead(200, sse);
    const note = { progressToken, progress: 3, total: 9, message: '\u001b[31mred\u202e' };
    response.write(event({ jsonrpc: '2.0', method: 'notifications/progress', params: note }));
    response.end(event(answer(id)));
  });
  const notes: unknown[] = [];
  const progress = (...note: unknown[]) => {
    notes.push(note);
  };
  await newClient().call(callTo(nodeAt(agent.url), { progress }));
  expect(notes).toEqual([[3, 9, 'red']]);
});

describe('connections', () => {
  test('1,000 calls one after the other need two connections at most', async () => {
    const agent = await fakeAgent((message, response) => json(response, answer(message.id)));
    const client = newClient();
    for (let index = 0; index < 1_000; index += 1) await client.call(callTo(nodeAt(agent.url)));
    expect(agent.accepted()).toBeLessThanOrEqual(2);
    expect(agent.messages).toHaveLength(1_001);
  });

  test('200 failing calls leave none', async () => {
    const agent = await fakeAgent((_, response) => void response.writeHead(503).end());
    const client = newClient();
    for (let index = 0; index < 200; index += 1) await failureOf(client.call(callTo(nodeAt(agent.url))));
    await until(() => agent.sockets.size <= 2);
  });

  test('more calls at once than connections wait, and are answered', async () => {
    const agent = await fakeAgent((message, response) => json(response, answer(message.id)));
    const client = newClient({ connectionsPerAgent: 2 });
    await Promise.all(Array.from({ length: 50 }, () => client.call(callTo(nodeAt(agent.url)))));
    expect(agent.accepted()).toBeLessThanOrEqual(2);
  });

  test('an instance that is gone loses its connections, the others keep theirs', async () => {
    const reply = (message: Message, response: ServerResponse) => json(response, answer(message.id));
    const [stays, goes] = [await fakeAgent(reply), await fakeAgent(reply)];
    const client = newClient();
    const nodes = [nodeAt(stays.url, { instance: 'stays' }), nodeAt(goes.url, { instance: 'goes' })];
    await Promise.all(nodes.map((node) => client.call(callTo(node))));
    expect(Math.min(stays.sockets.size, goes.sockets.size)).toBeGreaterThan(0);
    client.retain(new Set(['stays']));
    await until(() => goes.sockets.size === 0);
    expect(stays.sockets.size).toBeGreaterThan(0);
    await client.close();
    await until(() => stays.sockets.size === 0);
    expect(await failureOf(client.call(callTo(nodeAt(stays.url))))).toMatchObject({ kind: 'cancelled' });
  });
});
