// The client against real agents: processes with simulated GPUs, and real servers of both protocol eras that ask a person.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Confirmation, type GpuTool, registerGpuTools, type ToolContext } from '@k8s-gpu-mcp/core';
import { serveHttp } from '@k8s-gpu-mcp/transport-http';
import { McpServer } from '@modelcontextprotocol/server';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { freePort, type RunningAgent, startAgent } from '../../agent/test/run-agent.ts';
import {
  callTo,
  cleanUp,
  failureOf,
  fakeServer,
  legacyDoor,
  newClient,
  nodeAt,
  ownVersion,
  until,
} from './agent-client-rig.ts';
import { certificatesIn, hasOpenssl, unlessOpenssl } from './certificates.ts';

const folder = mkdtempSync(join(tmpdir(), 'agent-client-'));
const path = (name: string) => join(folder, name);
const agents: RunningAgent[] = [];
async function startMock(
  ...args: string[]
): Promise<{ origin: string; port: number; log: () => Promise<string> }> {
  const port = await freePort();
  const agent = startAgent(['--backend', 'mock', '--port', String(port), '--log-level', 'debug', ...args]);
  agents.push(agent);
  await agent.logged('http: listening');
  const log = async () => {
    agent.child.kill('SIGTERM');
    return (await agent.exited).stderr;
  };
  return { origin: `127.0.0.1:${port}`, port, log };
}
afterEach(cleanUp);
afterAll(async () => {
  for (const { child } of agents) child.kill('SIGTERM');
  await Promise.all(agents.map(({ exited }) => exited));
  rmSync(folder, { recursive: true });
});

const correlationId = 'feedfacecafebeef';
const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

describe.each(['2026-07-28', 'older revisions'])('a real agent, %s', (era) => {
  let healthy: Awaited<ReturnType<typeof startMock>>;
  let hung: Awaited<ReturnType<typeof startMock>>;
  beforeAll(async () => {
    [healthy, hung] = await Promise.all([startMock(), startMock('--scenario', 'hung-driver')]);
  });
  /** The agent's own door, or one that makes it look older. */
  const doorOf = async ({ origin, port }: { origin: string; port: number }) => {
    if (era === '2026-07-28') return { url: `http://${origin}/mcp`, methods: [] as string[] };
    return legacyDoor(port);
  };

  test('answers, call after call', async () => {
    const { url, methods } = await doorOf(healthy);
    const client = newClient();
    for (let index = 0; index < 3; index += 1) {
      const reply = await client.call(callTo(nodeAt(url), { correlationId, traceparent }));
      expect(reply).toMatchObject({ isError: false, structuredContent: { gpuCount: 8 } });
      expect(reply.agent).toEqual({ name: 'k8s-gpu-mcp-server', version: ownVersion, isCompatible: true });
    }
    // One handshake for all.
    expect(methods.filter((method) => method === 'initialize').length).toBe(era === '2026-07-28' ? 0 : 1);
    // Of an agent of the gateway's own version nothing else is asked.
    expect(methods).not.toContain('tools/list');
  });

  test('is asked many things at once', async () => {
    const { url } = await doorOf(healthy);
    const client = newClient();
    const calls = Array.from({ length: 20 }, (_, gpu) =>
      client.call(callTo(nodeAt(url), { tool: 'get_gpu_health', arguments: { gpu: gpu % 8 } })),
    );
    for (const [index, reply] of (await Promise.all(calls)).entries())
      expect(reply).toMatchObject({ structuredContent: { gpus: [{ index: index % 8 }] } });
  });

  test('says what is wrong with a question, and what it does not have', async () => {
    const { url } = await doorOf(healthy);
    const client = newClient();
    const reply = await client.call(callTo(nodeAt(url), { tool: 'get_gpu_health', arguments: { gpu: 99 } }));
    expect(reply).toMatchObject({ isError: true, text: expect.stringContaining('GPU_NOT_FOUND') });
    const call = callTo(nodeAt(url), { tool: 'get_gpu_dreams' });
    expect(await failureOf(client.call(call))).toMatchObject({
      kind: 'incompatible',
      isRetryable: false,
      message: `agent ${ownVersion} does not have get_gpu_dreams; this gateway is ${ownVersion}: of the same line, so it may run in another mode`,
    });
  });

  test('whose driver hangs answers with what it has, before it is given up', async () => {
    const { url } = await doorOf(hung);
    const call = callTo(nodeAt(url), { tool: 'get_gpu_health', deadlineMilliseconds: 4_000 });
    const startedAt = performance.now();
    const reply = await newClient().call(call);
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    const gaps = expect.arrayContaining([expect.objectContaining({ reason: 'timeout' })]);
    expect(reply).toMatchObject({ isError: false, structuredContent: { gaps } });
  });

  test('is told when the caller cancels', async () => {
    const { url, methods } = await doorOf(hung);
    const controller = new AbortController();
    const client = newClient();
    const { signal } = controller;
    const work = client.call(
      callTo(nodeAt(url), { tool: 'get_gpu_health', signal, deadlineMilliseconds: 60_000 }),
    );
    setTimeout(() => controller.abort(), 300);
    const startedAt = performance.now();
    expect(await failureOf(work)).toMatchObject({ kind: 'cancelled' });
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    if (era !== '2026-07-28') {
      await until(() => methods.includes('notifications/cancelled') && methods.includes('DELETE'));
      expect(methods.indexOf('notifications/cancelled')).toBeLessThan(methods.indexOf('DELETE'));
    }
  });

  test('logs whose question it answered', async () => {
    const lines = (await healthy.log()).split('\n').filter((line) => line.includes('tool call'));
    const own = lines.filter((line) => line.includes(correlationId));
    expect(own).toHaveLength(3);
    for (const line of own) expect(line).toContain('4bf92f3577b34da6a3ce929d0e0e4736');
    // Planted fault: other calls carry other ids.
    expect(lines.length).toBeGreaterThan(own.length);
  });
});

describe('the token', () => {
  test('comes from a file that may change', async () => {
    writeFileSync(path('agent-token'), 'right-token\n');
    writeFileSync(path('token'), 'wrong-token\n');
    const { origin } = await startMock('--auth-token-file', path('agent-token'));
    const node = nodeAt(`http://${origin}/mcp`);
    const client = newClient({ token: { file: path('token') } });
    expect(await failureOf(client.call(callTo(node)))).toMatchObject({ kind: 'unauthorized' });
    writeFileSync(path('next'), 'right-token\n');
    renameSync(path('next'), path('token'));
    expect(await client.call(callTo(node))).toMatchObject({ isError: false });
    // One that cannot be used leaves the last one in service.
    writeFileSync(path('token'), '');
    expect(await client.call(callTo(node))).toMatchObject({ isError: false });
    const stranger = nodeAt(node.url, { instance: 'stranger', mayReceiveToken: false });
    expect(await failureOf(client.call(callTo(stranger)))).toMatchObject({ kind: 'unauthorized' });
  });

  test('a file that was never there is named in the failure, and nobody is asked without', async () => {
    const server = await fakeServer((_, response) => void response.writeHead(500).end());
    const client = newClient({ token: { file: path('nowhere') } });
    const failure = await failureOf(client.call(callTo(nodeAt(server.url))));
    expect(failure).toMatchObject({
      kind: 'unauthorized',
      message: expect.stringContaining('cannot be read'),
    });
    expect(server.accepted()).toBe(0);
  });
});

describe.skipIf(!hasOpenssl)(`TLS${unlessOpenssl}`, () => {
  const urls: Record<string, string> = {};
  beforeAll(async () => {
    const { authority, certify } = certificatesIn(folder);
    authority('ca');
    authority('other');
    certify('good', 'IP:127.0.0.1');
    certify('expired', 'IP:127.0.0.1', '-1');
    certify('named', 'DNS:agents.gpu.svc');
    for (const name of ['good', 'expired', 'named']) {
      const { origin } = await startMock('--tls-cert', path(`${name}.pem`), '--tls-key', path(`${name}.key`));
      urls[name] = `https://${origin}/mcp`;
    }
  });
  const nodeOf = (name: string) => nodeAt(urls[name] ?? '');

  test('a certificate of the given authority', async () => {
    expect(await newClient({ caFile: path('ca.pem') }).call(callTo(nodeOf('good')))).toMatchObject({
      isError: false,
    });
    const client = newClient({ caFile: path('ca.pem'), tlsServerName: 'agents.gpu.svc' });
    expect(await client.call(callTo(nodeOf('named')))).toMatchObject({ isError: false });
  });

  test.each([
    ['good', 'other.pem', 'unknown authority'],
    ['good', undefined, 'unknown authority'],
    ['expired', 'ca.pem', 'expired'],
    ['named', 'ca.pem', 'another name or address'],
    ['named', 'ca.pem', 'another name or address', 'strangers.gpu.svc'],
    // The name stands instead of the address: what the address alone would let in is refused.
    ['good', 'ca.pem', 'another name or address', 'agents.gpu.svc'],
  ])('certificate %s, authority %s: %s', async (name, ca, said, tlsServerName?: string) => {
    let asked = 0;
    const token = async () => {
      asked += 1;
      return 'the-token';
    };
    const client = newClient({
      token,
      ...(ca === undefined ? {} : { caFile: path(ca) }),
      ...(tlsServerName === undefined ? {} : { tlsServerName }),
    });
    const failure = await failureOf(client.call(callTo(nodeOf(name))));
    expect(failure).toMatchObject({ kind: 'certificate', isRetryable: false });
    expect(failure.message).toContain(said);
    expect(asked).toBeLessThanOrEqual(1);
  });

  test('the authority may change', async () => {
    writeFileSync(path('changing.pem'), execFileSync('cat', [path('other.pem')]));
    const client = newClient({ caFile: path('changing.pem') });
    expect(await failureOf(client.call(callTo(nodeOf('good'))))).toMatchObject({ kind: 'certificate' });
    writeFileSync(path('changing.pem'), execFileSync('cat', [path('ca.pem')]));
    expect(await client.call(callTo(nodeOf('good')))).toMatchObject({ isError: false });
    // And back: what was open under the old trust is not used again.
    writeFileSync(path('changing.pem'), execFileSync('cat', [path('other.pem')]));
    expect(await failureOf(client.call(callTo(nodeOf('good'))))).toMatchObject({ kind: 'certificate' });
  });

  test('an agent without TLS', async () => {
    const { origin } = await startMock();
    const failure = await failureOf(newClient().call(callTo(nodeAt(`https://${origin}/mcp`))));
    expect(failure).toMatchObject({ kind: 'garbage', message: expect.stringContaining('TLS') });
  });
});

/** A tool that acts only when a person says yes, on a real server. */
async function asking() {
  const contexts: ToolContext[] = [];
  const tool: GpuTool = {
    name: 'reset_gpu',
    title: 'Reset',
    description: 'Asks, then acts.',
    inputSchema: z.strictObject({}),
    outputSchema: z.looseObject({}),
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false },
    async call(_input, context = {}) {
      contexts.push(context);
      const outcome = await context.confirm?.({
        id: 'question-of-the-agent',
        message: 'Resets GPU 3.\nGo ahead?',
        signal: new AbortController().signal,
        timeoutMilliseconds: 5_000,
      });
      return { isError: false, structuredContent: { outcome: outcome ?? 'nobody' }, text: '{}' };
    },
  };
  const serving = await serveHttp(() => {
    const server = new McpServer({ name: 'agent', version: '1' });
    registerGpuTools(server, [tool]);
    return server;
  });
  return { ...serving, contexts };
}

describe.each(['2026-07-28', 'older revisions'])('an agent that asks, %s', (era) => {
  let agent: Awaited<ReturnType<typeof asking>>;
  beforeAll(async () => {
    agent = await asking();
  });
  afterAll(() => agent.close());
  const nodeOf = async () => nodeAt(era === '2026-07-28' ? agent.url : (await legacyDoor(agent.port)).url);
  const call = { tool: 'reset_gpu' };

  test.each(['accepted', 'declined', 'cancelled'] as const)('a person who answered %s', async (answer) => {
    const questions: string[] = [];
    const confirm: ToolContext['confirm'] = async ({ message }) => {
      questions.push(message);
      return answer;
    };
    const reply = await newClient().call(callTo(await nodeOf(), { ...call, confirm }));
    expect(reply).toMatchObject({ isError: false, structuredContent: { outcome: answer } });
    expect(questions).toEqual(['Resets GPU 3.\nGo ahead?']);
  });

  test('nobody to ask: the agent knows', async () => {
    const reply = await newClient().call(callTo(await nodeOf(), call));
    expect(reply).toMatchObject({ isError: false, structuredContent: { outcome: 'nobody' } });
  });

  test('a caller who answers by calling again', async () => {
    const asked: string[] = [];
    const brought = new Map<string, Confirmation>();
    const confirm: ToolContext['confirm'] = async ({ id }) => {
      asked.push(id);
      return brought.get(id) ?? 'pending';
    };
    const client = newClient();
    const node = await nodeOf();
    expect(await client.call(callTo(node, { ...call, confirm }))).toMatchObject({ isPending: true });
    const [answeredQuestion = ''] = asked;
    expect(answeredQuestion).not.toBe('');
    brought.set(answeredQuestion, 'accepted');
    const reply = await client.call(callTo(node, { ...call, confirm, answeredQuestion }));
    expect(reply).toMatchObject({ isError: false, structuredContent: { outcome: 'accepted' } });
    expect(new Set(asked)).toEqual(new Set([answeredQuestion]));
    if (era === '2026-07-28')
      expect(agent.contexts.at(-1)).toMatchObject({ answeredQuestion: 'question-of-the-agent' });
  });

  test('a person who does not answer in time', async () => {
    const confirm = () => new Promise<Confirmation>(() => {});
    const late = callTo(await nodeOf(), { ...call, confirm, deadlineMilliseconds: 500 });
    expect(await failureOf(newClient().call(late))).toMatchObject({ kind: 'timeout' });
  });
});
