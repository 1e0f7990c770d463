import type { IncomingMessage } from 'node:http';
import type { Clock } from '@k8s-gpu-mcp/core';
import { type Authorize, createGuard, type Guard, readBody, sendGet } from './http-request.ts';
import { createLineSplitter, LineError } from './json-lines.ts';
import {
  type KubernetesApi,
  KubernetesError,
  type KubernetesObject,
  type ObjectPage,
  type ObjectQuery,
  type WatchEvent,
} from './kubernetes-api.ts';
import { isRecord, readObject } from './read-object.ts';
import { errorForStatus, readRetryAfter } from './status.ts';

export interface HttpApiLimits {
  /** For one object or page, and until a watch is accepted. Default 15 000 ms. */
  readonly requestTimeoutMilliseconds: number;
  /** After which the server is asked to end a watch. Default 120 s. */
  readonly watchTimeoutSeconds: number;
  /** How long a watch may be silent beyond that. Default 15 000 ms. */
  readonly watchGraceMilliseconds: number;
  /** Of a page. Default 64 MiB. */
  readonly maximumPageBytes: number;
  /** Of one object and one line of a watch. Default 4 MiB; etcd takes 1.5 MiB. */
  readonly maximumObjectBytes: number;
}

const defaultLimits: HttpApiLimits = {
  requestTimeoutMilliseconds: 15_000,
  watchTimeoutSeconds: 120,
  watchGraceMilliseconds: 15_000,
  maximumPageBytes: 64 * 1_024 * 1_024,
  maximumObjectBytes: 4 * 1_024 * 1_024,
};

export interface HttpApiOptions {
  /** Of the API server; may have a path, as proxies of several clusters do. */
  readonly server: URL;
  readonly namespace: string;
  readonly authorize: Authorize;
  readonly clock: Clock;
  readonly limits?: Partial<HttpApiLimits>;
}

const MAXIMUM_ERROR_BYTES = 64 * 1_024;
const MAXIMUM_TOKEN_CHARACTERS = 64 * 1_024;

/** Names come from people: none of them may lead to another path. A `%` hides nothing but what `encodeURIComponent` makes of a name. */
function assertPath(path: string): void {
  const isPlain = /^\/(?:api|apis)(?:\/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+$/.test(path);
  const climbs = path.split('/').some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment));
  if (!isPlain || climbs || /%(?:2f|5c|00)/i.test(path))
    throw new KubernetesError(
      'not-found',
      'no such path in an API server: a name has characters that no name has',
    );
}

function parseJson(text: string, task: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KubernetesError('garbage', `cannot ${task}: the answer is not JSON`, { cause });
  }
}

function readVersion(metadata: unknown, task: string): string {
  const version = isRecord(metadata) ? metadata['resourceVersion'] : undefined;
  if (typeof version === 'string' && version !== '' && version.length <= MAXIMUM_TOKEN_CHARACTERS)
    return version;
  throw new KubernetesError('garbage', `cannot ${task}: the answer has no resourceVersion`);
}

function readPage(value: unknown, task: string): ObjectPage {
  if (!isRecord(value) || !(Array.isArray(value['items']) || value['items'] === null))
    throw new KubernetesError('garbage', `cannot ${task}: the answer is not a list`);
  const { apiVersion, kind, metadata } = value;
  const defaults = {
    ...(typeof apiVersion === 'string' ? { apiVersion } : {}),
    ...(typeof kind === 'string' && kind.endsWith('List') ? { kind: kind.slice(0, -'List'.length) } : {}),
  };
  const items = (value['items'] ?? []) as unknown[];
  const token = isRecord(metadata) ? metadata['continue'] : undefined;
  if (typeof token === 'string' && token.length > MAXIMUM_TOKEN_CHARACTERS)
    throw new KubernetesError('garbage', `cannot ${task}: the continue token is too long`);
  return {
    items: items.map((item) => {
      const object = readObject(item, defaults);
      if (object === null) throw new KubernetesError('garbage', `cannot ${task}: an item has no name`);
      return object;
    }),
    resourceVersion: readVersion(metadata, task),
    continueToken: typeof token === 'string' && token !== '' ? token : null,
  };
}

/** @throws KubernetesError for an ERROR event and for what is no event. Null: a type of a later API, to be passed over. */
function readEvent(line: string, task: string): WatchEvent | null {
  const value = parseJson(line, task);
  if (!isRecord(value) || !isRecord(value['object']))
    throw new KubernetesError('garbage', `cannot ${task}: a line is not an event`);
  const { type, object } = value;
  if (type === 'ERROR') {
    const code = object['code'];
    throw errorForStatus(typeof code === 'number' ? code : 500, object, task);
  }
  if (type === 'BOOKMARK') return { type, resourceVersion: readVersion(object['metadata'], task) };
  if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED') return null;
  const read = readObject(object);
  if (read === null)
    throw new KubernetesError('garbage', `cannot ${task}: an event has an object without a name`);
  return { type, object: read };
}

function withQuery(query: ObjectQuery, more: Readonly<Record<string, string | undefined>>): string {
  const parameters = new URLSearchParams();
  const all = { labelSelector: query.labelSelector, fieldSelector: query.fieldSelector, ...more };
  for (const [name, value] of Object.entries(all)) if (value !== undefined) parameters.set(name, value);
  const text = parameters.toString();
  return text === '' ? query.path : `${query.path}?${text}`;
}

/** The API over HTTP(S): every answer bounded in size and time, nothing in it believed before it is read. */
export function createHttpApi(options: HttpApiOptions): KubernetesApi {
  const { server, clock, authorize } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const basePath = server.pathname.replace(/\/+$/, '');

  async function failWith(response: IncomingMessage, task: string): Promise<KubernetesError> {
    const status = response.statusCode ?? 0;
    const retryAfter = readRetryAfter(response.headers['retry-after'], clock.now());
    let body: unknown;
    try {
      body = JSON.parse((await readBody(response, MAXIMUM_ERROR_BYTES, task)).toString('utf8'));
    } catch {
      // The status says enough.
    }
    return errorForStatus(status, body, task, retryAfter);
  }

  /** A 200, or throws. One 401 is answered with fresh credentials: tokens rotate, and what made them may be cached. */
  async function open(pathAndQuery: string, task: string, guard: Guard): Promise<IncomingMessage> {
    for (const isRejected of [false, true]) {
      const request = await untilAborted(authorize({ isRejected }), guard.signal);
      const response = await sendGet(server, `${basePath}${pathAndQuery}`, request, guard.signal);
      if (response.statusCode === 200) return response;
      const error = await failWith(response, task);
      if (error.reason !== 'unauthorized' || isRejected) throw error;
    }
    throw new KubernetesError('unauthorized', `cannot ${task}`);
  }

  async function fetchJson(
    pathAndQuery: string,
    task: string,
    maximumBytes: number,
    signal: AbortSignal,
  ): Promise<unknown> {
    const guard = createGuard(signal, clock);
    try {
      guard.arm(limits.requestTimeoutMilliseconds);
      const response = await open(pathAndQuery, task, guard);
      return parseJson((await readBody(response, maximumBytes, task)).toString('utf8'), task);
    } catch (error) {
      throw guard.explain(error, task);
    } finally {
      guard.release();
    }
  }

  return {
    namespace: options.namespace,
    async get(path, signal): Promise<KubernetesObject> {
      assertPath(path);
      const task = `get ${path}`;
      const object = readObject(await fetchJson(path, task, limits.maximumObjectBytes, signal));
      if (object === null)
        throw new KubernetesError('garbage', `cannot ${task}: the answer is not an object`);
      return object;
    },
    async list(query, page, signal): Promise<ObjectPage> {
      assertPath(query.path);
      const task = `list ${query.path}`;
      const path = withQuery(query, { limit: page.limit?.toString(), continue: page.continueToken });
      return readPage(await fetchJson(path, task, limits.maximumPageBytes, signal), task);
    },
    async *watch(query, resourceVersion, signal, opened): AsyncGenerator<WatchEvent, void, undefined> {
      assertPath(query.path);
      const task = `watch ${query.path}`;
      const path = withQuery(query, {
        watch: 'true',
        resourceVersion,
        allowWatchBookmarks: 'true',
        timeoutSeconds: String(limits.watchTimeoutSeconds),
      });
      const silenceMilliseconds = limits.watchTimeoutSeconds * 1_000 + limits.watchGraceMilliseconds;
      const splitter = createLineSplitter(limits.maximumObjectBytes);
      const guard = createGuard(signal, clock);
      try {
        guard.arm(limits.requestTimeoutMilliseconds);
        const response = await open(path, task, guard);
        guard.arm(silenceMilliseconds);
        opened?.();
        for await (const chunk of response as AsyncIterable<Buffer>) {
          const lines = splitter.push(chunk);
          if (lines.length === 0) continue;
          // Only whole lines are news, and the time that our own reader takes is not the server's.
          guard.disarm();
          for (const line of lines) {
            const event = readEvent(line, task);
            if (event !== null) yield event;
          }
          guard.arm(silenceMilliseconds);
        }
        splitter.end();
      } catch (error) {
        if (error instanceof LineError)
          throw new KubernetesError('garbage', `cannot ${task}: ${error.message}`, { cause: error });
        throw guard.explain(error, task);
      } finally {
        guard.release();
      }
    },
  };
}

async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
