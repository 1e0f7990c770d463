import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as tlsConnect } from 'node:tls';
import {
  HttpConfigurationError,
  type HttpServing,
  type ServeHttpOptions,
  serveHttp,
} from '@k8s-gpu-mcp/transport-http';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyHttpTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer, WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';

const folder = mkdtempSync(join(tmpdir(), 'serve-http-'));
const open: HttpServing[] = [];
let hanging = 0;

function server(): McpServer {
  const mcp = new McpServer({ name: 'test', version: '0' });
  mcp.registerTool('echo', { inputSchema: z.strictObject({ text: z.string() }) }, ({ text }) => ({
    content: [{ type: 'text', text }],
  }));
  mcp.registerTool('slow', {}, async () => {
    await delay(200);
    return { content: [{ type: 'text', text: 'slow but sure' }] };
  });
  mcp.registerTool('hang', {}, async (ctx) => {
    hanging += 1;
    await once(ctx.mcpReq.signal, 'abort');
    hanging -= 1;
    return new Promise<never>(() => {});
  });
  return mcp;
}

async function serve(options: ServeHttpOptions = {}): Promise<HttpServing> {
  const serving = await serveHttp(server, { processMetrics: false, drainMilliseconds: 100, ...options });
  open.push(serving);
  return serving;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((serving) => serving.close()));
  hanging = 0;
});
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function file(content: string): string {
  files += 1;
  const path = join(folder, `file-${files}`);
  writeFileSync(path, content);
  return path;
}

async function v2Client(serving: HttpServing, mode: 'legacy' | 'auto', token?: string): Promise<Client> {
  const client = new Client({ name: 'v2', version: '0' }, { versionNegotiation: { mode } });
  const requestInit = token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(serving.url), { requestInit }));
  return client;
}

async function v1Client(serving: HttpServing): Promise<LegacyClient> {
  const client = new LegacyClient({ name: 'v1', version: '0' });
  // The v1 transport types predate exactOptionalPropertyTypes.
  await client.connect(
    new LegacyHttpTransport(new URL(serving.url)) as Parameters<LegacyClient['connect']>[0],
  );
  return client;
}

/** One exchange on a raw socket: what the server answers to exactly these bytes. */
async function raw(serving: HttpServing, bytes: string | Buffer): Promise<string> {
  const socket = connect(serving.port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => {});
  socket.write(bytes);
  await once(socket, 'close');
  return answer;
}

const MODERN_CALL = (name: string, args = {}) => ({
  method: 'POST',
  headers: {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': name,
  },
  body: JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: {
      name,
      arguments: args,
      _meta: {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientCapabilities': {},
      },
    },
  }),
});

describe('official clients', () => {
  it('the current SDK in both eras and the v1 SDK, at once', async () => {
    const serving = await serve();
    const clients = [
      await v2Client(serving, 'auto'),
      await v2Client(serving, 'legacy'),
      await v1Client(serving),
      await v1Client(serving),
    ];
    const results = await Promise.all(
      clients.map(async (client, index) => {
        const texts = [];
        for (let turn = 0; turn < 5; turn += 1) {
          const { content } = await client.callTool({
            name: 'echo',
            arguments: { text: `${index}.${turn}` },
          });
          texts.push((content as { text: string }[])[0]?.text);
        }
        return texts;
      }),
    );
    expect(results).toEqual(
      clients.map((_client, index) => [0, 1, 2, 3, 4].map((turn) => `${index}.${turn}`)),
    );
    await expect(clients[0]?.callTool({ name: 'no_such_tool' })).rejects.toThrow(/no_such_tool/);
    await Promise.all(clients.map((client) => client.close()));
  });

  it('with a token, also after it was rotated', async () => {
    const token = file('first');
    const serving = await serve({ tokenFiles: [{ principal: 'client', file: token }] });
    const client = await v2Client(serving, 'auto', 'first');
    expect((await client.listTools()).tools).toHaveLength(3);
    writeFileSync(token, 'second');
    await expect(client.listTools()).rejects.toThrow();
    await expect(v2Client(serving, 'auto', 'first')).rejects.toThrow();
    expect((await (await v2Client(serving, 'auto', 'second')).listTools()).tools).toHaveLength(3);
  });

  it('a client that closes its connection cancels its call (2026-07-28)', async () => {
    const serving = await serve();
    const abort = new AbortController();
    const call = fetch(serving.url, { ...MODERN_CALL('hang'), signal: abort.signal }).catch(() => 'aborted');
    await vi.waitUntil(() => hanging === 1);
    abort.abort();
    expect(await call).toBe('aborted');
    await vi.waitUntil(() => hanging === 0);
  });

  it('leaves nothing behind in the session transport', async () => {
    const seen = new Set<WebStandardStreamableHTTPServerTransport>();
    const original = WebStandardStreamableHTTPServerTransport.prototype.handleRequest;
    const spy = vi
      .spyOn(WebStandardStreamableHTTPServerTransport.prototype, 'handleRequest')
      .mockImplementation(function (this: WebStandardStreamableHTTPServerTransport, ...args) {
        seen.add(this);
        return original.apply(this, args);
      });
    const serving = await serve({ requestTimeoutMilliseconds: 150 });
    const client = await v1Client(serving);
    for (let turn = 0; turn < 50; turn += 1)
      await client.callTool({ name: 'echo', arguments: { text: 'x' } });
    await expect(client.callTool({ name: 'hang' })).rejects.toThrow(/timed out/);
    const abort = new AbortController();
    const cancelled = client.callTool({ name: 'hang' }, undefined, { signal: abort.signal });
    await vi.waitUntil(() => hanging === 1);
    abort.abort();
    await expect(cancelled).rejects.toThrow();
    await vi.waitUntil(() => hanging === 0);
    spy.mockRestore();
    expect(seen.size).toBe(1);
    const maps = [...seen].flatMap((transport) =>
      Object.values(transport).filter((value) => value instanceof Map),
    );
    expect(maps.length).toBeGreaterThanOrEqual(3);
    // The standalone GET stream of the client is the one entry that belongs there.
    await vi.waitUntil(() => maps.every((map) => [...map.keys()].every((key) => key === '_GET_stream')));
    await client.close();
  });
});

describe('listening', () => {
  it.each(['0.0.0.0', '::', '192.0.2.1', 'example.com'])(
    'refuses %s without authentication',
    async (address) => {
      const attempt = serveHttp(server, { address });
      await expect(attempt).rejects.toBeInstanceOf(HttpConfigurationError);
      await expect(attempt).rejects.toThrow(/token file.*127\.0\.0\.1.*explicitly/);
    },
  );

  it('listens everywhere with a token file, or when told that nobody needs one', async () => {
    const withToken = await serve({ address: '0.0.0.0', tokenFiles: [{ principal: 'x', file: file('t') }] });
    expect(withToken.url).toBe(`http://127.0.0.1:${withToken.port}/mcp`);
    expect((await fetch(`${withToken.origin}/version`)).status).toBe(401);
    const toldSo = await serve({ address: '0.0.0.0', allowUnauthenticated: true });
    expect((await fetch(`${toldSo.origin}/version`)).status).toBe(200);
  });

  it('reports a port in use as the system does', async () => {
    const { port } = await serve();
    await expect(serveHttp(server, { port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it('takes IPv6 loopback', async () => {
    const serving = await serve({ address: '::1' });
    expect(serving.url).toBe(`http://[::1]:${serving.port}/mcp`);
    expect((await fetch(serving.url, MODERN_CALL('echo', { text: 'x' }))).status).toBe(200);
  });
});

describe('hostile bytes', () => {
  const head =
    'Host: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n';

  it.each<[string, string, number]>([
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['no Host', 'GET /version HTTP/1.0\r\n\r\n', 400],
    ['a Host that is none', 'GET /version HTTP/1.1\r\nHost: a b/c@d\r\nConnection: close\r\n\r\n', 400],
    ['another Host', 'GET /version HTTP/1.1\r\nHost: evil.example.com\r\nConnection: close\r\n\r\n', 403],
    ['user info in Host', 'GET /version HTTP/1.1\r\nHost: evil@localhost\r\nConnection: close\r\n\r\n', 400],
    ['headers without end', `GET / HTTP/1.1\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`, 431],
    [
      'both lengths',
      `POST /mcp HTTP/1.1\r\n${head}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
    ],
    ['a bad chunk', `POST /mcp HTTP/1.1\r\n${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 400],
  ])('%s gets a JSON error', async (_name, bytes, status) => {
    const serving = await serve();
    const answer = await raw(serving, bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toMatch(/content-type: application\/json/i);
    expect(
      JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4).replace(/^[0-9a-f]+\r\n|\r\n0\r\n\r\n$/g, '')),
    ).toMatchObject({
      error: {},
    });
    expect((await fetch(`${serving.origin}/healthz`)).status).toBe(200);
  });

  it.each(['declared', 'chunked'])('a body of 5 MB, %s, is refused', async (kind) => {
    const serving = await serve();
    const body = Buffer.alloc(5_000_000, 0x20);
    const request = httpRequest(serving.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(kind === 'declared' ? { 'content-length': body.length } : {}),
      },
    });
    request.on('error', () => {});
    for (let start = 0; start < body.length; start += 500_000)
      request.write(body.subarray(start, start + 500_000));
    request.end();
    const [response] = await once(request, 'response');
    let text = '';
    response.on('data', (chunk: Buffer) => {
      text += chunk;
    });
    await once(response, 'close');
    expect([response.statusCode, JSON.parse(text)]).toMatchObject([413, { error: { code: -32000 } }]);
    expect((await fetch(serving.url, MODERN_CALL('echo', { text: 'x' }))).status).toBe(200);
  });

  it('a client that never finishes its headers is cut off', async () => {
    const serving = await serve({ headersTimeoutMilliseconds: 200 });
    expect(await raw(serving, 'GET /healthz HTTP/1.1\r\nHost: local')).toMatch(/^HTTP\/1.1 408 /);
  });

  it('a client that never finishes its body is cut off', async () => {
    const serving = await serve({ requestTimeoutMilliseconds: 300, headersTimeoutMilliseconds: 200 });
    const answer = await raw(serving, `POST /mcp HTTP/1.1\r\n${head}Content-Length: 100\r\n\r\n{"a`);
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
  });
});

describe('shutdown', () => {
  it('waits for a call in flight, refuses new ones', async () => {
    const serving = await serve({ drainMilliseconds: 5_000 });
    const modern = fetch(serving.url, MODERN_CALL('slow')).then((response) => response.json());
    const client = await v1Client(serving);
    const legacy = client.callTool({ name: 'slow' });
    await delay(50);
    const closure = serving.close();
    await expect(fetch(serving.url, MODERN_CALL('echo', { text: '' }))).rejects.toThrow();
    expect(await modern).toMatchObject({ result: { content: [{ text: 'slow but sure' }] } });
    expect(await legacy).toMatchObject({ content: [{ text: 'slow but sure' }] });
    expect(await closure).toEqual({ abandonedRequests: 0 });
  });

  it('gives up calls that hang, open streams and idle connections, in bounded time', async () => {
    const serving = await serve({ drainMilliseconds: 100 });
    const client = await v1Client(serving);
    const legacy = client.callTool({ name: 'hang' }).catch(() => 'gone');
    const modern = fetch(serving.url, MODERN_CALL('hang')).then(
      (response) => response.status,
      () => 'gone',
    );
    const idle = connect(serving.port, '127.0.0.1');
    await once(idle, 'connect');
    await vi.waitUntil(() => hanging === 2);
    const before = performance.now();
    expect(await serving.close()).toEqual({ abandonedRequests: 2 });
    expect(performance.now() - before).toBeLessThan(2_000);
    expect(await serving.closed).toEqual({ abandonedRequests: 2 });
    expect(hanging).toBe(0);
    await modern;
    await client.close();
    expect(await legacy).toBe('gone');
  });
});

const openssl = (() => {
  try {
    return execFileSync('openssl', ['version'], { encoding: 'utf8' });
  } catch {
    return undefined;
  }
})();

describe.skipIf(openssl === undefined)('TLS (needs openssl to make certificates)', () => {
  function certificate(commonName: string): { certFile: string; keyFile: string } {
    files += 1;
    const [certFile, keyFile] = [join(folder, `${files}.crt`), join(folder, `${files}.key`)];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
    execFileSync(
      'openssl',
      ['req', '-x509', ...key, '-out', certFile, '-days', '2', '-subj', `/CN=${commonName}`],
      { stdio: 'ignore' },
    );
    return { certFile, keyFile };
  }
  async function servedName(serving: HttpServing): Promise<string | undefined> {
    const socket = tlsConnect({ port: serving.port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const name = socket.getPeerCertificate().subject.CN;
    socket.destroy();
    return Array.isArray(name) ? name[0] : name;
  }

  it('serves, takes a renewed certificate, and keeps the old one when the new cannot be used', async () => {
    const tls = certificate('first');
    const errors: string[] = [];
    const logger = { debug() {}, info() {}, warn() {}, error: (message: string) => errors.push(message) };
    const serving = await serve({ tls, tlsReloadIntervalMilliseconds: 20, logger });
    expect(serving.url).toMatch(/^https:/);
    expect(await servedName(serving)).toBe('first');

    const second = certificate('second');
    renameSync(second.certFile, tls.certFile);
    await vi.waitUntil(() => errors.length > 0);
    expect(await servedName(serving)).toBe('first');
    renameSync(second.keyFile, tls.keyFile);
    await vi.waitUntil(async () => (await servedName(serving)) === 'second');
  });

  it.each<[string, () => { certFile: string; keyFile: string }]>([
    ['missing files', () => ({ certFile: join(folder, 'none'), keyFile: join(folder, 'none') })],
    ['no certificate', () => ({ certFile: file('x'), keyFile: file('y') })],
    [
      'the key of another one',
      () => ({ certFile: certificate('a').certFile, keyFile: certificate('b').keyFile }),
    ],
  ])('refuses %s at the start', async (_name, tls) => {
    await expect(serveHttp(server, { tls: tls() })).rejects.toBeInstanceOf(HttpConfigurationError);
  });
});

describe('these tests can fail', () => {
  it('the same request that is refused with a token file passes without one', async () => {
    const guarded = await serve({ tokenFiles: [{ principal: 'x', file: file('t') }] });
    const openToAll = await serve();
    const status = async ({ url }: HttpServing) =>
      (await fetch(url, MODERN_CALL('echo', { text: '' }))).status;
    expect([await status(guarded), await status(openToAll)]).toEqual([401, 200]);
  });
});
