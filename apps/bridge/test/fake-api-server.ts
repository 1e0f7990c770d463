import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type FakeExec, FakeExecs, type WebSocket } from './fake-exec.ts';

interface WebSocketServer {
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    opened: (webSocket: WebSocket) => void,
  ): void;
}
const ws = createRequire(import.meta.url)('ws') as {
  readonly WebSocketServer: new (options: object) => WebSocketServer;
};

export interface FakePod {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** On this machine; what the pod's port leads to. */
  readonly localPort: number;
  isReady: boolean;
  isTerminating?: boolean;
  readonly node?: string;
  /** The first one is named "gateway" by default. */
  readonly containers?: readonly string[];
  readonly exec?: FakeExec;
}
export interface FakeSecret {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly data: Record<string, string>;
}
export interface FakeService {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly selector: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly port?: Readonly<Record<string, string>>;
}

export interface FakeApiServer {
  readonly url: string;
  readonly services: FakeService[];
  readonly pods: FakePod[];
  readonly secrets: FakeSecret[];
  readonly execs: FakeExecs;
  /** Of the WebSocket, best first. A server before Kubernetes 1.30 lacks v5. */
  protocols: readonly string[];
  /** Given: every other bearer token is answered with 401. */
  acceptedToken: string | undefined;
  /** Method and path of every request. */
  readonly requests: string[];
  /** Status for every request whose path contains the text. */
  readonly refusals: Map<string, number>;
  /** Cuts every forward as a dying API server or network does. */
  killForwards(): void;
  openForwards(): number;
  close(): Promise<void>;
}

const containerPort = 8080;

/**
 * As much of an API server as finding a service and forwarding a port need: lists with label selectors, and the
 * WebSocket protocol v4.channel.k8s.io (a channel byte before each frame, 0 data and 1 error, opened with the port in two bytes).
 */
export async function startFakeApiServer(): Promise<FakeApiServer> {
  const services: FakeService[] = [];
  const pods: FakePod[] = [];
  const requests: string[] = [];
  const refusals = new Map<string, number>();
  const secrets: FakeSecret[] = [];
  const execs = new FakeExecs();
  const forwards = new Set<WebSocket>();
  const state: Pick<FakeApiServer, 'protocols' | 'acceptedToken'> = {
    protocols: ['v5.channel.k8s.io', 'v4.channel.k8s.io'],
    acceptedToken: undefined,
  };
  const refusalOf = (path: string, { headers }: IncomingMessage) =>
    state.acceptedToken !== undefined && headers.authorization !== `Bearer ${state.acceptedToken}`
      ? 401
      : [...refusals].find(([part]) => path.includes(part))?.[1];

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://fake');
    requests.push(`${request.method} ${url.pathname}`);
    const answer = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const refusal = refusalOf(url.pathname, request);
    if (refusal !== undefined) return answer(refusal, { kind: 'Status', code: refusal });
    const discovery = discoveries[url.pathname];
    if (discovery !== undefined) return answer(200, discovery);
    const [, namespace, kind, name] =
      /^\/api\/v1(?:\/namespaces\/([^/]+))?\/(services|pods|secrets)(?:\/([^/]+))?$/.exec(url.pathname) ?? [];
    const selector = (url.searchParams.get('labelSelector') ?? '').split(',').filter(Boolean);
    const [, node] = /^spec.nodeName=(.*)$/.exec(url.searchParams.get('fieldSelector') ?? '') ?? [];
    const all: readonly FakeObject[] =
      kind === 'pods'
        ? pods.filter((pod) => node === undefined || pod.node === node).map(podObject)
        : kind === 'secrets'
          ? secrets.map(secretObject)
          : services.map(serviceObject);
    const objects = all.filter(
      ({ metadata }) =>
        (namespace === undefined || metadata.namespace === namespace) &&
        (name === undefined || metadata.name === name) &&
        selector.every((each) => `${metadata.labels[each.split('=')[0] ?? '']}` === each.split('=')[1]),
    );
    if (kind === undefined || (name !== undefined && objects.length === 0)) return answer(404, {});
    return answer(200, name === undefined ? { kind: 'List', items: objects } : objects[0]);
  });
  const webSockets = new ws.WebSocketServer({
    noServer: true,
    handleProtocols: (offered: ReadonlySet<string>) =>
      state.protocols.find((protocol) => offered.has(protocol)) ?? false,
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const url = new URL(request.url ?? '/', 'http://fake');
    const [, namespace, name, verb] =
      /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)\/(portforward|exec)$/.exec(url.pathname) ?? [];
    requests.push(`${verb === 'exec' ? 'EXEC' : 'FORWARD'} ${url.pathname}`);
    const pod = pods.find((each) => each.namespace === namespace && each.name === name);
    const status = refusalOf(url.pathname, request) ?? (pod === undefined ? 404 : undefined);
    if (status !== undefined || pod === undefined) {
      socket.end(`HTTP/1.1 ${status} no\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      if (verb === 'exec') {
        webSocket.on('error', () => {});
        if (pod.exec === undefined || url.searchParams.get('tty') === 'true') return webSocket.close();
        return execs.join(webSocket, pod.exec, url.searchParams.getAll('command'));
      }
      forwards.add(webSocket);
      webSocket.on('close', () => forwards.delete(webSocket));
      webSocket.on('error', () => {});
      join(webSocket, pod, Number(url.searchParams.get('ports')));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return Object.assign(state, {
    url: `http://127.0.0.1:${address.port}`,
    services,
    pods,
    secrets,
    execs,
    requests,
    refusals,
    killForwards: () => {
      for (const each of forwards) each.terminate();
    },
    openForwards: () => forwards.size,
    async close() {
      execs.cut();
      execs.killPods();
      for (const each of forwards) each.terminate();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  });
}

function join(webSocket: WebSocket, pod: FakePod, port: number): void {
  const opening = Buffer.alloc(2);
  opening.writeUInt16LE(port);
  const send = (channel: number, data: Buffer) =>
    webSocket.send(Buffer.concat([Buffer.from([channel]), data]));
  send(0, opening);
  send(1, opening);
  if (port !== containerPort) {
    send(1, Buffer.from(`an error occurred forwarding ${port}: connection refused`));
    return;
  }
  const inside: Socket = connect(pod.localPort, '127.0.0.1');
  inside.on('data', (data) => send(0, data));
  inside.on('error', (error) => send(1, Buffer.from(`error forwarding port ${port}: ${error.message}`)));
  inside.on('close', () => webSocket.close());
  webSocket.on('message', (frame) => {
    if (frame[0] === 0) inside.write(frame.subarray(1));
  });
  webSocket.on('close', () => inside.destroy());
}

interface FakeObject {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
  };
}

const serviceObject = ({ namespace, name, labels, selector, annotations, port }: FakeService) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { namespace, name, labels, annotations },
  spec: { selector, ports: [{ name: 'http', port: 80, targetPort: 'mcp', ...port }] },
});

const secretObject = ({ namespace, name, labels, data }: FakeSecret) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { namespace, name, labels },
  data: Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
  ),
});

const podObject = (pod: FakePod) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    namespace: pod.namespace,
    name: pod.name,
    labels: pod.labels,
    ...(pod.isTerminating ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
  },
  spec: {
    nodeName: pod.node,
    containers: (pod.containers ?? ['gateway']).map((name) => ({
      name,
      ports: [{ name: 'mcp', containerPort }],
    })),
  },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: pod.isReady ? 'True' : 'False' }] },
});

/** What kubectl asks first: which kinds there are. */
const discoveries: Readonly<Record<string, unknown>> = {
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [
      { name: 'pods', singularName: 'pod', namespaced: true, kind: 'Pod', verbs: ['get', 'list'] },
      {
        name: 'pods/exec',
        singularName: '',
        namespaced: true,
        kind: 'PodExecOptions',
        verbs: ['get', 'create'],
      },
    ],
  },
};
