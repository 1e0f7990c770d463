import { Client } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport as InMemoryTransportV1 } from '@modelcontextprotocol/sdk/inMemory.js';
import {
  McpServer as McpServerV1,
  ResourceTemplate as ResourceTemplateV1,
} from '@modelcontextprotocol/sdk/server/mcp.js';
import { McpError } from '@modelcontextprotocol/sdk/types.js';
import {
  InMemoryTransport,
  McpServer,
  ResourceNotFoundError,
  ResourceTemplate,
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

/** What a test asks of a client, alike on both lines. */
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

async function current(tools: readonly GpuTool[]): Promise<HostClient> {
  const server = new McpServer(about);
  registerAll(server, tools, {
    ResourceTemplate,
    notFound: (uri, message) => new ResourceNotFoundError(uri, message),
  });
  const client = new Client(about);
  const [near, far] = InMemoryTransport.createLinkedPair();
  await server.connect(far);
  await client.connect(near);
  return {
    listTools: () => client.listTools(),
    callTool: (name, input, options) => client.callTool({ name, arguments: input }, options),
    listResources: () => client.listResources(),
    listResourceTemplates: () => client.listResourceTemplates(),
    readResource: (uri) => client.readResource({ uri }),
    completeXid: (value) => client.complete({ ref: xidReference, argument: { name: 'code', value } }),
    listPrompts: () => client.listPrompts(),
    getPrompt: (name, input) => client.getPrompt({ name, arguments: input }),
    close: () => client.close(),
  };
}

async function v1(tools: readonly GpuTool[]): Promise<HostClient> {
  const server = new McpServerV1(about);
  registerAll(server, tools, {
    ResourceTemplate: ResourceTemplateV1,
    notFound: (uri, message) => new McpError(-32002, message, { uri }),
  });
  const client = new ClientV1(about);
  const [near, far] = InMemoryTransportV1.createLinkedPair();
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

/** A server object of each official SDK line with everything registered, and its own client connected to it. */
export const hosts = { 'current SDK': current, 'v1 SDK': v1 } as const;
