// The gateway as an MCP client sees it.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

/** Longer than any question may take: whatever ends it earlier is the gateway's doing. */
const patienceMilliseconds = 120_000;

export async function connectToGateway(origin, token) {
  const client = new Client({ name: 'drill', version: '0' }, { versionNegotiation: { mode: 'auto' } });
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${origin}/mcp`), { requestInit: { headers } }),
  );
  /** One call, with how long it took. */
  const call = async (name, given = {}) => {
    const began = performance.now();
    const result = await client.callTool({ name, arguments: given }, { timeout: patienceMilliseconds });
    const text = (result.content ?? []).map((part) => part.text ?? '').join(' ');
    const milliseconds = performance.now() - began;
    return { isError: result.isError === true, answer: result.structuredContent, text, milliseconds };
  };
  return {
    call,
    /** The health of every node and GPU, on one page. */
    health: () => call('get_gpu_health', { detail: 'full', limit: 200 }),
    close: () => client.close(),
  };
}
