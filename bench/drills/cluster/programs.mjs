// Agent, gateway and helpers as processes, as users run them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { constants } from 'node:os';
import { join, resolve } from 'node:path';
import { measuredEnvironment } from '../../harness/environment.mjs';

export const root = resolve(import.meta.dirname, '../../..');
export const agentProgram = join(root, 'apps/agent/bin/k8s-gpu-mcp-server.js');
export const gatewayProgram = join(root, 'apps/gateway/bin/k8s-gpu-mcp-gateway.js');

const keptOfStderr = 16_384;
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => process.exit(128 + constants.signals[signal]));

/**
 * Resolves when the program says on stderr that it listens. `place` turns the command into one that runs somewhere else.
 * @throws Error with its last words when it ends before that.
 */
export async function startProgram(words, { place = (command) => command, ipc = false, onOutput } = {}) {
  const [command, ...args] = place([process.execPath, ...words]);
  const child = spawn(command, args, {
    // Nothing of the caller's own installation may leak into a program.
    env: measuredEnvironment,
    stdio: ['ignore', onOutput ? 'pipe' : 'ignore', 'pipe', ...(ipc ? ['ipc'] : [])],
  });
  running.add(child);
  if (onOutput) child.stdout.setEncoding('utf8').on('data', onOutput);
  let stderr = '';
  let isListening = false;
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    stderr += chunk;
    // What a program says before it listens is kept whole, of the rest the end.
    if (isListening) stderr = stderr.slice(-keptOfStderr);
  });
  const exited = once(child, 'close').then(([code]) => {
    running.delete(child);
    return code;
  });
  while (!stderr.includes('http: listening')) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`${words[0]} ended with ${child.exitCode ?? child.signalCode}: ${stderr}`);
    await Promise.race([once(child.stderr, 'data'), exited]);
  }
  const start = stderr;
  isListening = true;
  return {
    child,
    /** What followed this word on a line before it listened. */
    line: (word) =>
      start
        .split('\n')
        .find((each) => each.startsWith(word))
        ?.slice(word.length),
    pid: child.pid,
    stderr: () => stderr,
    signal: (signal) => child.kill(signal),
    /** Resolves when it is gone. */
    stop(signal = 'SIGTERM') {
      child.kill(signal);
      if (signal === 'SIGKILL') child.kill('SIGCONT');
      return exited;
    },
  };
}

export const startAgent = ({ scenario, node, port = 8_080, address }, more, options) =>
  startProgram(
    [
      agentProgram,
      ...['--backend', 'mock', '--scenario', scenario, '--node-name', node],
      ...['--addr', address, '--port', String(port), ...more],
    ],
    options,
  );

export async function freePort(address = '127.0.0.1') {
  const server = createServer().listen(0, address);
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
