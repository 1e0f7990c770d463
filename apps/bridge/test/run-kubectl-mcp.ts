import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { cleanEnvironment, type Outcome } from './run-bridge.ts';

const bin = fileURLToPath(new URL('../bin/kubectl-mcp.js', import.meta.url));

/** The plugin as kubectl starts it, without a terminal. */
export function startKubectlMcp(args: readonly string[]): {
  readonly child: ChildProcess;
  readonly exited: Promise<Outcome>;
} {
  const child = spawn(process.execPath, [bin, ...args], {
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const exited = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return { child, exited };
}

export const kubectlMcp = (args: readonly string[]): Promise<Outcome> => startKubectlMcp(args).exited;
