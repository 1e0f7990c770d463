// tools/call over HTTP, 16 connections: the agent, and the transport alone around a tool that echoes, against the Go peer and against what no
// server built of Hono can be faster than. Then what a request leaves on the heap, in both protocol eras.
//
// `--long`: 100,000 requests for the heap. `--planted`: the heap of a server that keeps a piece of every call; it must fail.
import { join } from 'node:path';
import { printAlone } from './harness/alone.mjs';
import { isShort } from './harness/environment.mjs';
import { exactFigure, figure, median, notMeasured } from './harness/figure.mjs';
import { bundleForm } from './harness/forms.mjs';
import { connectionTo, modernCallOf, openConnection, postOf, sessionHeaders } from './harness/http.mjs';
import { peers } from './harness/peers.mjs';
import { cpuMilliseconds, freePort, messages, spawnProgram } from './harness/processes.mjs';

const probe = join(import.meta.dirname, 'drills/cluster/memory-probe.mjs');
const harness = (name) => join(import.meta.dirname, 'harness', name);

const connections = 16;
const rounds = isShort ? 5 : 15;
const requestsPerRound = isShort ? 800 : 2_000;
const warmUpRequests = 4_000;
const isLong = process.argv.includes('--long');
const isPlanted = process.argv.includes('--planted');
const heapRequests = isLong ? 100_000 : isShort ? 2_000 : 10_000;
const heapSamples = 10;
/** What one request may leave behind. A leak of the smallest object is about this. */
const bytesPerRequest = 50;

/** The bundle, as image and npm have it. */
const agentCommand = (port) => [
  ...bundleForm().slice(1),
  '--backend',
  'mock',
  '--log-level',
  'silent',
  '--port',
  String(port),
];
const echoCommand = (port) => [harness('echo-mcp.mjs'), String(port), ...(isPlanted ? ['--planted'] : [])];
/** The agent's cheapest tool, as the Go peer's is its. */
const agentTool = ['analyze_xid_errors', {}];
const echoTool = ['echo', { text: 'hello' }];

/** A call as a request of its own (2026-07-28), or one of a session. */
function callOf({ era, headers }, id, [name, args]) {
  return era === 'session'
    ? postOf(messages.toolCall(id, name, args), { headers })
    : modernCallOf(id, name, args);
}

/** A server that has answered `initialize`; `call(requests)` loads it with one tool. */
async function startServer(commandOf, tool, era, { ipc = false } = {}) {
  const port = await freePort();
  const stdio = ['ignore', 'ignore', 'pipe', ...(ipc ? ['ipc'] : [])];
  const program = spawnProgram(commandOf(port), { stdio });
  const first = await connectionTo(port, program);
  let headers = {};
  if (era === 'session') {
    headers = sessionHeaders(await first.exchange(postOf(messages.initialize)));
    await first.exchange(postOf(messages.initialized, { headers }));
  }
  first.close();
  // An id for each connection: those of one session must differ.
  const requests = Array.from({ length: connections }, (_, index) =>
    callOf({ era, headers }, index + 10, tool),
  );
  const callMany = async (count) => {
    const open = await Promise.all(requests.map(() => openConnection(port)));
    let left = count;
    await Promise.all(
      open.map(async (connection, index) => {
        while (left > 0) {
          left -= 1;
          const { status, body } = await connection.exchange(requests[index]);
          if (status !== 200 || !body.includes('"result"') || body.includes('"isError":true'))
            throw new Error(`HTTP ${status}: ${body.toString('utf8', 0, 500)}`);
        }
      }),
    );
    for (const connection of open) connection.close();
  };
  return {
    ...program,
    callMany,
    /** Requests a second, and CPU of each in microseconds. */
    async measure() {
      const [startedAt, cpuBefore] = [performance.now(), cpuMilliseconds(program.pid)];
      await callMany(requestsPerRound);
      return {
        perSecond: (requestsPerRound * 1_000) / (performance.now() - startedAt),
        cpuMicroseconds: ((cpuMilliseconds(program.pid) - cpuBefore) * 1_000) / requestsPerRound,
      };
    },
  };
}

/** All of ours on the Node of the image, where it can be had. */
const { node24 = process.execPath } = peers();
const node =
  (commandOf, flags = []) =>
  (port) => [node24, ...flags, ...commandOf(port)];

async function rates() {
  const { reason, go } = peers();
  const servers = {};
  const start = async (name, ...of) => {
    servers[name] = await startServer(...of);
  };
  try {
    await start(
      'bare',
      node((port) => [harness('bare-hono.mjs'), String(port)]),
      echoTool,
      'session',
    );
    await start('agent', node(agentCommand), agentTool, 'modern');
    await start('session', node(agentCommand), agentTool, 'session');
    await start('echo', node(echoCommand), echoTool, 'modern');
    await start('echoSession', node(echoCommand), echoTool, 'session');
    if (go !== undefined) await start('go', go.http, [go.tool, {}], 'session');
    const measured = Object.fromEntries(Object.keys(servers).map((name) => [name, []]));
    // The code is compiled first.
    for (const server of Object.values(servers)) await server.callMany(warmUpRequests);
    for (let round = 0; round < rounds; round += 1)
      for (const [name, server] of Object.entries(servers)) measured[name].push(await server.measure());
    return { reason, go, measured };
  } finally {
    await Promise.all(Object.values(servers).map((server) => server.kill()));
  }
}

async function rateFigures() {
  const { reason, go, measured } = await rates();
  const ratio = (what, key, ours, theirs, bounds) => {
    const pairs = measured[ours].map((round, index) => [round[key], measured[theirs][index][key]]);
    const middles = [0, 1].map((at) => Math.round(median(pairs.map((pair) => pair[at])))).join(' / ');
    const detail =
      key === 'perSecond' ? `${middles} requests a second` : `${middles} microseconds of CPU a request`;
    return figure({ name: what, pairs, detail, ...bounds });
  };
  const toBare = { must: 0.25, stretch: 0.5, guard: 0.08, wanted: 'at least' };
  const toGo = { must: 1, stretch: 2.5, guard: 0.4, wanted: 'at least' };
  const goName = `HTTP tools/call per second, ${connections} connections: agent / Go kubernetes-mcp-server`;
  return [
    go === undefined
      ? notMeasured({ name: goName, ...toGo }, reason)
      : ratio(goName, 'perSecond', 'agent', 'go', toGo),
    ratio(
      `HTTP tools/call per second, ${connections} connections: agent / bare Hono`,
      'perSecond',
      'agent',
      'bare',
      toBare,
    ),
    ratio('the same in a session (2025-06-18): agent / bare Hono', 'perSecond', 'session', 'bare', toBare),
    ratio('the transport around an echo / bare Hono', 'perSecond', 'echo', 'bare', toBare),
    ratio(
      'the same in a session (2025-06-18): the transport around an echo / bare Hono',
      'perSecond',
      'echoSession',
      'bare',
      toBare,
    ),
    ratio('CPU per request: agent / bare Hono', 'cpuMicroseconds', 'agent', 'bare', {
      must: 4,
      stretch: 2,
      guard: 15,
    }),
  ];
}

/** The median of the slopes between all pairs (Theil and Sen): a step by the collector does not bend it. */
const slopeOf = (samples) =>
  median(
    samples.flatMap(([x, y], index) =>
      samples.slice(index + 1).map(([laterX, laterY]) => (laterY - y) / (laterX - x)),
    ),
  );

async function heapFigure(era) {
  const [commandOf, tool] = isPlanted ? [echoCommand, echoTool] : [agentCommand, agentTool];
  const server = await startServer(node(commandOf, ['--expose-gc', '--import', probe]), tool, era, {
    ipc: true,
  });
  const heap = () =>
    new Promise((resolve) => {
      server.child.once('message', resolve);
      server.child.send('collect');
    });
  try {
    // Compiled code and what is cached for ever come first.
    await server.callMany(warmUpRequests);
    const samples = [[0, await heap()]];
    for (let sample = 1; sample <= heapSamples; sample += 1) {
      await server.callMany(heapRequests / heapSamples);
      samples.push([(sample * heapRequests) / heapSamples, await heap()]);
    }
    const slope = slopeOf(samples);
    return exactFigure({
      name: `heap that a request leaves behind, ${era === 'session' ? 'in a session' : '2026-07-28'}, of ${heapRequests} / ${bytesPerRequest} bytes`,
      ours: Math.max(slope, 0.5),
      theirs: bytesPerRequest,
      must: 1,
      // In few requests the heap still moves with code that is compiled.
      guard: isShort ? 10 : 2,
      detail: `${slope.toFixed(1)} bytes; ${(samples.at(-1)[1] / 1e6).toFixed(1)} MB after a collection`,
    });
  } finally {
    await server.kill();
  }
}

export async function run() {
  const heaps = [await heapFigure('modern'), await heapFigure('session')];
  return { figures: isPlanted || isLong ? heaps : [...(await rateFigures()), ...heaps] };
}

await printAlone(import.meta.filename, run);
