// The limit of a server: the agent's own tools behind a loop that reads a request, calls and writes the answer. No SDK, no framework, no
// checks, nothing but what `bench/calls.mjs` asks. The tools are loaded when the agent loads them: with the first call over stdio, before it
// listens over HTTP.
// `node raw-loop.mjs [PORT] [--planted]`; planted: it calls every tool nine times.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { text as textOf } from 'node:stream/consumers';
import { parseArgs } from 'node:util';

const root = resolve(import.meta.dirname, '../..');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { planted: { type: 'boolean', default: false } },
});
const callsOfEach = values.planted ? 9 : 1;

const inside = (path) => import(`${root}/${path}`);
const [{ agentOnDemand }, { resolveConfig }, { silentLogger }] = await Promise.all([
  inside('apps/agent/dist/agent-on-demand.js'),
  inside('apps/agent/dist/config.js'),
  inside('packages/core/dist/index.js'),
]);
const agent = await agentOnDemand(resolveConfig('serve', { backend: ['mock'] }, {}), silentLogger);

const answers = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion,
    capabilities: { tools: {} },
    serverInfo: { name: 'raw-loop', version: '0' },
  }),
  'tools/list': () => ({ tools: agent.listing.tools }),
  async 'tools/call'({ name, arguments: input }) {
    const { tools } = await agent.get();
    const tool = tools.find((each) => each.name === name);
    for (let call = 1; call < callsOfEach; call += 1) await tool.call(input);
    const { text, structuredContent, isError } = await tool.call(input);
    return { content: [{ type: 'text', text }], ...(isError ? { isError } : { structuredContent }) };
  },
};
/** Undefined for what is not answered. */
async function answerTo(request) {
  const { id, method, params } = JSON.parse(request);
  return id === undefined
    ? undefined
    : JSON.stringify({ jsonrpc: '2.0', id, result: await answers[method](params) });
}

async function overHttp(port) {
  await agent.get();
  const server = createServer(async (request, response) => {
    const answer = await answerTo(await textOf(request));
    const head = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) };
    response.writeHead(200, head).end(answer);
  });
  await once(server.listen(port, '127.0.0.1'), 'listening');
}

function overStdio() {
  createInterface({ input: process.stdin })
    .on('line', async (line) => {
      const answer = await answerTo(line);
      if (answer !== undefined) process.stdout.write(`${answer}\n`);
    })
    .on('close', () => agent.close());
}

const [port] = positionals;
if (port === undefined) overStdio();
else await overHttp(Number(port));
