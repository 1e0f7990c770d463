// From the spawn until `initialize`, and then `tools/list`, are answered: our agent as the image runs it (Node 24 and a snapshot) and as npx
// does (the bundle on this Node), against the Go peer, server-everything and a bare Node that answers and does nothing else. Over stdio and
// HTTP. In each round all of them start right after each other, in an order that changes from round to round.
import { join } from 'node:path';
import { printAlone } from './harness/alone.mjs';
import { isShort } from './harness/environment.mjs';
import { figure, median, notMeasured } from './harness/figure.mjs';
import { bundleForm, imageForm } from './harness/forms.mjs';
import { startHttp } from './harness/http.mjs';
import { instructionsOf, versionOf } from './harness/machine.mjs';
import { peers } from './harness/peers.mjs';
import { cpuMilliseconds, messages, openSession } from './harness/processes.mjs';

const rounds = { stdio: isShort ? 7 : 31, http: isShort ? 5 : 15 };
const mock = ['--backend', 'mock', '--log-level', 'silent'];
const hello = join(import.meta.dirname, 'harness/hello.cjs');
const thisNode = `Node ${process.versions.node.split('.')[0]}`;

/** [figure, ours, theirs, must, stretch]. The guards of CI are twice the promise. */
const stdioFigures = [
  ['image form: spawn to initialize / Go kubernetes-mcp-server', 'image', 'go', 1, 0.8],
  ['image form: spawn to initialize / server-everything, same Node', 'image', 'everything24', 0.3, 0.2],
  ['image form: spawn to initialize / bare node hello', 'image', 'hello24', 2, 1.6],
  [`bundle on ${thisNode}: spawn to initialize / server-everything`, 'bundle', 'everything', 0.5, 0.4],
  ['image form: spawn to tools/list / Go kubernetes-mcp-server', 'image', 'go'],
  [`bundle on ${thisNode}: spawn to initialize / bare node hello`, 'bundle', 'hello'],
];
const httpFigures = [
  ['image form: spawn to initialize over HTTP / Go kubernetes-mcp-server', 'image', 'go'],
  ['image form: spawn to initialize over HTTP / server-everything, same Node', 'image', 'everything24'],
  ['image form: spawn to initialize over HTTP / bare node hello', 'image', 'hello24'],
];

async function stdioStart(command) {
  const session = openSession(command);
  try {
    const { initializeMilliseconds, toolsListMilliseconds } = await session.start();
    return { initializeMilliseconds, toolsListMilliseconds, cpu: cpuMilliseconds(session.pid) };
  } finally {
    await session.kill();
  }
}

async function httpStart({ commandOf, environmentOf }) {
  const started = await startHttp(commandOf, { environmentOf });
  const { initializeMilliseconds, toolsListMilliseconds, pid } = started;
  const cpu = cpuMilliseconds(pid);
  await started.kill();
  return { initializeMilliseconds, toolsListMilliseconds, cpu };
}

/** What each of `programs` took in each round, by its name. */
async function measure(programs, start, count) {
  const names = Object.keys(programs);
  const taken = Object.fromEntries(names.map((name) => [name, []]));
  // The first start of each reads its files from the disk.
  for (const name of names) await start(programs[name]);
  for (let round = 0; round < count; round += 1) {
    for (let turn = 0; turn < names.length; turn += 1) {
      const name = names[(round + turn) % names.length];
      taken[name].push(await start(programs[name]));
    }
  }
  return taken;
}

const everyStart = `${[messages.initialize, messages.initialized, messages.toolsList(2)].map((each) => JSON.stringify(each)).join('\n')}\n`;

function figuresOf(table, taken, missing, instructions = {}) {
  return table.map(([name, ours, theirs, must, stretch]) => {
    const base = { name, must, stretch, ...(must === undefined ? {} : { guard: must * 2 }) };
    const reason = missing[ours] ?? missing[theirs];
    if (reason !== undefined) return notMeasured(base, reason);
    const key = name.includes('tools/list') ? 'toolsListMilliseconds' : 'initializeMilliseconds';
    const middle = (who, what) => median(taken[who].map((each) => each[what])).toFixed(1);
    const counted = [instructions[ours], instructions[theirs]].map(
      (count) => count && Math.round(count / 1e6),
    );
    const detail = [
      `${middle(ours, key)} / ${middle(theirs, key)} ms`,
      `CPU until tools/list ${middle(ours, 'cpu')} / ${middle(theirs, 'cpu')} ms`,
      ...(counted.every(Boolean) ? [`million instructions ${counted.join(' / ')}`] : []),
    ].join('; ');
    const pairs = taken[ours].map((each, round) => [each[key], taken[theirs][round][key]]);
    return figure({ ...base, pairs, detail });
  });
}

export async function run() {
  const { reason, node24, go, everything } = peers();
  const stdio = { bundle: [...bundleForm(), ...mock], hello: [process.execPath, hello] };
  const http = {};
  const missing = {};
  const image = reason === undefined ? imageForm(node24) : { reason };
  if (image.reason !== undefined) missing.image = image.reason;
  if (reason === undefined) {
    Object.assign(stdio, {
      go: go.stdio,
      everything: everything.stdio(process.execPath),
      everything24: everything.stdio(node24),
      hello24: [node24, hello],
    });
    Object.assign(http, {
      go: { commandOf: go.http },
      everything24: { commandOf: () => everything.http(node24), environmentOf: everything.httpEnvironment },
      hello24: { commandOf: (port) => [node24, hello, String(port)] },
    });
  } else {
    for (const name of ['go', 'everything', 'everything24', 'hello24']) missing[name] = reason;
  }
  if (image.command !== undefined) {
    stdio.image = [...image.command, ...mock];
    http.image = { commandOf: (port) => [...image.command, ...mock, '--port', String(port)] };
  }
  const taken = await measure(stdio, stdioStart, rounds.stdio);
  const instructions = Object.fromEntries(
    Object.entries(stdio).map(([name, command]) => [name, instructionsOf(command, everyStart)]),
  );
  const figures = figuresOf(stdioFigures, taken, missing, instructions);
  // Without our own side there is nothing to compare.
  const takenOverHttp = http.image === undefined ? {} : await measure(http, httpStart, rounds.http);
  figures.push(...figuresOf(httpFigures, takenOverHttp, missing));
  const versions =
    reason === undefined ? `${go.name}, ${everything.name}, image's Node ${versionOf(node24)}` : reason;
  return { figures, notes: [`peers: ${versions}`] };
}

await printAlone(import.meta.filename, run);
