import { type Logger, silentLogger } from '@k8s-gpu-mcp/core';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, it } from 'vitest';
import {
  type KubernetesApi,
  KubernetesError,
  type KubernetesErrorReason,
  type KubernetesObject,
  type ObjectPage,
  type WatchEvent,
} from './kubernetes-api.ts';
import { watchCollection } from './watch-collection.ts';

type WatchStep = (signal: AbortSignal, opened?: () => void) => AsyncIterable<WatchEvent>;

const pod = (name: string, resourceVersion = '1', namespace = 'gpu'): KubernetesObject => ({
  metadata: { name, namespace, resourceVersion },
});
const page = (
  items: KubernetesObject[],
  resourceVersion = '10',
  continueToken: string | null = null,
): ObjectPage => ({
  items,
  resourceVersion,
  continueToken,
});
const error = (reason: KubernetesErrorReason, retryAfterMilliseconds?: number) =>
  new KubernetesError(reason, reason, { retryAfterMilliseconds });

/** Events, then the end: an error, a clean one, or none until the signal aborts. */
function stream(events: readonly WatchEvent[], end: KubernetesError | 'end' | 'open' = 'open'): WatchStep {
  return async function* (signal, opened) {
    opened?.();
    yield* events;
    if (end === 'open')
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(error('cancelled'))));
    if (end instanceof KubernetesError) throw end;
  };
}
const refused =
  (reason: KubernetesError): WatchStep =>
  () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(reason) }) });

/** An API that follows a script, then hangs. */
function scripted(lists: readonly (ObjectPage | KubernetesError)[], watches: readonly WatchStep[]) {
  const asked: string[] = [];
  let listed = 0;
  let watched = 0;
  const api: KubernetesApi = {
    namespace: 'gpu',
    get: () => Promise.reject(error('not-found')),
    async list(_query, { limit, continueToken }, signal) {
      asked.push(['list', continueToken, limit === undefined ? 'all' : ''].filter(Boolean).join(' '));
      const step = lists[listed++];
      if (step instanceof KubernetesError) throw step;
      return (
        step ?? new Promise((_, reject) => signal.addEventListener('abort', () => reject(error('cancelled'))))
      );
    },
    watch(_query, resourceVersion, signal, opened) {
      asked.push(`watch ${resourceVersion}`);
      return (watches[watched++] ?? stream([]))(signal, opened);
    },
  };
  return { api, asked };
}

/** Lets everything that waits for nothing but promises happen. */
const turns = async () => {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
};

function start(
  lists: readonly (ObjectPage | KubernetesError)[],
  watches: readonly WatchStep[] = [],
  more: Partial<Parameters<typeof watchCollection>[2]> = {},
) {
  const clock = fixedClock();
  const { api, asked } = scripted(lists, watches);
  const options = { clock, logger: silentLogger, random: () => 1, ...more };
  return { clock, asked, collection: watchCollection(api, { path: '/api/v1/pods' }, options) };
}
const names = ({ items }: { readonly items: readonly KubernetesObject[] }) =>
  items.map((item) => item.metadata.name);

describe('watchCollection', () => {
  it('lists all pages, then follows events and bookmarks', async () => {
    const { collection, asked } = start(
      [page([pod('b')], '10', 'next'), page([pod('a')], '10')],
      [
        stream(
          [
            { type: 'ADDED', object: pod('c', '11') },
            { type: 'DELETED', object: pod('a', '12') },
            { type: 'BOOKMARK', resourceVersion: '20' },
          ],
          'end',
        ),
      ],
    );
    await turns();
    expect(asked).toEqual(['list', 'list next', 'watch 10', 'watch 20']);
    expect(names(collection)).toEqual(['b', 'c']);
    expect([collection.staleSince, collection.problem]).toEqual([null, null]);
    expect(collection.currentAt).toBe('2026-01-01T00:00:00.000Z');
    collection.close();
  });

  it('orders by namespace, then name', async () => {
    const { collection } = start([page([pod('z', '1', 'a'), pod('b', '1', 'a-b'), pod('a', '1', 'a')])]);
    await turns();
    expect(names(collection)).toEqual(['a', 'z', 'b']);
    collection.close();
  });

  it('keeps only what it is told to keep', async () => {
    const keep = ({ metadata: { name, namespace } }: KubernetesObject): KubernetesObject => ({
      metadata: { name, namespace: namespace ?? '' },
    });
    const { collection } = start(
      [page([pod('a')])],
      [stream([{ type: 'ADDED', object: { ...pod('b'), spec: { big: 'x' } } }])],
      { keep },
    );
    await turns();
    expect(collection.items).toEqual([
      { metadata: { name: 'a', namespace: 'gpu' } },
      { metadata: { name: 'b', namespace: 'gpu' } },
    ]);
    collection.close();
  });

  it('lists again after a 410 in the stream, at once and without being stale, and drops what vanished', async () => {
    const { collection, asked } = start(
      [page([pod('a'), pod('gone')]), page([pod('a')], '30')],
      [stream([], error('expired'))],
    );
    await turns();
    expect(asked).toEqual(['list', 'watch 10', 'list', 'watch 30']);
    expect(names(collection)).toEqual(['a']);
    expect(collection.staleSince).toBeNull();
    collection.close();
  });

  it('waits when versions expire again and again, and says so', async () => {
    const { collection, asked, clock } = start(
      [page([]), page([]), page([])],
      [refused(error('expired')), refused(error('expired'))],
    );
    await turns();
    expect(asked).toEqual(['list', 'watch 10', 'list', 'watch 10']);
    expect(collection.problem).toContain('410');
    clock.advance(1_000);
    await turns();
    expect(asked).toHaveLength(6);
    expect(collection.problem).toBeNull();
    collection.close();
  });

  it('starts the list over after a 410 between pages, then without pages', async () => {
    const { collection, asked } = start([
      page([pod('a')], '10', 'next'),
      error('expired'),
      page([pod('b')], '12'),
    ]);
    await turns();
    expect(asked).toEqual(['list', 'list next', 'list all', 'watch 12']);
    expect(names(collection)).toEqual(['b']);
    collection.close();
  });

  it('goes on where it was after a lost connection, and stays stale until the server answers', async () => {
    const { collection, asked, clock } = start(
      [page([pod('a')])],
      [
        stream([{ type: 'ADDED', object: pod('b', '15') }], error('unreachable')),
        refused(error('unreachable')),
      ],
    );
    await turns();
    expect(collection.staleSince).toBe('2026-01-01T00:00:00.000Z');
    expect(collection.problem).toBe('the Kubernetes API cannot be reached');
    expect(names(collection)).toEqual(['a', 'b']);
    clock.advance(500);
    await turns();
    expect(collection.staleSince).toBe('2026-01-01T00:00:00.000Z');
    clock.advance(1_000);
    await turns();
    expect(asked).toEqual(['list', 'watch 10', 'watch 15', 'watch 15']);
    expect([collection.staleSince, collection.problem]).toEqual([null, null]);
    expect(collection.currentAt).toBe('2026-01-01T00:00:01.500Z');
    collection.close();
  });

  it('doubles its waits up to 30 s, and begins anew after a success', async () => {
    const failures = Array.from({ length: 9 }, () => error('unreachable'));
    const { collection, asked, clock } = start(
      [...failures, page([])],
      [stream([{ type: 'ADDED', object: pod('a') }], error('unreachable'))],
    );
    await turns();
    for (const wait of [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]) {
      const before = asked.length;
      clock.advance(wait - 1);
      await turns();
      expect(asked).toHaveLength(before);
      clock.advance(1);
      await turns();
      expect(asked.length).toBeGreaterThan(before);
    }
    expect(asked.slice(-2)).toEqual(['list', 'watch 10']);
    clock.advance(500);
    await turns();
    expect(asked.at(-1)).toBe('watch 1');
    collection.close();
  });

  it('spreads its waits over half of their length', async () => {
    const { collection, asked, clock } = start([error('unreachable')], [], { random: () => 0 });
    await turns();
    clock.advance(249);
    await turns();
    expect(asked).toHaveLength(1);
    clock.advance(1);
    await turns();
    expect(asked).toHaveLength(2);
    collection.close();
  });

  it('waits as long as Retry-After asks, five minutes at most', async () => {
    const { collection, asked, clock } = start([
      error('too-many-requests', 7_000),
      error('too-many-requests', 9_000_000),
    ]);
    await turns();
    clock.advance(6_999);
    await turns();
    expect(asked).toHaveLength(1);
    clock.advance(1);
    await turns();
    expect(asked).toHaveLength(2);
    clock.advance(300_000);
    await turns();
    expect(asked).toHaveLength(3);
    collection.close();
  });

  it.each<[KubernetesErrorReason, string]>([
    ['unauthorized', '401'],
    ['forbidden', 'lacks the verbs list and watch'],
    ['garbage', 'not its own'],
    ['configuration', 'cannot be had'],
  ])('says why and settles when the first list fails: %s', async (reason, words) => {
    const { collection } = start([error(reason)]);
    await collection.settled(new AbortController().signal);
    expect(collection.problem).toContain(words);
    expect(collection.currentAt).toBeNull();
    expect(collection.items).toEqual([]);
    collection.close();
  });

  it.each<KubernetesErrorReason>(['garbage', 'forbidden', 'unauthorized'])(
    'does not go on from where it was after %s',
    async (reason) => {
      const { collection, asked, clock } = start([page([]), page([], '40')], [stream([], error(reason))]);
      await turns();
      clock.advance(500);
      await turns();
      expect(asked).toEqual(['list', 'watch 10', 'list', 'watch 40']);
      collection.close();
    },
  );

  it('does not ask in a tight loop when every watch ends at once', async () => {
    const ends = Array.from({ length: 20 }, () => stream([], 'end'));
    const { collection, asked, clock } = start([page([])], ends);
    await turns();
    expect(asked).toEqual(['list', 'watch 10', 'watch 10']);
    clock.advance(500);
    await turns();
    expect(asked).toHaveLength(4);
    expect(collection.staleSince).toBeNull();
    collection.close();
  });

  it('does not believe a list without end', async () => {
    const { collection } = start([page([pod('a'), pod('b'), pod('c')])], [], { maximumObjects: 2 });
    await turns();
    expect(collection.problem).toContain('not its own');
    expect(collection.items).toEqual([]);
    collection.close();
  });

  it('tells listeners of changes, survives one that throws, and stops telling', async () => {
    const logged: string[] = [];
    const logger: Logger = { ...silentLogger, error: (message) => void logged.push(message) };
    const { collection } = start([page([pod('a')])], [], { logger });
    let told = 0;
    collection.onChange(() => {
      throw new Error('mine');
    });
    const stop = collection.onChange(() => {
      told += 1;
    });
    await turns();
    expect(told).toBe(1);
    expect(logged).toEqual(['a listener of a watched collection failed']);
    stop();
    collection.close();
  });

  it('survives a `keep` that throws on a strange object', async () => {
    const logged: string[] = [];
    const logger: Logger = { ...silentLogger, error: (message) => void logged.push(message) };
    const keep = (): KubernetesObject => {
      throw new TypeError('strange');
    };
    const { collection } = start([page([pod('a')])], [], { keep, logger });
    await collection.settled(new AbortController().signal);
    expect(collection.problem).not.toBeNull();
    expect(logged).toHaveLength(1);
    collection.close();
  });

  it('settles when the signal aborts, and asks nothing after close', async () => {
    const { collection, asked, clock } = start([]);
    await collection.settled(AbortSignal.abort());
    collection.close();
    await turns();
    clock.advance(1_000_000);
    await turns();
    expect(asked).toEqual(['list']);
    await collection.settled(new AbortController().signal);
  });
});
