import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport as InMemoryTransportV1 } from '@modelcontextprotocol/sdk/inMemory.js';
import {
  McpServer as McpServerV1,
  ResourceTemplate as ResourceTemplateV1,
} from '@modelcontextprotocol/sdk/server/mcp.js';
import { ElicitRequestSchema, McpError } from '@modelcontextprotocol/sdk/types.js';
import {
  createMcpHandler,
  InMemoryTransport,
  McpServer,
  ResourceNotFoundError,
  ResourceTemplate,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import { gpuPrompts, registerGpuPrompts } from '../src/prompts/gpu-prompts.ts';
import { createGpuResources } from '../src/resources/gpu-resources.ts';
import { type ResourceHost, registerGpuResources } from '../src/resources/register.ts';
import { registerGpuTools } from '../src/tools/register.ts';
import type { GpuTool } from '../src/tools/tool.ts';

const about = { name: 'test-host', version: '1.0.0' };

interface CallOptions {
  signal?: AbortSignal;
  onprogress?: (progress: { progress: number; total?: number | undefined }) => void;
}

/** What a person at the client does with a question. */
export type Person = (question: {
  readonly message: string;
  readonly requestedSchema: unknown;
}) => Promise<{ action: 'accept' | 'decline' | 'cancel'; content?: Record<string, boolean> }>;

export interface HostOptions {
  /** Without one the client does not offer elicitation. */
  readonly person?: Person;
  /** The name that authentication gave the client. */
  readonly principal?: string;
}

/** What a test asks of a client, alike on all hosts. */
export interface HostClient {
  listTools(): Promise<{ tools: readonly Record<string, unknown>[] }>;
  callTool(
    name: string,
    input: Record<string, unknown>,
    options?: CallOptions,
  ): Promise<Record<string, unknown>>;
  listResources(): Promise<Record<string, unknown>>;
  listResourceTemplates(): Promise<Record<string, unknown>>;
  readResource(uri: string): Promise<Record<string, unknown>>;
  completeXid(typed: string): Promise<Record<string, unknown>>;
  listPrompts(): Promise<Record<string, unknown>>;
  getPrompt(name: string, input: Record<string, string>): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

function registerAll(server: McpServer | McpServerV1, tools: readonly GpuTool[], host: ResourceHost): void {
  registerGpuTools(server, tools);
  registerGpuResources(server, createGpuResources({ nodeName: 'gpu-node-7', tools }), host);
  registerGpuPrompts(server, gpuPrompts);
}

const xidReference = { type: 'ref/resource', uri: 'gpu://catalog/xid/{code}' } as const;

const currentHost: ResourceHost = {
  ResourceTemplate,
  notFound: (uri, message) => new ResourceNotFoundError(uri, message),
};

function currentServer(tools: readonly GpuTool[]): McpServer {
  const server = new McpServer(about);
  registerAll(server, tools, currentHost);
  return server;
}

const authOf = ({ principal }: HostOptions) =>
  principal === undefined ? {} : { authInfo: { token: '', clientId: principal, scopes: [] } };

function currentClient({ person }: HostOptions, revision?: '2026-07-28'): Client {
  const client = new Client(about, {
    capabilities: person ? { elicitation: {} } : {},
    ...(revision ? { versionNegotiation: { mode: { pin: revision } } } : {}),
  });
  if (person) {
    client.setRequestHandler('elicitation/create', async ({ params }) =>
      'requestedSchema' in params ? person(params) : { action: 'cancel' },
    );
  }
  return client;
}

const asHostClient = (client: Client): HostClient => ({
  listTools: () => client.listTools(),
  callTool: (name, input, options) => client.callTool({ name, arguments: input }, options),
  listResources: () => client.listResources(),
  listResourceTemplates: () => client.listResourceTemplates(),
  readResource: (uri) => client.readResource({ uri }),
  completeXid: (value) => client.complete({ ref: xidReference, argument: { name: 'code', value } }),
  listPrompts: () => client.listPrompts(),
  getPrompt: (name, input) => client.getPrompt({ name, arguments: input }),
  close: () => client.close(),
});

async function current(tools: readonly GpuTool[], options: HostOptions = {}): Promise<HostClient> {
  const [near, far] = InMemoryTransport.createLinkedPair();
  const send = near.send.bind(near);
  near.send = (message, about) => send(message, { ...about, ...authOf(options) });
  await currentServer(tools).connect(far);
  const client = currentClient(options);
  await client.connect(near);
  return asHostClient(client);
}

const url = new URL('http://127.0.0.1/mcp');

/** A session over HTTP whose client opens no stream of its own: a question has to come on the stream of the call. */
async function overHttp(tools: readonly GpuTool[], options: HostOptions = {}): Promise<HostClient> {
  const far = new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: () => 'one' });
  await currentServer(tools).connect(far);
  const client = currentClient(options);
  const fetch = async (target: string | URL, init?: RequestInit) =>
    init?.method === 'GET'
      ? new Response(null, { status: 405 })
      : far.handleRequest(new Request(target, init), authOf(options));
  await client.connect(new StreamableHTTPClientTransport(url, { fetch }));
  return asHostClient(client);
}

/** The revision without sessions: a server object for each request, and the question is the result of the call. */
async function stateless(tools: readonly GpuTool[], options: HostOptions = {}): Promise<HostClient> {
  const handler = createMcpHandler(() => currentServer(tools), { legacy: 'reject' });
  const client = currentClient(options, '2026-07-28');
  const fetch = async (target: string | URL, init?: RequestInit) =>
    handler.fetch(new Request(target, init), authOf(options));
  await client.connect(new StreamableHTTPClientTransport(url, { fetch }));
  return asHostClient(client);
}

async function v1(tools: readonly GpuTool[], options: HostOptions = {}): Promise<HostClient> {
  const { person } = options;
  const server = new McpServerV1(about);
  registerAll(server, tools, {
    ResourceTemplate: ResourceTemplateV1,
    notFound: (uri, message) => new McpError(-32002, message, { uri }),
  });
  const client = new ClientV1(about, { capabilities: person ? { elicitation: {} } : {} });
  if (person) {
    client.setRequestHandler(ElicitRequestSchema, async ({ params }) =>
      'requestedSchema' in params ? person(params) : { action: 'cancel' },
    );
  }
  const [near, far] = InMemoryTransportV1.createLinkedPair();
  const send = near.send.bind(near);
  near.send = (message, about) => send(message, { ...about, ...authOf(options) });
  await server.connect(far);
  await client.connect(near);
  return {
    listTools: () => client.listTools(),
    callTool: (name, input, options) => client.callTool({ name, arguments: input }, undefined, options),
    listResources: () => client.listResources(),
    listResourceTemplates: () => client.listResourceTemplates(),
    readResource: (uri) => client.readResource({ uri }),
    completeXid: (value) => client.complete({ ref: xidReference, argument: { name: 'code', value } }),
    listPrompts: () => client.listPrompts(),
    getPrompt: (name, input) => client.getPrompt({ name, arguments: input }),
    close: () => client.close(),
  };
}

/** A server object of each official SDK line and era with everything registered, and its own client connected to it. */
export const hosts = {
  'current SDK': current,
  'current SDK over HTTP': overHttp,
  '2026-07-28': stateless,
  'v1 SDK': v1,
} as const;
