import {
  InMemoryTransport,
  type JSONRPCMessage,
  McpServer,
  type McpServerFactory,
  ResourceNotFoundError,
  ResourceTemplate,
  Server,
} from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { afterEach, describe, expect, test } from 'vitest';
import { gpuPrompts } from '../src/prompts/gpu-prompts.ts';
import { type GpuServerParts, registerGpuServer } from '../src/register-gpu-server.ts';
import { createGpuResources, type GpuResource } from '../src/resources/gpu-resources.ts';
import { listingOf } from '../src/serving/listing.ts';
import { serveGpuParts } from '../src/serving/serve-gpu-parts.ts';
import { operatorRig } from './operator-rig.ts';
import { fellOffTheBus, record, rig, turn } from './rig.ts';

// Both ways to serve the same parts, asked the same: the answers must be the same, to the letter.

const about = { name: 'test', version: '1.0.0' };
const eras = ['2025-11-25', '2026-07-28'] as const;
type Era = (typeof eras)[number];
type Json = Readonly<Record<string, unknown>>;

/** Completes with what it is told: what was typed, and the variables that are chosen already. */
const echo: GpuResource = {
  name: 'echo',
  title: 'Echo',
  description: 'Says what it is told.',
  mimeType: 'application/json',
  uri: 'gpu://echo/{first}/{second}',
  isTemplate: true,
  complete: { second: (typed, context) => [typed, JSON.stringify(context ?? null)] },
  read: async (variables) => JSON.stringify(variables),
};
const echoed = { type: 'ref/resource', uri: echo.uri };

/** A node and changes made of plain data. */
function node() {
  const operator = operatorRig();
  const { tools } = rig({ log: [record(fellOffTheBus('0000:3a:00'))] });
  const listening = new Set<string>();
  let tell: (uri: string) => void = () => {};
  const parts: GpuServerParts = {
    tools,
    operatorTools: operator.tools,
    resources: [...createGpuResources({ nodeName: 'gpu-node-7', tools }), echo],
    resourceChanges: {
      onChange(listener, uris = []) {
        tell = listener;
        for (const uri of uris) listening.add(uri);
        return () => {
          for (const uri of uris) listening.delete(uri);
        };
      },
    },
    prompts: gpuPrompts,
  };
  return { parts, operator, listening, change: (uri: string) => tell(uri) };
}

const host = {
  ResourceTemplate,
  notFound: (uri: string, message: string) => new ResourceNotFoundError(uri, message),
};

type Way = (parts: GpuServerParts, mayOperate: boolean) => McpServerFactory;
const registered: Way = (parts, mayOperate) => () => {
  const server = new McpServer(about);
  registerGpuServer(server, parts, host, { mayOperate, caller: 'local' });
  return server;
};
const served: Way = (parts, mayOperate) => {
  const listing = listingOf(parts);
  return () => {
    const server = new Server(about);
    serveGpuParts(server, { listing, parts: () => Promise.resolve(parts) }, host, {
      mayOperate,
      caller: 'local',
    });
    return server;
  };
};

interface SessionOptions {
  readonly era: Era;
  readonly mayOperate?: boolean;
  /** What the person at the client answers; without it the client cannot ask. */
  readonly person?: Json;
}
const sessions: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(sessions.splice(0).map((session) => session.close()));
});

/** A client that writes and reads the messages themselves. */
async function session(way: Way, parts: GpuServerParts, { era, mayOperate = false, person }: SessionOptions) {
  const [near, far] = InMemoryTransport.createLinkedPair();
  const handle = serveStdio(way(parts, mayOperate), { transport: far });
  sessions.push(handle);
  const heard: Json[] = [];
  const answers = new Map<unknown, (message: JSONRPCMessage) => void>();
  near.onmessage = (message) => {
    // What is compared is what is written on the wire.
    const written = JSON.parse(JSON.stringify(message));
    if (!('method' in message)) answers.get(message.id)?.(written);
    else if (!('id' in message)) heard.push(written);
    else void near.send({ jsonrpc: '2.0', id: message.id, result: { ...person } });
  };
  await near.start();
  const capabilities = person ? { elicitation: {} } : {};
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': era,
    'io.modelcontextprotocol/clientInfo': about,
    'io.modelcontextprotocol/clientCapabilities': capabilities,
  };
  let last = 0;
  const ask = (method: string, params: Json = {}) =>
    new Promise<JSONRPCMessage & { result?: Json; error?: Json }>((resolve) => {
      const id = ++last;
      answers.set(id, resolve);
      const terms = era === '2026-07-28' ? { ...params, _meta } : params;
      void near.send({ jsonrpc: '2.0', id, method, params: terms });
    });
  const opening =
    era === '2026-07-28'
      ? await ask('server/discover')
      : await ask('initialize', { protocolVersion: era, capabilities, clientInfo: about });
  if (era === '2025-11-25') await near.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
  return { opening, ask, heard, close: () => handle.close() };
}

const call = (name: string, input?: Json): [string, Json] => [
  'tools/call',
  { name, ...(input ? { arguments: input } : {}) },
];
const read = (uri: string): [string, Json] => ['resources/read', { uri }];
const prompt = (name: string, input?: Json): [string, Json] => [
  'prompts/get',
  { name, ...(input ? { arguments: input } : {}) },
];
const completion = (ref: Json, name: string, value: string): [string, Json] => [
  'completion/complete',
  { ref, argument: { name, value } },
];
const template = 'gpu://gpu-node-7/gpus/{id}';
const codes = { type: 'ref/resource', uri: 'gpu://catalog/xid/{code}' };

const questions: readonly [string, Json?][] = [
  ['tools/list'],
  ['tools/list', { cursor: 'x' }],
  ['resources/list'],
  ['resources/templates/list'],
  ['prompts/list'],
  ['ping'],
  ['logging/setLevel', { level: 'debug' }],
  ['no/such/method'],
  call('get_gpu_health'),
  call('get_gpu_health', {}),
  call('get_gpu_inventory', { gpu: 3 }),
  call('analyze_xid_errors', { detail: 'full' }),
  call('get_gpu_health', { gpu: 99 }),
  call('get_gpu_health', { surprise: true }),
  call('kill_gpu_process', { gpu: 2, pid: 4711 }),
  call('no_such_tool'),
  ['tools/call', {}],
  ['tools/call', { name: 7 }],
  ['tools/call', { name: 'get_gpu_health', arguments: 'text' }],
  read('gpu://gpu-node-7/inventory'),
  read('gpu://GPU-node-7/health'),
  read('gpu://gpu-node-7/gpus/3'),
  read('gpu://gpu-node-7/gpus/GPU%2D3'),
  read('gpu://gpu-node-7/gpus/99'),
  read('gpu://gpu-node-7/gpus/'),
  read('gpu://gpu-node-7/gpus/1,2'),
  read('gpu://gpu-node-7/gpus/1/2'),
  read('gpu://gpu-node-7/gpus/%ff'),
  read('gpu://catalog/xid/79'),
  read('gpu://catalog/xid/no'),
  read('gpu://other-node/health'),
  read('no uri'),
  ['resources/read', {}],
  prompt('gpu-triage'),
  prompt('gpu-triage', { symptom: 'job "died"', gpu: '3' }),
  prompt('gpu-triage', { surprise: 'x' }),
  prompt('explain-training-failure', { pid: 'x', gpu: 'y'.repeat(200) }),
  prompt('gpu-triage', { symptom: 7 }),
  prompt('no-such-prompt'),
  completion(codes, 'code', '7'),
  completion(codes, 'code', ''),
  completion(codes, 'other', '7'),
  read('gpu://echo/a%2Fb/c?d'),
  completion(echoed, 'second', 'x'),
  [
    'completion/complete',
    { ref: echoed, argument: { name: 'second', value: 'x' }, context: { arguments: { first: '1' } } },
  ],
  completion({ type: 'ref/resource', uri: template }, 'id', ''),
  completion({ type: 'ref/resource', uri: 'gpu://gpu-node-7/health' }, 'id', ''),
  completion({ type: 'ref/resource', uri: 'gpu://no' }, 'id', ''),
  completion({ type: 'ref/prompt', name: 'gpu-triage' }, 'gpu', ''),
  completion({ type: 'ref/prompt', name: 'no' }, 'gpu', ''),
  completion({ type: 'ref/else', name: 'no' }, 'gpu', ''),
  ['resources/subscribe', { uri: 'gpu://gpu-node-7/health' }],
  ['resources/subscribe', { uri: 'gpu://no' }],
  ['resources/unsubscribe', { uri: 'gpu://gpu-node-7/health' }],
];

describe.each(eras)('%s', (era) => {
  test.each([false, true])('every question has the same answer (may operate: %s)', async (mayOperate) => {
    // Each on a node of its own: plans are numbered.
    const old = await session(registered, node().parts, { era, mayOperate });
    const now = await session(served, node().parts, { era, mayOperate });
    expect(now.opening).toEqual(old.opening);
    for (const [method, params] of questions) {
      const what = `${method} ${JSON.stringify(params)}`;
      expect(await now.ask(method, params), what).toEqual(await old.ask(method, params));
    }
  });

  test.each([{}, { action: 'accept', content: { confirm: true } }, { action: 'decline' }] as const)(
    'a person who answers %j is asked the same',
    async (answer) => {
      const person = 'action' in answer ? { person: answer } : {};
      const outcomes = [];
      for (const way of [registered, served]) {
        const { parts, operator } = node();
        const { ask } = await session(way, parts, { era, mayOperate: true, ...person });
        const victim = { gpu: 2, pid: 4711 };
        const planned = await ask(...call('kill_gpu_process', victim));
        const planId = (planned.result?.['structuredContent'] as Json | undefined)?.['planId'];
        const asking: Json = { name: 'kill_gpu_process', arguments: { ...victim, planId } };
        let confirmed = await ask('tools/call', asking);
        // Without sessions the question is the result, and the answer comes with the next call.
        const isAsked = confirmed.result?.['resultType'] === 'input_required';
        if (isAsked) {
          const requestState = confirmed.result?.['requestState'];
          const inputResponses = { confirm: answer };
          confirmed = await ask('tools/call', { ...asking, requestState, inputResponses });
        }
        const withoutIds = JSON.stringify([planned, confirmed]).replaceAll(String(planId), 'PLAN');
        outcomes.push({ text: withoutIds, isAsked, done: operator.done, trail: operator.trail() });
      }
      expect(outcomes[1]).toEqual(outcomes[0]);
      const accepted = 'content' in answer;
      expect(outcomes[1]?.done).toHaveLength(accepted ? 1 : 0);
      expect(outcomes[1]?.isAsked).toBe(era === '2026-07-28' && 'action' in answer);
    },
  );
});

test('planted fault: one word of one tool makes the comparison red', async () => {
  const { parts } = node();
  const changed = {
    ...parts,
    tools: parts.tools.map((tool, index) => (index === 3 ? { ...tool, title: `${tool.title}.` } : tool)),
  };
  const old = await session(registered, parts, { era: '2025-11-25' });
  const now = await session(served, changed, { era: '2025-11-25' });
  expect(await now.ask('tools/list')).not.toEqual(await old.ask('tools/list'));
});

describe('a session that subscribed', () => {
  const health = 'gpu://gpu-node-7/health';

  test.each([
    ['registered', registered],
    ['served', served],
  ])('is told of changes until it unsubscribes or ends (%s)', async (_, way) => {
    const { parts, listening, change } = node();
    const { ask, heard, close } = await session(way, parts, { era: '2025-11-25' });
    expect([...listening]).toEqual([]);
    expect((await ask('resources/subscribe', { uri: health })).result).toEqual({});
    expect([...listening]).toEqual([health]);
    change(health);
    await ask('ping');
    expect(heard).toEqual([
      { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: health } },
    ]);
    await ask('resources/unsubscribe', { uri: health });
    expect([...listening]).toEqual([]);
    await ask('resources/subscribe', { uri: health });
    await close();
    expect([...listening]).toEqual([]);
  });
});

describe('parts that are not loaded yet', () => {
  /** A server object whose parts come when the test wants. */
  function late(parts: GpuServerParts) {
    let arrive: () => void = () => {};
    let asked = 0;
    const loaded = new Promise<GpuServerParts>((resolve) => {
      arrive = () => resolve(parts);
    });
    const load = () => {
      asked += 1;
      return loaded;
    };
    const way: Way = (all, mayOperate) => () => {
      const server = new Server(about);
      serveGpuParts(server, { listing: listingOf(all), parts: load }, host, { mayOperate });
      return server;
    };
    return { way, arrive: () => arrive(), asked: () => asked };
  }
  const health = 'gpu://gpu-node-7/health';

  test('do not keep the lists waiting, and are asked for by what needs them', async () => {
    const { parts } = node();
    const { way, arrive, asked } = late(parts);
    const { ask } = await session(way, parts, { era: '2025-11-25' });
    for (const method of ['tools/list', 'resources/list', 'resources/templates/list', 'prompts/list'])
      expect((await ask(method)).result, method).toBeDefined();
    expect(asked()).toBe(0);
    const answer = ask(...call('get_gpu_inventory'));
    await ask('ping');
    expect(asked()).toBe(1);
    arrive();
    expect((await answer).result).toHaveProperty('structuredContent');
  });

  test('an unsubscription that follows at once ends the subscription', async () => {
    const { parts, listening } = node();
    const { way, arrive } = late(parts);
    const { ask } = await session(way, parts, { era: '2025-11-25' });
    const both = [ask('resources/subscribe', { uri: health }), ask('resources/unsubscribe', { uri: health })];
    await ask('ping');
    arrive();
    await Promise.all(both);
    expect([...listening]).toEqual([]);
  });

  test('nothing is subscribed for a session that ended meanwhile', async () => {
    const { parts, listening } = node();
    const { way, arrive } = late(parts);
    const { ask, close } = await session(way, parts, { era: '2025-11-25' });
    void ask('resources/subscribe', { uri: health });
    await ask('ping');
    await close();
    arrive();
    await turn();
    expect([...listening]).toEqual([]);
  });
});
