import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { isAllowed, type Request, type User } from './access.ts';
import type { Certificate } from './certificate.ts';
import { ApiError, type ClusterState } from './cluster-state.ts';
import { at, isObject, type KubernetesObject, objectAt, textAt } from './json.ts';
import { apply, jsonPatch, mergePatch, strategicMerge } from './patches.ts';
import { decodeObject, isProtobuf } from './protobuf.ts';
import { discovery, groupOf, resourceOf } from './resources.ts';
import { selectionOf, type Target, targetOf } from './target.ts';
import { watch } from './watch.ts';

/** What only the machine of a pod can do. */
export interface PodStreams {
  log(pod: KubernetesObject, query: URLSearchParams): string;
  /** Takes the connection of `pods/exec` and `pods/portforward`. */
  connect(
    pod: KubernetesObject,
    subresource: string,
    upgrade: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
  ): void;
}

export interface ApiServer {
  readonly url: string;
  readonly port: number;
  /** Method, path and query of every request. */
  readonly requests: readonly string[];
  /** What the Roles did not allow, in the server's words. */
  readonly denials: readonly string[];
  close(): Promise<void>;
}

/** An API server as far as helm, kubectl and the programs of this project use one: discovery, objects, watches, patches, RBAC. */
export async function startApiServer(options: {
  readonly state: ClusterState;
  readonly certificate: Certificate;
  readonly userOf: (token: string) => User | undefined;
  readonly streams: PodStreams;
}): Promise<ApiServer> {
  const { state, certificate, userOf, streams } = options;
  const requests: string[] = [];
  const denials: string[] = [];
  /** What server-side apply needs to know: what each manager applied last, by the object's uid. */
  const applied = new Map<string, unknown>();

  const server = createServer({ key: certificate.key, cert: certificate.cert }, (request, response) => {
    void answer(request, response).catch((error: unknown) => {
      const status = statusOf(error);
      if (response.headersSent) response.destroy();
      else send(response, status.code, status);
    });
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => {});
    try {
      const { target, user } = admit(request, new URL(request.url ?? '/', 'https://server'), 'GET');
      if (target === undefined) throw new ApiError(404, 'NotFound', 'no such path');
      authorize(user, target, 'create');
      streams.connect(existing(target), target.subresource ?? '', { request, socket, head });
    } catch (error) {
      const status = statusOf(error);
      const body = JSON.stringify(status);
      socket.end(
        `HTTP/1.1 ${status.code} ${status.reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      );
    }
  });

  function admit(request: IncomingMessage, url: URL, method: string) {
    requests.push(`${method} ${url.pathname}${url.search}`);
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    const user = token === undefined ? undefined : userOf(token);
    if (user === undefined) throw new ApiError(401, 'Unauthorized', 'Unauthorized');
    return { target: targetOf(url.pathname), user };
  }

  function authorize(user: User, target: Target, verb: string): void {
    const group = groupOf(target.resource.groupVersion);
    const resource = [target.resource.plural, target.subresource].filter(Boolean).join('/');
    const { namespace, name } = target;
    if (isAllowed(state, user, { verb, group, resource, namespace, name })) return;
    const where = namespace === null ? 'at the cluster scope' : `in the namespace "${namespace}"`;
    const message = `${target.resource.plural} is forbidden: User "${user.name}" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`;
    denials.push(message);
    throw new ApiError(403, 'Forbidden', message);
  }

  function existing({ resource, namespace, name }: Target): KubernetesObject {
    const object = state.get(resource, namespace, name ?? '');
    if (object === undefined)
      throw new ApiError(404, 'NotFound', `${resource.plural} "${name ?? ''}" not found`);
    return object;
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'https://server');
    const method = request.method ?? 'GET';
    const { target, user } = admit(request, url, method);
    const query = url.searchParams;
    const found = discovery(url.pathname);
    if (found !== undefined) return send(response, 200, found);
    if (/^\/(?:healthz|livez|readyz)$/.test(url.pathname)) return void response.writeHead(200).end('ok');
    if (target === undefined)
      throw new ApiError(404, 'NotFound', 'the server could not find the requested resource');
    const isWatch = method === 'GET' && /^(?:true|1)$/.test(query.get('watch') ?? '');
    if (target.resource.plural !== 'selfsubjectaccessreviews')
      authorize(user, target, isWatch ? 'watch' : verbOf(method, target));
    if (isWatch) return watch(state, target, query, response);
    const isDryRun = query.get('dryRun') === 'All';
    const body = method === 'GET' ? undefined : await bodyOf(request);
    const part = target.subresource === 'status' ? 'status' : 'all';
    if (method === 'GET') {
      if (target.subresource === 'log')
        return void response
          .writeHead(200, { 'content-type': 'text/plain' })
          .end(streams.log(existing(target), query));
      return send(response, 200, target.name === null ? list(target, query) : existing(target));
    }
    if (method === 'POST') {
      const given = asObject(body);
      if (target.resource.plural === 'selfsubjectaccessreviews')
        return send(response, 201, review(given, user));
      return send(response, 201, state.create(given, target.namespace, isDryRun));
    }
    if (method === 'PUT')
      return send(response, 200, state.replace(existing(target), asObject(body), part, isDryRun));
    if (method === 'PATCH') {
      const type = (request.headers['content-type'] ?? '').split(';')[0] ?? '';
      return send(
        response,
        200,
        patch(target, type, body, { part, isDryRun, manager: query.get('fieldManager') ?? '' }),
      );
    }
    if (method === 'DELETE') {
      const doomed = target.name === null ? selected(target, query) : [existing(target)];
      if (!isDryRun) for (const object of doomed) state.delete(object);
      return send(response, 200, doomed[0] ?? { kind: 'Status', apiVersion: 'v1', status: 'Success' });
    }
    throw new ApiError(405, 'MethodNotAllowed', method);
  }

  const selected = ({ resource, namespace }: Target, query: URLSearchParams) =>
    state.list(resource, selectionOf(namespace, query));

  function list(target: Target, query: URLSearchParams): unknown {
    const { kind, groupVersion } = target.resource;
    const items = selected(target, query).map(({ kind: _, apiVersion: __, ...rest }) => rest);
    return {
      kind: `${kind}List`,
      apiVersion: groupVersion,
      metadata: { resourceVersion: state.version },
      items,
    };
  }

  function patch(
    target: Target,
    type: string,
    body: unknown,
    how: { readonly part: 'all' | 'status'; readonly isDryRun: boolean; readonly manager: string },
  ): KubernetesObject {
    if (type === 'application/apply-patch+yaml') {
      const given = asObject(body);
      const current = state.get(target.resource, target.namespace, target.name ?? '');
      const key = (object: KubernetesObject) => `${how.manager} ${object.metadata.uid}`;
      const result =
        current === undefined
          ? state.create(given, target.namespace, how.isDryRun)
          : state.replace(
              current,
              asObject(apply(current, applied.get(key(current)), given)),
              how.part,
              how.isDryRun,
            );
      if (!how.isDryRun) applied.set(key(result), given);
      return result;
    }
    const current = existing(target);
    const merge = {
      'application/merge-patch+json': mergePatch,
      'application/strategic-merge-patch+json': strategicMerge,
      'application/json-patch+json': jsonPatch,
    }[type];
    if (merge === undefined) throw new ApiError(415, 'UnsupportedMediaType', type);
    return state.replace(current, asObject(merge(current, body)), how.part, how.isDryRun);
  }

  function review(given: KubernetesObject, user: User): unknown {
    const asked = objectAt(given, 'spec', 'resourceAttributes');
    const subresource = textAt(asked, 'subresource');
    const request: Request = {
      verb: textAt(asked, 'verb') ?? '',
      group: textAt(asked, 'group') ?? '',
      resource: [textAt(asked, 'resource'), subresource].filter(Boolean).join('/'),
      namespace: textAt(asked, 'namespace') || null,
      name: textAt(asked, 'name') || null,
    };
    return { ...given, status: { allowed: isAllowed(state, user, request) } };
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the API server has no port');
  return {
    url: `https://127.0.0.1:${address.port}`,
    port: address.port,
    requests,
    denials,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function verbOf(method: string, { name }: Target): string {
  if (method === 'GET') return name === null ? 'list' : 'get';
  if (method === 'DELETE') return name === null ? 'deletecollection' : 'delete';
  return { POST: 'create', PUT: 'update', PATCH: 'patch' }[method] ?? method;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  if (body.length === 0) return undefined;
  if (isProtobuf(body)) return decodeObject(body);
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new ApiError(415, 'UnsupportedMediaType', `JSON expected, not ${request.headers['content-type']}`);
  }
}

function asObject(body: unknown): KubernetesObject {
  if (!isObject(body) || !isObject(body['metadata']))
    throw new ApiError(400, 'BadRequest', 'an object expected, as JSON or of a kind that protobuf.ts knows');
  const [version, kind] = [at(body, 'apiVersion'), at(body, 'kind')].map(String);
  if (resourceOf(version ?? '', kind ?? '') === undefined && kind !== 'SelfSubjectAccessReview')
    throw new ApiError(400, 'BadRequest', `no kind "${kind}" in version "${version}"`);
  return body as unknown as KubernetesObject;
}

function statusOf(error: unknown) {
  const { code, reason, message } =
    error instanceof ApiError ? error : new ApiError(500, 'InternalError', String(error));
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
}

function send(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
