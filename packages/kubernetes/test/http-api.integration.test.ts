import { createServer } from 'node:net';
import { systemClock } from '@k8s-gpu-mcp/core';
import { type FixedClock, fixedClock } from '@k8s-gpu-mcp/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHttpApi, type HttpApiLimits } from '../src/http-api.ts';
import { type KubernetesApi, KubernetesError, type WatchEvent } from '../src/kubernetes-api.ts';
import {
  createFakeApiServer,
  type FakeApiServer,
  type FakeApiServerOptions,
} from './fake-api-server/index.ts';

const pods = '/api/v1/namespaces/gpu/pods';
const query = { path: pods };
const pod = (name: string, more = {}, labels = {}) => ({
  kind: 'Pod',
  apiVersion: 'v1',
  metadata: { name, labels },
  ...more,
});
const never = new AbortController().signal;

let server: FakeApiServer;
let clock: FixedClock;
let authorized: boolean[];

function connect(url: string, limits: Partial<HttpApiLimits> = {}): KubernetesApi {
  return createHttpApi({
    server: new URL(url),
    namespace: 'gpu',
    clock,
    limits,
    authorize: async ({ isRejected }) => {
      authorized.push(isRejected);
      return { headers: { authorization: isRejected ? 'Bearer fresh' : 'Bearer old' } };
    },
  });
}
async function begin(options: FakeApiServerOptions = {}): Promise<KubernetesApi> {
  await server.close();
  server = await createFakeApiServer(options);
  return connect(server.url);
}
async function failure(promise: Promise<unknown>): Promise<KubernetesError> {
  const error = await promise.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(KubernetesError);
  return error as KubernetesError;
}
async function collect(events: AsyncIterable<WatchEvent>, into: WatchEvent[] = []): Promise<WatchEvent[]> {
  for await (const event of events) into.push(event);
  return into;
}
const watchOpen = () => server.until(({ openWatches }) => openWatches === 1);
/** Resolves when `opened` was called, so that the clock may move without the request being late. */
function opening() {
  let opened = () => {};
  const isOpen = new Promise<void>((resolve) => {
    opened = resolve;
  });
  return { opened: () => opened(), isOpen };
}

beforeEach(async () => {
  clock = fixedClock();
  authorized = [];
  server = await createFakeApiServer();
});
afterEach(() => server.close());

describe('get and list', () => {
  it('gets an object, and pages of a list with the kind that the list says once', async () => {
    const api = connect(server.url);
    server.put(pods, pod('b'), pod('a'), pod('c'));
    expect(await api.get(`${pods}/a`, never)).toMatchObject({ kind: 'Pod', metadata: { namespace: 'gpu' } });
    const first = await api.list(query, { limit: 2 }, never);
    expect(first.items.map(({ kind, metadata }) => [kind, metadata.name])).toEqual([
      ['Pod', 'a'],
      ['Pod', 'b'],
    ]);
    const second = await api.list(query, { limit: 2, continueToken: first.continueToken ?? '' }, never);
    expect(second.items.map(({ metadata }) => metadata.name)).toEqual(['c']);
    expect([second.continueToken, second.resourceVersion]).toEqual([null, first.resourceVersion]);
  });

  it('selects by labels and fields, in one namespace and in all', async () => {
    const api = connect(server.url);
    server.put(
      pods,
      pod('a', { spec: { nodeName: 'n1' } }, { app: 'agent' }),
      pod('b', {}, { app: 'other' }),
    );
    server.put('/api/v1/namespaces/other/pods', pod('c', {}, { app: 'agent' }));
    const found = async (path: string, labelSelector: string, fieldSelector?: string) =>
      (await api.list({ path, labelSelector, ...(fieldSelector && { fieldSelector }) }, {}, never)).items.map(
        ({ metadata }) => metadata.name,
      );
    expect(await found(pods, 'app=agent')).toEqual(['a']);
    expect(await found('/api/v1/pods', 'app in (agent),!missing')).toEqual(['a', 'c']);
    expect(await found('/api/v1/pods', 'app!=agent')).toEqual(['b']);
    expect(await found('/api/v1/pods', 'app', 'spec.nodeName=n1')).toEqual(['a']);
  });

  it('keeps the path of a server behind a proxy', async () => {
    server.put(pods, pod('a'));
    const api = connect(`${server.url}/k8s/clusters/c-1/`);
    expect((await failure(api.get(`${pods}/a`, never))).reason).toBe('not-found');
    expect(server.requests[0]?.path).toBe(`/k8s/clusters/c-1${pods}/a`);
  });

  it.each([
    '/api/v1/namespaces/gpu/pods/../secrets/x',
    '/api/v1/namespaces/gpu/pods/%2E%2e/secrets',
    '/api/v1/pods?watch=true',
    '/api/v1/pods#x',
    '/api/v1/pods/a%2Fb',
    '/metrics',
    '//evil.example/api/v1/pods',
    '/api/v1/pods\r\nx: y',
  ])('asks nothing for the path %j', async (path) => {
    expect((await failure(connect(server.url).get(path, never))).reason).toBe('not-found');
    expect(server.requests).toEqual([]);
  });

  it.each([
    [401, 'unauthorized'],
    [403, 'forbidden'],
    [404, 'not-found'],
    [410, 'expired'],
    [429, 'too-many-requests'],
    [500, 'server-error'],
    [503, 'server-error'],
  ])('%i is %s, for all three verbs', async (status, reason) => {
    const api = connect(server.url);
    server.inject({ kind: 'status', status, retryAfter: '7', message: 'said by the server' });
    for (const ask of [
      api.get(`${pods}/a`, never),
      api.list(query, {}, never),
      collect(api.watch(query, '1', never)),
    ])
      expect(await failure(ask)).toMatchObject({
        reason,
        status,
        retryAfterMilliseconds: 7_000,
        serverMessage: 'said by the server',
        message: expect.not.stringContaining('said by'),
      });
  });

  it('asks once more with fresh credentials after a 401', async () => {
    const api = await begin({ token: 'fresh' });
    server.put(pods, pod('a'));
    expect((await api.list(query, {}, never)).items).toHaveLength(1);
    expect(authorized).toEqual([false, true]);
    server.setToken('neither');
    expect((await failure(api.list(query, {}, never))).reason).toBe('unauthorized');
    expect(authorized).toEqual([false, true, false, true]);
  });

  it('follows no redirect: the credentials stay here', async () => {
    const other = await createFakeApiServer();
    server.inject({ kind: 'redirect', location: `${other.url}${pods}` });
    expect(await failure(connect(server.url).list(query, {}, never))).toMatchObject({
      reason: 'garbage',
      status: 307,
    });
    expect(other.requests).toEqual([]);
    await other.close();
  });

  it.each([
    ['HTML', '<html>Log in</html>'],
    ['a list without a version', '{"items":[]}'],
    ['no list', '{"metadata":{"resourceVersion":"1"}}'],
    ['an item without a name', '{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{}}]}'],
    ['nothing', ''],
    ['null', 'null'],
  ])('calls %s garbage', async (_, body) => {
    server.inject({ kind: 'body', body });
    expect((await failure(connect(server.url).list(query, {}, never))).reason).toBe('garbage');
  });

  it('stops reading a body over its limit', async () => {
    server.inject({ kind: 'body', body: ' '.repeat(100_000) });
    const error = await failure(connect(server.url, { maximumPageBytes: 10_000 }).list(query, {}, never));
    expect(error).toMatchObject({ reason: 'garbage', message: expect.stringContaining('larger than 10000') });
  });

  it('gives up a server that takes the request and never answers', async () => {
    server.inject({ kind: 'dead' });
    const ask = failure(connect(server.url).list(query, {}, never));
    await server.until(({ requests }) => requests.length === 1);
    clock.advance(15_000);
    expect((await ask).reason).toBe('timeout');
  });

  it('waits for a slow one', async () => {
    const api = await begin({ clock });
    server.inject({ kind: 'slow', milliseconds: 14_000 });
    const ask = api.list(query, {}, never);
    await server.until(({ requests }) => requests.length === 1);
    clock.advance(14_000);
    expect((await ask).items).toEqual([]);
  });

  it.each([{ kind: 'reset' }, { kind: 'cut', body: '{"items":[],"metadata":{}}' }] as const)(
    'cannot reach a server that does this: %j',
    async (fault) => {
      server.inject(fault);
      expect((await failure(connect(server.url).list(query, {}, never))).reason).toBe('unreachable');
    },
  );

  it('tells what is not HTTP from what is not there', async () => {
    const other = createServer((socket) => socket.resume().end('SSH-2.0-OpenSSH_9.2\r\n'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    expect((await failure(connect(`http://127.0.0.1:${port}`).list(query, {}, never))).reason).toBe(
      'garbage',
    );
    await new Promise((resolve) => other.close(resolve));
    expect(await failure(connect(`http://127.0.0.1:${port}`).list(query, {}, never))).toMatchObject({
      reason: 'unreachable',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('is cancelled by its signal, before and during', async () => {
    const api = connect(server.url);
    expect((await failure(api.list(query, {}, AbortSignal.abort()))).reason).toBe('cancelled');
    server.inject({ kind: 'dead' });
    const controller = new AbortController();
    const ask = failure(api.list(query, {}, controller.signal));
    await server.until(({ requests }) => requests.length === 1);
    controller.abort();
    expect((await ask).reason).toBe('cancelled');
  });
});

describe('watch', () => {
  it('says when it is open, then gives events, bookmarks and the end after timeoutSeconds', async () => {
    const api = await begin({ clock });
    const { opened, isOpen } = opening();
    let times = 0;
    const events = collect(
      api.watch({ ...query, labelSelector: 'app=agent' }, '1', never, () => {
        times += 1;
        opened();
      }),
    );
    await isOpen;
    const asked = server.requests[0]?.query;
    expect([asked?.get('allowWatchBookmarks'), asked?.get('timeoutSeconds')]).toEqual(['true', '120']);
    server.put(pods, pod('a', {}, { app: 'agent' }), pod('b', {}, { app: 'other' }));
    // No longer seen by the selector: for this watch it is gone.
    server.put(pods, pod('a', {}, { app: 'other' }));
    server.bookmark();
    clock.advance(120_000);
    expect((await events).map(({ type }) => type)).toEqual(['ADDED', 'DELETED', 'BOOKMARK']);
    expect((await events).at(-1)).toEqual({ type: 'BOOKMARK', resourceVersion: server.resourceVersion });
    expect(times).toBe(1);
  });

  it('is told of what happened since its version', async () => {
    const api = await begin({ clock });
    server.put(pods, pod('a'));
    const from = server.resourceVersion;
    server.put(pods, pod('b'));
    server.delete(pods, 'a');
    const { opened, isOpen } = opening();
    const events = collect(api.watch(query, from, never, opened));
    await isOpen;
    clock.advance(120_000);
    expect((await events).map(({ type }) => type)).toEqual(['ADDED', 'DELETED']);
  });

  it.each(['status', 'event'] as const)(
    'calls a forgotten version expired, told as %s',
    async (expiredAs) => {
      const api = await begin({ expiredAs });
      server.put(pods, pod('a'));
      server.compact();
      expect(await failure(collect(api.watch(query, '1', never)))).toMatchObject({
        reason: 'expired',
        status: 410,
      });
    },
  );

  it('reads an ERROR event in the middle of the stream', async () => {
    const api = connect(server.url);
    for (const [code, reason] of [
      [410, 'expired'],
      [500, 'server-error'],
      [403, 'forbidden'],
    ] as const) {
      const ask = failure(collect(api.watch(query, '1', never)));
      await watchOpen();
      server.failWatches(code);
      expect((await ask).reason).toBe(reason);
    }
  });

  it('gives up a stream that is silent for longer than it may be; half a line is silence', async () => {
    const ask = failure(
      collect(
        connect(server.url).watch(query, '1', never, () => {
          server.writeToWatches('{"type":"ADDED"');
          clock.advance(134_999);
          server.writeToWatches(',');
          clock.advance(1);
        }),
      ),
    );
    expect((await ask).reason).toBe('timeout');
  });

  it.each([
    ['a line that is not JSON', 'OK\n'],
    ['a line that is no event', '{"kind":"Pod"}\n'],
    ['an object without a name', '{"type":"ADDED","object":{"metadata":{}}}\n'],
    ['a bookmark without a version', '{"type":"BOOKMARK","object":{"metadata":{}}}\n'],
    ['a line too long', `{"type":"ADDED","object":"${'x'.repeat(2_000)}`],
  ])('calls %s garbage', async (_, text) => {
    const ask = failure(collect(connect(server.url, { maximumObjectBytes: 1_000 }).watch(query, '1', never)));
    await watchOpen();
    server.writeToWatches(text);
    expect((await ask).reason).toBe('garbage');
  });

  it('passes over a type of event that it does not know', async () => {
    const events = collect(connect(server.url).watch(query, '1', never));
    await watchOpen();
    server.writeToWatches('{"type":"LATER","object":{}}\n');
    server.put(pods, pod('a'));
    server.closeWatches('end');
    expect((await events).map(({ type }) => type)).toEqual(['ADDED']);
  });

  it('tells a cut stream from one that ended', async () => {
    const ask = failure(collect(connect(server.url).watch(query, '1', never)));
    await watchOpen();
    server.closeWatches('reset');
    expect((await ask).reason).toBe('unreachable');
  });

  it('lets go of the connection when its reader stops, and when its signal aborts', async () => {
    const api = connect(server.url);
    server.put(pods, pod('a'));
    for await (const event of api.watch(query, '1', never)) {
      expect(event.type).toBe('ADDED');
      break;
    }
    await server.until(({ openWatches }) => openWatches === 0);
    const controller = new AbortController();
    const ask = failure(collect(api.watch(query, '1', controller.signal)));
    await watchOpen();
    controller.abort();
    expect((await ask).reason).toBe('cancelled');
    await server.until(({ openWatches }) => openWatches === 0);
  });

  it('uses the real clock as well', async () => {
    const api = createHttpApi({
      server: new URL(server.url),
      namespace: 'gpu',
      clock: systemClock,
      authorize: async () => ({}),
      limits: { requestTimeoutMilliseconds: 20 },
    });
    server.inject({ kind: 'dead' });
    expect((await failure(api.list(query, {}, never))).reason).toBe('timeout');
  });
});
