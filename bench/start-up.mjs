// The bundled gateway, out of the same bundle as the image's, against a bare node process, in one run: start until it answers, and resident
// memory at rest. The goals are those that the choice of the Kubernetes client was made by (docs/adr/0010-kubernetes-client.md): under 2
// times the memory, 4 times the start. The second is not reached yet, so the limit on the start only tells what became worse.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { bundle } from '../scripts/bundle.mjs';

const goals = { start: 4, memory: 2 };
const limits = { start: 6, memory: 2 };
const { BENCH_SHORT } = process.env;
const rounds = BENCH_SHORT === '1' ? 5 : 15;
const bareProgram =
  "require('node:http').createServer((_, response) => response.end('ok')).listen(Number(process.argv[1]), '127.0.0.1')";

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function answers(port) {
  try {
    return (await fetch(`http://127.0.0.1:${port}/healthz`)).ok;
  } catch {
    return false;
  }
}

/** Starts a program that listens on `port`: milliseconds until it answers, and its resident megabytes a moment later. */
async function measure(args, port) {
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  try {
    while (!(await answers(port))) {
      if (child.exitCode !== null) throw new Error(`${args.join(' ')} ended with ${child.exitCode}`);
      await pause(2);
    }
    const startMilliseconds = performance.now() - startedAt;
    await pause(500);
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'));
    return { startMilliseconds, megabytes: Number(kilobytes) / 1_024 };
  } finally {
    child.kill('SIGKILL');
    await new Promise((resolve) =>
      child.exitCode === null && child.signalCode === null ? child.once('exit', resolve) : resolve(),
    );
  }
}

/** A cluster that is away: its credentials are loaded and its pods asked for, as they would be. */
function kubeconfig(folder, port) {
  const file = join(folder, 'kubeconfig');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'c',
    clusters: [{ name: 'c', cluster: { server: `https://127.0.0.1:${port}` } }],
    users: [{ name: 'u', user: { token: 'bench' } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
}

export async function run() {
  const folder = mkdtempSync(join(tmpdir(), 'start-up-'));
  try {
    const bundled = join(folder, 'bundle');
    await bundle(bundled);
    const program = join(bundled, 'gateway', 'dist', 'main.js');
    const config = kubeconfig(folder, await freePort());
    const bare = [];
    const ours = [];
    // One after the other, so that a busy moment of the machine hits both.
    for (let round = 0; round < rounds; round += 1) {
      const [barePort, port] = [await freePort(), await freePort()];
      bare.push(await measure(['-e', bareProgram, String(barePort)], barePort));
      ours.push(
        await measure(
          [program, '--port', String(port), '--kubeconfig', config, '--log-level', 'silent'],
          port,
        ),
      );
    }
    const ratioOf = (key) => median(ours.map((each) => each[key])) / median(bare.map((each) => each[key]));
    const start = ratioOf('startMilliseconds');
    const memory = ratioOf('megabytes');
    return {
      name: 'bundled gateway with its Kubernetes client / bare node: start and memory, in parts of their limits',
      ratio: Math.max(start / limits.start, memory / limits.memory),
      limit: 1,
      pass: start < limits.start && memory < limits.memory,
      details: `start ${start.toFixed(2)} (goal ${goals.start}, limit ${limits.start}), resident memory ${memory.toFixed(2)} (limit ${limits.memory}), medians of ${rounds}`,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
