import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  initialize,
  initialized,
  type Message,
  modern,
  type Running,
  request,
  startBridge,
  stop,
  toolCall,
} from './run-bridge.ts';

interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Undefined for a GET and for what is not JSON. */
  readonly message: Message | undefined;
}

let servers: Server[] = [];
let bridges: Running[] = [];
afterEach(async () => {
  await Promise.all(bridges.map((bridge) => stop(bridge)));
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  servers = [];
  bridges = [];
});

/** A server that does to each request what the test says. */
async function gateway(answer: (call: Call) => void): Promise<{ url: string; calls: Call[] }> {
  const calls: Call[] = [];
  const server = createServer((request, response) => {
    let body = '';
    response.on('error', () => {});
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const call = { request, response, message: body === '' ? undefined : (JSON.parse(body) as Message) };
      calls.push(call);
      answer(call);
    });
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}/mcp`, calls };
}

function bridgeTo(url: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
  const bridge = startBridge(['--gateway-url', url, ...args], env);
  bridges.push(bridge);
  return bridge;
}

const json = (response: ServerResponse, value: unknown, headers: Readonly<Record<string, string>> = {}) =>
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
const result = (id: unknown, value: Message = {}) => ({ jsonrpc: '2.0', id, result: value });
const event = (message: unknown) => `event: message\ndata: ${JSON.stringify(message)}\n\n`;
const openStream = (response: ServerResponse) =>
  response.writeHead(200, { 'content-type': 'text/event-stream' });
const initializeResult = {
  protocolVersion: '2025-06-18',
  capabilities: {},
  serverInfo: { name: 'g', version: '0' },
};

/** A megabyte at a time for as long as anybody reads. */
function flood(response: ServerResponse, chunk: string): void {
  const more = () => {
    while (!response.destroyed && response.write(chunk));
    if (!response.destroyed) response.once('drain', more);
  };
  more();
}

describe('every request is answered once', () => {
  it.each<[string, (call: Call) => void, string]>([
    [
      'garbage instead of JSON',
      ({ response }) => response.writeHead(200, { 'content-type': 'application/json' }).end('\0\0{{{'),
      'broke twice',
    ],
    [
      'HTML',
      ({ response }) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>'),
      'broke twice',
    ],
    ['202 without an answer', ({ response }) => response.writeHead(202).end(), 'broke twice'],
    ['the answer to somebody else', ({ response }) => json(response, result('another')), 'broke twice'],
    [
      'a stream that ends without the answer',
      ({ response }) => openStream(response).end(event({ jsonrpc: '2.0', method: 'notifications/x' })),
      'broke twice',
    ],
    [
      'a stream of garbage',
      ({ response }) => openStream(response).end('data: {"jsonrpc"\n\n\xff\xfe: x\n\n'),
      'broke twice',
    ],
    ['a connection that is cut', ({ request: { socket } }) => socket.destroy(), 'broke twice'],
    [
      'an endless body',
      ({ response }) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        flood(response, '['.repeat(1_000_000));
      },
      'more than 16777216 bytes',
    ],
    [
      'an endless event',
      ({ response }) => {
        openStream(response);
        flood(response, `data: ${'x'.repeat(1_000_000)}\n`);
      },
      'more than 16777216 bytes',
    ],
    [
      'an endless error',
      ({ response }) => {
        response.writeHead(500);
        flood(response, 'x'.repeat(1_000_000));
      },
      'HTTP 500',
    ],
    ['401', ({ response }) => response.writeHead(401).end(), 'asks for a token'],
    ['403', ({ response }) => response.writeHead(403).end(), 'does not allow'],
    ['404', ({ response }) => response.writeHead(404).end('no'), 'no MCP endpoint'],
    ['503', ({ response }) => response.writeHead(503).end('later'), 'It said: later'],
  ])('%s', async (_name, answer, said) => {
    const { url } = await gateway(answer);
    const bridge = bridgeTo(url);
    bridge.send(modern(1, 'server/discover'));
    const reply = await bridge.answerTo(1);
    expect(reply).toHaveProperty('error.message', expect.stringContaining(said));
    bridge.child.stdin.end();
    const { code, stdout } = await bridge.exited;
    expect(code).toBe(0);
    expect(stdout.split('"id":1')).toHaveLength(2);
  });

  it('planted fault: a second answer to the same request would be seen', async () => {
    const { url } = await gateway(({ response, message }) =>
      openStream(response).end(event(result(message?.['id'])).repeat(3)),
    );
    const bridge = bridgeTo(url);
    bridge.send(modern(1, 'server/discover'));
    await bridge.answerTo(1);
    bridge.child.stdin.end();
    const { stdout } = await bridge.exited;
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(`${stdout}${stdout}`.split('"id":1')).not.toHaveLength(2);
  });
});

describe('the token', () => {
  const token = 'a-token-for-this-test-only';
  it('goes to the gateway and never along a redirect', async () => {
    const thief = await gateway(({ response, message }) => json(response, result(message?.['id'])));
    const { url, calls } = await gateway(({ response }) =>
      response.writeHead(307, { location: thief.url }).end(),
    );
    const bridge = bridgeTo(url, [], { K8S_GPU_MCP_TOKEN: token });
    bridge.send(modern(1, 'server/discover'));
    expect(await bridge.answerTo(1)).toHaveProperty(
      'error.message',
      expect.stringContaining('which is not followed'),
    );
    expect(calls[0]?.request.headers.authorization).toBe(`Bearer ${token}`);
    expect(thief.calls).toEqual([]);
  });

  it('is read from its file again, and is never printed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'bridge-token-'));
    const file = join(folder, 'token');
    const { url, calls } = await gateway(({ response, message, request: { headers } }) =>
      headers.authorization === `Bearer ${token}`
        ? json(response, result(message?.['id']))
        : response.writeHead(401).end(),
    );
    await writeFile(file, 'expired\n');
    const bridge = bridgeTo(url, ['--token-file', file, '--log-level', 'debug']);
    bridge.send(modern(1, 'server/discover'));
    expect(await bridge.answerTo(1)).toHaveProperty(
      'error.message',
      expect.stringContaining('may have expired'),
    );
    await writeFile(file, `${token}\n`);
    bridge.send(modern(2, 'server/discover'));
    expect(await bridge.answerTo(2)).toHaveProperty('result');
    await rm(folder, { recursive: true });
    bridge.send(modern(3, 'server/discover'));
    expect(await bridge.answerTo(3)).toHaveProperty(
      'error.message',
      expect.stringContaining('token cannot be read'),
    );
    expect(calls).toHaveLength(2);
    bridge.child.stdin.end();
    const { stdout, stderr } = await bridge.exited;
    expect(`${stdout}${stderr}`).not.toContain(token);
  });
});

describe('what is carried', () => {
  it('the headers of 2026-07-28 mirror the body', async () => {
    const { url, calls } = await gateway(({ response, message }) => json(response, result(message?.['id'])));
    const bridge = bridgeTo(url);
    bridge.send(modern(1, 'tools/call', { name: 'get_gpu_health', arguments: {} }));
    await bridge.answerTo(1);
    expect(calls[0]?.request.headers).toMatchObject({
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'get_gpu_health',
    });
    expect(calls[0]?.request.headers).not.toHaveProperty('mcp-session-id');
  });

  it('in 2026-07-28 a cancelled call closes its stream, and nothing is posted', async () => {
    let arrived: (response: ServerResponse) => void = () => {};
    const arrival = new Promise<ServerResponse>((resolve) => {
      arrived = resolve;
    });
    const { url, calls } = await gateway(({ response, message }) => {
      if (message?.['method'] === 'ping') return json(response, result(message['id']));
      openStream(response).flushHeaders();
      return arrived(response);
    });
    const bridge = bridgeTo(url);
    bridge.send(modern('call', 'tools/call', { name: 'slow' }));
    const closed = once(await arrival, 'close');
    bridge.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'call' } });
    await closed;
    bridge.send(modern('after', 'ping'));
    await bridge.answerTo('after');
    expect(calls.map(({ message }) => message?.['method'])).toEqual(['tools/call', 'ping']);
    expect(bridge.messages()).toHaveLength(1);
  });

  it('progress at once, the server asking the host, its answer, and the session header', async () => {
    let finish = () => {};
    const { url, calls } = await gateway(({ response, message, request: { method } }) => {
      if (method === 'GET') {
        openStream(response).write(event({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }));
      } else if (message?.['method'] === 'initialize')
        json(response, result(message['id'], initializeResult), { 'mcp-session-id': 'session-1' });
      else if (message?.['method'] === 'tools/call') {
        openStream(response).write(
          event({ jsonrpc: '2.0', method: 'notifications/progress', params: { progress: 1 } }),
        );
        response.write(event(request('ask', 'elicitation/create', { message: 'sure?' })));
        finish = () => response.end(event(result(message['id'], { content: [] })));
      } else {
        response.writeHead(202).end();
        if (message?.['id'] === 'ask') finish();
      }
    });
    const bridge = bridgeTo(url);
    bridge.send(initialize(1));
    await bridge.answerTo(1);
    bridge.send(initialized);
    await bridge.message(({ method }) => method === 'notifications/tools/list_changed');
    bridge.send(toolCall(2, 'reset'));
    await bridge.message(({ method }) => method === 'notifications/progress');
    await bridge.message(({ id }) => id === 'ask');
    expect(bridge.messages().some(({ id }) => id === 2)).toBe(false);
    bridge.send({ jsonrpc: '2.0', id: 'ask', result: { action: 'accept' } });
    expect(await bridge.answerTo(2)).toHaveProperty('result.content');
    const after = calls.slice(1).map((call) => call.request.headers);
    expect(after.length).toBeGreaterThanOrEqual(4);
    for (const headers of after)
      expect(headers).toMatchObject({
        'mcp-session-id': 'session-1',
        'mcp-protocol-version': '2025-06-18',
      });
    bridge.child.stdin.end();
    expect(await bridge.exited).toMatchObject({ code: 0 });
    expect(calls.at(-1)?.request.method).toBe('DELETE');
  });

  it('a lost session is opened again with what the host once said, and its subscriptions too', async () => {
    let current = 0;
    const { url, calls } = await gateway(({ response, message, request: { method, headers } }) => {
      if (method === 'GET') return response.writeHead(405).end();
      if (message?.['method'] === 'initialize') {
        current += 1;
        return json(response, result(message['id'], initializeResult), { 'mcp-session-id': `s${current}` });
      }
      if (headers['mcp-session-id'] !== `s${current}`) return response.writeHead(404).end();
      return message?.['id'] === undefined
        ? response.writeHead(202).end()
        : json(response, result(message['id']));
    });
    const bridge = bridgeTo(url);
    bridge.send(initialize('first'));
    await bridge.answerTo('first');
    bridge.send(initialized, request(2, 'resources/subscribe', { uri: 'gpu://a' }));
    await bridge.answerTo(2);
    current = 7;
    bridge.send(toolCall(3, 'reset'), request(4, 'ping'), request(5, 'ping'));
    await Promise.all([3, 4, 5].map((id) => bridge.answerTo(id)));
    const initializes = calls.filter(({ message }) => message?.['method'] === 'initialize');
    expect(initializes).toHaveLength(2);
    expect(initializes[1]?.message?.['params']).toEqual(initializes[0]?.message?.['params']);
    const subscribed = calls.filter(({ message }) => message?.['method'] === 'resources/subscribe');
    expect(subscribed.at(-1)?.request.headers['mcp-session-id']).toBe('s8');
    expect(bridge.messages()).toHaveLength(5);
  });
});
