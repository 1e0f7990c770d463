import { mkdtemp, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { McpServer } from '@modelcontextprotocol/server';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createHttpApp, type HttpApp } from './app.ts';
import type { HttpAppOptions } from './options.ts';
import { Authenticator } from './security.ts';

const open: HttpApp[] = [];
const folders: string[] = [];
let lastAborted: Promise<void>;
let seenAuthorization: string | null | undefined;

function server(context: { authInfo?: { clientId: string } }): McpServer {
  const mcp = new McpServer({ name: 'test', version: '0' });
  mcp.registerTool('echo', { inputSchema: z.strictObject({ text: z.string() }) }, ({ text }, ctx) => {
    seenAuthorization = ctx.http?.req?.headers.get('authorization');
    return { content: [{ type: 'text', text }] };
  });
  mcp.registerTool('whoami', {}, () => ({
    content: [{ type: 'text', text: context.authInfo?.clientId ?? '' }],
  }));
  mcp.registerTool('hang', {}, async (ctx) => {
    await ctx.mcpReq.notify({
      method: 'notifications/progress',
      params: { progressToken: ctx.mcpReq._meta?.progressToken ?? 0, progress: 0 },
    });
    lastAborted = new Promise((resolve) => {
      ctx.mcpReq.signal.addEventListener('abort', () => resolve());
    });
    return new Promise<never>(() => {});
  });
  mcp.registerTool('hang_silently', {}, () => new Promise<never>(() => {}));
  return mcp;
}

function create(options: HttpAppOptions = {}): HttpApp {
  const created = createHttpApp(server, { processMetrics: false, ...options });
  open.push(created);
  return created;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((app) => app.close()));
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
});

async function tokenFile(token: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'http-'));
  folders.push(folder);
  await writeFile(join(folder, 'token'), `${token}\n`);
  return join(folder, 'token');
}

const HEADERS = {
  host: 'localhost',
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
};
const MODERN_META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '0' } },
};

async function post(http: HttpApp, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return http.app.request('/mcp', {
    method: 'POST',
    headers: { ...HEADERS, ...headers },
    body: typeof body === 'string' || body instanceof Blob ? body : JSON.stringify(body),
  });
}

function modernCall(
  http: HttpApp,
  name: string,
  args: object = {},
  headers: Record<string, string> = {},
  meta = {},
) {
  return post(
    http,
    {
      jsonrpc: '2.0',
      id: 7,
      method: 'tools/call',
      params: { name, arguments: args, _meta: { ...MODERN_META, ...meta } },
    },
    { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': name, ...headers },
  );
}

async function openSession(http: HttpApp, headers: Record<string, string> = {}): Promise<string> {
  const response = await post(http, INITIALIZE, headers);
  expect(response.status).toBe(200);
  await response.text();
  return response.headers.get('mcp-session-id') ?? '';
}

const legacyCall = (http: HttpApp, session: string, id: number, name: string, args = {}, headers = {}) =>
  post(
    http,
    { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } },
    { 'mcp-session-id': session, ...headers },
  );

/** The messages of a finished event stream. */
async function events(response: Response): Promise<unknown[]> {
  return [...(await response.text()).matchAll(/^data: (.+)$/gm)].map(([, data]) => JSON.parse(data ?? ''));
}

describe('/mcp', () => {
  it('serves a 2026-07-28 request without a session', async () => {
    const http = create();
    const response = await modernCall(http, 'echo', { text: 'modern' });
    expect(await response.json()).toMatchObject({ id: 7, result: { content: [{ text: 'modern' }] } });
    expect(http.sessionCount).toBe(0);
  });

  it('serves a session', async () => {
    const http = create();
    const session = await openSession(http);
    const response = await legacyCall(http, session, 1, 'echo', { text: 'legacy' });
    expect(await events(response)).toMatchObject([{ id: 1, result: { content: [{ text: 'legacy' }] } }]);
    expect(http.sessionCount).toBe(1);
    expect(http.inFlight).toBe(0);
  });

  it('keeps sessions apart', async () => {
    const http = create();
    const [first, second] = [await openSession(http), await openSession(http)];
    const answers = await Promise.all([
      legacyCall(http, first, 1, 'echo', { text: 'first' }).then(events),
      legacyCall(http, second, 1, 'echo', { text: 'second' }).then(events),
    ]);
    expect(answers).toMatchObject([
      [{ id: 1, result: { content: [{ text: 'first' }] } }],
      [{ id: 1, result: { content: [{ text: 'second' }] } }],
    ]);
  });

  it('ends a session on DELETE', async () => {
    const http = create();
    const session = await openSession(http);
    const gone = await http.app.request('/mcp', {
      method: 'DELETE',
      headers: { ...HEADERS, 'mcp-session-id': session },
    });
    expect(gone.status).toBe(200);
    expect(http.sessionCount).toBe(0);
    expect((await legacyCall(http, session, 1, 'echo', { text: 'x' })).status).toBe(404);
  });

  it('answers an unknown tool and unknown arguments, in both eras', async () => {
    const http = create();
    expect(await (await modernCall(http, 'no_such_tool')).json()).toMatchObject({
      id: 7,
      error: { code: -32602 },
    });
    expect(await (await modernCall(http, 'echo', { txet: '' })).json()).toMatchObject({
      result: { isError: true },
    });
    const session = await openSession(http);
    expect(await events(await legacyCall(http, session, 1, 'no_such_tool'))).toMatchObject([
      { id: 1, error: { code: -32602 } },
    ]);
  });

  it.each<[string, unknown, number, number, Record<string, string>]>([
    ['truncated JSON', '{"jsonrpc":"2.0","id":1,"meth', 400, -32700, {}],
    ['an empty body', '', 400, -32700, {}],
    ['invalid UTF-8', new Blob([new Uint8Array([0x22, 0xc3, 0x28, 0x22])]), 400, -32700, {}],
    ['a number', '42', 400, -32600, {}],
    ['null', 'null', 400, -32600, {}],
    ['an empty batch', '[]', 400, -32600, {}],
    ['5 MB', `"${'x'.repeat(5_000_000)}"`, 413, -32000, {}],
    ['text', '{}', 415, -32000, { 'content-type': 'text/plain' }],
    ['a call without session', { jsonrpc: '2.0', id: 1, method: 'tools/list' }, 400, -32000, {}],
    [
      'an unknown session',
      { jsonrpc: '2.0', id: 1, method: 'ping' },
      404,
      -32001,
      { 'mcp-session-id': 'nope' },
    ],
  ])('refuses %s with JSON, and the next request works', async (_name, body, status, code, headers) => {
    const http = create();
    const response = await post(http, body, headers);
    expect({ status: response.status, body: await response.json() }).toMatchObject({
      status,
      body: { jsonrpc: '2.0', error: { code } },
    });
    expect((await modernCall(http, 'echo', { text: 'next' })).status).toBe(200);
  });

  it('caps a body without declared length', async () => {
    const http = create({ maxBodyBytes: 100 });
    let produced = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        produced += 1;
        controller.enqueue(new Uint8Array(60).fill(0x20));
      },
    });
    const request = new Request('http://localhost/mcp', {
      method: 'POST',
      headers: HEADERS,
      body: endless,
      duplex: 'half',
    } as RequestInit);
    expect((await http.app.request(request)).status).toBe(413);
    expect(produced).toBeLessThan(10);
  });

  it('hides the bearer token from handlers', async () => {
    const http = create({ tokenFiles: [{ principal: 'reader', file: await tokenFile('s3cret') }] });
    seenAuthorization = undefined;
    await modernCall(http, 'echo', { text: '' }, { authorization: 'Bearer s3cret' });
    expect(seenAuthorization).toBeNull();
  });

  it.each(['PUT', 'PATCH', 'OPTIONS'])('%s is 405', async (method) => {
    const response = await create().app.request('/mcp', { method, headers: HEADERS });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, POST, DELETE']);
    expect(await response.json()).toMatchObject({ error: { message: 'Method not allowed' } });
  });
});

describe('deadline', () => {
  it('answers 504 and aborts, 2026-07-28', async () => {
    const http = create({ requestTimeoutMilliseconds: 20 });
    const response = await modernCall(http, 'hang_silently');
    expect(response.status).toBe(504);
    expect(await response.json()).toMatchObject({ id: 7, error: { code: -32001 } });
    expect(http.inFlight).toBe(0);
  });

  it('ends a stream that has begun with an error, 2026-07-28', async () => {
    const http = create({ requestTimeoutMilliseconds: 50 });
    const response = await modernCall(http, 'hang', {}, {}, { progressToken: 'p' });
    expect(response.status).toBe(200);
    expect((await events(response)).at(-1)).toMatchObject({ id: 7, error: { code: -32001 } });
    await lastAborted;
    expect(http.inFlight).toBe(0);
  });

  it('ends a call in a session with an error, and the session lives on', async () => {
    const http = create({ requestTimeoutMilliseconds: 20 });
    const session = await openSession(http);
    const response = await legacyCall(http, session, 1, 'hang_silently');
    expect(await events(response)).toMatchObject([{ id: 1, error: { code: -32001 } }]);
    expect(http.inFlight).toBe(0);
    expect(await events(await legacyCall(http, session, 1, 'echo', { text: 'x' }))).toMatchObject([
      { id: 1 },
    ]);
  });
});

describe('sessions are bounded', () => {
  it('drops the longest idle one for a new one', async () => {
    let now = 0;
    const http = create({ maxSessions: 2, now: () => now });
    const first = await openSession(http);
    now = 1;
    const second = await openSession(http);
    now = 2;
    await (await legacyCall(http, first, 1, 'echo', { text: '' })).text();
    now = 3;
    await openSession(http);
    expect(http.sessionCount).toBe(2);
    expect((await legacyCall(http, second, 1, 'echo', { text: '' })).status).toBe(404);
    expect((await legacyCall(http, first, 2, 'echo', { text: '' })).status).toBe(200);
  });

  it('never drops one with a call in flight; with all busy a new client is asked to come back', async () => {
    const http = create({ maxSessions: 1 });
    const session = await openSession(http);
    const busy = await legacyCall(http, session, 1, 'hang_silently');
    const refused = await post(http, INITIALIZE);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5']);
    await busy.body?.cancel();
  });

  it('drops idle ones after their time, but not one that listens', async () => {
    let now = 0;
    const http = create({ sessionIdleMilliseconds: 1_000, now: () => now });
    const idle = await openSession(http);
    const listening = await openSession(http);
    const stream = await http.app.request('/mcp', { headers: { ...HEADERS, 'mcp-session-id': listening } });
    expect(stream.status).toBe(200);
    now = 1_000;
    expect((await legacyCall(http, idle, 1, 'echo', { text: '' })).status).toBe(404);
    expect(http.sessionCount).toBe(1);
    await stream.body?.cancel();
    now = 2_000;
    await openSession(http);
    expect(http.sessionCount).toBe(1);
  });

  it('keeps nothing of an initialize that was refused', async () => {
    const http = create();
    expect((await post(http, INITIALIZE, { accept: 'application/json' })).status).toBe(406);
    expect(http.sessionCount).toBe(0);
  });

  it('forgets cancelled calls and ends their stream', async () => {
    const http = create();
    const session = await openSession(http);
    const pending = await legacyCall(http, session, 1, 'hang_silently');
    expect(http.inFlight).toBe(1);
    await post(
      http,
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } },
      { 'mcp-session-id': session },
    );
    expect(await events(pending)).toEqual([]);
    expect(http.inFlight).toBe(0);
  });
});

describe('authentication', () => {
  it('asks for a token everywhere but on /healthz and the bare /readyz', async () => {
    const http = create({
      tokenFiles: [{ principal: 'reader', file: await tokenFile('s3cret') }],
      readiness: async () => ({ ready: false, reasons: ['no driver'] }),
    });
    const get = (path: string, authorization?: string) =>
      http.app.request(path, {
        headers: { host: 'localhost', ...(authorization === undefined ? {} : { authorization }) },
      });
    for (const path of ['/version', '/metrics', '/nothing-here', '/mcp']) {
      const response = await get(path);
      expect([path, response.status]).toEqual([path, 401]);
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
      expect(await response.json()).toMatchObject({ error: { code: -32000 } });
    }
    expect(await (await get('/healthz')).text()).toBe('ok');
    for (const bare of [await get('/readyz'), await get('/readyz', 'Bearer wrong')]) {
      expect(bare.status).toBe(503);
      expect(await bare.json()).toEqual({ ready: false });
    }
    expect(await (await get('/readyz', 'Bearer s3cret')).json()).toEqual({
      ready: false,
      reasons: ['no driver'],
    });
    expect((await get('/version', 'bearer s3cret')).status).toBe(200);
  });

  it.each([
    '',
    'Bearer',
    'Bearer ',
    'Basic s3cret',
    's3cret',
    'Bearer s3cre',
    'Bearer s3crett',
    'Bearer s3cret x',
  ])('refuses %j', async (authorization) => {
    const http = create({ tokenFiles: [{ principal: 'reader', file: await tokenFile('s3cret') }] });
    const response = await http.app.request('/version', { headers: { host: 'localhost', authorization } });
    expect(response.status).toBe(401);
  });

  it('denies everyone while the token cannot be read, and says so in readiness', async () => {
    const file = await tokenFile('s3cret');
    const http = create({ tokenFiles: [{ principal: 'reader', file }] });
    await unlink(file);
    expect((await modernCall(http, 'echo', { text: '' }, { authorization: 'Bearer s3cret' })).status).toBe(
      503,
    );
    expect((await http.app.request('/readyz', { headers: { host: 'localhost' } })).status).toBe(503);
    expect((await http.app.request('/healthz')).status).toBe(200);
    await writeFile(file, '');
    expect((await modernCall(http, 'echo', { text: '' }, { authorization: 'Bearer ' })).status).toBe(503);
  });

  it('takes a rotated token and no longer the old one', async () => {
    const file = await tokenFile('old');
    const http = create({ tokenFiles: [{ principal: 'reader', file }] });
    const status = async (token: string) =>
      (await modernCall(http, 'echo', { text: '' }, { authorization: `Bearer ${token}` })).status;
    expect([await status('old'), await status('new')]).toEqual([200, 401]);
    await writeFile(file, 'new\n');
    expect([await status('old'), await status('new')]).toEqual([401, 200]);
  });

  it('takes the bearer for the first of two whose files come to hold the same token', async () => {
    const [reader, operator] = [await tokenFile('read'), await tokenFile('operate')];
    const files = [
      { principal: 'reader', file: reader },
      { principal: 'operator', file: operator },
    ];
    const authenticator = new Authenticator({ tokenFiles: files });
    const principal = async (token: string) => {
      const who = await authenticator.authenticate(`Bearer ${token}`);
      return who.kind === 'authenticated' ? who.principal : who.kind;
    };
    expect([await principal('read'), await principal('operate')]).toEqual(['reader', 'operator']);
    await writeFile(operator, 'read');
    expect([await principal('read'), await principal('operate')]).toEqual(['reader', 'invalid']);
    await writeFile(operator, '');
    await writeFile(reader, 'operate');
    expect([await principal('operate'), await principal('')]).toEqual(['reader', 'invalid']);
  });

  it('tells the factory who is calling, and binds a session to who opened it', async () => {
    const http = create({
      tokenFiles: [
        { principal: 'reader', file: await tokenFile('read') },
        { principal: 'operator', file: await tokenFile('operate') },
      ],
    });
    const operator = { authorization: 'Bearer operate' };
    const reader = { authorization: 'Bearer read' };
    const answer = await modernCall(http, 'whoami', {}, operator);
    expect(await answer.json()).toMatchObject({ result: { content: [{ text: 'operator' }] } });
    const session = await openSession(http, operator);
    expect(await events(await legacyCall(http, session, 1, 'whoami', {}, operator))).toMatchObject([
      { result: { content: [{ text: 'operator' }] } },
    ]);
    expect((await legacyCall(http, session, 2, 'whoami', {}, reader)).status).toBe(404);
  });
});

describe('Host and Origin', () => {
  it.each([
    [{ host: 'evil.example.com' }, 403],
    [{ host: 'localhost', origin: 'https://evil.example.com' }, 403],
    [{ host: 'localhost', origin: 'null' }, 403],
    [{ host: 'localhost', origin: 'http://localhost:6274' }, 200],
    [{ host: 'gpu.example.com', origin: 'https://console.example.com' }, 200],
  ])('%j: %i', async (headers, status) => {
    const http = create({
      allowedHosts: ['gpu.example.com'],
      allowedOrigins: ['https://console.example.com'],
    });
    const response = await http.app.request('/version', { headers });
    expect(response.status).toBe(status);
    if (status === 403) expect(await response.json()).toMatchObject({ error: { code: -32000 } });
  });

  it('/healthz answers whatever the Host', async () => {
    expect(
      (await create().app.request('/healthz', { headers: { host: 'anything.example.com' } })).status,
    ).toBe(200);
  });
});

describe('health, version, metrics', () => {
  const get = (http: HttpApp, path: string) => http.app.request(path, { headers: { host: 'localhost' } });

  it.each<[string, NonNullable<HttpAppOptions['readiness']>, number, unknown]>([
    ['ready', async () => ({ ready: true, reasons: [] }), 200, { ready: true, reasons: [] }],
    ['not ready', async () => ({ ready: false, reasons: ['x'] }), 503, { ready: false, reasons: ['x'] }],
    [
      'a check that throws',
      () => Promise.reject(new Error('secret detail')),
      503,
      { ready: false, reasons: ['the readiness check failed'] },
    ],
  ])('/readyz: %s', async (_name, readiness, status, body) => {
    const response = await get(create({ readiness }), '/readyz');
    expect([response.status, await response.json()]).toEqual([status, body]);
  });

  it('/readyz and /mcp refuse while draining, /healthz does not', async () => {
    const http = create();
    http.drain();
    expect((await get(http, '/readyz')).status).toBe(503);
    expect((await modernCall(http, 'echo', { text: '' })).status).toBe(503);
    expect((await get(http, '/healthz')).status).toBe(200);
  });

  it('/version', async () => {
    const response = await get(create({ version: { name: 'x', version: '1.2.3' } }), '/version');
    expect(await response.json()).toEqual({ name: 'x', version: '1.2.3' });
  });

  it('/metrics counts by route, method and status, bounds its labels and appends', async () => {
    const http = create({ collectMetrics: async () => '# TYPE gpu_up gauge\ngpu_up 1' });
    await get(http, '/healthz');
    await get(http, '/some/random/path');
    await http.app.request('/x', { method: 'BREW', headers: { host: 'localhost' } });
    await openSession(http);
    const response = await get(http, '/metrics');
    expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
    const text = await response.text();
    expect(text).toContain('mcp_http_requests_total{route="/healthz",method="GET",status="200"} 1');
    expect(text).toContain('mcp_http_requests_total{route="other",method="GET",status="404"} 1');
    expect(text).toContain('mcp_http_requests_total{route="other",method="other",status="404"} 1');
    expect(text).toContain('mcp_http_requests_total{route="/mcp",method="POST",status="200"} 1');
    expect(text).toContain('mcp_http_request_duration_seconds_count{route="/mcp",method="POST"} 1');
    expect(text).toContain('mcp_http_requests_in_flight 1');
    expect(text).toContain('mcp_http_sessions 1');
    expect(text.endsWith('\ngpu_up 1\n')).toBe(true);
  });

  it('/metrics survives a collector that fails, and two apps do not share a registry', async () => {
    const failing = create({ collectMetrics: () => Promise.reject(new Error('x')), processMetrics: true });
    const other = create();
    const response = await get(failing, '/metrics');
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('process_cpu_seconds_total');
    expect(await (await get(other, '/metrics')).text()).not.toContain('process_cpu_seconds_total');
  });
});
