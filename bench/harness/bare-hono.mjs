// The least that Hono on Node can be asked to do for a tools/call: read JSON, look at the method, answer JSON. No checks, no protocol.
// `node bare-hono.mjs PORT`
import { serve } from '@hono/node-server';
import { Hono } from 'hono';

const results = {
  initialize: () => ({
    protocolVersion: '2025-06-18',
    capabilities: { tools: {} },
    serverInfo: { name: 'bare', version: '0' },
  }),
  'tools/list': () => ({ tools: [{ name: 'echo', inputSchema: { type: 'object' } }] }),
  'tools/call': ({ arguments: { text } }) => ({ content: [{ type: 'text', text }] }),
};

const app = new Hono();
app.post('/mcp', async (c) => {
  const { id, method, params } = await c.req.json();
  if (id === undefined) return c.body(null, 202, { 'content-length': '0' });
  return c.json({ jsonrpc: '2.0', id, result: results[method](params) });
});
serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.argv[2]) });
