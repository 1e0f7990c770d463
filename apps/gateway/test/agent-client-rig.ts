import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import {
  createMcpAgentClient,
  type McpAgentClientOptions,
} from '../src/adapters/agent-client/create-mcp-agent-client.ts';
import { type AgentCall, type AgentClient, AgentFailure } from '../src/ports/agent-client.ts';
import type { AgentNode } from '../src/ports/node-directory.ts';
import { gatewayVersion } from '../src/version.ts';

/** Agents and gateways are released together. */
export const ownVersion = gatewayVersion();

export const nodeAt = (url: string | null, more: Partial<AgentNode> = {}): AgentNode => ({
  name: 'node-a',
  url,
  labels: {},
  notReadyBecause: null,
  instance: `instance of ${url}`,
  mayReceiveToken: true,
  ...more,
});

export const callTo = (node: AgentNode, more: Partial<AgentCall> = {}): AgentCall => ({
  node,
  tool: 'get_gpu_inventory',
  arguments: {},
  deadlineMilliseconds: 10_000,
  signal: new AbortController().signal,
  correlationId: '0123456789abcdef',
  ...more,
});

const clients: AgentClient[] = [];
export function newClient(options: Partial<McpAgentClientOptions> = {}): AgentClient {
  const client = createMcpAgentClient({ version: ownVersion, ...options });
  clients.push(client);
  return client;
}

/** What a call that must fail failed with. */
export async function failureOf(work: Promise<unknown>): Promise<AgentFailure> {
  const error: unknown = await work.then(
    () => new Error('the call did not fail'),
    (reason: unknown) => reason,
  );
  if (error instanceof AgentFailure) return error;
  throw new Error('no AgentFailure', { cause: error });
}

export interface FakeServer {
  readonly url: string;
  readonly sockets: ReadonlySet<Socket>;
  /** Connections since the start. */
  accepted(): number;
  close(): Promise<void>;
}
const servers: FakeServer[] = [];

export async function fakeServer(listener: RequestListener): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer(listener).on('connection', (socket: Socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const made: FakeServer = {
    url: `http://127.0.0.1:${port}/mcp`,
    sockets,
    accepted: () => accepted,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  servers.push(made);
  return made;
}

export async function cleanUp(): Promise<void> {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await Promise.all(servers.splice(0).map((server) => server.close()));
}

export interface Message {
  readonly id?: string | number;
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>> & {
    readonly _meta?: Readonly<Record<string, unknown>>;
  };
}

export async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}

export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export const complete = (id: unknown, result: object) => ({
  jsonrpc: '2.0',
  id,
  result: { resultType: 'complete', ...result },
});
export const answer = (id: unknown, structuredContent: unknown = { ok: true }) =>
  complete(id, { content: [], structuredContent });

export const discovered = (id: unknown, supportedVersions = ['2026-07-28']) =>
  complete(id, { supportedVersions, capabilities: { tools: {} }, ttlMs: 0, cacheScope: 'private' });

/** A server of the revision without sessions that answers `tools/call` as it is told, and remembers what it was sent. */
export async function fakeAgent(
  onCall: (message: Message, response: ServerResponse, request: IncomingMessage) => void,
) {
  const messages: Message[] = [];
  const server = await fakeServer(async (request, response) => {
    const message = JSON.parse(await bodyOf(request)) as Message;
    messages.push(message);
    if (message.method === 'server/discover') json(response, discovered(message.id));
    else onCall(message, response, request);
  });
  return { ...server, messages };
}

/** Passes everything on, except that it knows of no revision without sessions unless `isModern`; tells what it saw. */
export async function legacyDoor(port: number, isModern = false) {
  const methods: string[] = [];
  const door = await fakeServer(async (incoming, response) => {
    const body = await bodyOf(incoming);
    const message = body === '' ? undefined : (JSON.parse(body) as Message);
    methods.push(message?.method ?? incoming.method ?? '');
    if (message?.method === 'server/discover' && !isModern)
      return json(response, { jsonrpc: '2.0', id: message.id, error: { code: -32601, message: 'no' } });
    const { method, url: target, headers } = incoming;
    const onward = httpRequest(
      { port, host: '127.0.0.1', path: target, method, headers: { ...headers, host: `127.0.0.1:${port}` } },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    onward.end(body);
  });
  return { ...door, methods };
}

/** Waits for what another process or connection does. */
export async function until(condition: () => boolean): Promise<void> {
  const signal = AbortSignal.timeout(10_000);
  while (!condition()) {
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
