import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyHttpTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, type RunningAgent, runAgent, startAgent } from './run-agent.ts';

const token = 'a-token-for-this-test-only';
const requestInit = { headers: { authorization: `Bearer ${token}` } };

let folder: string;
let tokenFile: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-http-'));
  tokenFile = join(folder, 'token');
  await writeFile(tokenFile, `${token}\n`);
});
afterAll(() => rm(folder, { recursive: true }));

async function startHttp(...args: string[]): Promise<{ agent: RunningAgent; origin: string }> {
  const port = await freePort();
  const agent = startAgent(['--port', String(port), '--auth-token-file', tokenFile, ...args]);
  await agent.logged('http: listening');
  return { agent, origin: `http://127.0.0.1:${port}` };
}

describe('MCP over HTTP', () => {
  let agent: RunningAgent;
  let origin: string;
  beforeAll(async () => {
    ({ agent, origin } = await startHttp('--backend', 'mock', '--scenario', 'ecc-uncorrectable'));
  });
  afterAll(async () => {
    agent.child.kill('SIGTERM');
    expect(await agent.exited).toMatchObject({ code: 0, stdout: '' });
  });

  it.each(['legacy', 'auto'] as const)('the current SDK with the token (%s)', async (mode) => {
    const client = new Client({ name: 'v2', version: '0' }, { versionNegotiation: { mode } });
    await client.connect(new StreamableHTTPClientTransport(new URL(`${origin}/mcp`), { requestInit }));
    const result = await client.callTool({ name: 'get_gpu_health', arguments: { gpu: 2 } });
    expect(result.structuredContent).toMatchObject({ verdict: 'critical' });
    await client.close();
  });

  it('the previous SDK line with the token', async () => {
    const client = new LegacyClient({ name: 'v1', version: '0' });
    // The old line declares its optional members without `undefined`, so the two do not meet under exactOptionalPropertyTypes.
    const transport = new LegacyHttpTransport(new URL(`${origin}/mcp`), { requestInit });
    await client.connect(transport as Parameters<typeof client.connect>[0]);
    const result = await client.callTool({ name: 'get_gpu_inventory', arguments: {} });
    expect(result.structuredContent).toMatchObject({ gpuCount: 8 });
    await client.close();
  });

  it('refuses who has no token', async () => {
    const client = new Client({ name: 'v2', version: '0' });
    const transport = new StreamableHTTPClientTransport(new URL(`${origin}/mcp`));
    await expect(client.connect(transport)).rejects.toThrow();
    expect((await fetch(`${origin}/version`)).status).toBe(401);
    expect((await fetch(`${origin}/healthz`)).status).toBe(200);
  });

  it('says its version and that it is ready', async () => {
    expect(await (await fetch(`${origin}/version`, requestInit)).json()).toMatchObject({
      name: 'k8s-gpu-mcp-server',
    });
    expect(await (await fetch(`${origin}/readyz`, requestInit)).json()).toEqual({ ready: true, reasons: [] });
  });
});

describe('readiness', () => {
  it('is there without a driver; the backend that cannot be read is named to who has the token', async () => {
    const { agent, origin } = await startHttp('--nvml-library', '/does/not/exist.so');
    const bare = await fetch(`${origin}/readyz`);
    expect([bare.status, await bare.json()]).toEqual([200, { ready: true }]);
    const response = await fetch(`${origin}/readyz`, requestInit);
    expect(response.status).toBe(200);
    expect(JSON.stringify(await response.json())).toContain('LIBRARY_NOT_FOUND');
    agent.child.kill('SIGTERM');
    expect(await agent.exited).toMatchObject({ code: 0 });
  });
});

describe('shutdown', () => {
  it('ends while a call hangs in the driver', async () => {
    const { agent, origin } = await startHttp('--backend', 'mock', '--scenario', 'hung-driver');
    const client = new Client({ name: 'v2', version: '0' });
    await client.connect(new StreamableHTTPClientTransport(new URL(`${origin}/mcp`), { requestInit }));
    const hanging = client.callTool({ name: 'get_gpu_health', arguments: {} }).catch(() => undefined);
    await client.ping();
    const startedAt = performance.now();
    agent.child.kill('SIGTERM');
    expect(await agent.exited).toMatchObject({ code: 0 });
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    await client.close();
    await hanging;
  });
});

describe('what is refused at start', () => {
  it.each([
    [['--addr', '0.0.0.0'], '--auth-token-file'],
    [['--auth-token-file', '/does/not/exist'], 'ENOENT'],
    [['--tls-cert', '/nope', '--tls-key', '/nope'], '/nope'],
  ])('%j', async (args, named) => {
    const { code, stderr, stdout } = await runAgent([
      '--backend',
      'mock',
      '--port',
      String(await freePort()),
      ...args,
      '--log-level',
      'silent',
    ]);
    expect(code).toBe(64);
    expect(stdout).toBe('');
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain(named);
  });

  it('a port that is taken', async () => {
    const { agent, origin } = await startHttp('--backend', 'mock');
    const port = new URL(origin).port;
    const { code, stderr } = await runAgent(['--backend', 'mock', '--port', port, '--log-level', 'silent']);
    expect(code).toBe(64);
    expect(stderr).toContain('already in use');
    agent.child.kill('SIGTERM');
    await agent.exited;
  });
});
