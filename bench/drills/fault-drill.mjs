// The whole agent over stdio against a real dlopen'ed library, through every fault a driver is known to have. For each: the server lives,
// nothing that could not be read is called ok, healthy siblings are answered for within the deadline while the driver still answers,
// what hits the driver as a whole is `unknown` with what the kernel log shows, and once the fault is gone all is well again without a
// restart. Prints a table and survived/tried; exits 1 when they differ. Needs cc. With --planted the agent is one that always says ok, and
// the drill must fail. The number of alternating calls is the first number given (1000).
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { createFakeNode } from './fake-node.mjs';

const isPlanted = process.argv.includes('--planted');
const alternatingCalls = Number(process.argv.slice(2).find((word) => /^\d+$/.test(word)) ?? 1_000);
const gpuCount = 4;
const faulty = 2;
const siblings = [0, 1, 3];
const codes = [3, 4, 6, 9, 13, 15, 16, 17, 18, 25, 27, 999];
/** The tool's own deadline and what a loaded machine adds. */
const answerLimitMilliseconds = 13_000;
/** SIGKILL comes 5 s + 1 s a GPU after a read began to hang, and the GPU is left alone for a second after that, or for two. */
const recoveryLimitMilliseconds = 25_000;

const root = resolve(import.meta.dirname, '../..');
const node = createFakeNode(gpuCount);
const log = join(node.folder, 'kernel.log');
writeFileSync(log, '');

const transport = new StdioClientTransport({
  command: process.execPath,
  args: [
    join(root, 'apps/agent/bin/k8s-gpu-mcp-server.js'),
    ...['--nvml-library', node.library, '--kernel-log', `file:${log}`, '--log-level', 'error'],
  ],
  env: { ...process.env, ...node.environment },
  stderr: 'ignore',
});
const client = new Client({ name: 'fault-drill', version: '0' });
await client.connect(transport);
const serverPid = transport.pid;

/** One health call, with how long it took. */
async function ask() {
  const began = performance.now();
  const { structuredContent } = await client.callTool({ name: 'get_gpu_health', arguments: {} });
  return { answer: structuredContent, milliseconds: performance.now() - began };
}

const verdictOf = (answer, index) => answer?.gpus?.find((gpu) => gpu.index === index)?.verdict;
const isWell = (answer) =>
  answer?.verdict === 'ok' &&
  Array.from({ length: gpuCount }, (_, index) => index).every((index) => verdictOf(answer, index) === 'ok');

/** What is wrong with an answer while one GPU is at fault. */
function judgeOne({ answer, milliseconds }) {
  if (milliseconds > answerLimitMilliseconds) return `answered after ${Math.round(milliseconds)} ms`;
  if (answer?.verdict === 'ok') return 'the node is called ok';
  const verdict = verdictOf(answer, faulty);
  if (verdict === undefined || verdict === 'ok') return `GPU ${faulty} is called ${verdict}`;
  const wrong = siblings.filter((index) => verdictOf(answer, index) !== 'ok');
  return wrong.length === 0
    ? undefined
    : `healthy GPUs ${wrong} are called ${wrong.map((index) => verdictOf(answer, index))}`;
}

/** What is wrong with an answer while the driver as a whole is at fault. */
function judgeAll({ answer, milliseconds }) {
  if (milliseconds > answerLimitMilliseconds) return `answered after ${Math.round(milliseconds)} ms`;
  if (answer?.verdict === 'ok') return 'the node is called ok';
  const claimed = (answer?.gpus ?? []).filter(({ verdict }) => verdict === 'ok');
  if (claimed.length > 0) return `GPUs ${claimed.map(({ index }) => index)} are called ok`;
  const isTold = JSON.stringify(answer?.findings ?? []).includes('xid-79');
  return isTold ? undefined : 'the Xid in the kernel log is not told';
}

/** A crash that was survived may already be over when the answer is made; then it must be a right one. */
const judgeTransient = (asked) => (isWell(asked.answer) ? undefined : judgeOne(asked));

function helperPids() {
  return readdirSync('/proc').filter((name) => {
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      return (
        words.some((word) => word.endsWith('/nvml/dist/helper/helper.js')) &&
        words.at(-2) === String(serverPid)
      );
    } catch {
      return false;
    }
  });
}

/** An Xid of the GPU in the kernel log, or an empty log. */
function writeLog(hasXid) {
  const at = new Date().toISOString().replace('Z', '+00:00');
  const bus = `0000:${(0x1b + faulty).toString(16)}:00`;
  const line = `${at} node kernel: NVRM: Xid (PCI:${bus}): 79, pid=1234, name=python, GPU has fallen off the bus.\n`;
  writeFileSync(`${log}.new`, hasXid ? line : '');
  renameSync(`${log}.new`, log);
}

/** Until all is well; how long that took. What backs off from nothing must be well at the first question. */
async function recover(isBackingOff) {
  const began = performance.now();
  let last;
  do {
    last = await ask();
    if (isWell(last.answer)) return performance.now() - began;
    if (!isBackingOff) throw new Error(`not well at the next call: ${last.answer?.summary}`);
    await sleep(200);
  } while (performance.now() - began < recoveryLimitMilliseconds);
  throw new Error(`not well again after ${recoveryLimitMilliseconds} ms: ${last.answer?.summary}`);
}

/** An older release of the same library: fewer symbols. */
function buildOlderLibrary() {
  const functions = readFileSync(join(root, 'packages/nvml/dist/abi/functions.js'), 'utf8').match(
    /\bnvml[A-Z]\w+/g,
  );
  const kept = [...new Set(functions)].filter(
    (name) => !/TemperatureV$|DriverBranch|PlatformInfo/.test(name),
  );
  const script = join(node.folder, 'older.map');
  writeFileSync(script, `{ global: ${kept.join('; ')}; local: *; };\n`);
  const sources = join(root, 'packages/nvml/test/fake');
  const parts = readdirSync(sources).filter((name) => /^fake_.*\.c$/.test(name));
  const output = join(node.folder, 'older.so');
  execFileSync('cc', [
    ...['-shared', '-fPIC', '-O1', '-std=gnu11', `-Wl,--version-script=${script}`, '-o', output],
    ...parts.map((part) => join(sources, part)),
    '-lpthread',
  ]);
  return output;
}

const temperatures = ['nvmlDeviceGetTemperatureV', 'nvmlDeviceGetTemperature'];
const modeOf = (mode) => temperatures.map((name) => `mode ${name} ${faulty} ${mode}`);

/** Name, what the library does, how an answer is judged; `act` happens while the question is being answered. */
const cases = [
  { name: 'one GPU: hang', faults: modeOf('hang'), judge: judgeOne },
  { name: 'one GPU: spin', faults: modeOf('spin'), judge: judgeOne },
  {
    name: 'one GPU: hang when opened',
    faults: [`mode nvmlDeviceGetHandleByIndex_v2 ${faulty} hang`],
    judge: judgeOne,
  },
  { name: 'one GPU: crash (SIGSEGV)', faults: modeOf('segfault'), judge: judgeOne },
  { name: 'one GPU: crash (SIGABRT)', faults: modeOf('abort'), judge: judgeOne },
  ...codes.map((code) => ({
    name: `one GPU: return code ${code}`,
    faults: [`rc * ${faulty} ${code}`],
    judge: judgeOne,
    isBackingOff: false,
  })),
  { name: 'driver: a lock held inside', faults: ['mode * * lock'], judge: judgeAll, isDriver: true },
  { name: 'driver: crash (SIGSEGV)', faults: ['mode * * segfault'], judge: judgeAll, isDriver: true },
  ...codes.map((code) => ({
    name: `driver: return code ${code}`,
    faults: [`rc * * ${code}`],
    judge: judgeAll,
    isBackingOff: false,
    isDriver: true,
  })),
  { name: 'helper killed in mid-call', faults: modeOf('slow:1500'), judge: judgeTransient, act: killHelper },
  { name: 'library replaced', faults: [], judge: judgeReplaced, before: replaceLibrary, isBackingOff: false },
  {
    name: 'library replaced, does not fit the kernel module',
    faults: ['rc nvmlInit_v2 * 18'],
    judge: judgeAll,
    before: replaceLibrary,
    isDriver: true,
  },
];

async function killHelper() {
  await sleep(700);
  for (const pid of helperPids()) process.kill(Number(pid), 'SIGKILL');
}

function replaceLibrary() {
  execFileSync('cp', [buildOlderLibrary(), `${node.library}.new`]);
  renameSync(`${node.library}.new`, node.library);
}

/** Well, and by the new file. */
function judgeReplaced({ answer }) {
  if (!isWell(answer)) return answer?.summary ?? 'no answer';
  const inode = String(statSync(node.library).ino);
  const isNew = helperPids().some((pid) => readFileSync(`/proc/${pid}/maps`, 'utf8').includes(` ${inode} `));
  return isNew ? undefined : 'the old library is still in use';
}

async function survives({ faults, judge, act, before, isDriver = false, isBackingOff = true }) {
  before?.();
  node.configure(faults);
  writeLog(isDriver);
  const [asked] = await Promise.all([isPlanted ? { answer: healthy, milliseconds: 1 } : ask(), act?.()]);
  const wrong = judge(asked);
  const described = `${asked.answer?.verdict}${isDriver ? '' : `, GPU ${faulty} ${verdictOf(asked.answer, faulty)}`}`;
  node.configure([]);
  writeLog(false);
  const recovery = await recover(isBackingOff);
  return { wrong, described, milliseconds: asked.milliseconds, recovery };
}

/** Fault on, fault off, a thousand times: each answer is right for its moment. */
async function alternate() {
  const kinds = [
    [`rc * ${faulty} 15`],
    [`rc * ${faulty} 999`],
    [`rc nvmlDeviceGetHandleByIndex_v2 ${faulty} 16`],
    temperatures.map((name) => `rc ${name} ${faulty} 15`),
  ];
  let right = 0;
  for (let call = 0; call < alternatingCalls; call += 1) {
    const isOn = call % 2 === 0;
    // Every fiftieth fault ends the helper.
    const faults = call % 100 === 0 ? modeOf('segfault') : kinds[(call / 2) % kinds.length];
    node.configure(isOn ? faults : []);
    let asked = isPlanted ? { answer: healthy, milliseconds: 1 } : await ask();
    // The flight recorder asks too: when both of them end the helper, the GPU is left alone for a moment.
    const patience = performance.now() + recoveryLimitMilliseconds;
    while (!isOn && !isWell(asked.answer) && performance.now() < patience) {
      await sleep(100);
      asked = await ask();
    }
    const wrong = isOn
      ? judgeOne(asked)
      : isWell(asked.answer)
        ? undefined
        : (asked.answer?.summary ?? 'no answer');
    if (wrong === undefined) right += 1;
    else console.error(`alternating call ${call + 1} (${isOn ? faults : 'no fault'}): ${wrong}`);
  }
  node.configure([]);
  return right;
}

const { answer: healthy } = await ask();
if (!isWell(healthy)) {
  console.error(`the drill needs a healthy node to begin with: ${JSON.stringify(healthy)?.slice(0, 2_000)}`);
  process.exit(1);
}
let survived = 0;
let tried = 0;
for (const each of cases) {
  tried += 1;
  let line;
  try {
    const { wrong, described, milliseconds, recovery } = await survives(each);
    if (wrong === undefined) survived += 1;
    const times = `answered in ${(milliseconds / 1000).toFixed(1)} s, well again after ${(recovery / 1000).toFixed(1)} s`;
    line = `${wrong === undefined ? 'survived' : 'FAILED  '} ${each.name.padEnd(50)} ${described}; ${times}${wrong === undefined ? '' : ` -- ${wrong}`}`;
  } catch (error) {
    line = `FAILED   ${each.name.padEnd(50)} ${error.message}`;
  }
  console.log(line);
}
const right = await alternate();
tried += alternatingCalls;
survived += right;
console.log(
  `${right === alternatingCalls ? 'survived' : 'FAILED  '} ${alternatingCalls} alternating calls: ${right} right`,
);

let isAlive = transport.pid === serverPid;
try {
  process.kill(serverPid, 0);
} catch {
  isAlive = false;
}
tried += 1;
if (isAlive) survived += 1;
console.log(`${isAlive ? 'survived' : 'FAILED  '} the server process is the one that was started`);
await client.close();
console.log(`fault drill: survived ${survived}/${tried}`);
process.exit(survived === tried ? 0 : 1);
