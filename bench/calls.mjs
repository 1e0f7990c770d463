// Each tool of the agent, cold and warm, one call after the other and many at once, over stdio and HTTP (2026-07-28): against a loop that calls
// the same tools and knows nothing of the protocol. Both have the mock backend of eight healthy GPUs, so that no driver's time is in it.
//
// `--planted`: warm calls, with a loop that calls every tool nine times in place of the agent; it must fail.
import { join, resolve } from 'node:path';
import { printAlone } from './harness/alone.mjs';
import { measurePair, withSides } from './harness/call-sides.mjs';
import { isShort } from './harness/environment.mjs';
import { figure, median } from './harness/figure.mjs';
import { messages } from './harness/processes.mjs';
import { numberText } from './harness/report.mjs';

const warmRounds = isShort ? 5 : 9;
const coldRounds = 5;
/** Before a cold call: what a program still does after its start, or after the other's answer, ends first. */
const settleMilliseconds = 100;
const warmUpCalls = isShort ? 80 : 150;
/** Of one tool in one round, about. */
const roundMilliseconds = isShort ? 20 : 60;
const fewestCalls = 5;
/** In a short run these alone: each cold call needs two processes of its own, and they take most of the time. */
const shortTools = { warm: ['get_gpu_health', 'analyze_xid_errors'], cold: ['get_gpu_health'] };

const isPlanted = process.argv.includes('--planted');
const agent = resolve(import.meta.dirname, '../apps/agent/dist/main.js');
const loop = [process.execPath, join(import.meta.dirname, 'harness/raw-loop.mjs')];
const loopCommand = (...port) => [...loop, ...port.map(String)];
const agentCommand = (...port) => [
  ...[process.execPath, agent, '--backend', 'mock', '--log-level', 'silent'],
  ...port.flatMap((each) => ['--port', String(each)]),
];
const commands = [
  isPlanted ? (...port) => [...loopCommand(...port), '--planted'] : agentCommand,
  loopCommand,
];

/** A form without a window is cold. In some of them get_gpu_health alone is a promise. */
const forms = [
  { transport: 'stdio', name: 'cold over stdio' },
  { transport: 'stdio', name: 'warm over stdio', window: 1, promised: 'over stdio' },
  {
    ...{ transport: 'stdio', name: 'warm over stdio, 64 at once', window: 64 },
    promised: 'over stdio, 64 at once',
  },
  { transport: 'http', name: 'cold over HTTP' },
  { transport: 'http', name: 'warm over HTTP', window: 1 },
  { transport: 'http', name: 'warm over HTTP, 16 connections', window: 16 },
];
const isCold = ({ window }) => window === undefined;
const promise = { must: 2, stretch: 1.3, guard: 4 };
const guardOf = (form) => (isCold(form) ? 6 : 4);

/** The names of all tools; each of them was answered, alike by both: a loop that does something else is no limit of the agent. */
const toolsOf = () =>
  withSides('stdio', commands, async (sides) => {
    const [names, theirs] = await Promise.all(
      sides.map(async (side) => (await side.exchange(messages.toolsList(2))).tools.map(({ name }) => name)),
    );
    if (names.join() !== theirs.join()) throw new Error(`not the same tools: ${names} / ${theirs}`);
    for (const name of names) {
      const [answer, theirAnswer] = await Promise.all(
        sides.map(async (side) => (await side.call(name, {})).structuredContent),
      );
      const [keys, theirKeys] = [answer, theirAnswer].map((each) => Object.keys(each).join());
      if (keys !== theirKeys) throw new Error(`${name}: not the same answer: ${keys} / ${theirKeys}`);
      const { verdict, gpus = [] } = answer;
      if (name === 'get_gpu_health' && (verdict !== 'ok' || gpus.length !== 8))
        throw new Error(`not a healthy node of 8 GPUs: ${JSON.stringify(answer).slice(0, 500)}`);
    }
    return names;
  });

/** New processes for every call, since the first of any tool loads and compiles much of what the others need. */
async function coldRoundsOf({ transport }, tools) {
  const taken = new Map(tools.map((tool) => [tool, []]));
  for (let round = 0; round < coldRounds; round += 1)
    for (const tool of tools) {
      const first = { tool, pauseMilliseconds: settleMilliseconds };
      const pair = await withSides(transport, commands, (sides) => measurePair(round, sides, first));
      taken.get(tool).push(pair);
    }
  return taken;
}

/** Calls each tool until it is compiled. @returns milliseconds of one call of each */
async function warmUp(sides, tools) {
  const costs = new Map();
  for (const tool of tools) {
    await Promise.all(sides.map((side) => side.callMany(tool, warmUpCalls, 1)));
    const [, theirs] = await measurePair(0, sides, { tool, count: 10 });
    costs.set(tool, theirs.milliseconds);
  }
  return costs;
}

async function warmRoundsOf({ window }, sides, costs) {
  const taken = new Map([...costs.keys()].map((tool) => [tool, []]));
  for (let round = 0; round < warmRounds; round += 1)
    for (const [tool, cost] of costs) {
      const count = Math.max(fewestCalls, window, Math.round(roundMilliseconds / cost));
      taken.get(tool).push(await measurePair(round, sides, { tool, count, window }));
    }
  return taken;
}

/** The rounds of every tool, by form. */
async function takenOf(tools) {
  const { warm, cold } = isShort ? shortTools : { warm: tools, cold: tools };
  const taken = new Map();
  for (const transport of ['stdio', 'http']) {
    const own = forms.filter((form) => form.transport === transport);
    if (!isPlanted) for (const form of own.filter(isCold)) taken.set(form, await coldRoundsOf(form, cold));
    await withSides(transport, commands, async (sides) => {
      const costs = await warmUp(sides, warm);
      for (const form of own.filter((form) => !isCold(form)))
        taken.set(form, await warmRoundsOf(form, sides, costs));
    });
  }
  return taken;
}

const pairsOf = (rounds, key = 'milliseconds') => rounds.map((sides) => sides.map((side) => side[key]));
const middles = (pairs) => [0, 1].map((at) => numberText(median(pairs.map((pair) => pair[at])))).join(' / ');
const detailOf = (rounds) => `${middles(pairsOf(rounds))} ms; CPU ${middles(pairsOf(rounds, 'cpu'))} ms`;
const sum = (values) => values.reduce((total, each) => total + each, 0);

/** Rounds of a call of every tool. */
function togetherOf(byTool) {
  const [first] = byTool.values();
  return first.map((_, round) =>
    [0, 1].map((at) => {
      const own = [...byTool.values()].map((rounds) => rounds[round][at]);
      return { milliseconds: sum(own.map((each) => each.milliseconds)), cpu: sum(own.map(({ cpu }) => cpu)) };
    }),
  );
}

function figuresOf([form, byTool]) {
  const ratioOf = (what, rounds, bounds) =>
    figure({
      name: `${what} / a raw JSON-RPC loop`,
      pairs: pairsOf(rounds),
      detail: detailOf(rounds),
      ...bounds,
    });
  const { name, promised } = form;
  const [first, ...others] = byTool.keys();
  const what = others.length === 0 ? `a call of ${first}` : `a call of each of ${byTool.size} tools`;
  const together = ratioOf(`${what}, ${name}`, togetherOf(byTool), { guard: guardOf(form) });
  if (promised === undefined) return [together];
  const health = ratioOf(`warm get_gpu_health of 8 GPUs ${promised}`, byTool.get('get_gpu_health'), promise);
  return [health, together];
}

/** Ratio, or why there is none, and ours in milliseconds. */
function cellOf(rounds) {
  if (rounds === undefined) return '';
  const { ratio, refused } = figure({ name: '', pairs: pairsOf(rounds) });
  const milliseconds = numberText(median(rounds.map(([ours]) => ours.milliseconds)));
  return `${ratio === undefined ? refused : numberText(ratio)} (${milliseconds} ms)`;
}

function tableOf(tools, taken) {
  const columns = [...taken];
  const cellsOf = (tool) => columns.map(([, byTool]) => cellOf(byTool.get(tool)));
  return {
    title: `Calls: ratio to a raw JSON-RPC loop, by tool (a call of the agent)${isShort ? '; few tools, a short run' : ''}`,
    columns: ['tool', ...columns.map(([{ name }]) => name)],
    rows: tools
      .filter((tool) => columns.some(([, byTool]) => byTool.has(tool)))
      .map((tool) => [tool, ...cellsOf(tool)]),
  };
}

/** @returns {Promise<{ figures: import('./harness/figure.mjs').Figure[], tables: object[] }>} */
export async function run() {
  const tools = await toolsOf();
  const taken = await takenOf(tools);
  return { figures: [...taken].flatMap(figuresOf), tables: [tableOf(tools, taken)] };
}

await printAlone(import.meta.filename, run);
