#!/usr/bin/env node
/**
 * Runs the conformance scenarios that need no fixture tools against any server of this project:
 *   node run-agent.mjs -- node apps/agent/bin/k8s-gpu-mcp-server.js --backend mock --port 0
 * `--port 0` is replaced by a free port. The server is up when its /healthz answers.
 */
import { answersHealthz, freePort, runScenario, start, waitUntil } from './suite.mjs';

const SCENARIOS = [
  ['server-initialize', '2025-11-25'],
  ['ping', '2025-11-25'],
  ['tools-list', '2025-11-25'],
  ['resources-list', '2025-11-25'],
  ['prompts-list', '2025-11-25'],
  ['dns-rebinding-protection', '2025-11-25'],
  ['server-sse-multiple-streams', '2025-11-25'],
  ['server-session-lifecycle', '2025-11-25'],
  ['tools-list', '2026-07-28'],
  ['resources-list', '2026-07-28'],
  ['prompts-list', '2026-07-28'],
  ['dns-rebinding-protection', '2026-07-28'],
  ['server-sse-multiple-streams', '2026-07-28'],
  ['http-header-validation', '2026-07-28'],
  ['sep-2164-resource-not-found', '2026-07-28'],
  ['caching', '2026-07-28'],
];

const separator = process.argv.indexOf('--');
const [command, ...args] = separator === -1 ? [] : process.argv.slice(separator + 1);
const portAt = args.indexOf('--port') + 1;
if (command === undefined || portAt === 0) {
  console.error('usage: node run-agent.mjs -- COMMAND [ARGUMENT...] --port N');
  process.exit(64);
}
if (args[portAt] === '0') args[portAt] = String(await freePort());
const origin = `http://127.0.0.1:${args[portAt]}`;

let failed = false;
const server = start(command, args);
try {
  await waitUntil(server, () => answersHealthz(origin));
  for (const [name, revision] of SCENARIOS) {
    const { code, output, passed, total } = await runScenario(`${origin}/mcp`, name, revision);
    console.log(`${revision} ${name}: ${passed}/${total}`);
    if (code === 0 && passed === total && total > 0) continue;
    failed = true;
    console.error(output.slice(-4_000));
  }
} finally {
  await server.stop();
}
process.exit(failed ? 1 : 0);
