// The resources of the program as users run it, and their changes, over both transports and in both protocol eras.
import { appendFileSync, writeFileSync } from 'node:fs';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyHttpTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, expect, it } from 'vitest';
import { createFakeNode, helperPids, noCompiler, until } from './fake-node.ts';
import { agentCommand, cleanEnvironment, freePort, startAgent } from './run-agent.ts';

// Its links go down one after the other from two seconds after somebody listens: Xid 74 of GPU 4.
const args = ['--backend', 'mock', '--scenario', 'nvlink-down', '--node-name', 'node-a'];
const uri = (path: string) => `gpu://node-a/${path}`;
const changing = [uri('events'), uri('health'), uri('xid'), uri('gpus/4')];
const eras = ['legacy', 'auto'] as const;

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function startHttp(): Promise<URL> {
  const port = await freePort();
  const agent = startAgent([...args, '--port', String(port)]);
  ends.push(async () => {
    agent.child.kill('SIGTERM');
    expect(await agent.exited).toMatchObject({ code: 0 });
  });
  await agent.logged('http: listening');
  return new URL(`http://127.0.0.1:${port}/mcp`);
}

/** A client that gathers what it is told has changed. */
async function connect(era: (typeof eras)[number], url?: URL) {
  const client = new Client({ name: 'test', version: '0' }, { versionNegotiation: { mode: era } });
  const heard: { uri: string; at: number }[] = [];
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
    heard.push({ uri: params.uri, at: performance.now() });
  });
  await client.connect(
    url
      ? new StreamableHTTPClientTransport(url)
      : new StdioClientTransport({
          ...agentCommand(args),
          env: cleanEnvironment(),
          stderr: 'ignore',
        }),
  );
  ends.push(() => client.close());
  return { client, heard };
}

async function listenTo(client: Client, era: (typeof eras)[number], uris: readonly string[]) {
  if (era === 'legacy') for (const each of uris) await client.subscribeResource({ uri: each });
  else await client.listen({ resourceSubscriptions: [...uris] });
}

async function readJson(client: Client, at: string): Promise<Record<string, unknown>> {
  const { contents } = await client.readResource({ uri: at });
  const [content] = contents;
  if (!content || !('text' in content)) throw new Error('no text');
  return JSON.parse(content.text);
}

const sleepUntil = async (condition: () => boolean) => {
  const deadline = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('it did not happen within 30 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

describe.each(['http', 'stdio'] as const)('over %s', (transport) => {
  it.each(eras)('%s: a fault arrives as changes, and the resources tell it', async (era) => {
    const { client, heard } = await connect(era, transport === 'http' ? await startHttp() : undefined);
    expect(client.getServerCapabilities()?.resources?.subscribe).toBe(true);
    await listenTo(client, era, changing);
    await sleepUntil(() => new Set(heard.map((each) => each.uri)).size === changing.length);
    expect(new Set(heard.map((each) => each.uri))).toEqual(new Set(changing));
    const events = await readJson(client, uri('events'));
    expect(events).toMatchObject({
      apiVersion: 'v1',
      node: 'node-a',
      listeningSince: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      lost: 0,
    });
    expect(events['events']).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ xid: 74, gpu: expect.objectContaining({ index: 4 }) }),
      ]),
    );
    expect(await readJson(client, uri('gpus/4'))).toMatchObject({
      gpu: { index: 4 },
      verdict: expect.any(String),
    });
    // Events come every half second here; of one resource at most one change a second is told.
    const times = heard.filter((each) => each.uri === uri('events')).map(({ at }) => at);
    expect(times.every((at, index) => index === 0 || at - (times[index - 1] ?? 0) > 500)).toBe(true);
  });

  it('resources and templates are listed, and completed', async () => {
    const { client } = await connect('auto', transport === 'http' ? await startHttp() : undefined);
    const { resources } = await client.listResources();
    expect(resources.map((each) => each.uri)).toEqual(['inventory', 'health', 'xid', 'events'].map(uri));
    const { resourceTemplates } = await client.listResourceTemplates();
    expect(resourceTemplates.map((each) => each.uriTemplate)).toEqual([
      uri('gpus/{id}'),
      'gpu://catalog/xid/{code}',
    ]);
    const ref = { type: 'ref/resource', uri: uri('gpus/{id}') } as const;
    const { completion } = await client.complete({ ref, argument: { name: 'id', value: 'GPU-' } });
    expect(completion.values).toHaveLength(8);
    const gpu = await readJson(client, uri(`gpus/${completion.values[2]}`));
    expect(gpu).toMatchObject({ gpu: { index: 2, uuid: completion.values[2] } });
    await expect(client.readResource({ uri: uri('gpus/64') })).rejects.toThrow(
      /GPU_NOT_FOUND.*get_gpu_inventory/s,
    );
  });
});

it('the v1 SDK hears of it; what is no resource cannot be subscribed to', async () => {
  const client = new LegacyClient({ name: 'v1', version: '0' });
  const heard: string[] = [];
  client.setNotificationHandler(
    ResourceUpdatedNotificationSchema,
    ({ params }) => void heard.push(params.uri),
  );
  const transport = new LegacyHttpTransport(await startHttp());
  // The v1 transport types predate exactOptionalPropertyTypes.
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  ends.push(() => client.close());
  const refused = client.subscribeResource({ uri: uri('nothing') });
  await expect(refused).rejects.toMatchObject({
    code: -32602,
    message: expect.stringContaining('resources/list'),
  });
  await client.subscribeResource({ uri: uri('events') });
  await sleepUntil(() => heard.length > 0);
  expect(heard[0]).toBe(uri('events'));
});

it.skipIf(noCompiler !== undefined)(
  'on a real dlopen: nothing is opened before somebody listens',
  async () => {
    // nvmlEventTypeXidCriticalError. Source: nvml.h.
    const xid = 0x8;
    const node = createFakeNode({ gpus: [{ 'events.supported': xid }] });
    ends.push(async () => node.dispose());
    node.configure({ gpus: [{ 'events.supported': xid }], faults: [`events ${node.path('events')}`] });
    writeFileSync(node.path('events'), '');
    const client = new Client({ name: 'test', version: '0' }, { versionNegotiation: { mode: 'auto' } });
    const heard: string[] = [];
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
      heard.push(params.uri);
    });
    const transport = new StdioClientTransport({
      ...agentCommand([...node.args, '--kernel-log', 'none', '--node-name', 'node-a']),
      env: cleanEnvironment(node.env),
      stderr: 'ignore',
    });
    await client.connect(transport);
    ends.push(() => client.close());
    const { pid } = transport;
    await client.listResources();
    await client.listen({ resourceSubscriptions: [uri('inventory')] });
    expect(helperPids(pid ?? undefined)).toEqual([]);
    await client.listen({ resourceSubscriptions: [uri('events')] });
    // Nobody says when the listening has begun.
    let last = 0;
    await until(() => {
      if (Date.now() - last > 300) {
        last = Date.now();
        appendFileSync(node.path('events'), `0 ${xid} 79\n`);
      }
      return heard.length > 0;
    }, 15_000);
    expect(helperPids(pid ?? undefined).length).toBeGreaterThan(0);
    const { events } = await readJson(client, uri('events'));
    expect(events).toMatchObject([{ xid: 79, gpu: { index: 0 }, sources: ['driver'] }]);
    await client.close();
    await until(() => helperPids(pid ?? undefined).length === 0, 15_000);
  },
);

it('planted fault: who does not subscribe hears nothing, while another does', async () => {
  const url = await startHttp();
  const [silent, listening] = [await connect('auto', url), await connect('legacy', url)];
  await silent.client.listen({ resourceSubscriptions: [uri('inventory')] });
  await listenTo(listening.client, 'legacy', [uri('events')]);
  await sleepUntil(() => listening.heard.length > 0);
  expect(silent.heard).toEqual([]);
});
