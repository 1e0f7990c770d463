// Changes of resources reach clients of both eras, and only those that asked; nothing is listened to for nobody.
import { type HttpServing, serveHttp } from '@k8s-gpu-mcp/transport-http';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyHttpTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { McpServer } from '@modelcontextprotocol/server';
import { afterEach, describe, expect, it, vi } from 'vitest';

const watched = 'test://watched';
const other = 'test://other';

/** Changes that a test makes by hand. */
function handDriven() {
  const listeners = new Set<{ listener: (uri: string) => void; uris: readonly string[] }>();
  return {
    onChange(listener: (uri: string) => void, uris: readonly string[]) {
      const entry = { listener, uris };
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    change(uri: string) {
      for (const { listener, uris } of listeners) if (uris.includes(uri)) listener(uri);
    },
    listened: () => [...listeners].map(({ uris }) => uris),
  };
}

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function serve(offersSubscriptions = true) {
  const changes = handDriven();
  const factory = () => {
    const mcp = new McpServer({ name: 'test', version: '0' });
    for (const uri of [watched, other])
      mcp.registerResource(uri, uri, {}, () => ({ contents: [{ uri, text: 'x' }] }));
    if (!offersSubscriptions) return mcp;
    const ends = new Map<string, () => void>();
    mcp.server.registerCapabilities({ resources: { subscribe: true } });
    mcp.server.setRequestHandler('resources/subscribe', ({ params: { uri } }) => {
      ends.set(
        uri,
        changes.onChange((changed) => void mcp.server.sendResourceUpdated({ uri: changed }), [uri]),
      );
      mcp.server.onclose = () => {
        for (const end of ends.values()) end();
      };
      return {};
    });
    return mcp;
  };
  const serving = await serveHttp(factory, {
    processMetrics: false,
    drainMilliseconds: 100,
    resourceChanges: changes,
  });
  open.push(serving);
  return { serving, changes };
}

async function modern(serving: HttpServing) {
  const client = new Client({ name: 'v2', version: '0' }, { versionNegotiation: { mode: 'auto' } });
  const heard: string[] = [];
  client.setNotificationHandler(
    'notifications/resources/updated',
    ({ params }) => void heard.push(params.uri),
  );
  await client.connect(new StreamableHTTPClientTransport(new URL(serving.url)));
  open.push(client);
  return { client, heard };
}

describe('2026-07-28', () => {
  it('a stream hears of the resources it named, until it is closed', async () => {
    const { serving, changes } = await serve();
    const { client, heard } = await modern(serving);
    await client.readResource({ uri: watched });
    expect(changes.listened()).toEqual([]);
    const subscription = await client.listen({ resourceSubscriptions: [watched, watched] });
    expect(changes.listened()).toEqual([[watched]]);
    changes.change(other);
    changes.change(watched);
    await vi.waitUntil(() => heard.length > 0);
    expect(heard).toEqual([watched]);
    await subscription.close();
    await vi.waitUntil(() => changes.listened().length === 0);
  });

  it('two clients hear each their own; one that vanishes is listened to no more', async () => {
    const { serving, changes } = await serve();
    const [first, second] = [await modern(serving), await modern(serving)];
    await first.client.listen({ resourceSubscriptions: [watched] });
    await second.client.listen({ resourceSubscriptions: [other] });
    changes.change(watched);
    changes.change(other);
    await vi.waitUntil(() => first.heard.length > 0 && second.heard.length > 0);
    expect([first.heard, second.heard]).toEqual([[watched], [other]]);
    await first.client.close();
    await vi.waitUntil(() => changes.listened().length === 1);
    expect(changes.listened()).toEqual([[other]]);
  });

  it('who listens to something else costs nothing, and still hears what is published', async () => {
    const { serving, changes } = await serve();
    const { client, heard } = await modern(serving);
    const lists: string[] = [];
    client.setNotificationHandler('notifications/resources/list_changed', () => void lists.push('resources'));
    await client.listen({ resourcesListChanged: true });
    expect(changes.listened()).toEqual([]);
    serving.notify.resourcesChanged();
    serving.notify.resourceUpdated(watched);
    await vi.waitUntil(() => lists.length > 0);
    expect(heard).toEqual([]);
  });

  it('a server that does not offer subscriptions is listened to by nobody', async () => {
    const { serving, changes } = await serve(false);
    const { client } = await modern(serving);
    await client.listen({ resourcesListChanged: true, resourceSubscriptions: [watched] });
    changes.change(watched);
    const raw = await listenTo(serving, { notifications: { resourceSubscriptions: [watched] } });
    expect(raw.text).toContain('"notifications":{}');
  });

  it('refuses more than 64 resources, and what is malformed', async () => {
    const { serving, changes } = await serve();
    const many = Array.from({ length: 65 }, (_, index) => `test://${index}`);
    const tooMany = await listenTo(serving, { notifications: { resourceSubscriptions: many } });
    expect(tooMany).toMatchObject({ status: 400, text: expect.stringContaining('-32602') });
    expect(tooMany.text).toMatch(/at most 64 resources/);
    for (const params of [
      {},
      { notifications: 7 },
      { notifications: { resourceSubscriptions: [7, watched] } },
    ])
      expect((await listenTo(serving, params)).text).toContain('-32602');
    expect(changes.listened()).toEqual([]);
  });

  it('shutdown ends the stream, and the listening with it', async () => {
    const { serving, changes } = await serve();
    const { client } = await modern(serving);
    await client.listen({ resourceSubscriptions: [watched] });
    await serving.close();
    expect(changes.listened()).toEqual([]);
  });
});

describe('sessions up to 2025-11-25', () => {
  it.each(['current SDK', 'v1 SDK'])('the %s hears of what it subscribed to', async (line) => {
    const { serving, changes } = await serve();
    const heard: string[] = [];
    const url = new URL(serving.url);
    if (line === 'v1 SDK') {
      const client = new LegacyClient({ name: 'v1', version: '0' });
      client.setNotificationHandler(
        ResourceUpdatedNotificationSchema,
        ({ params }) => void heard.push(params.uri),
      );
      // The v1 transport types predate exactOptionalPropertyTypes.
      await client.connect(new LegacyHttpTransport(url) as Parameters<LegacyClient['connect']>[0]);
      open.push(client);
      await client.subscribeResource({ uri: watched });
    } else {
      const client = new Client({ name: 'v2', version: '0' }, { versionNegotiation: { mode: 'legacy' } });
      client.setNotificationHandler(
        'notifications/resources/updated',
        ({ params }) => void heard.push(params.uri),
      );
      await client.connect(new StreamableHTTPClientTransport(url));
      open.push(client);
      await client.subscribeResource({ uri: watched });
    }
    expect(changes.listened()).toEqual([[watched]]);
    // The stream of the session opens beside the first calls.
    await vi.waitUntil(() => {
      changes.change(other);
      changes.change(watched);
      return heard.length > 0;
    });
    expect(new Set(heard)).toEqual(new Set([watched]));
    await serving.close();
    expect(changes.listened()).toEqual([]);
  });
});

it('planted fault: a listener that is never given back would be seen', async () => {
  const { changes, serving } = await serve();
  changes.onChange(() => {}, [watched]);
  await serving.close();
  expect(changes.listened()).toEqual([[watched]]);
});

/** The answer to a `subscriptions/listen` that the server ends by itself. */
async function listenTo({ url }: HttpServing, params: object): Promise<{ status: number; text: string }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'subscriptions/listen',
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'subscriptions/listen',
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      },
    }),
  });
  return { status: response.status, text: await response.text() };
}
