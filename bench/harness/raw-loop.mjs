// The limit of a server over stdio: the agent's own tools behind a loop that reads a line, calls and writes a line. No SDK, no checks of
// messages, nothing but what `bench/serving.mjs` asks.
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

const dist = resolve(import.meta.dirname, '../../apps/agent/dist');
const { composeAgent } = await import(`${dist}/composition/compose-agent.js`);
const { resolveConfig } = await import(`${dist}/config.js`);
const { silentLogger } = await import(resolve(import.meta.dirname, '../../packages/core/dist/index.js'));

const config = resolveConfig('serve', { backend: ['mock'] }, {});
const agent = await composeAgent(config, silentLogger);
agent.recorder.start(config.record);

const answers = {
  initialize: async ({ protocolVersion }) => ({
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: 'raw-loop', version: '0' },
  }),
  'tools/list': async () => ({
    tools: agent.tools.map(({ name }) => ({ name, inputSchema: { type: 'object' } })),
  }),
  async 'tools/call'({ name, arguments: input }) {
    const { text, structuredContent, isError } = await agent.tools
      .find((tool) => tool.name === name)
      .call(input);
    return { content: [{ type: 'text', text }], ...(isError ? { isError } : { structuredContent }) };
  },
};

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const { id, method, params } = JSON.parse(line);
    if (id === undefined) return;
    process.stdout.write(
      `${JSON.stringify({ jsonrpc: '2.0', id, result: await answers[method](params) })}\n`,
    );
  })
  .on('close', () => agent.close());
