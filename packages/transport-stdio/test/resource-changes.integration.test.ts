// Changes of resources reach clients of both eras, and only what they asked for; nothing is listened to for nobody.
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { type StdioServing, serveStdio } from '@k8s-gpu-mcp/transport-stdio';
import { Client, type JSONRPCMessage } from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { McpServer } from '@modelcontextprotocol/server';
import { afterEach, describe, expect, it, vi } from 'vitest';

const watched = 'test://watched';
const other = 'test://other';

/** Changes that a test makes by hand. */
function handDriven() {
  const listeners = new Set<{ listener: (uri: string) => void; uris: readonly string[] }>();
  let stopCount = 0;
  return {
    onChange(listener: (uri: string) => void, uris: readonly string[]) {
      const entry = { listener, uris };
      listeners.add(entry);
      return () => {
        stopCount += 1;
        listeners.delete(entry);
      };
    },
    change(uri: string) {
      for (const { listener, uris } of listeners) if (uris.includes(uri)) listener(uri);
    },
    listened: () => [...listeners].map(({ uris }) => uris),
    stopCount: () => stopCount,
  };
}

/** The client's end of the pipes. */
class PipeTransport {
  onmessage?: (message: JSONRPCMessage) => void;
  onclose?: () => void;
  onerror?: (error: Error) => void;
  readonly #stdin: PassThrough;
  #held = '';

  constructor(stdin: PassThrough, stdout: PassThrough) {
    this.#stdin = stdin;
    stdout.on('data', (chunk: Buffer) => {
      const lines = (this.#held + chunk.toString()).split('\n');
      this.#held = lines.pop() ?? '';
      for (const line of lines) this.onmessage?.(JSON.parse(line));
    });
  }
  async start(): Promise<void> {}
  async send(message: unknown): Promise<void> {
    this.#stdin.write(`${JSON.stringify(message)}\n`);
  }
  async close(): Promise<void> {
    this.#stdin.end();
    this.onclose?.();
  }
}

const open: StdioServing[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((serving) => serving.close()));
});

function serve(offersSubscriptions = true) {
  const changes = handDriven();
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const factory = () => {
    const mcp = new McpServer({ name: 'test', version: '0' });
    for (const uri of [watched, other])
      mcp.registerResource(uri, uri, {}, () => ({ contents: [{ uri, text: 'x' }] }));
    if (!offersSubscriptions) return mcp;
    mcp.server.registerCapabilities({ resources: { subscribe: true } });
    mcp.server.setRequestHandler('resources/subscribe', ({ params: { uri } }) => {
      const end = changes.onChange((changed) => void mcp.server.sendResourceUpdated({ uri: changed }), [uri]);
      mcp.server.onclose = end;
      return {};
    });
    return mcp;
  };
  const serving = serveStdio(factory, {
    stdin,
    stdout,
    stderr: new PassThrough(),
    signals: new EventEmitter(),
    drainMilliseconds: 50,
    resourceChanges: changes,
  });
  open.push(serving);
  return { serving, changes, transport: new PipeTransport(stdin, stdout) };
}

async function connect(mode: 'legacy' | 'auto', offersSubscriptions?: boolean) {
  const parts = serve(offersSubscriptions);
  const client = new Client({ name: 'v2', version: '0' }, { versionNegotiation: { mode } });
  const heard: string[] = [];
  client.setNotificationHandler(
    'notifications/resources/updated',
    ({ params }) => void heard.push(params.uri),
  );
  await client.connect(parts.transport);
  return { ...parts, client, heard };
}

describe('2026-07-28', () => {
  it('hears of the resources it named, until it listens no more', async () => {
    const { client, changes, heard } = await connect('auto');
    await client.readResource({ uri: watched });
    expect(changes.listened()).toEqual([]);
    const subscription = await client.listen({ resourceSubscriptions: [watched, watched] });
    expect(changes.listened()).toEqual([[watched]]);
    changes.change(other);
    changes.change(watched);
    await vi.waitUntil(() => heard.length > 0);
    await subscription.close();
    await vi.waitUntil(() => changes.listened().length === 0);
    expect(heard).toEqual([watched]);
  });

  it('two streams: each hears once, and the one that stays is not interrupted', async () => {
    const { client, changes, heard } = await connect('auto');
    const first = await client.listen({ resourceSubscriptions: [watched] });
    await client.listen({ resourceSubscriptions: [watched, other] });
    expect(changes.listened()).toEqual([[watched, other]]);
    changes.change(watched);
    await vi.waitUntil(() => heard.length === 2);
    await first.close();
    // What was listened to before stops after what is listened to now.
    await vi.waitUntil(() => changes.stopCount() === 2);
    changes.change(other);
    changes.change(watched);
    await vi.waitUntil(() => heard.length === 4);
    expect(heard).toEqual([watched, watched, other, watched]);
  });

  it('who listens to something else, or to a server that does not offer it, costs nothing', async () => {
    for (const offers of [true, false]) {
      const { client, changes } = await connect('auto', offers);
      await client.listen({
        resourcesListChanged: true,
        ...(offers ? {} : { resourceSubscriptions: [watched] }),
      });
      expect(changes.listened()).toEqual([]);
    }
  });

  it('refuses more than 64 resources at once and serves on', async () => {
    const { client, changes } = await connect('auto');
    const many = Array.from({ length: 65 }, (_, index) => `test://${index}`);
    await expect(client.listen({ resourceSubscriptions: many })).rejects.toThrow(/at most 64 resources/);
    expect(changes.listened()).toEqual([]);
    await client.listen({ resourceSubscriptions: many.slice(1) });
    expect(changes.listened()).toEqual([many.slice(1)]);
  });

  it('ends with the connection', async () => {
    const { client, changes, serving } = await connect('auto');
    await client.listen({ resourceSubscriptions: [watched] });
    await client.close();
    await serving.closed;
    expect(changes.listened()).toEqual([]);
  });
});

describe('up to 2025-11-25', () => {
  it('the current SDK hears of what it subscribed to, through its server object', async () => {
    const { client, changes, heard, serving } = await connect('legacy');
    await client.subscribeResource({ uri: watched });
    expect(changes.listened()).toEqual([[watched]]);
    changes.change(watched);
    await vi.waitUntil(() => heard.length > 0);
    await client.close();
    await serving.closed;
    expect(changes.listened()).toEqual([]);
  });

  it('the v1 SDK too', async () => {
    const { changes, transport } = serve();
    const client = new LegacyClient({ name: 'v1', version: '0' });
    const heard: string[] = [];
    client.setNotificationHandler(
      ResourceUpdatedNotificationSchema,
      ({ params }) => void heard.push(params.uri),
    );
    // The v1 transport types predate exactOptionalPropertyTypes.
    await client.connect(transport as unknown as Parameters<LegacyClient['connect']>[0]);
    await client.subscribeResource({ uri: watched });
    changes.change(watched);
    await vi.waitUntil(() => heard.length > 0);
    await client.close();
  });
});

it('planted fault: a listener that is never given back would be seen', async () => {
  const { changes, serving } = serve();
  changes.onChange(() => {}, [watched]);
  await serving.close();
  expect(changes.listened()).toEqual([[watched]]);
});
