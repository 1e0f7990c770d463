import { GpuError, type GpuTool, listingOf, type ResourceChanges, silentLogger } from '@k8s-gpu-mcp/core';
import { stubProvider } from '@k8s-gpu-mcp/core/testing';
import { Client } from '@modelcontextprotocol/client';
import { type AuthInfo, InMemoryTransport } from '@modelcontextprotocol/server';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Agent, composeAgent } from './composition/compose-agent.ts';
import { resolveConfig } from './config.ts';
import { createReadiness, createServerFactory, principals } from './server.ts';

const authOf = (clientId: string): AuthInfo => ({ token: '', clientId, scopes: [] });

describe('the tools by principal', () => {
  const acting = ['kill_gpu_process', 'reset_gpu'];
  let agent: Agent;
  /** Who the operator tools were told calls. */
  const callers: unknown[] = [];
  beforeAll(async () => {
    const flags = { mode: ['operator'], kernelLog: ['none'], nvmlLibrary: ['/does/not/exist.so'] };
    const composed = await composeAgent(resolveConfig('serve', flags, {}), silentLogger);
    const operatorTools = composed.operatorTools.map(
      (tool): GpuTool => ({
        ...tool,
        async call(_, context) {
          callers.push(context?.caller);
          return { isError: true, code: 'UNAVAILABLE', text: 'not here' };
        },
      }),
    );
    agent = { ...composed, operatorTools };
  });
  afterAll(() => agent.close());

  /** A client of the server object that this caller gets. */
  async function clientOf(clientId: string | undefined, parts: Agent = agent) {
    const factory = createServerFactory({ listing: listingOf(parts), parts: () => parts, version: '0' });
    const server = await factory({
      era: 'legacy',
      ...(clientId === undefined ? {} : { authInfo: authOf(clientId) }),
    });
    const [near, far] = InMemoryTransport.createLinkedPair();
    await server.connect(far);
    const client = new Client({ name: 'test', version: '0' });
    await client.connect(near);
    return client;
  }
  const toolsOf = async (clientId: string | undefined, parts?: Agent) =>
    (await (await clientOf(clientId, parts)).listTools()).tools.map(({ name }) => name);

  it.each([undefined, principals.local, principals.operator])('%s may operate', async (clientId) => {
    expect(await toolsOf(clientId)).toEqual([...agent.tools.map(({ name }) => name), ...acting]);
  });

  // 'anonymous' is whom the HTTP transport lets in without tokens.
  it.each([principals.reader, 'anonymous', '', 'Operator', 'operator '])(
    '%j may only read',
    async (clientId) => {
      expect(await toolsOf(clientId)).toEqual(agent.tools.map(({ name }) => name));
      const client = await clientOf(clientId);
      for (const name of acting)
        await expect(client.callTool({ name, arguments: { gpu: 0 } })).rejects.toThrow(name);
      expect(callers).toEqual([]);
    },
  );

  it('has none to give in read-only mode', async () => {
    for (const clientId of [undefined, principals.operator])
      expect(await toolsOf(clientId, { ...agent, operatorTools: [] })).not.toEqual(
        expect.arrayContaining([acting[0]]),
      );
  });

  it.each([
    [undefined, 'local'],
    [principals.operator, 'operator'],
  ])('%s is told to the tool as %s', async (clientId, caller) => {
    callers.length = 0;
    const client = await clientOf(clientId);
    await client.callTool({ name: 'reset_gpu', arguments: { gpu: 0 } });
    expect(callers).toEqual([caller]);
    callers.length = 0;
  });
});

describe('changes of resources', () => {
  /** A session with an agent whose changes a test makes by hand. */
  async function session() {
    const listened: string[] = [];
    let change: (uri: string) => void = () => {};
    const parts = await composeAgent(
      resolveConfig('serve', { backend: ['mock'], nodeName: ['node-a'] }, {}),
      silentLogger,
    );
    const resourceChanges: ResourceChanges = {
      onChange(listener, uris = []) {
        change = listener;
        listened.push(...uris);
        return () => void listened.splice(0);
      },
    };
    const served = { listing: listingOf(parts), parts: () => ({ ...parts, resourceChanges }), version: '0' };
    const server = await createServerFactory(served)({ era: 'legacy' });
    const [near, far] = InMemoryTransport.createLinkedPair();
    await server.connect(far);
    const client = new Client({ name: 'test', version: '0' });
    const heard: string[] = [];
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
      heard.push(params.uri);
    });
    await client.connect(near);
    await parts.close();
    return { client, heard, listened, change: (uri: string) => change(uri) };
  }
  const events = 'gpu://node-a/events';

  it('are told to the session that subscribed, until it unsubscribes or ends', async () => {
    const { client, heard, listened, change } = await session();
    expect(listened).toEqual([]);
    await client.subscribeResource({ uri: events });
    expect(listened).toEqual([events]);
    change(events);
    await client.ping();
    expect(heard).toEqual([events]);
    await client.unsubscribeResource({ uri: events });
    expect(listened).toEqual([]);
    await client.subscribeResource({ uri: events });
    await client.close();
    expect(listened).toEqual([]);
  });

  it('cannot be subscribed to where there is no resource', async () => {
    const { client, listened } = await session();
    await expect(client.subscribeResource({ uri: 'gpu://node-b/events' })).rejects.toThrow(/no resource/);
    expect(listened).toEqual([]);
  });
});

describe('createReadiness', () => {
  it('is ready when the backend can be described', async () => {
    expect(await createReadiness(stubProvider())()).toEqual({ ready: true, reasons: [] });
  });

  it('stays ready when it cannot, since a sick node is the one to ask, and names the reason', async () => {
    const broken = stubProvider({ describe: new GpuError('DRIVER_NOT_LOADED', 'no driver.') });
    const { ready, reasons } = await createReadiness(broken)();
    expect(ready).toBe(true);
    expect(reasons[0]).toMatch(/stub.*DRIVER_NOT_LOADED: no driver\./);
  });

  it('does not keep a probe waiting for a driver that hangs', async () => {
    vi.useFakeTimers();
    try {
      const answer = createReadiness(stubProvider({ describe: 'hang' }))();
      // A kubelet waits a second (Kubernetes, Probe v1 core: timeoutSeconds defaults to 1).
      await vi.advanceTimersByTimeAsync(999);
      expect(await Promise.race([answer, 'still waiting'])).toMatchObject({
        ready: true,
        reasons: [expect.stringContaining('no answer')],
      });
    } finally {
      vi.useRealTimers();
    }
  });

  it('asks the driver at most once in five seconds, also for probes at the same time', async () => {
    let now = 0;
    const provider = stubProvider();
    const readiness = createReadiness(provider, () => now);
    await Promise.all([readiness(), readiness()]);
    now = 4_999;
    await readiness();
    expect(provider.calls.describeNode).toBe(1);
    now = 5_000;
    await readiness();
    expect(provider.calls.describeNode).toBe(2);
  });
});
