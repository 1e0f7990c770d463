// The gateway's resources, completion, prompts and live events as clients of both eras use them: real agents, whose faults come as they are
// listened to, behind a real gateway.
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyHttpTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { openedByFile } from './opened-by-file.ts';
import { freePort, type RunningProgram } from './run-program.ts';

type Json = Readonly<Record<string, unknown>>;

const { closing, start } = openedByFile();

/** A simulated fault is told two seconds after somebody begins to listen. */
const startAgent = (node: string, scenario: string) =>
  start('agent', ['--backend', 'mock', '--scenario', scenario, '--node-name', node]);

const startGateway = (agents: Readonly<Record<string, string>>, ...more: readonly string[]) =>
  start('gateway', [
    ...[
      '--agents',
      Object.entries(agents)
        .map((entry) => entry.join('='))
        .join(','),
    ],
    ...['--deadline', '8s', ...more],
  ]);

/** What the tests do, with either SDK. */
interface Reader {
  readonly heard: readonly string[];
  read(uri: string): Promise<Json>;
  listen(...uris: readonly string[]): Promise<() => Promise<unknown>>;
  listed(): Promise<readonly string[]>;
  templates(): Promise<readonly string[]>;
  prompts(): Promise<readonly { name: string; arguments?: { name: string }[] | undefined }[]>;
  prompt(name: string, given: Readonly<Record<string, string>>): Promise<string>;
  tools(): Promise<readonly { name: string; inputSchema: Json }[]>;
  complete(uri: string, name: string, value: string, known?: Record<string, string>): Promise<string[]>;
}

const jsonOf = ({ contents: [content] }: { contents: readonly unknown[] }): Json => {
  if (typeof content !== 'object' || content === null || !('text' in content)) throw new Error('no text');
  return JSON.parse(String(content.text));
};
const textOf = ({ messages }: { messages: readonly { content: unknown }[] }) => JSON.stringify(messages);

async function connect(origin: string, mode: 'auto' | 'legacy', token?: string): Promise<Reader> {
  const client = new Client({ name: 'test', version: '0' }, { versionNegotiation: { mode } });
  const heard: string[] = [];
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => {
    heard.push(params.uri);
  });
  const headers =
    token === undefined ? {} : { requestInit: { headers: { authorization: `Bearer ${token}` } } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${origin}/mcp`), headers));
  closing.push(() => client.close());
  return {
    heard,
    read: async (uri) => jsonOf(await client.readResource({ uri })),
    async listen(...uris) {
      if (mode === 'auto') {
        const subscription = await client.listen({ resourceSubscriptions: [...uris] });
        return () => subscription.close();
      }
      for (const uri of uris) await client.subscribeResource({ uri });
      return () => Promise.all(uris.map((uri) => client.unsubscribeResource({ uri })));
    },
    listed: async () => (await client.listResources()).resources.map(({ uri }) => uri),
    templates: async () =>
      (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    prompts: async () => (await client.listPrompts()).prompts,
    prompt: async (name, given) => textOf(await client.getPrompt({ name, arguments: given })),
    tools: async () => (await client.listTools()).tools,
    async complete(uri, name, value, known) {
      const { completion } = await client.complete({
        ref: { type: 'ref/resource', uri },
        argument: { name, value },
        ...(known ? { context: { arguments: known } } : {}),
      });
      return completion.values;
    },
  };
}

/** The v1 line of the SDK, which most hosts have today. */
async function connectV1(origin: string): Promise<Reader> {
  const client = new LegacyClient({ name: 'v1', version: '0' });
  const heard: string[] = [];
  client.setNotificationHandler(
    ResourceUpdatedNotificationSchema,
    ({ params }) => void heard.push(params.uri),
  );
  const transport = new LegacyHttpTransport(new URL(`${origin}/mcp`));
  // The v1 transport types predate exactOptionalPropertyTypes.
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  closing.push(() => client.close());
  return {
    heard,
    read: async (uri) => jsonOf(await client.readResource({ uri })),
    async listen(...uris) {
      for (const uri of uris) await client.subscribeResource({ uri });
      return () => Promise.all(uris.map((uri) => client.unsubscribeResource({ uri })));
    },
    listed: async () => (await client.listResources()).resources.map(({ uri }) => uri),
    templates: async () =>
      (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    prompts: async () => (await client.listPrompts()).prompts,
    prompt: async (name, given) => textOf(await client.getPrompt({ name, arguments: given })),
    tools: async () => (await client.listTools()).tools,
    async complete(uri, name, value, known) {
      const { completion } = await client.complete({
        ref: { type: 'ref/resource', uri },
        argument: { name, value },
        ...(known ? { context: { arguments: known } } : {}),
      });
      return completion.values;
    },
  };
}

const clients = {
  modern: (origin: string) => connect(origin, 'auto'),
  legacy: (origin: string) => connect(origin, 'legacy'),
  'the v1 SDK': connectV1,
} as const;
const eras = Object.keys(clients) as (keyof typeof clients)[];

/** Until it is so, as a test may see it: by looking again. */
async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within 30 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Connections to a program's port, as the kernel counts them: state 01 is ESTABLISHED. Source: proc_net_tcp of the kernel's documentation. */
function connectionsTo({ origin }: RunningProgram): number {
  const port = Number(new URL(origin).port).toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1);
  return lines.filter((line) => new RegExp(`^ *\\d+: \\w+:\\w+ \\w+:${port} 01 `).test(line)).length;
}

const xidsOf = ({ events }: Json) =>
  (events as readonly Json[]).map(({ node, xid }) => (node === undefined ? xid : `${node} ${xid}`));

describe('three agents behind a gateway', () => {
  let gateway: RunningProgram;
  const readers: Partial<Record<keyof typeof clients, Reader>> = {};
  const readerOf = (era: keyof typeof clients): Reader => readers[era] ?? expect.fail(`no ${era} client`);
  beforeAll(async () => {
    const [well, lost, link] = await Promise.all([
      startAgent('node-well', 'healthy-8xh100'),
      startAgent('node-lost', 'fallen-off-bus'),
      startAgent('node-link', 'nvlink-down'),
    ]);
    gateway = await startGateway({
      'node-well': well.origin,
      'node-lost': lost.origin,
      'node-link': link.origin,
    });
    for (const era of eras) readers[era] = await clients[era](gateway.origin);
  });

  describe.each(eras)('%s', (era) => {
    it('lists resources and templates', async () => {
      const reader = readerOf(era);
      expect(await reader.listed()).toEqual([
        'gpu://cluster/health',
        'gpu://cluster/inventory',
        'gpu://cluster/events',
      ]);
      expect(await reader.templates()).toEqual([
        'gpu://{node}/inventory',
        'gpu://{node}/health',
        'gpu://{node}/xid',
        'gpu://{node}/events',
        'gpu://{node}/gpus/{id}',
        'gpu://catalog/xid/{code}',
      ]);
    });

    it('completes nodes, and GPUs of the node that was chosen', async () => {
      const reader = readerOf(era);
      expect(await reader.complete('gpu://{node}/health', 'node', 'node-l')).toEqual([
        'node-link',
        'node-lost',
      ]);
      const gpus = 'gpu://{node}/gpus/{id}';
      expect(await reader.complete(gpus, 'id', 'GPU-', { node: 'node-well' })).toHaveLength(8);
      expect(await reader.complete(gpus, 'id', '1')).toEqual(expect.arrayContaining(['1', '10']));
      expect(await reader.complete('gpu://catalog/xid/{code}', 'code', '79')).toEqual(['79']);
    });

    it.each([
      ['gpu://cluster/health', { scope: 'cluster', nodeCount: 3, verdict: 'critical' }],
      ['gpu://cluster/inventory', { scope: 'cluster', nodeCount: 3 }],
      ['gpu://cluster/events', { nodes: { total: 3, heard: 3, notHeard: 0 }, notHeard: [] }],
      ['gpu://node-well/inventory', { node: 'node-well', gpuCount: 8 }],
      ['gpu://node-well/health', { node: 'node-well', verdict: 'ok' }],
      ['gpu://node-lost/health', { node: 'node-lost', verdict: 'critical' }],
      ['gpu://node-lost/xid', { node: 'node-lost', verdict: 'critical' }],
      ['gpu://node-well/events', { node: 'node-well', events: [] }],
      ['gpu://node-well/gpus/0', { node: 'node-well', verdict: 'ok', gpu: { index: 0, verdict: 'ok' } }],
      ['gpu://catalog/xid/79', { code: 79 }],
    ])('reads %s', async (uri, told) => {
      expect(await readerOf(era).read(uri)).toMatchObject(told);
    });

    it.each([
      ['gpu://node-wel/health', /node-well.*gpu:\/\/cluster\/inventory/s],
      ['gpu://node-wel/events', /node-well/],
      ['gpu://node-well/gpus/64', /GPU_NOT_FOUND.*get_gpu_inventory/s],
      ['gpu://catalog/xid/99999', /numbers from/],
      ['gpu://node-well/nothing', /not found/i],
      ['gpu://cluster/xid', /no node "cluster".*gpu:\/\/cluster\/inventory/s],
    ])('%s: the error says what there is', async (uri, words) => {
      await expect(readerOf(era).read(uri)).rejects.toThrow(words);
    });

    it('cannot subscribe to what is no resource', async () => {
      if (era === 'modern') return;
      await expect(readerOf(era).listen('gpu://node-well/nothing')).rejects.toThrow(
        /resources\/templates\/list/,
      );
    });

    it('every prompt names tools and arguments that this gateway has', async () => {
      const reader = readerOf(era);
      const prompts = await reader.prompts();
      expect(prompts.map(({ name }) => name)).toContain('gpu-triage');
      const tools = await reader.tools();
      for (const { name, arguments: takes = [] } of prompts) {
        const names = takes.map((each) => each.name);
        for (const kept of [[], names]) {
          const given = Object.fromEntries(kept.map((each) => [each, each === 'gpu' ? '0' : 'node-well']));
          expect(problemsOf(await reader.prompt(name, given), tools), name).toEqual([]);
        }
      }
    });
  });

  it('ends when it is told to, while clients listen', async () => {
    await readerOf('legacy').listen('gpu://cluster/events');
    expect(await gateway.stop()).toBe(0);
    expect(gateway.stderr()).toContain('events: nobody wants them any more');
  });
});

/** Calls that a prompt asks for and that no tool takes. */
function problemsOf(prompt: string, tools: readonly { name: string; inputSchema: Json }[]): string[] {
  const text = prompt.replaceAll('\\"', '"');
  const calls = [...text.matchAll(/Call (\w+) with (\{[^{}]*\})/g)];
  const named = [...text.matchAll(/\b(?:get|analyze|compare|explain|describe)_[a-z_]+/g)].map(
    ([name]) => name,
  );
  if (calls.length === 0) return ['it calls nothing'];
  return [
    ...named.filter((name) => !tools.some((tool) => tool.name === name)),
    ...calls.flatMap(([call, name = '', input = '']) => {
      const properties = tools.find((tool) => tool.name === name)?.inputSchema['properties'] ?? {};
      return Object.keys(JSON.parse(input)).some((key) => !(key in (properties as object))) ? [call] : [];
    }),
  ];
}

describe('a fault that happens while clients listen', () => {
  const watched = ['gpu://cluster/events', 'gpu://node-lost/health'];
  let lost: RunningProgram;
  let well: RunningProgram;
  let gateway: RunningProgram;
  beforeAll(async () => {
    [lost, well] = await Promise.all([
      startAgent('node-lost', 'fallen-off-bus'),
      startAgent('node-well', 'healthy-8xh100'),
    ]);
    gateway = await startGateway({
      'node-lost': lost.origin,
      'node-well': well.origin,
      'node-gone': `http://127.0.0.1:${await freePort()}`,
    });
  });

  it('is told to every client that listens, of both eras; an agent that dies is named', async () => {
    const listening = await Promise.all(eras.map((era) => clients[era](gateway.origin)));
    const [silent, left] = [await connect(gateway.origin, 'auto'), await connect(gateway.origin, 'legacy')];
    // Nobody is listened to before somebody wants it, and then only who is asked for.
    expect([connectionsTo(well), connectionsTo(lost)]).toEqual([0, 0]);
    await silent.listen('gpu://node-well/health');
    await until(() => connectionsTo(well) > 0, 'the agent is listened to');
    expect(connectionsTo(lost)).toBe(0);
    const unsubscribe = await left.listen(...watched);
    await unsubscribe();
    const heardBefore = left.heard.length;
    for (const reader of listening) await reader.listen(...watched);

    for (const reader of listening) {
      await until(
        () => watched.every((uri) => reader.heard.includes(uri)),
        'every client hears of the fault',
      );
      expect(new Set(reader.heard)).toEqual(new Set(watched));
      const events = await reader.read('gpu://cluster/events');
      // Xid 79: GPU has fallen off the bus. Source: NVIDIA Xid catalogue.
      expect(xidsOf(events)).toContain('node-lost 79');
      expect(events).toMatchObject({
        nodes: { total: 3, heard: 2, notHeard: 1 },
        notHeard: [{ node: 'node-gone' }],
        lost: 0,
      });
      expect(await reader.read('gpu://node-lost/health')).toMatchObject({ verdict: 'critical' });
      expect(xidsOf(await reader.read('gpu://node-lost/events'))).toContain(79);
    }
    // Planted fault: who listens to a node that is well, or not any more, is told nothing of it.
    expect(silent.heard).toEqual([]);
    expect(left.heard).toHaveLength(heardBefore);

    const told = listening.map(({ heard }) => heard.length);
    await lost.stop('SIGKILL');
    for (const [index, reader] of listening.entries()) {
      await until(
        () => reader.heard.slice(told[index]).includes('gpu://cluster/events'),
        'the death is told',
      );
      const events = await reader.read('gpu://cluster/events');
      expect(events).toMatchObject({
        nodes: { heard: 1, notHeard: 2 },
        notHeard: [{ node: 'node-gone' }, { node: 'node-lost', since: expect.any(String) }],
      });
      expect(JSON.stringify(events['notHeard'])).toMatch(
        /node-lost.*(?:broke off|cannot be reached|refused)/,
      );
      // What it told before it died is kept.
      expect(xidsOf(events)).toContain('node-lost 79');
      await expect(reader.read('gpu://node-lost/events')).rejects.toThrow(/node-lost.*cannot be read/);
      await expect(reader.read('gpu://node-lost/health')).rejects.toThrow(/node-lost/);
    }
  });
});

describe('a gateway in operator mode', () => {
  const acting = ['kill_gpu_process', 'reset_gpu'];
  it('offers its acting tools through no resource and no prompt', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gateway-resources-'));
    closing.push(() => rm(folder, { recursive: true }));
    const files = ['read', 'operate', 'agent', 'agent-operate'].map((name) => {
      writeFileSync(join(folder, name), `${name}-token\n`);
      return join(folder, name);
    });
    const [reader = '', operator = '', agentReader = '', agentOperator = ''] = files;
    const gateway = await startGateway(
      { 'node-a': `http://127.0.0.1:${await freePort()}` },
      ...['--mode', 'operator', '--auth-token-file', reader, '--operator-token-file', operator],
      ...['--agent-token-file', agentReader, '--agent-operator-token-file', agentOperator],
    );
    for (const mode of ['auto', 'legacy'] as const) {
      const client = await connect(gateway.origin, mode, 'operate-token');
      // The check would see them: its tools are there.
      expect((await client.tools()).map(({ name }) => name)).toEqual(expect.arrayContaining(acting));
      const prompts = await client.prompts();
      const texts = await Promise.all(prompts.map(({ name }) => client.prompt(name, {})));
      const offered = JSON.stringify([await client.listed(), await client.templates(), prompts, texts]);
      for (const tool of acting) expect(offered).not.toContain(tool);
    }
  });
});

it('planted fault: a prompt that calls what is not there would be found', () => {
  const tools = [{ name: 'get_gpu_health', inputSchema: { properties: { node: {} } } }];
  expect(problemsOf('Call get_gpu_health with {"node":"a"}.', tools)).toEqual([]);
  expect(problemsOf('Call get_gpu_health with {"nodes":"a"}.', tools)).toHaveLength(1);
  expect(problemsOf('Call describe_gpu_node with {}.', tools)).toEqual(['describe_gpu_node']);
  expect(problemsOf('Look.', tools)).toEqual(['it calls nothing']);
});
