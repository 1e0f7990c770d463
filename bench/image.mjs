// The image against bare node on the same base, in one run: how much it adds, start until `initialize` is answered, resident memory at
// rest and under load. Needs root and podman; where they are missing it says so and measures nothing.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { printAlone } from './harness/alone.mjs';
import { isShort, originalEnvironment } from './harness/environment.mjs';
import { exactFigure, fewestRounds, figure, median, notMeasured } from './harness/figure.mjs';
import { freePort } from './harness/processes.mjs';

const root = resolve(import.meta.dirname, '..');
const tag = 'localhost/k8s-gpu-mcp-server:test';
const payloadLimitBytes = 13_000_000;
/** The rest are multiples of bare node in the same container. */
const table = {
  payload: { name: 'image: bytes added to its base / budget', must: 1 },
  start: { name: 'image: start of a container to initialize / bare node on its base', must: 3, guard: 4 },
  rest: { name: 'image: resident memory at rest / bare node on its base', must: 2, guard: 2.5 },
  load: { name: 'image: resident memory after calls / bare node on its base', must: 2.5, guard: 3.5 },
};
const rounds = isShort ? fewestRounds : 7;
const calls = 200;

const isThere = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

const runFlags = [
  '--no-healthcheck',
  '--ulimit',
  'nofile=4096:4096',
  '--ulimit',
  'nproc=4096:4096',
  '--network',
  'host',
];
const podman = ['--runtime', 'runc'];
const initialize = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'bench', version: '0' } },
});
const bareEcho = "process.stdin.once('data', () => process.stdout.write('{}\\n'))";
const bareServer =
  "require('node:http').createServer((request, response) => request.resume().on('end', () => response.end('ok'))).listen(Number(process.argv[1]), '127.0.0.1')";

/** Milliseconds from the start of the container to its first line. */
async function timeToAnswer(args) {
  const startedAt = performance.now();
  const child = spawn('podman', [...podman, 'run', '--rm', '-i', ...runFlags, ...args], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.write(`${initialize}\n`);
  const ended = once(child, 'close').then(([code]) => ({ code }));
  const first = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended]);
  if (!Array.isArray(first)) throw new Error(`podman run ended with ${first.code} and answered nothing`);
  const milliseconds = performance.now() - startedAt;
  child.stdin.end();
  await ended;
  return milliseconds;
}

const post = (port) =>
  fetch(`http://127.0.0.1:${port}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: initialize,
  });

/** Resident memory of all that runs in the container. */
function megabytesOf(container) {
  const { stdout } = spawnSync('podman', [...podman, 'top', container, 'hpid'], { encoding: 'utf8' });
  const pids = stdout.trim().split('\n').slice(1);
  const kilobytes = pids.map((pid) =>
    Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid.trim()}/status`, 'utf8'))[1]),
  );
  return kilobytes.reduce((sum, each) => sum + each, 0) / 1_024;
}

/** Megabytes a moment after the start, and after it was asked `calls` times. */
async function memoryOf(args, port) {
  const container = `k8s-gpu-mcp-bench-${port}`;
  const run = ['run', '--detach', '--rm', '--name', container, ...runFlags, ...args];
  const { status, stderr } = spawnSync('podman', [...podman, ...run], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  try {
    while (
      !(await fetch(`http://127.0.0.1:${port}/healthz`).then(
        (answer) => answer.ok,
        () => false,
      ))
    )
      await pause(20);
    await pause(500);
    const rest = megabytesOf(container);
    for (let call = 0; call < calls; call += 1) await (await post(port)).text();
    return { rest, load: megabytesOf(container) };
  } finally {
    spawnSync('podman', [...podman, 'rm', '--force', '--time', '0', container], { stdio: 'ignore' });
  }
}

export async function run() {
  const missing = ['podman', 'buildah', 'runc', 'flock'].filter((command) => !isThere(command));
  if (process.getuid?.() !== 0 || missing.length > 0) {
    const why = missing.length > 0 ? `not on this machine: ${missing.join(', ')}` : 'needs root';
    return { figures: Object.values(table).map((each) => notMeasured(each, why)) };
  }
  const build = [
    join(root, 'deployment/container/build-image.mjs'),
    '--tag',
    tag,
    '--if-changed',
    '--local-root',
  ];
  const built = spawnSync('flock', ['/tmp/k8s-gpu-mcp-image.lock', process.execPath, ...build], {
    encoding: 'utf8',
    env: originalEnvironment,
  });
  if (built.status !== 0) throw new Error(built.stderr.slice(-2_000));
  const inspect = (image) =>
    JSON.parse(spawnSync('podman', ['image', 'inspect', image], { encoding: 'utf8' }).stdout)[0];
  const image = inspect(tag);
  const base = image.Config.Labels['org.opencontainers.image.base.name'];
  const payload = image.Size - inspect(base).Size;

  const bare = ['--user', '65532', '--entrypoint', '/nodejs/bin/node', base, '-e'];
  const start = { bare: [], ours: [] };
  const memory = { bare: [], ours: [] };
  // One after the other, so that a busy moment of the machine hits both.
  for (let round = 0; round < rounds; round += 1) {
    start.bare.push(await timeToAnswer([...bare, bareEcho]));
    start.ours.push(await timeToAnswer([tag, '--backend', 'mock']));
    const [barePort, port] = [await freePort(), await freePort()];
    memory.bare.push(await memoryOf([...bare, bareServer, String(barePort)], barePort));
    memory.ours.push(await memoryOf([tag, '--backend', 'mock', '--port', String(port)], port));
  }
  const middle = (samples, unit) => `${median(samples).toFixed(0)} ${unit}`;
  const compare = (key, ours, theirs, unit, more = '') =>
    figure({
      ...table[key],
      pairs: ours.map((value, round) => [value, theirs[round]]),
      detail: `${middle(ours, unit)} / ${middle(theirs, unit)}${more}`,
    });
  const of = (side, key) => memory[side].map((each) => each[key]);
  return {
    figures: [
      exactFigure({
        ...table.payload,
        ...{ ours: payload, theirs: payloadLimitBytes },
        detail: `${(payload / 1e6).toFixed(1)} of ${payloadLimitBytes / 1e6} MB; whole image ${(image.Size / 1e6).toFixed(0)} MB on ${base}`,
      }),
      compare('start', start.ours, start.bare, 'ms'),
      compare('rest', of('ours', 'rest'), of('bare', 'rest'), 'MB'),
      compare('load', of('ours', 'load'), of('bare', 'load'), 'MB', `; ${calls} calls`),
    ],
  };
}

await printAlone(import.meta.filename, run);
