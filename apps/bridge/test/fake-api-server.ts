import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { createRequire } from 'node:module';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** What is used of the `ws` package, which has no types of its own. */
interface WebSocket {
  on(event: 'message', listener: (data: Buffer) => void): unknown;
  on(event: 'close' | 'error', listener: () => void): unknown;
  send(data: Buffer): void;
  close(): void;
  terminate(): void;
}
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
}
export interface FakeService {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly selector: Readonly<Record<string, string>>;
}

export interface FakeApiServer {
  readonly url: string;
  readonly services: FakeService[];
  readonly pods: FakePod[];
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
  const forwards = new Set<WebSocket>();
  const refusalOf = (path: string) => [...refusals].find(([part]) => path.includes(part))?.[1];

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://fake');
    requests.push(`${request.method} ${url.pathname}`);
    const answer = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const refusal = refusalOf(url.pathname);
    if (refusal !== undefined) return answer(refusal, { kind: 'Status', code: refusal });
    const [, namespace, kind, name] =
      /^\/api\/v1(?:\/namespaces\/([^/]+))?\/(services|pods)(?:\/([^/]+))?$/.exec(url.pathname) ?? [];
    const selector = (url.searchParams.get('labelSelector') ?? '').split(',').filter(Boolean);
    const objects = (kind === 'pods' ? pods.map(podObject) : services.map(serviceObject)).filter(
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
      offered.has('v4.channel.k8s.io') && 'v4.channel.k8s.io',
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const url = new URL(request.url ?? '/', 'http://fake');
    requests.push(`FORWARD ${url.pathname}`);
    const [, namespace, name] =
      /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)\/portforward$/.exec(url.pathname) ?? [];
    const pod = pods.find((each) => each.namespace === namespace && each.name === name);
    const status = refusalOf(url.pathname) ?? (pod === undefined ? 404 : undefined);
    if (status !== undefined || pod === undefined) {
      socket.end(`HTTP/1.1 ${status} no\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
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
  return {
    url: `http://127.0.0.1:${address.port}`,
    services,
    pods,
    requests,
    refusals,
    killForwards: () => {
      for (const each of forwards) each.terminate();
    },
    openForwards: () => forwards.size,
    async close() {
      for (const each of forwards) each.terminate();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
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

const serviceObject = ({ namespace, name, labels, selector }: FakeService) => ({
  metadata: { namespace, name, labels },
  spec: { selector, ports: [{ name: 'http', port: 80, targetPort: 'mcp' }] },
});

const podObject = ({ namespace, name, labels, isReady }: FakePod) => ({
  metadata: { namespace, name, labels },
  spec: { containers: [{ name: 'gateway', ports: [{ name: 'mcp', containerPort }] }] },
  status: { conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }] },
});
