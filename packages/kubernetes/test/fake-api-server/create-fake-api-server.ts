import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { systemClock } from '@k8s-gpu-mcp/core';
import type { KubernetesObject } from '../../src/kubernetes-api.ts';
import type { FakeApiServer, FakeApiServerOptions, FakeRequest, Fault, Verb } from './fake-api-server.ts';
import {
  collectionOf,
  ObjectStore,
  parseResourcePath,
  type ResourcePath,
  type StoredEvent,
} from './object-store.ts';
import { matchesFields, matchesLabels } from './selectors.ts';

interface Watch {
  readonly path: ResourcePath;
  readonly request: FakeRequest;
  readonly response: ServerResponse;
  writing: Promise<void>;
}

const statusReasons: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  410: 'Expired',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
};

export function statusObject(code: number, message: string): Readonly<Record<string, unknown>> {
  const reason = statusReasons[code] ?? 'Unknown';
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}

/** Resolves when more can be written, or nothing can be any more. */
function roomIn(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}

/** A real HTTP server that does what a Kubernetes API server does when it is asked to get, list and watch, and what it does when it fails. */
export async function createFakeApiServer(options: FakeApiServerOptions = {}): Promise<FakeApiServer> {
  const clock = options.clock ?? systemClock;
  const store = new ObjectStore();
  const requests: FakeRequest[] = [];
  const watches = new Set<Watch>();
  const sockets = new Set<Socket>();
  const cancels = new Set<() => void>();
  const continuations = new Map<string, { readonly rest: KubernetesObject[]; readonly version: string }>();
  const faults: { readonly fault: Fault; left: number }[] = [];
  const waiting = new Set<() => void>();
  let token = options.token;
  let connections = 0;

  const http = options.tls ? createTlsServer(options.tls, answer) : createServer(answer);
  http.on('connection', (socket: Socket) => {
    sockets.add(socket);
    connections += 1;
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  http.on('tlsClientError', () => {});
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    http.listen(options.port ?? 0, options.address ?? '127.0.0.1', resolve);
  });
  const { address, port } = http.address() as AddressInfo;
  const url = `${options.tls ? 'https' : 'http'}://${address.includes(':') ? `[${address}]` : address}:${port}`;

  const happened = () => {
    for (const look of [...waiting]) look();
  };

  function after(milliseconds: number, callback: () => void): () => void {
    const cancel = clock.after(milliseconds, () => {
      cancels.delete(cancel);
      callback();
    });
    cancels.add(cancel);
    return cancel;
  }

  function sendJson(response: ServerResponse, status: number, body: unknown, headers = {}): void {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  }

  function answer(incoming: IncomingMessage, response: ServerResponse): void {
    response.on('error', () => {});
    const { pathname, searchParams: query } = new URL(incoming.url ?? '/', 'http://server');
    const path = parseResourcePath(pathname);
    const isWatch = ['true', '1'].includes(query.get('watch') ?? '');
    const verb: Verb = isWatch ? 'watch' : path?.name ? 'get' : 'list';
    const request: FakeRequest = { verb, path: pathname, query, headers: incoming.headers };
    requests.push(request);
    const normal = () => {
      if (token !== undefined && incoming.headers.authorization !== `Bearer ${token}`)
        sendJson(response, 401, statusObject(401, 'Unauthorized'));
      else if (path === null || incoming.method !== 'GET')
        sendJson(response, 404, statusObject(404, 'the server could not find the requested resource'));
      else if (verb === 'get') get(path, response);
      else if (verb === 'list') list(path, request, response);
      else watch(path, request, response);
    };
    const fault = takeFault(request);
    if (fault) fail(fault, incoming, response, normal);
    else normal();
    happened();
  }

  function takeFault(request: FakeRequest): Fault | undefined {
    const found = faults.find(({ fault, left }) => {
      const verbs = fault.on === undefined ? null : [fault.on].flat();
      return (
        left > 0 && (verbs?.includes(request.verb) ?? true) && (fault.path ?? request.path) === request.path
      );
    });
    if (found) found.left -= 1;
    return found?.fault;
  }

  function fail(fault: Fault, incoming: IncomingMessage, response: ServerResponse, normal: () => void): void {
    if (fault.kind === 'status') {
      const headers = fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter };
      sendJson(response, fault.status, statusObject(fault.status, fault.message ?? 'planted'), headers);
    } else if (fault.kind === 'slow') after(fault.milliseconds, normal);
    else if (fault.kind === 'reset') incoming.socket.destroy();
    else if (fault.kind === 'redirect') response.writeHead(307, { location: fault.location }).end();
    else if (fault.kind === 'body')
      response.writeHead(200, { 'content-type': 'application/json' }).end(fault.body);
    else if (fault.kind === 'cut') {
      response.writeHead(200, { 'content-length': String(Buffer.byteLength(fault.body)) });
      response.write(fault.body.slice(0, Math.ceil(fault.body.length / 2)), () => incoming.socket.destroy());
    }
  }

  function isSeen(object: KubernetesObject, path: ResourcePath, query: URLSearchParams): boolean {
    const labels = query.get('labelSelector');
    const fields = query.get('fieldSelector');
    return (
      (path.namespace === null || object.metadata.namespace === path.namespace) &&
      (labels === null || matchesLabels(object, labels)) &&
      (fields === null || matchesFields(object, fields))
    );
  }

  function get(path: ResourcePath, response: ServerResponse): void {
    const object = store
      .all(collectionOf(path))
      .find(({ metadata }) => metadata.name === path.name && (metadata.namespace ?? null) === path.namespace);
    if (object) sendJson(response, 200, object);
    else sendJson(response, 404, statusObject(404, `${path.resource} "${path.name}" not found`));
  }

  function list(path: ResourcePath, { query }: FakeRequest, response: ServerResponse): void {
    const given = query.get('continue');
    const known = given === null ? undefined : continuations.get(given);
    if (given !== null && known === undefined) {
      const message = 'The provided continue parameter is too old to display a consistent list result.';
      sendJson(response, 410, statusObject(410, message));
      return;
    }
    const seen = known?.rest ?? store.all(collectionOf(path)).filter((object) => isSeen(object, path, query));
    const version = known?.version ?? String(store.version);
    const limit = Number(query.get('limit') ?? 0) || seen.length;
    const rest = seen.slice(limit);
    const next = rest.length > 0 ? randomUUID() : undefined;
    if (next !== undefined) continuations.set(next, { rest, version });
    const first = seen[0];
    // Items of a list carry neither kind nor apiVersion: the list says them once.
    sendJson(response, 200, {
      kind: `${first?.kind ?? 'Object'}List`,
      apiVersion: first?.apiVersion ?? 'v1',
      metadata: {
        resourceVersion: version,
        ...(next === undefined ? {} : { continue: next, remainingItemCount: rest.length }),
      },
      items: seen.slice(0, limit).map(({ kind, apiVersion, ...item }) => item),
    });
  }

  function watch(path: ResourcePath, request: FakeRequest, response: ServerResponse): void {
    const from = Number(request.query.get('resourceVersion') ?? 0);
    const expired = statusObject(410, `too old resource version: ${from} (${store.version})`);
    const isExpired = from > 0 && from < store.compactedVersion;
    if (isExpired && options.expiredAs !== 'event') {
      sendJson(response, 410, expired);
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const opened: Watch = { path, request, response, writing: Promise.resolve() };
    if (isExpired) {
      write(opened, { type: 'ERROR', object: expired });
      end(opened);
      return;
    }
    watches.add(opened);
    response.on('close', () => {
      watches.delete(opened);
      happened();
    });
    if (from === 0)
      for (const object of store
        .all(collectionOf(path))
        .filter((object) => isSeen(object, path, request.query)))
        write(opened, { type: 'ADDED', object });
    else for (const event of store.since(collectionOf(path), from)) tell(opened, event);
    const seconds = Number(request.query.get('timeoutSeconds') ?? 0);
    if (seconds > 0)
      response.on(
        'close',
        after(seconds * 1_000, () => end(opened)),
      );
  }

  /** An object that a selector sees no longer is DELETED for that watch, one it sees newly is ADDED. */
  function tell(to: Watch, event: StoredEvent): void {
    if (event.collection !== collectionOf(to.path)) return;
    const was = event.before !== null && isSeen(event.before, to.path, to.request.query);
    const is = event.type !== 'DELETED' && isSeen(event.object, to.path, to.request.query);
    if (was || is) write(to, { type: is ? (was ? 'MODIFIED' : 'ADDED') : 'DELETED', object: event.object });
  }

  function write(to: Watch, event: { readonly type: string; readonly object: unknown }): void {
    writeText(to, `${JSON.stringify(event)}\n`);
  }

  function writeText(to: Watch, text: string): void {
    const bytes = Buffer.from(text);
    const size = options.chunkBytes ?? bytes.length;
    to.writing = to.writing.then(async () => {
      for (let at = 0; at < bytes.length && !to.response.destroyed; at += size) {
        if (!to.response.write(bytes.subarray(at, at + size))) await roomIn(to.response);
      }
    });
  }

  function end(to: Watch): void {
    watches.delete(to);
    to.writing = to.writing.then(() => {
      to.response.end();
    });
  }

  function tellAll(event: StoredEvent | null): void {
    if (event) for (const open of watches) tell(open, event);
  }

  function pathOf(collection: string): ResourcePath {
    const path = parseResourcePath(collection);
    if (path === null || path.name !== null) throw new Error(`not the path of a collection: ${collection}`);
    return path;
  }

  const server: FakeApiServer = {
    url,
    requests,
    get openWatches() {
      return watches.size;
    },
    get connections() {
      return connections;
    },
    get resourceVersion() {
      return String(store.version);
    },
    put(collection, ...objects) {
      for (const object of objects) tellAll(store.put(pathOf(collection), object));
    },
    delete(collection, name) {
      tellAll(store.delete(pathOf(collection), name));
    },
    replay(collection, { type, object }) {
      if (type === 'BOOKMARK') {
        for (const open of watches) write(open, { type, object });
        return;
      }
      const recorded = object as KubernetesObject;
      if (type === 'DELETED') tellAll(store.delete(pathOf(collection), recorded.metadata.name, recorded));
      else tellAll(store.put(pathOf(collection), recorded));
    },
    bookmark() {
      const object = { kind: 'Object', metadata: { resourceVersion: String(store.version) } };
      for (const open of watches)
        if (open.request.query.get('allowWatchBookmarks') === 'true')
          write(open, { type: 'BOOKMARK', object });
    },
    compact() {
      store.compact();
      continuations.clear();
    },
    failWatches(code = 410) {
      for (const open of [...watches]) {
        write(open, { type: 'ERROR', object: statusObject(code, 'planted') });
        end(open);
      }
    },
    closeWatches(how) {
      for (const open of [...watches])
        if (how === 'end') end(open);
        else open.response.socket?.destroy();
    },
    writeToWatches(text) {
      for (const open of watches) writeText(open, text);
    },
    inject(fault) {
      const entry = { fault, left: fault.times ?? Number.POSITIVE_INFINITY };
      faults.push(entry);
      return () => {
        entry.left = 0;
      };
    },
    onTlsSocket(listener) {
      http.on('secureConnection', listener);
    },
    setToken(next) {
      token = next;
    },
    until(condition) {
      return new Promise((resolve) => {
        const look = () => {
          if (!condition(server)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      });
    },
    kubeconfig: (user) =>
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'fake',
        clusters: [{ name: 'fake', cluster: { server: url } }],
        users: user === undefined ? [] : [{ name: 'fake', user }],
        contexts: [
          { name: 'fake', context: { cluster: 'fake', namespace: 'gpu', ...(user && { user: 'fake' }) } },
        ],
      }),
    async close() {
      for (const cancel of cancels) cancel();
      const closed = new Promise<void>((resolve) => http.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return server;
}
