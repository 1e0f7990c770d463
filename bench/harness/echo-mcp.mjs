// The HTTP transport around a server object that costs next to nothing: what remains is the transport and the protocol.
// `node echo-mcp.mjs PORT [--planted]`; planted: it keeps something of every call for ever.
import { serveHttp } from '@k8s-gpu-mcp/transport-http';
import { Server } from '@modelcontextprotocol/server';

const kept = [];
const isPlanted = process.argv.includes('--planted');
const tools = { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] };

function createServer() {
  const server = new Server({ name: 'echo', version: '0' }, { capabilities: { tools: {} } });
  server.setRequestHandler('tools/list', () => tools);
  server.setRequestHandler('tools/call', ({ params }) => {
    if (isPlanted) kept.push(new Array(128).fill(kept.length));
    return { content: [{ type: 'text', text: params.arguments?.text }] };
  });
  return server;
}

await serveHttp(createServer, { port: Number(process.argv[2]) });
