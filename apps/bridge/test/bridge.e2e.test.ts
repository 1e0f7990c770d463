import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as LegacyStdioTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  bridgeCommand,
  cleanEnvironment,
  freePort,
  initialize,
  initialized,
  modern,
  type Running,
  request,
  startBridge,
  startGateway,
  stop,
  toolCall,
} from './run-bridge.ts';

const url = (port: number) => `http://127.0.0.1:${port}/mcp`;
const commandFor = (port: number) => ({
  ...bridgeCommand(['--gateway-url', url(port), '--log-level', 'silent']),
  env: cleanEnvironment(),
});

let running: Running[] = [];
const keep = <T extends Running>(each: T): T => {
  running.push(each);
  return each;
};
const bridgeTo = (port: number, ...args: string[]) =>
  keep(startBridge(['--gateway-url', url(port), ...args]));
afterEach(async () => {
  await Promise.all(running.map((each) => stop(each)));
  running = [];
});

/** A bridge with an open session and the tool list known. */
async function legacyBridge(port: number): Promise<Running> {
  const bridge = bridgeTo(port);
  bridge.send(initialize(1));
  expect(await bridge.answerTo(1)).toHaveProperty('result.serverInfo');
  bridge.send(initialized, request(2, 'tools/list'));
  await bridge.answerTo(2);
  return bridge;
}

describe('clients through the bridge', () => {
  let port: number;
  let gateway: Running;
  beforeAll(async () => {
    port = await freePort();
    gateway = await startGateway(port, '--scenario', 'ecc-uncorrectable');
  });
  afterAll(() => stop(gateway));

  it.each([
    ['legacy', 'legacy'],
    ['auto', 'modern'],
  ] as const)('the current SDK (%s)', async (mode, era) => {
    const client = new Client({ name: 'v2', version: '0' }, { versionNegotiation: { mode } });
    await client.connect(new StdioClientTransport(commandFor(port)));
    expect(client.getProtocolEra()).toBe(era);
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('get_gpu_health');
    const result = await client.callTool({ name: 'get_gpu_health', arguments: { gpu: 2 } });
    expect(result.structuredContent).toMatchObject({ verdict: 'critical' });
    await client.close();
  });

  it('the previous SDK line', async () => {
    const client = new LegacyClient({ name: 'v1', version: '0' });
    await client.connect(new LegacyStdioTransport(commandFor(port)) as Parameters<typeof client.connect>[0]);
    const result = await client.callTool({ name: 'get_gpu_inventory', arguments: {} });
    expect(result.structuredContent).toMatchObject({ gpuCount: 8 });
    await client.close();
  });

  it('two at once, each with its own answers', async () => {
    const bridges = await Promise.all([legacyBridge(port), legacyBridge(port)]);
    for (const [index, bridge] of bridges.entries())
      bridge.send(toolCall(7, 'get_gpu_health', { gpu: index + 2 }));
    const [first, second] = await Promise.all(bridges.map((bridge) => bridge.answerTo(7)));
    expect(first).toHaveProperty('result.structuredContent.verdict', 'critical');
    expect(second).toHaveProperty('result.structuredContent.verdict', 'ok');
  });

  it('leaves ids as they are, also those that look alike', async () => {
    const bridge = await legacyBridge(port);
    bridge.send(request('5', 'ping'), request(5, 'ping'));
    await Promise.all([bridge.answerTo('5'), bridge.answerTo(5)]);
    const ids = bridge.messages().map(({ id }) => id);
    expect(ids.filter((id) => id === 5 || id === '5')).toHaveLength(2);
  });

  it('answers a line that is no message and takes the next one', async () => {
    const bridge = bridgeTo(port);
    bridge.send('{"jsonrpc":', `{"x":"${'x'.repeat(5 * 1024 * 1024)}"}`, '[]', modern(3, 'server/discover'));
    expect(await bridge.answerTo(3)).toHaveProperty('result.supportedVersions');
    const errors = bridge.messages().filter(({ id }) => id === null);
    expect(errors.map((each) => each['error'])).toMatchObject([
      { code: -32700 },
      { code: -32600 },
      { code: -32600 },
    ]);
  });

  it('planted fault: a server error is not turned into an answer', async () => {
    const bridge = await legacyBridge(port);
    bridge.send(toolCall(9, 'no_such_tool'));
    expect(await bridge.answerTo(9)).not.toHaveProperty('result.structuredContent');
  });
});

describe('a gateway that goes away', () => {
  it('is waited for when it was there before', async () => {
    const port = await freePort();
    const first = keep(await startGateway(port));
    const bridge = await legacyBridge(port);
    await stop(first);
    bridge.send(initialize(3), modern('m', 'server/discover'));
    keep(await startGateway(port));
    expect(await bridge.answerTo(3)).toHaveProperty('result.serverInfo');
    expect(await bridge.answerTo('m')).toHaveProperty('result.supportedVersions');
  });

  it('was never there: says so at once, and a later message finds it', async () => {
    const port = await freePort();
    const bridge = bridgeTo(port);
    bridge.send(initialize(1));
    expect(await bridge.answerTo(1)).toHaveProperty(
      'error.message',
      expect.stringContaining('was not sent. Nothing answers at'),
    );
    keep(await startGateway(port));
    bridge.send(initialize(2));
    expect(await bridge.answerTo(2)).toHaveProperty('result.serverInfo');
  });

  it.each(['legacy', 'modern'] as const)(
    'in the middle of a call that only reads: answered by the next one (%s)',
    async (era) => {
      const port = await freePort();
      const hung = keep(await startGateway(port, '--scenario', 'hung-driver'));
      const bridge = await legacyBridge(port);
      const params = { name: 'get_gpu_health', arguments: {} };
      bridge.send(era === 'legacy' ? request(7, 'tools/call', params) : modern(7, 'tools/call', params));
      bridge.send(era === 'legacy' ? request(8, 'ping') : modern(8, 'server/discover'));
      await bridge.answerTo(8);
      await stop(hung);
      keep(await startGateway(port));
      expect(await bridge.answerTo(7)).toHaveProperty('result.structuredContent.verdict', 'ok');
      expect(bridge.messages().filter(({ id }) => id === 7)).toHaveLength(1);
    },
  );

  it('in the middle of a call that is not known to only read: told, not sent again', async () => {
    const port = await freePort();
    const hung = keep(await startGateway(port, '--scenario', 'hung-driver'));
    const bridge = bridgeTo(port);
    bridge.send(initialize(1));
    await bridge.answerTo(1);
    bridge.send(initialized, toolCall(7, 'get_gpu_health'), request(8, 'ping'));
    await bridge.answerTo(8);
    await stop(hung);
    expect(await bridge.answerTo(7)).toHaveProperty(
      'error.message',
      expect.stringContaining('Whether it took effect is not known'),
    );
  });

  it('forgets the session: it is opened again unseen, also for calls that are not safe to repeat', async () => {
    const port = await freePort();
    const first = keep(await startGateway(port));
    const bridge = await legacyBridge(port);
    await stop(first);
    keep(await startGateway(port));
    bridge.send(request(7, 'ping'), toolCall(8, 'get_gpu_inventory'), request(9, 'prompts/list'));
    const answers = await Promise.all([7, 8, 9].map((id) => bridge.answerTo(id)));
    for (const answer of answers) expect(answer).toHaveProperty('result');
    expect(bridge.messages().filter(({ id }) => id === 'k8s-gpu-mcp-bridge')).toEqual([]);
  });
});

describe('the end', () => {
  it.each([
    ['stdin closed', (bridge: Running) => bridge.child.stdin.end()],
    ['SIGTERM', (bridge: Running) => bridge.child.kill('SIGTERM')],
    ['SIGINT', (bridge: Running) => bridge.child.kill('SIGINT')],
  ])('%s in the middle of a call', async (_name, end) => {
    const port = await freePort();
    keep(await startGateway(port, '--scenario', 'hung-driver'));
    const bridge = await legacyBridge(port);
    bridge.send(toolCall(7, 'get_gpu_health'), modern(8, 'tools/call', { name: 'get_gpu_health' }));
    bridge.send(request(9, 'ping'));
    await bridge.answerTo(9);
    const startedAt = performance.now();
    end(bridge);
    const { code, stdout } = await bridge.exited;
    expect(code).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(2_500);
    for (const id of [7, 8]) expect(stdout.split(`"id":${id},`)).toHaveLength(2);
  });

  it('waits for what is quickly done', async () => {
    const port = await freePort();
    keep(await startGateway(port));
    const bridge = bridgeTo(port);
    bridge.send(modern(1, 'server/discover'));
    bridge.child.stdin.end();
    const { code, stdout } = await bridge.exited;
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toHaveProperty('result.supportedVersions');
  });

  it('with a gateway that accepts and never answers', async () => {
    const port = await freePort();
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => sockets.add(socket)).listen(port, '127.0.0.1');
    await once(silent, 'listening');
    const bridge = bridgeTo(port);
    bridge.send(initialize(1));
    await once(silent, 'connection');
    bridge.child.stdin.end();
    expect(await bridge.exited).toMatchObject({ code: 0, stdout: expect.stringContaining('closing') });
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
});
