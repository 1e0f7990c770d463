#!/usr/bin/env node
/**
 * Runs the official MCP conformance suite against the fixture server made of this project's transports:
 * both revisions over HTTP, and 2025-11-25 over stdio through supergateway. Exits 0 only when everything passes,
 * but for the one check that tests the bridge instead of us. Needs `npm run build` and `npm ci` in suite/.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  answersHealthz,
  FIXTURE_SERVER,
  freePort,
  runRequirements,
  runScenario,
  SUITE_NODE,
  SUPERGATEWAY,
  start,
  waitUntil,
} from './suite.mjs';

/** supergateway answers any Host itself; over stdio there is no Host to check. */
const BRIDGE_OWN_CHECK = 'dns-rebinding-protection';

const root = fileURLToPath(new URL('../../', import.meta.url));
execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', `${root}test/conformance`], {
  stdio: 'inherit',
});

async function withHttpFixture(flags, use) {
  const server = start(process.execPath, [FIXTURE_SERVER, '--port', '0', ...flags]);
  try {
    await use(await waitUntil(server, () => /listening on (\S+)/.exec(server.output)?.[1]));
  } finally {
    await server.stop();
  }
}

async function withStdioFixture(use) {
  const port = await freePort();
  const bridge = start(SUITE_NODE, [
    SUPERGATEWAY,
    '--stdio',
    `"${process.execPath}" "${FIXTURE_SERVER}"`,
    '--outputTransport',
    'streamableHttp',
    '--stateful',
    '--port',
    String(port),
    '--healthEndpoint',
    '/healthz',
  ]);
  const origin = `http://127.0.0.1:${port}`;
  try {
    await waitUntil(bridge, () => answersHealthz(origin));
    await use(`${origin}/mcp`);
  } finally {
    await bridge.stop();
  }
}

let failed = false;
function report(set, score, allowedMiss) {
  console.log(`${set}: ${score.passed}/${score.total}`);
  const unexpected = score.failures.filter(({ name, failed: count }) => name !== allowedMiss || count !== 1);
  const missing = allowedMiss !== undefined && !score.failures.some(({ name }) => name === allowedMiss);
  if (missing) console.error(`${set}: ${allowedMiss} passed, although the bridge was expected to miss it`);
  for (const { name, failed: count } of unexpected) console.error(`${set}: ${name}: ${count} failed`);
  const badExit = allowedMiss === undefined && score.code !== 0;
  if (unexpected.length === 0 && !missing && !badExit) return;
  failed = true;
  console.error(score.output.slice(-8_000));
}

// First that the suite can see a fault at all: a green run means nothing otherwise.
await withHttpFixture(['--planted-fault'], async (url) => {
  const { code } = await runScenario(url, 'tools-call-simple-text', '2025-11-25');
  console.log(`planted fault: ${code === 0 ? 'NOT detected' : 'detected'}`);
  if (code === 0) failed = true;
});
await withHttpFixture([], async (url) => {
  for (const revision of ['2025-11-25', '2026-07-28'])
    report(`http ${revision}`, await runRequirements(url, revision));
});
await withStdioFixture(async (url) => {
  report('stdio 2025-11-25', await runRequirements(url, '2025-11-25'), BRIDGE_OWN_CHECK);
});
process.exit(failed ? 1 : 0);
