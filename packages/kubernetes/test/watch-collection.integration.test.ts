import { readFileSync } from 'node:fs';
import { silentLogger } from '@k8s-gpu-mcp/core';
import { type FixedClock, fixedClock } from '@k8s-gpu-mcp/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createHttpApi } from '../src/http-api.ts';
import type { KubernetesObject } from '../src/kubernetes-api.ts';
import { watchCollection } from '../src/watch-collection.ts';
import type { WatchedCollection } from '../src/watched-collection.ts';
import {
  createFakeApiServer,
  type FakeApiServer,
  type FakeApiServerOptions,
} from './fake-api-server/index.ts';

const read = (name: string) => readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8');
const recorded: { type: string; object: KubernetesObject }[] = read('watch-stream-1.34.jsonl')
  .split('\n')
  .filter(Boolean)
  .map((line) => JSON.parse(line));
/** What `kubectl get pods` showed after the last event. */
const finalPods: KubernetesObject[] = JSON.parse(read('podlist-1.34.json')).items;

const pods = '/api/v1/namespaces/gpu/pods';
const pod = (name: string): KubernetesObject => ({ kind: 'Pod', apiVersion: 'v1', metadata: { name } });
let server: FakeApiServer;
let clock: FixedClock;
let collection: WatchedCollection;

async function begin(options: FakeApiServerOptions = {}): Promise<void> {
  server = await createFakeApiServer(options);
}
function follow(pageSize = 500): WatchedCollection {
  const api = createHttpApi({
    server: new URL(server.url),
    namespace: 'gpu',
    clock,
    authorize: async () => ({}),
  });
  collection = watchCollection(
    api,
    { path: pods, labelSelector: 'app=agent' },
    { clock, logger: silentLogger, random: () => 1, pageSize },
  );
  return collection;
}
const names = () => collection.items.map(({ metadata }) => metadata.name);
const agent = (name: string): KubernetesObject => ({
  ...pod(name),
  metadata: { name, labels: { app: 'agent' } },
});

function until(condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!condition()) return;
      stop();
      resolve();
    };
    const stop = collection.onChange(look);
    look();
  });
}
/** Moves the clock a little at a time, so that requests under way are not late before the server has had its turn. */
async function untilInTime(condition: () => boolean): Promise<void> {
  while (!condition()) {
    clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
const watching = () => server.until(({ openWatches }) => openWatches === 1);

beforeEach(() => {
  clock = fixedClock();
});
afterEach(async () => {
  collection.close();
  await server.close();
});

describe('the recorded replacement of a DaemonSet', () => {
  it.each([1, 2, 3, 7, 1_000, undefined])(
    'ends with the pods that kubectl showed, in pieces of %s bytes',
    async (size) => {
      await begin(size === undefined ? {} : { chunkBytes: size });
      const first = recorded.slice(0, 2).sort((a, b) => (versionOf(a) < versionOf(b) ? -1 : 1));
      for (const event of first) server.replay(pods, event);
      follow();
      await collection.settled(new AbortController().signal);
      expect(names()).toEqual(['agent-88d56', 'agent-nr5r6']);
      await watching();
      const seen = new Set<string>();
      collection.onChange(() => {
        for (const { metadata } of collection.items) seen.add(`${metadata.name} ${metadata.resourceVersion}`);
      });
      for (const event of recorded.slice(2)) server.replay(pods, event);
      await until(() => collection.items.some(({ metadata }) => metadata.resourceVersion === '429'));
      expect(collection.items.map(essence)).toEqual(finalPods.map(essence));
      // Every one of the 18 states on the way was seen; of the 2 that the first list had, those still there at the first event.
      const states = recorded.filter(({ type }) => type === 'ADDED' || type === 'MODIFIED');
      expect([...seen].sort()).toEqual(
        states
          .map(({ object: { metadata } }) => `${metadata.name} ${metadata.resourceVersion}`)
          .filter(
            (state) => seen.has(state) || !first.some((event) => state.endsWith(` ${versionOf(event)}`)),
          )
          .sort(),
      );
    },
  );

  it('would notice a lost event: without the last deletion the old pod stays', async () => {
    await begin({ chunkBytes: 7 });
    for (const event of recorded.slice(0, 2)) server.replay(pods, event);
    follow();
    await watching();
    for (const event of recorded.slice(2))
      if (!(event.type === 'DELETED' && event.object.metadata.name === 'agent-nr5r6'))
        server.replay(pods, event);
    await until(() => collection.items.some(({ metadata }) => metadata.resourceVersion === '429'));
    expect(names()).not.toEqual(finalPods.map(({ metadata }) => metadata.name));
  });
});

function versionOf({ object }: { readonly object: KubernetesObject }): string {
  return object.metadata.resourceVersion ?? '';
}

function essence(object: KubernetesObject) {
  const { name, namespace, uid, resourceVersion } = object.metadata;
  const status = object['status'] as Record<string, unknown>;
  return { name, namespace, uid, resourceVersion, podIP: status['podIP'], phase: status['phase'] };
}

describe('an API server that fails', () => {
  it('is listed again when it forgot our version, either way it says so', async () => {
    for (const expiredAs of ['status', 'event'] as const) {
      await begin({ expiredAs });
      server.put(pods, agent('a'), agent('gone'));
      follow();
      await watching();
      const stopWatching = server.inject({ kind: 'reset', on: 'watch' });
      server.closeWatches('reset');
      await until(() => collection.staleSince !== null);
      server.delete(pods, 'gone');
      server.put(pods, agent('new'));
      server.compact();
      stopWatching();
      expect(names()).toEqual(['a', 'gone']);
      await untilInTime(() => names().includes('new'));
      expect(names()).toEqual(['a', 'new']);
      expect([collection.staleSince, collection.problem]).toEqual([null, null]);
      if (expiredAs === 'status') {
        collection.close();
        await server.close();
      }
    }
  });

  it('is listed again when it ends the stream with 410', async () => {
    await begin();
    server.put(pods, agent('a'));
    follow();
    await watching();
    server.failWatches(410);
    await server.until(({ requests }) => requests.filter(({ verb }) => verb === 'list').length === 2);
    await watching();
    expect(collection.staleSince).toBeNull();
  });

  it('may forget the list between two pages', async () => {
    await begin();
    server.put(pods, agent('a'), agent('b'), agent('c'));
    follow(1);
    await server.until(({ requests }) => requests.length === 1);
    server.compact();
    await until(() => collection.items.length === 3);
    const lists = server.requests
      .filter(({ verb }) => verb === 'list')
      .map(({ query }) => query.get('limit'));
    expect(lists.at(-1)).toBeNull();
  });

  it('goes on at its bookmark after the end of a watch', async () => {
    await begin({ clock });
    server.put(pods, agent('a'));
    follow();
    await watching();
    server.put(pods, agent('b'));
    await until(() => names().includes('b'));
    server.put('/api/v1/nodes', pod('unrelated'));
    server.bookmark();
    clock.advance(120_000);
    await server.until(({ requests }) => requests.filter(({ verb }) => verb === 'watch').length === 2);
    expect(server.requests.at(-1)?.query.get('resourceVersion')).toBe(server.resourceVersion);
    expect(collection.staleSince).toBeNull();
  });

  it.each([
    [{ kind: 'status', status: 401 }, '(401)'],
    [{ kind: 'status', status: 403 }, '(403)'],
    [{ kind: 'status', status: 429, retryAfter: '3' }, '(429)'],
    [{ kind: 'status', status: 500 }, '(5xx)'],
    [{ kind: 'reset' }, 'cannot be reached'],
    [{ kind: 'body', body: '<html>' }, 'not its own'],
    [{ kind: 'redirect', location: 'http://127.0.0.1:1/' }, 'not its own'],
  ] as const)('keeps the last known set through %j, says why, and recovers', async (fault, words) => {
    await begin();
    server.put(pods, agent('a'));
    follow();
    await watching();
    const end = server.inject(fault);
    clock.advance(1_000);
    server.closeWatches('reset');
    await until(() => collection.staleSince !== null);
    await untilInTime(() => collection.problem?.includes(words) === true);
    expect(names()).toEqual(['a']);
    // A server that accepts the watch and then talks nonsense was there again for a moment.
    if (fault.kind !== 'body') expect(collection.staleSince).toBe('2026-01-01T00:00:01.000Z');
    end();
    server.put(pods, agent('b'));
    await untilInTime(() => names().includes('b'));
    expect([collection.staleSince, collection.problem]).toEqual([null, null]);
  });

  it('that takes connections and never answers is stale, too', async () => {
    await begin();
    const end = server.inject({ kind: 'dead' });
    follow();
    await server.until(({ requests }) => requests.length === 1);
    clock.advance(15_000);
    await collection.settled(new AbortController().signal);
    expect(collection.problem).toContain('not answer in time');
    end();
    server.put(pods, agent('a'));
    await untilInTime(() => names().includes('a'));
    expect(collection.staleSince).toBeNull();
  });
});
