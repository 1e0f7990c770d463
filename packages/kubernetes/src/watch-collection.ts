import type { Clock, Logger } from '@k8s-gpu-mcp/core';
import {
  type KubernetesApi,
  KubernetesError,
  type KubernetesErrorReason,
  type KubernetesObject,
  type ObjectPage,
  type ObjectQuery,
} from './kubernetes-api.ts';
import type { WatchedCollection } from './watched-collection.ts';

export interface WatchCollectionOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** What is kept of an object; memory is bounded by it. Default: all. Must keep the name and namespace. */
  readonly keep?: (object: KubernetesObject) => KubernetesObject;
  /** Of a list. Default 500. */
  readonly pageSize?: number;
  /** A list with more is not believed. Default 100 000. */
  readonly maximumObjects?: number;
  /** From 0 up to 1; default Math.random. */
  readonly random?: () => number;
}

const FIRST_DELAY_MILLISECONDS = 500;
const MAXIMUM_DELAY_MILLISECONDS = 30_000;
const MAXIMUM_RETRY_AFTER_MILLISECONDS = 300_000;
/** A watch that lasted this long worked, even if nothing happened. */
const STEADY_MILLISECONDS = 5_000;
const MAXIMUM_PAGES = 2_000;

/** After these the watch goes on where it was. After any other a new list tells what is true. */
const resumable: ReadonlySet<KubernetesErrorReason> = new Set([
  'unreachable',
  'timeout',
  'server-error',
  'too-many-requests',
]);

const problems: Readonly<Record<KubernetesErrorReason, string>> = {
  configuration: 'the credentials for the Kubernetes API cannot be had',
  unauthorized: 'the Kubernetes API does not accept the credentials (401)',
  forbidden: 'the credentials may not list and watch this (403): the role lacks the verbs list and watch',
  'not-found': 'the Kubernetes API does not have this kind of object (404)',
  expired: 'the Kubernetes API keeps calling versions expired that it gave (410)',
  'too-many-requests': 'the Kubernetes API is overloaded and asks to wait (429)',
  'server-error': 'the Kubernetes API fails (5xx)',
  unreachable: 'the Kubernetes API cannot be reached',
  timeout: 'the Kubernetes API does not answer in time',
  cancelled: 'the watch was cancelled',
  garbage: 'the Kubernetes API gives answers that are not its own',
};

/** Sorts by namespace, then name: no name has the character between them. */
const keyOf = ({ metadata }: KubernetesObject) => `${metadata.namespace ?? ''}\u0000${metadata.name}`;

/**
 * Keeps a collection current until closed: lists all pages, then watches from there. A 410, wherever it comes, lists again; other
 * failures are tried again after 0.5 to 30 s (doubling, with jitter, later if `Retry-After` says so) while `items` stays as last known.
 */
export function watchCollection(
  api: KubernetesApi,
  query: ObjectQuery,
  options: WatchCollectionOptions,
): WatchedCollection {
  const { clock, logger } = options;
  const keep = options.keep ?? ((object: KubernetesObject) => object);
  const random = options.random ?? Math.random;
  const maximumObjects = options.maximumObjects ?? 100_000;
  const closing = new AbortController();
  const listeners = new Set<() => void>();

  let objects = new Map<string, KubernetesObject>();
  let sorted: readonly KubernetesObject[] | null = null;
  let staleSince: string | null = null;
  let currentAt: string | null = null;
  let problem: string | null = null;
  let resumeFrom: string | null = null;
  /** A continue token expires in minutes: a server too slow for all pages within that is asked for one. */
  let isPaged = true;
  let failures = 0;
  let lastFailure: KubernetesErrorReason | null = null;
  let settle: () => void = () => {};
  const settled = new Promise<void>((resolve) => {
    settle = resolve;
  });

  const timestamp = () => new Date(clock.now()).toISOString();

  function changed(): void {
    sorted = null;
    for (const listener of listeners) {
      try {
        listener();
      } catch (error) {
        logger.error('a listener of a watched collection failed', { path: query.path, error: String(error) });
      }
    }
  }

  function isCurrent(hasChanged: boolean): void {
    currentAt = timestamp();
    const wasStale = staleSince !== null;
    if (wasStale) logger.info('the Kubernetes API answers again', { path: query.path, staleSince });
    staleSince = null;
    problem = null;
    if (hasChanged || wasStale) changed();
  }

  function isStale(reason: KubernetesErrorReason): void {
    if (staleSince !== null && problem === problems[reason]) return;
    staleSince ??= timestamp();
    problem = problems[reason];
    changed();
  }

  async function list(): Promise<string> {
    const listed = new Map<string, KubernetesObject>();
    let continueToken: string | null = null;
    let resourceVersion = '';
    for (let pages = 0; pages === 0 || continueToken !== null; pages += 1) {
      if (pages === MAXIMUM_PAGES) throw new KubernetesError('garbage', `a list of more than ${pages} pages`);
      const page: Parameters<KubernetesApi['list']>[1] = {
        ...(isPaged ? { limit: options.pageSize ?? 500 } : {}),
        ...(continueToken === null ? {} : { continueToken }),
      };
      const answer: ObjectPage = await api.list(query, page, closing.signal).catch((error: unknown) => {
        if (continueToken !== null && error instanceof KubernetesError && error.reason === 'expired')
          isPaged = false;
        throw error;
      });
      for (const item of answer.items) listed.set(keyOf(item), keep(item));
      if (listed.size > maximumObjects)
        throw new KubernetesError('garbage', `a list of more than ${maximumObjects} objects`);
      ({ resourceVersion, continueToken } = answer);
    }
    isPaged = true;
    objects = listed;
    isCurrent(true);
    return resourceVersion;
  }

  /** Says through `worked` that the server did its part, whatever ends the watch. */
  async function watch(from: string, worked: () => void): Promise<void> {
    resumeFrom = from;
    let openedAt: number | null = null;
    const opened = () => {
      openedAt = clock.now();
      isCurrent(false);
    };
    try {
      for await (const event of api.watch(query, from, closing.signal, opened)) {
        if (event.type === 'BOOKMARK') resumeFrom = event.resourceVersion;
        else apply(event.type, event.object);
        worked();
        isCurrent(event.type !== 'BOOKMARK');
      }
    } finally {
      if (openedAt !== null && clock.now() - openedAt >= STEADY_MILLISECONDS) worked();
    }
  }

  function apply(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubernetesObject): void {
    const key = keyOf(object);
    if (type === 'DELETED') objects.delete(key);
    else if (objects.size < maximumObjects || objects.has(key)) objects.set(key, keep(object));
    else throw new KubernetesError('garbage', `more than ${maximumObjects} objects`);
    resumeFrom = object.metadata.resourceVersion ?? resumeFrom;
  }

  /** Milliseconds until the next attempt. */
  function afterFailure(error: unknown): number {
    const reason = error instanceof KubernetesError ? error.reason : null;
    if (reason === null || !resumable.has(reason)) resumeFrom = null;
    failures += 1;
    // Versions expire when nothing is wrong; only one that expires again at once is a failure.
    const isExpiredOnce = reason === 'expired' && lastFailure !== 'expired';
    lastFailure = reason;
    if (isExpiredOnce) return 0;
    const asked = error instanceof KubernetesError ? (error.retryAfterMilliseconds ?? 0) : 0;
    const wait = Math.max(delay(failures - 1), Math.min(asked, MAXIMUM_RETRY_AFTER_MILLISECONDS));
    const fields = { path: query.path, failures, retryInMilliseconds: Math.round(wait) };
    if (reason !== null) logger.warn(problems[reason], { ...fields, detail: String(error) });
    else logger.error('a watched collection failed', { ...fields, error: stackOf(error) });
    isStale(reason ?? 'garbage');
    return wait;
  }

  /** Half of it fixed, half of it jitter, so that many gateways do not come back at the same moment. */
  function delay(step: number): number {
    const whole = Math.min(FIRST_DELAY_MILLISECONDS * 2 ** Math.min(step, 16), MAXIMUM_DELAY_MILLISECONDS);
    return whole / 2 + (random() * whole) / 2;
  }

  async function run(): Promise<void> {
    let endsAtOnce = 0;
    while (!closing.signal.aborted) {
      let wait = 0;
      let hasWorked = false;
      const worked = () => {
        hasWorked = true;
        failures = 0;
        lastFailure = null;
        endsAtOnce = 0;
      };
      try {
        const from: string = resumeFrom ?? (await list());
        settle();
        await watch(from, worked);
        // A server that ends every watch at once is not asked in a tight loop.
        if (!hasWorked) endsAtOnce += 1;
        if (endsAtOnce > 1) wait = delay(endsAtOnce - 2);
      } catch (error) {
        if (closing.signal.aborted) break;
        wait = afterFailure(error);
        if (wait > 0) settle();
      }
      await sleep(wait);
    }
    settle();
  }

  function sleep(milliseconds: number): Promise<void> {
    if (milliseconds === 0 || closing.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        cancel();
        closing.signal.removeEventListener('abort', done);
        resolve();
      };
      const cancel = clock.after(milliseconds, done);
      closing.signal.addEventListener('abort', done, { once: true });
    });
  }

  void run();
  return {
    get items() {
      sorted ??= [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
      return sorted;
    },
    get staleSince() {
      return staleSince;
    },
    get currentAt() {
      return currentAt;
    },
    get problem() {
      return problem;
    },
    settled(signal) {
      if (signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const done = () => {
          signal.removeEventListener('abort', done);
          resolve();
        };
        signal.addEventListener('abort', done, { once: true });
        void settled.then(done);
      });
    },
    onChange(listener) {
      // A function of its own, so that the same listener given twice is told twice.
      const own = () => listener();
      listeners.add(own);
      return () => listeners.delete(own);
    },
    close() {
      closing.abort();
      listeners.clear();
    },
  };
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
