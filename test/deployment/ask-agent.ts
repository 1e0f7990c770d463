// An agent that a deployment started, asked over HTTP as an MCP host does.
import { setTimeout as delay } from 'node:timers/promises';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { z } from 'zod';

const answer = z.record(z.string(), z.unknown());

/** Resolves once the agent answers there. Gives up when `signal` says that it never will. */
export async function answering(url: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const isUp = await fetch(`${url}/healthz`, { signal }).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return;
    signal.throwIfAborted();
    await delay(100);
  }
}

/** The status that a question without a token gets. */
export async function statusWithoutToken(url: string): Promise<number> {
  return (await fetch(`${url}/mcp`, { method: 'POST', body: '{}' })).status;
}

/** What an MCP host with that token sees. */
export async function connect(url: string, token: string): Promise<Client> {
  const client = new Client({ name: 'deployment-test', version: '1' });
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit }));
  return client;
}

/** get_gpu_health over a connection of its own. */
export async function askHealth(url: string, token: string): Promise<Readonly<Record<string, unknown>>> {
  const client = await connect(url, token);
  try {
    const { structuredContent } = await client.callTool({ name: 'get_gpu_health', arguments: {} });
    return answer.parse(structuredContent);
  } finally {
    await client.close();
  }
}
