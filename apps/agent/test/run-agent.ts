import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

/** The program as users run it. */
export const agentBin = fileURLToPath(new URL('../bin/k8s-gpu-mcp-server.js', import.meta.url));

const ignored = /^(?:NODE_EXTRA_CA_CERTS|NO_COLOR|FORCE_COLOR|K8S_GPU_MCP_.*)$/;

/** This process's environment without what would colour, slow or configure the agent. */
export function cleanEnvironment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined || ignored.test(name) ? [] : [[name, value] as const],
  );
  return { ...Object.fromEntries(kept), ...more };
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningAgent {
  readonly child: ChildProcessWithoutNullStreams;
  readonly exited: Promise<Outcome>;
  /** Resolves once stderr (the log) holds the text. */
  logged(text: string): Promise<void>;
  /** Resolves with the answer to a request id on stdout. */
  answerTo(id: number): Promise<Record<string, unknown>>;
}

export function startAgent(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): RunningAgent {
  const child = spawn(process.execPath, [agentBin, ...args], { env: cleanEnvironment(env) });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin.on('error', () => {});
  const exited = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  const until = async (condition: () => boolean, stream: 'stdout' | 'stderr') => {
    while (!condition()) {
      const end = child.exitCode ?? child.signalCode;
      if (end !== null) throw new Error(`the agent ended with ${end}: ${stderr}`);
      await Promise.race([once(child[stream], 'data'), exited]);
    }
  };
  const answers = () =>
    stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return {
    child,
    exited,
    logged: (text) => until(() => stderr.includes(text), 'stderr'),
    async answerTo(id) {
      await until(() => answers().some((answer) => answer['id'] === id), 'stdout');
      return answers().find((answer) => answer['id'] === id) ?? {};
    },
  };
}

/** Runs one command to its end. */
export async function runAgent(
  args: readonly string[],
  {
    input,
    env,
  }: { readonly input?: string | Uint8Array; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Outcome> {
  const { child, exited } = startAgent(args, env);
  child.stdin.end(input);
  return exited;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export const request = (id: number, method: string, params: Readonly<Record<string, unknown>> = {}) =>
  `${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`;

const initialized = `${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })}\n`;

export const initialize = (id: number) =>
  `${request(id, 'initialize', {
    protocolVersion: '2025-06-18',
    capabilities: {},
    clientInfo: { name: 'test', version: '0' },
  })}${initialized}`;

export const toolCall = (id: number, name: string, args: Readonly<Record<string, unknown>> = {}) =>
  request(id, 'tools/call', { name, arguments: args });
