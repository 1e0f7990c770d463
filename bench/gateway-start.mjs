// The bundled gateway, out of the same bundle as the image's, against a bare node process that serves HTTP: start until it says that it lives,
// start until it has listed its tools, and resident memory at rest. The goals are those that the choice of the Kubernetes client was made by
// (docs/adr/0010-kubernetes-client.md): under 2 times the memory, 4 times the start.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { printAlone } from './harness/alone.mjs';
import { isShort } from './harness/environment.mjs';
import { figure, median } from './harness/figure.mjs';
import { bundleForm } from './harness/forms.mjs';
import { startHttp, untilAnswered } from './harness/http.mjs';
import { freePort, memoryOf, spawnProgram } from './harness/processes.mjs';

const rounds = isShort ? 5 : 15;
const restMilliseconds = 500;
const hello = [process.execPath, join(import.meta.dirname, 'harness/hello.cjs')];

async function measure(commandOf) {
  const port = await freePort();
  const startedAt = process.hrtime.bigint();
  const program = spawnProgram(commandOf(port), { stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    const startMilliseconds = await untilAnswered(program, port, '/healthz', startedAt);
    await pause(restMilliseconds);
    return { startMilliseconds, residentBytes: memoryOf(program.pid).residentBytes };
  } finally {
    await program.kill();
  }
}

/** Until a client that waited for the port has the list of tools: what is left to be loaded when the port is open is in it. */
async function measureToolsList(commandOf) {
  const program = await startHttp(commandOf);
  await program.kill();
  return program.toolsListMilliseconds;
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
  const folder = mkdtempSync(join(tmpdir(), 'gateway-start-'));
  try {
    const gateway = bundleForm({ app: 'gateway' });
    const options = ['--kubeconfig', kubeconfig(folder, await freePort()), '--log-level', 'silent'];
    const taken = { ours: [], bare: [] };
    const commands = {
      bare: (port) => [...hello, String(port)],
      ours: (port) => [...gateway, '--port', String(port), ...options],
    };
    for (let round = 0; round < rounds; round += 1) {
      for (const [side, commandOf] of Object.entries(commands)) taken[side].push(await measure(commandOf));
      for (const [side, commandOf] of Object.entries(commands))
        taken[side][round].toolsListMilliseconds = await measureToolsList(commandOf);
    }
    const of = (side, key) => taken[side].map((each) => each[key]);
    const pairs = (key) => of('ours', key).map((value, round) => [value, taken.bare[round][key]]);
    const middle = (side, key, unit) => (median(of(side, key)) / unit).toFixed(0);
    return {
      figures: [
        figure({
          name: 'bundled gateway: spawn to first answer / bare node over HTTP',
          pairs: pairs('startMilliseconds'),
          ...{ must: 4, guard: 8 },
          detail: `${middle('ours', 'startMilliseconds', 1)} / ${middle('bare', 'startMilliseconds', 1)} ms`,
        }),
        figure({
          name: 'bundled gateway: spawn to tools/list answered over MCP / bare node over HTTP',
          pairs: pairs('toolsListMilliseconds'),
          guard: 16,
          detail: `${middle('ours', 'toolsListMilliseconds', 1)} / ${middle('bare', 'toolsListMilliseconds', 1)} ms`,
        }),
        figure({
          name: 'bundled gateway: resident memory at rest / bare node over HTTP',
          pairs: pairs('residentBytes'),
          ...{ must: 2, guard: 2.3 },
          detail: `${middle('ours', 'residentBytes', 1e6)} / ${middle('bare', 'residentBytes', 1e6)} MB`,
        }),
      ],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await printAlone(import.meta.filename, run);
