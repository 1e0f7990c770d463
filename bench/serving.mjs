// What serving costs beside the answers themselves. In this process: a server object, made for each connection and, in the revision without
// sessions, for each request, against one call of the cheapest tool; tools/list against writing the list as JSON. Over stdio: the agent
// against a loop that calls the same tools and knows nothing of the protocol.
import { join, resolve } from 'node:path';
import { printAlone } from './harness/alone.mjs';
import { isShort } from './harness/environment.mjs';
import { figure, median } from './harness/figure.mjs';
import { cpuMilliseconds, messages, openSession } from './harness/processes.mjs';

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

const middles = (pairs, unit, digits = 1) =>
  [0, 1].map((at) => median(pairs.map((pair) => pair[at])).toFixed(digits)).join(' / ') + unit;

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

async function figuresInProcess() {
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
  return [
    figure({
      name: 'a server object with all its parts / one call of the cheapest tool',
      pairs: objects,
      must: 1,
      guard: 2,
      detail: `CPU ${middles(objects, ' microseconds')}; the cheapest is ${cheapest.name}`,
    }),
    figure({
      name: 'tools/list answered / JSON.stringify of the list',
      pairs: lists,
      must: 2,
      stretch: 1.3,
      guard: 4,
      detail: `CPU ${middles(lists, ' microseconds')}`,
    }),
  ];
}

/** Calls over stdio, the agent against the raw loop: [what, tool, window, calls a round, bounds]. */
const stdioFigures = [
  ['warm get_gpu_health of 8 GPUs over stdio', 'get_gpu_health', 1, isShort ? 10 : 40, true],
  ['warm get_gpu_health of 8 GPUs over stdio, 64 at once', 'get_gpu_health', 64, isShort ? 64 : 128, true],
  ['warm analyze_xid_errors over stdio', 'analyze_xid_errors', 1, isShort ? 100 : 400, false],
  ['warm analyze_xid_errors over stdio, 64 at once', 'analyze_xid_errors', 64, isShort ? 256 : 1_024, false],
];

async function figuresOverStdio() {
  const main = join(agentDist, 'main.js');
  const ours = openSession([process.execPath, main, '--backend', 'mock', '--log-level', 'silent']);
  const theirs = openSession([process.execPath, join(import.meta.dirname, 'harness/raw-loop.mjs')]);
  const figures = [];
  try {
    for (const session of [ours, theirs]) {
      await session.start();
      const { structuredContent } = await session.call('get_gpu_health', {});
      const { verdict, gpus } = structuredContent;
      if (verdict !== 'ok' || gpus.length !== 8)
        throw new Error(`not a healthy node of 8 GPUs: ${JSON.stringify(structuredContent).slice(0, 500)}`);
    }
    for (const [what, tool, window, count, isPromise] of stdioFigures) {
      const cpu = new Map([ours, theirs].map((session) => [session, []]));
      const timeOf = async (session) => {
        const [startedAt, cpuBefore] = [performance.now(), cpuMilliseconds(session.pid)];
        await session.callMany(count, window, tool, {});
        cpu.get(session).push((cpuMilliseconds(session.pid) - cpuBefore) / count);
        return (performance.now() - startedAt) / count;
      };
      const pairs = await pairsOf(
        isShort ? 5 : 15,
        () => timeOf(ours),
        () => timeOf(theirs),
      );
      const ofCpu = [ours, theirs].map((session) => median(cpu.get(session)).toFixed(2)).join(' / ');
      figures.push(
        figure({
          name: `${what} / a raw JSON-RPC loop`,
          pairs,
          ...(isPromise ? { must: 2, stretch: 1.3, guard: 4 } : {}),
          detail: `${middles(pairs, ' ms a call', 2)}; CPU ${ofCpu} ms`,
        }),
      );
    }
  } finally {
    await Promise.all([ours.close(), theirs.close()]);
  }
  return figures;
}

export async function run() {
  return { figures: [...(await figuresInProcess()), ...(await figuresOverStdio())] };
}

await printAlone(import.meta.filename, run);
