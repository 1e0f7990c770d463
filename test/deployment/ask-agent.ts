// What a deployment started, asked over HTTP as an MCP host does.
import { setTimeout as delay } from 'node:timers/promises';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { z } from 'zod';

const structured = z.record(z.string(), z.unknown());

/** Nothing that starts at all takes this long. */
const startMilliseconds = 60_000;

/**
 * Resolves once the address answers well. Gives up after a minute, or when `ended` says that it never will; then the error tells what
 * `log` has of who should have answered.
 */
export async function answering(
  url: string,
  { ended, log = () => '' }: { readonly ended?: AbortSignal; readonly log?: () => string } = {},
): Promise<void> {
  const tooLate = AbortSignal.timeout(startMilliseconds);
  const signal = ended === undefined ? tooLate : AbortSignal.any([ended, tooLate]);
  for (;;) {
    const isUp = await fetch(url, { signal }).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return;
    if (signal.aborted) throw new Error(`${url} does not answer: ${log()}`, { cause: signal.reason });
    await delay(100);
  }
}

/** The status that a question without a token gets. */
export async function statusWithoutToken(origin: string): Promise<number> {
  return (await fetch(`${origin}/mcp`, { method: 'POST', body: '{}' })).status;
}

/** What an MCP host with that token sees. */
export async function connect(origin: string, token?: string): Promise<Client> {
  const client = new Client({ name: 'deployment-test', version: '1' });
  const requestInit = token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${origin}/mcp`), { requestInit }));
  return client;
}

/** The structured answer of a tool, over whatever connection. @throws when the tool says that it failed */
export async function ask(
  client: Client,
  name: string,
  input: Readonly<Record<string, unknown>> = {},
): Promise<Readonly<Record<string, unknown>>> {
  const { structuredContent, isError, content } = await client.callTool({ name, arguments: { ...input } });
  if (isError === true) throw new Error(`${name}: ${JSON.stringify(content)}`);
  return structured.parse(structuredContent);
}

export const health = (client: Client) => ask(client, 'get_gpu_health');

/** The same over a connection of its own. */
export async function askHealth(origin: string, token?: string): Promise<Readonly<Record<string, unknown>>> {
  const client = await connect(origin, token);
  try {
    return await health(client);
  } finally {
    await client.close();
  }
}

/** Many questions, several at once. @returns how many were answered; rejects when one was not */
export async function askHard(origin: string, calls = 200): Promise<number> {
  const clients = await Promise.all(Array.from({ length: 4 }, () => connect(origin)));
  const answered = await Promise.all(
    clients.map(async (client) => {
      let count = 0;
      for (; count < calls / clients.length; count += 1) await health(client);
      await client.close();
      return count;
    }),
  );
  return answered.reduce((sum, each) => sum + each, 0);
}
