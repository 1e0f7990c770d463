import { type Clock, type GpuError, isGpuError, silentLogger, systemClock } from '@k8s-gpu-mcp/core';
import { type FixedClock, fixedClock } from '@k8s-gpu-mcp/core/testing';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import {
  createKubernetesCluster,
  type KubernetesClusterLimits,
} from '../src/cluster/create-kubernetes-cluster.ts';
import { createHttpApi } from '../src/http-api.ts';
import { KubernetesError } from '../src/kubernetes-api.ts';
import { createFakeApiServer, type FakeApiServer } from './fake-api-server/index.ts';

const never = new AbortController().signal;
const podsPath = '/api/v1/namespaces/ml/pods';
const resourceClaims = (version: string) => `/apis/resource.k8s.io/${version}/namespaces/ml/resourceclaims`;

let server: FakeApiServer;
let clock: FixedClock;

const pod = (name: string, more: { node?: string } = {}) => ({
  kind: 'Pod',
  apiVersion: 'v1',
  metadata: {
    name,
    uid: `uid-${name}`,
  },
  spec: { nodeName: more.node ?? 'gpu-1', containers: [{ name: 'main' }] },
  status: { phase: 'Running' },
});

function connect(limits: Partial<KubernetesClusterLimits> = {}, time: Clock = clock) {
  const api = createHttpApi({
    server: new URL(server.url),
    namespace: 'ml',
    clock: time,
    authorize: async () => ({ headers: {} }),
  });
  return createKubernetesCluster(api, { clock: time, logger: silentLogger, limits });
}
async function rejection(promise: Promise<unknown>): Promise<GpuError> {
  const error = await promise.catch((thrown: unknown) => thrown);
  if (!isGpuError(error)) throw new Error(`expected a GpuError, not ${JSON.stringify(error)}`);
  return error;
}
const pathsAsked = () => server.requests.map(({ path }) => path);

beforeEach(async () => {
  clock = fixedClock();
  server = await createFakeApiServer();
});
afterEach(() => server.close());

describe('one object', () => {
  test('a node, a pod, and those that are not there', async () => {
    const cluster = connect();
    server.put('/api/v1/nodes', {
      metadata: { name: 'gpu-1' },
      status: { capacity: { 'nvidia.com/gpu': '8' }, allocatable: { 'nvidia.com/gpu': '8' } },
    });
    server.put(podsPath, pod('a'));
    expect(await cluster.node('gpu-1', never)).toMatchObject({
      object: { name: 'gpu-1', capacity: { 'nvidia.com/gpu': 8 } },
      gaps: [],
    });
    expect(await cluster.pod('ml', 'a', never)).toMatchObject({
      object: { namespace: 'ml', name: 'a', owner: null },
      gaps: [],
    });
    expect(await cluster.node('gpu-2', never)).toEqual({ object: null, gaps: [] });
    expect(await cluster.pod('ml', 'b', never)).toEqual({ object: null, gaps: [] });
  });

  it.each(['', '..', 'a/b', 'a?watch=1', 'a,spec.nodeName=b', '%2e%2e'])(
    'asks nothing for %j',
    async (name) => {
      const cluster = connect();
      const nothing = { items: [], isComplete: true, gaps: [] };
      expect(await cluster.node(name, never)).toEqual({ object: null, gaps: [] });
      expect(await cluster.pod(name, name, never)).toEqual({ object: null, gaps: [] });
      expect(await cluster.podsOnNode(name, never)).toEqual(nothing);
      expect(await cluster.pods(name, never)).toEqual(nothing);
      expect(await cluster.podsOfJob({ kind: 'Job', name: 'x', namespace: name }, never)).toEqual(nothing);
      expect(await cluster.events({ kind: 'Pod', namespace: 'ml', name, uid: null }, never)).toEqual(nothing);
      expect(await cluster.claims([name], never)).toEqual(nothing);
      expect(server.requests).toEqual([]);
    },
  );

  test('a malformed pod is a gap, not an absent pod', async () => {
    server.put(podsPath, { ...pod('a'), spec: { containers: 7 } });
    expect(await connect().pod('ml', 'a', never)).toMatchObject({
      object: null,
      gaps: [{ field: 'pod', reason: 'error' }],
    });
  });
});

describe('lists', () => {
  test('pages of all namespaces on one node, sorted', async () => {
    for (let index = 0; index < 1_201; index += 1) server.put(podsPath, pod(`p-${index}`));
    server.put('/api/v1/namespaces/a/pods', pod('z'), pod('y', { node: 'gpu-2' }));
    const read = await connect().podsOnNode('gpu-1', never);
    expect(read).toMatchObject({ isComplete: true, gaps: [] });
    expect(read.items).toHaveLength(1_202);
    expect(read.items?.slice(0, 2).map(({ namespace, name }) => `${namespace}/${name}`)).toEqual([
      'a/z',
      'ml/p-0',
    ]);
    expect(server.requests.map(({ query }) => query.get('fieldSelector'))).toEqual(
      Array(3).fill('spec.nodeName=gpu-1'),
    );
  });

  test('one that expires between its pages is begun anew, once', async () => {
    for (let index = 0; index < 700; index += 1) server.put(podsPath, pod(`p-${index}`));
    const expiring = server.until(({ requests }) => requests.length === 1).then(() => server.compact());
    const read = await connect().pods('ml', never);
    await expiring;
    expect(read).toMatchObject({ isComplete: true, gaps: [] });
    expect(read.items).toHaveLength(700);
    expect(server.requests.map(({ query }) => query.has('continue'))).toEqual([false, true, false, true]);
  });

  test('one that always expires is a gap after two attempts', async () => {
    server.inject({ kind: 'status', status: 410 });
    expect(await connect().pods('ml', never)).toMatchObject({
      items: null,
      isComplete: false,
      gaps: [{ field: 'pods', reason: 'error' }],
    });
    expect(server.requests).toHaveLength(2);
  });

  test('malformed pods are left out and counted', async () => {
    server.put(
      podsPath,
      pod('a'),
      { ...pod('b'), spec: { containers: [null] } },
      { ...pod('c'), status: 'x' },
    );
    const read = await connect().pods(null, never);
    expect(read.items?.map(({ name }) => name)).toEqual(['a', 'c']);
    expect(read.isComplete).toBe(false);
    expect(read.gaps).toMatchObject([
      { field: 'pods', reason: 'error', detail: expect.stringContaining('1 pods') },
    ]);
  });

  test('more than the limit is cut, and said to be', async () => {
    server.put(podsPath, pod('a'), pod('b'), pod('c'));
    const read = await connect({ pods: 2 }).pods(null, never);
    expect(read.items?.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(read).toMatchObject({ isComplete: false, gaps: [{ field: 'pods', reason: 'not-observable' }] });
    expect(await connect({ pods: 3 }).pods(null, never)).toMatchObject({ isComplete: true, gaps: [] });
  });

  test('pages without end are not read without end', async () => {
    const body = JSON.stringify({
      kind: 'PodList',
      metadata: { resourceVersion: '1', continue: 'more' },
      items: [],
    });
    server.inject({ kind: 'body', body });
    expect(await connect().pods(null, never)).toMatchObject({ items: null, gaps: [{ reason: 'error' }] });
    expect(server.requests).toHaveLength(400);
  });
});

describe('what cannot be read', () => {
  it.each([
    [401, 'no-permission', '401'],
    [403, 'no-permission', 'list pods in all namespaces'],
    [404, 'error', '404'],
    [500, 'error', '5xx'],
    [503, 'error', '5xx'],
  ])('%i is a gap of reason %s', async (status, reason, words) => {
    server.inject({ kind: 'status', status, message: 'said by the server' });
    const read = await connect().pods(null, never);
    expect(read).toMatchObject({ items: null, isComplete: false, gaps: [{ field: 'pods', reason }] });
    expect(read.gaps[0]?.detail).toContain(words);
    expect(JSON.stringify(read)).not.toContain('said by the server');
  });

  test('every method names the right that is missing', async () => {
    server.inject({ kind: 'status', status: 403 });
    const cluster = connect();
    const about = { kind: 'Node', namespace: null, name: 'n', uid: null };
    const readings = [
      await cluster.node('n', never),
      await cluster.podsOnNode('n', never),
      await cluster.pod('ml', 'p', never),
      await cluster.podsOfJob({ kind: 'Job', name: 'j', namespace: 'ml' }, never),
      await cluster.events(about, never),
      await cluster.claims(['ml'], never),
    ];
    expect(
      readings.map(({ gaps }) => gaps.map(({ reason, detail }) => `${reason} ${detail.split(':', 1)}`)),
    ).toEqual([
      ['no-permission cannot get nodes'],
      ['no-permission cannot list pods in all namespaces'],
      ['no-permission cannot get pods in namespace ml'],
      ['no-permission cannot list pods in namespace ml'],
      ['no-permission cannot list events in namespace default'],
      ['no-permission cannot list resourceclaims.resource.k8s.io in namespace ml'],
    ]);
  });

  it.each([
    ['{"kind":"PodList"', 'error'],
    ['<html>sign in</html>', 'error'],
    ['{"items":{}}', 'error'],
    ['[]', 'error'],
    ['', 'error'],
  ])('garbage %j is a gap', async (body, reason) => {
    server.inject({ kind: 'body', body });
    expect(await connect().pods(null, never)).toMatchObject({ items: null, gaps: [{ reason }] });
    expect(await connect().node('n', never)).toMatchObject({ object: null, gaps: [{ reason }] });
  });

  test('a connection that is cut is a gap', async () => {
    server.inject({ kind: 'reset' });
    expect(await connect().pods(null, never)).toMatchObject({ items: null, gaps: [{ reason: 'error' }] });
  });

  test('a page that fails leaves no half of a list', async () => {
    for (let index = 0; index < 700; index += 1) server.put(podsPath, pod(`p-${index}`));
    const failing = server
      .until(({ requests }) => requests.length === 1)
      .then(() => server.inject({ kind: 'status', status: 500 }));
    expect(await connect().pods('ml', never)).toMatchObject({ items: null, isComplete: false });
    await failing;
  });

  test('no answer in time is a gap of reason timeout', async () => {
    server.inject({ kind: 'dead' });
    const asked = server.until(({ requests }) => requests.length === 1).then(() => clock.advance(15_000));
    expect(await connect().pods(null, never)).toMatchObject({
      items: null,
      gaps: [{ field: 'pods', reason: 'timeout' }],
    });
    await asked;
  });

  it.each([
    ['CANCELLED', undefined],
    ['TIMEOUT', new DOMException('late', 'TimeoutError')],
  ])('rejects with %s when the caller gives up', async (code, reason) => {
    server.inject({ kind: 'dead' });
    const caller = new AbortController();
    const about = { kind: 'Node', namespace: null, name: 'n', uid: null };
    const cluster = connect();
    const asked = [
      cluster.node('n', caller.signal),
      cluster.pods(null, caller.signal),
      cluster.events(about, caller.signal),
      cluster.claims(['ml'], caller.signal),
      cluster.podsOfJob({ kind: 'Job', name: 'j', namespace: 'ml' }, caller.signal),
    ].map(rejection);
    await server.until(({ requests }) => requests.length === asked.length);
    caller.abort(reason);
    for (const error of await Promise.all(asked)) expect(error.code).toBe(code);
    expect((await rejection(cluster.pods(null, caller.signal))).code).toBe(code);
  });

  test('rejects with UNAVAILABLE when there are no credentials to ask with', async () => {
    const fail = async () => {
      throw new KubernetesError('configuration', 'no kubeconfig');
    };
    const api = createHttpApi({ server: new URL(server.url), namespace: 'ml', clock, authorize: fail });
    const cluster = createKubernetesCluster(api, { clock, logger: silentLogger });
    expect((await rejection(cluster.node('n', never))).code).toBe('UNAVAILABLE');
    expect((await rejection(cluster.pods(null, never))).code).toBe('UNAVAILABLE');
    expect((await rejection(cluster.claims(['ml'], never))).code).toBe('UNAVAILABLE');
  });
});

describe('an overloaded server', () => {
  const waits: number[] = [];
  /** The machine's clock, with waits of whole seconds below ten over at once. */
  const hasty: Clock = {
    now: systemClock.now,
    after(milliseconds, callback) {
      waits.push(milliseconds);
      return systemClock.after(milliseconds <= 3_000 ? 0 : milliseconds, callback);
    },
  };
  beforeEach(() => void waits.splice(0));

  test('is asked again after the time that it asks for, once', async () => {
    server.put(podsPath, pod('a'));
    server.inject({ kind: 'status', status: 429, retryAfter: '3', times: 1 });
    const read = await connect({}, hasty).pods(null, never);
    expect(read.items).toHaveLength(1);
    expect(waits).toContain(3_000);
    server.inject({ kind: 'status', status: 429, retryAfter: '3' });
    const before = server.requests.length;
    expect(await connect({}, hasty).pods(null, never)).toMatchObject({
      items: null,
      gaps: [{ reason: 'error' }],
    });
    expect(server.requests.length - before).toBe(2);
  });

  test('that asks for minutes is not waited for', async () => {
    server.inject({ kind: 'status', status: 429, retryAfter: '120' });
    expect(await connect({}, hasty).pods(null, never)).toMatchObject({
      items: null,
      gaps: [{ reason: 'error' }],
    });
    expect(server.requests).toHaveLength(1);
  });

  test('the wait ends with the caller', async () => {
    const caller = new AbortController();
    const waiting: Clock = {
      now: clock.now,
      after(milliseconds, callback) {
        const cancel = clock.after(milliseconds, callback);
        if (milliseconds === 3_000) caller.abort();
        return cancel;
      },
    };
    server.inject({ kind: 'status', status: 429, retryAfter: '3' });
    const late = await Promise.allSettled([connect({}, waiting).pods(null, caller.signal)]);
    expect(late).toMatchObject([{ status: 'rejected', reason: { code: 'CANCELLED' } }]);
    expect(server.requests).toHaveLength(1);
  });
});

describe('events', () => {
  const event = (name: string, about: object, lastTimestamp: string, more = {}) => ({
    metadata: { name },
    involvedObject: { kind: 'Pod', namespace: 'ml', name: 'a', ...about },
    reason: 'BackOff',
    lastTimestamp,
    ...more,
  });

  test('of one pod: not of another, of another kind, or of an earlier one of its name', async () => {
    server.put(
      '/api/v1/namespaces/ml/events',
      event('e1', { uid: 'u-1' }, '2026-11-21T01:00:00Z'),
      event('e2', { uid: 'u-1' }, '2026-11-21T03:00:00Z', { series: { count: 5 } }),
      event('e3', {}, '2026-11-21T02:00:00Z', { count: 4 }),
      event('e4', { uid: 'u-0' }, '2026-11-21T04:00:00Z'),
      event('e5', { name: 'b' }, '2026-11-21T04:00:00Z'),
      event('e6', { kind: 'Job' }, '2026-11-21T04:00:00Z'),
    );
    const about = { kind: 'Pod', namespace: 'ml', name: 'a', uid: 'u-1' };
    const read = await connect().events(about, never);
    expect(read).toMatchObject({ isComplete: true, gaps: [] });
    expect(read.items?.map(({ lastAt, count }) => [lastAt, count])).toEqual([
      ['2026-11-21T03:00:00Z', 5],
      ['2026-11-21T02:00:00Z', 4],
      ['2026-11-21T01:00:00Z', 1],
    ]);
    expect((await connect().events({ ...about, uid: null }, never)).items).toHaveLength(4);
  });

  test('of a node: in the namespace default, whatever uid their reporter gave', async () => {
    server.put(
      '/api/v1/namespaces/default/events',
      event('e1', { kind: 'Node', name: 'gpu-1', uid: 'gpu-1' }, '2026-11-21T01:00:00Z'),
      event('e2', { kind: 'Node', name: 'gpu-1', uid: 'n-1' }, '2026-11-21T02:00:00Z'),
    );
    const read = await connect().events({ kind: 'Node', namespace: null, name: 'gpu-1', uid: 'n-1' }, never);
    expect(read.items).toHaveLength(2);
  });
});

describe('claims', () => {
  const claim = (name: string) => ({ metadata: { name, uid: `c-${name}` }, status: {} });

  it.each([
    ['v1', []],
    ['v1beta2', ['v1']],
    ['v1beta1', ['v1', 'v1beta2']],
  ])('in %s, remembered for the next question', async (version, missing) => {
    for (const each of missing) server.inject({ kind: 'status', status: 404, path: resourceClaims(each) });
    server.put(resourceClaims(version), claim('b'), claim('a'));
    const cluster = connect();
    const read = await cluster.claims(['ml', 'other', 'ml'], never);
    expect(read).toMatchObject({ isComplete: true, gaps: [], items: [{ name: 'a' }, { name: 'b' }] });
    const asked = server.requests.length;
    expect(asked).toBe(missing.length + 2);
    await cluster.claims(['ml'], never);
    expect(server.requests.length).toBe(asked + 1);
  });

  test('none at all without Dynamic Resource Allocation, asked for once a minute', async () => {
    server.inject({ kind: 'status', status: 404 });
    const cluster = connect();
    const nothing = { items: [], isComplete: true, gaps: [] };
    expect(await cluster.claims(['ml', 'other'], never)).toEqual(nothing);
    expect(await cluster.claims(['ml'], never)).toEqual(nothing);
    expect(server.requests).toHaveLength(3);
    clock.advance(60_000);
    await cluster.claims(['ml'], never);
    expect(server.requests).toHaveLength(6);
  });

  test('one namespace that may not be read leaves the others, and a gap', async () => {
    server.put(resourceClaims('v1'), claim('a'));
    server.inject({
      kind: 'status',
      status: 403,
      path: '/apis/resource.k8s.io/v1/namespaces/secret/resourceclaims',
    });
    const cluster = connect();
    expect(await cluster.claims(['secret', 'ml'], never)).toMatchObject({
      items: [{ name: 'a' }],
      isComplete: false,
      gaps: [{ field: 'claims', reason: 'no-permission' }],
    });
    expect(await cluster.claims(['secret'], never)).toMatchObject({ items: null, isComplete: false });
  });
});

test('planted fault: a cluster that asks without a field selector would be seen', async () => {
  server.put(podsPath, pod('a'), pod('b', { node: 'gpu-2' }));
  const cluster = connect();
  expect(await cluster.podsOnNode('gpu-1', never)).not.toEqual(await cluster.pods(null, never));
  expect(pathsAsked()).toEqual(['/api/v1/pods', '/api/v1/pods']);
});
