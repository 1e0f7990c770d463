import { McpServer } from '@modelcontextprotocol/server';
import { afterEach, expect, it } from 'vitest';
import { createHttpApp, type HttpApp } from './app.ts';
import { UpdateGate, watchStream } from './update-gate.ts';

const uris = Array.from({ length: 64 }, (_, index) => `test://${index}`);
const headers = {
  host: 'localhost',
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
};

const open: HttpApp[] = [];
afterEach(() => Promise.all(open.splice(0).map((app) => app.close())));

function serve() {
  let tell: (uri: string) => void = () => {};
  const factory = () => {
    const mcp = new McpServer({ name: 'test', version: '0' });
    mcp.registerResource('x', 'test://x', {}, () => ({ contents: [] }));
    mcp.server.registerCapabilities({ resources: { subscribe: true } });
    mcp.server.setRequestHandler('resources/subscribe', () => {
      tell = (uri) => void mcp.server.sendResourceUpdated({ uri });
      return {};
    });
    return mcp;
  };
  const http = createHttpApp(factory, {
    processMetrics: false,
    resourceChanges: {
      onChange(listener) {
        tell = listener;
        return () => {};
      },
    },
  });
  open.push(http);
  const post = (message: object, more: Record<string, string> = {}) =>
    http.app.request('/mcp', {
      method: 'POST',
      headers: { ...headers, ...more },
      body: JSON.stringify({ jsonrpc: '2.0', ...message }),
    });
  return { http, post, change: (uri: string) => tell(uri) };
}

type Opened = { response: Response; change: (uri: string) => void };

async function modernStream(): Promise<Opened> {
  const { post, change } = serve();
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const params = { notifications: { resourceSubscriptions: uris }, _meta };
  const modern = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' };
  const response = await post({ id: 1, method: 'subscriptions/listen', params }, modern);
  return { response, change };
}

async function sessionStream(): Promise<Opened> {
  const { http, post, change } = serve();
  const clientInfo = { name: 'test', version: '0' };
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
  const opened = await post({ id: 0, method: 'initialize', params });
  await opened.text();
  const session = {
    'mcp-session-id': opened.headers.get('mcp-session-id') ?? '',
    'mcp-protocol-version': '2025-11-25',
  };
  await post({ method: 'notifications/initialized' }, session);
  await (await post({ id: 1, method: 'resources/subscribe', params: { uri: 'test://x' } }, session)).text();
  const response = await http.app.request('/mcp', {
    headers: { ...headers, ...session, accept: 'text/event-stream' },
  });
  return { response, change };
}

/** The resources told of on a stream, one by one. */
async function* toldOn({ response }: Pick<Opened, 'response'>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const piece of response.body ?? [])
    yield* decoder.decode(piece).match(/(?<="uri":")test:[^"]*/g) ?? [];
}

it.each([
  ['2026-07-28', modernStream],
  ['a session', sessionStream],
])('%s: who does not read costs a bounded number, and hears of the last of each', async (_, openStream) => {
  const stream = await openStream();
  expect(stream.response.status).toBe(200);
  for (let each = 0; each < 10_000; each += 1) stream.change(uris[each % uris.length] ?? '');
  const told: string[] = [];
  for await (const uri of toldOn(stream)) {
    told.push(uri);
    // What waits for room is one of each, whatever the flood; then there is nothing more.
    if (told.length === 2 * uris.length) stream.change('test://7');
    if (told.length > 2 * uris.length) break;
  }
  expect(told.at(-1)).toBe('test://7');
  expect(new Set(told.slice(uris.length, -1))).toEqual(new Set(uris));
});

it('a session without a stream loses nothing of what comes after', async () => {
  const { http, post, change } = serve();
  const clientInfo = { name: 'test', version: '0' };
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
  const opened = await post({ id: 0, method: 'initialize', params });
  await opened.text();
  const session = { 'mcp-session-id': opened.headers.get('mcp-session-id') ?? '' };
  await (await post({ id: 1, method: 'resources/subscribe', params: { uri: 'test://x' } }, session)).text();
  for (let each = 0; each < 1_000; each += 1) change('test://x');
  const stream = await http.app.request('/mcp', {
    headers: { ...headers, ...session, accept: 'text/event-stream' },
  });
  change('test://1');
  expect((await toldOn({ response: stream }).next()).value).toBe('test://1');
});

it('gives what waits when there is room', () => {
  const sent: string[] = [];
  const gate = new UpdateGate((uri) => sent.push(uri));
  for (let each = 0; each < 64; each += 1) gate.tell('a');
  gate.tell('b');
  gate.tell('b');
  expect(sent).toHaveLength(64);
  gate.taken();
  expect(sent.slice(64)).toEqual(['b']);
  gate.taken();
  expect(sent).toHaveLength(65);
});

it('a stream that ends or is given up says so once', async () => {
  let endedCount = 0;
  const watch = {
    taken: () => {},
    ended: () => {
      endedCount += 1;
    },
  };
  const of = (body: ReadableStream<Uint8Array>) => watchStream(new Response(), body, watch);
  expect(await of(new Blob(['ab']).stream()).text()).toBe('ab');
  expect(endedCount).toBe(1);
  const given = of(new ReadableStream());
  await given.body?.cancel();
  expect(endedCount).toBe(2);
  const failing = of(new ReadableStream({ pull: () => Promise.reject(new Error('broken')) }));
  await expect(failing.text()).rejects.toThrow('broken');
  expect(endedCount).toBe(3);
});

it('planted fault: a gate that lets everything pass would be seen', () => {
  let sentCount = 0;
  const gate = new UpdateGate(() => {
    sentCount += 1;
  });
  for (let each = 0; each < 1_000; each += 1) {
    gate.tell('a');
    gate.taken();
  }
  expect(sentCount).toBe(1_000);
});
