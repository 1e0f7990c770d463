// What serving costs beside the answers themselves, in this process: a server object, made for each connection and, in the revision without
// sessions, for each request, against one call of the cheapest tool; tools/list against writing the list as JSON.
import { join, resolve } from 'node:path';
import { printAlone } from './harness/alone.mjs';
import { isShort } from './harness/environment.mjs';
import { figure, median } from './harness/figure.mjs';
import { messages } from './harness/processes.mjs';

const root = resolve(import.meta.dirname, '..');
const agentDist = join(root, 'apps/agent/dist');
const rounds = isShort ? 7 : 31;

const cpuMicroseconds = () => {
  const { user, system } = process.cpuUsage();
  return user + system;
};
/** CPU of one of `count`; the least of three, since what else the process does (collecting garbage, compiling) only adds. */
async function costOf(count, work) {
  const costs = [];
  for (let turn = 0; turn < 3; turn += 1) {
    const before = cpuMicroseconds();
    for (let index = 0; index < count; index += 1) await work();
    costs.push((cpuMicroseconds() - before) / count);
  }
  return Math.min(...costs);
}

/** Rounds of ours and theirs right after each other, in turn first. */
async function pairsOf(count, ours, theirs) {
  // The first round, before the code is compiled, does not count.
  await ours();
  await theirs();
  const pairs = [];
  for (let round = 0; round < count; round += 1) {
    if (round % 2 === 0) pairs.push([await ours(), await theirs()]);
    else pairs.push([await theirs(), await ours()].reverse());
  }
  return pairs;
}

const middles = (pairs) => [0, 1].map((at) => median(pairs.map((pair) => pair[at])).toFixed(1)).join(' / ');

/** The agent's parts as its own program has them. */
async function agentHere() {
  const { composeAgent } = await import(join(agentDist, 'composition/compose-agent.js'));
  const { resolveConfig } = await import(join(agentDist, 'config.js'));
  const { createServerFactory } = await import(join(agentDist, 'server.js'));
  const { listingOf, silentLogger } = await import(join(root, 'packages/core/dist/index.js'));
  const agent = await composeAgent(resolveConfig('serve', { backend: ['mock'] }, {}), silentLogger);
  const listing = listingOf(agent);
  const factory = createServerFactory({ listing, parts: () => agent, version: '0' });
  return { agent, listing, makeServer: () => factory({ era: 'legacy' }) };
}

async function cheapestOf(tools) {
  const costs = [];
  for (const tool of tools) {
    costs.push([await costOf(10, () => tool.call({})), tool]);
  }
  return costs.reduce((a, b) => (b[0] < a[0] ? b : a))[1];
}

/** Asks a server object; the answer is the text that would be written. */
async function conversationWith(server) {
  let answered = () => {};
  const transport = {
    start: async () => {},
    close: async () => {},
    send: async (message) => answered(JSON.stringify(message)),
  };
  await server.connect(transport);
  const exchange = (message) =>
    new Promise((resolve) => {
      answered = resolve;
      transport.onmessage(message);
    });
  await exchange(messages.initialize);
  return exchange;
}

/** @returns {Promise<{ figures: import('./harness/figure.mjs').Figure[] }>} */
export async function run() {
  const { agent, listing, makeServer } = await agentHere();
  const cheapest = await cheapestOf(agent.tools);
  const objects = await pairsOf(
    rounds,
    () => costOf(4_000, makeServer),
    () => costOf(300, () => cheapest.call({})),
  );
  const exchange = await conversationWith(makeServer());
  const lists = await pairsOf(
    rounds,
    () => costOf(200, () => exchange(messages.toolsList(2))),
    () => costOf(200, () => JSON.stringify({ tools: listing.tools })),
  );
  await agent.close();
  return {
    figures: [
      figure({
        name: 'a server object with all its parts / one call of the cheapest tool',
        pairs: objects,
        must: 1,
        guard: 2,
        detail: `CPU ${middles(objects)} microseconds; the cheapest is ${cheapest.name}`,
      }),
      figure({
        name: 'tools/list answered / JSON.stringify of the list',
        pairs: lists,
        must: 2,
        stretch: 1.3,
        guard: 4,
        detail: `CPU ${middles(lists)} microseconds`,
      }),
    ],
  };
}

await printAlone(import.meta.filename, run);
