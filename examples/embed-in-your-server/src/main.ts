// The GPU tools inside somebody else's MCP server, on both lines of the official SDK. Each server has a tool of its own beside ours, is
// called over an in-memory connection, and must list and answer alike.  npm start -w @k8s-gpu-mcp/example-embed-in-your-server
import assert from 'node:assert/strict';
import { systemClock as clock, createGpuTools, registerGpuTools } from '@k8s-gpu-mcp/core';
import { createMockKernelLog, createMockProvider } from '@k8s-gpu-mcp/nvml-mock';
import { Client } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport as InMemoryTransportV1 } from '@modelcontextprotocol/sdk/inMemory.js';
import { McpServer as McpServerV1 } from '@modelcontextprotocol/sdk/server/mcp.js';
import { InMemoryTransport, McpServer } from '@modelcontextprotocol/server';

const about = { name: 'your-server', version: '1.0.0' };

// Built once. In production the ports come from @k8s-gpu-mcp/nvml and @k8s-gpu-mcp/host-linux.
const gpuTools = createGpuTools(
  {
    gpuProvider: createMockProvider({ scenario: 'fallen-off-bus', clock }),
    kernelLog: createMockKernelLog({ scenario: 'fallen-off-bus', clock }),
  },
  { nodeName: 'node-1' },
);
const hello = async () => ({ content: [{ type: 'text' as const, text: 'hello' }] });

// The current line.
const server = new McpServer(about);
server.registerTool('hello', { description: 'A tool of your own.' }, hello);
registerGpuTools(server, gpuTools);

// The v1 line.
const serverV1 = new McpServerV1(about);
serverV1.registerTool('hello', { description: 'A tool of your own.' }, hello);
registerGpuTools(serverV1, gpuTools);

const client = new Client(about);
const clientV1 = new ClientV1(about);
const [near, far] = InMemoryTransport.createLinkedPair();
const [nearV1, farV1] = InMemoryTransportV1.createLinkedPair();
await Promise.all([server.connect(far), serverV1.connect(farV1)]);
await Promise.all([client.connect(near), clientV1.connect(nearV1)]);

const names = (await client.listTools()).tools.map((tool) => tool.name);
const namesV1 = (await clientV1.listTools()).tools.map((tool) => tool.name);
assert.deepEqual(names, namesV1);
assert.ok(names.includes('hello') && names.includes('get_gpu_health'));

const health = await client.callTool({ name: 'get_gpu_health', arguments: {} });
const healthV1 = await clientV1.callTool({ name: 'get_gpu_health', arguments: {} });
const verdictOf = (result: object) =>
  'structuredContent' in result ? (result.structuredContent as { verdict: string }).verdict : undefined;
assert.equal(verdictOf(health), 'critical');
assert.equal(verdictOf(healthV1), 'critical');

console.log(`tools on both SDK lines: ${names.join(', ')}`);
console.log(`get_gpu_health on both: ${verdictOf(health)}`);
await Promise.all([client.close(), clientV1.close()]);
