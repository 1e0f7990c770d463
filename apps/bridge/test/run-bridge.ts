import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

/** The programs as users run them. */
export const bridgeBin = fileURLToPath(new URL('../bin/k8s-gpu-mcp-bridge.js', import.meta.url));
export const agentBin = fileURLToPath(new URL('../../agent/bin/k8s-gpu-mcp-server.js', import.meta.url));

const ignored = /^(?:NODE_EXTRA_CA_CERTS|NO_COLOR|FORCE_COLOR|KUBECONFIG|K8S_GPU_MCP_.*)$/;

/** This process's environment without what would configure the programs. */
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

export type Message = Readonly<Record<string, unknown>>;

export interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly exited: Promise<Outcome>;
  send(...messages: readonly unknown[]): void;
  /** Every message on stdout so far. */
  messages(): Message[];
  /** Resolves with the first message on stdout that passes. */
  message(passes: (message: Message) => boolean): Promise<Message>;
  answerTo(id: number | string | null): Promise<Message>;
  /** Resolves once stderr (the log) holds the text as often as asked. */
  logged(text: string, times?: number): Promise<void>;
}

function start(bin: string, args: readonly string[], env: Readonly<Record<string, string>>): Running {
  const child = spawn(process.execPath, [bin, ...args], { env: cleanEnvironment(env) });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin.on('error', () => {});
  // As many waits at once as a test likes.
  for (const stream of [child.stdout, child.stderr]) stream.setMaxListeners(0);
  const exited = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  const until = async (condition: () => boolean, stream: 'stdout' | 'stderr') => {
    while (!condition()) {
      if (child[stream].readableEnded)
        throw new Error(`the program ended with ${child.exitCode}: ${stdout}${stderr}`);
      await Promise.race([once(child[stream], 'data'), once(child[stream], 'end')]);
    }
  };
  const parsed: Message[] = [];
  let parsedTo = 0;
  const messages = () => {
    for (let end = stdout.indexOf('\n', parsedTo); end !== -1; end = stdout.indexOf('\n', parsedTo)) {
      parsed.push(JSON.parse(stdout.slice(parsedTo, end)) as Message);
      parsedTo = end + 1;
    }
    return [...parsed];
  };
  const message = async (passes: (message: Message) => boolean) => {
    await until(() => messages().some(passes), 'stdout');
    return messages().find(passes) ?? {};
  };
  return {
    child,
    exited,
    messages,
    message,
    answerTo: (id) => message((each) => each['id'] === id && !('method' in each)),
    send: (...each) => {
      for (const one of each) child.stdin.write(`${typeof one === 'string' ? one : JSON.stringify(one)}\n`);
    },
    logged: (text, times = 1) => until(() => stderr.split(text).length > times, 'stderr'),
  };
}

export const startBridge = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  start(bridgeBin, args, env);

/** A real MCP server over HTTP, as a gateway is one. */
export async function startGateway(port: number, ...args: readonly string[]): Promise<Running> {
  const agent = start(agentBin, ['--port', String(port), '--backend', 'mock', ...args], {});
  await agent.logged('http: listening');
  return agent;
}

export async function stop(running: Running | undefined, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (running === undefined) return;
  running.child.kill(signal);
  await running.exited;
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

/** A kubeconfig as JSON, which is YAML too. */
export const kubeconfigOf = (server: string, user: Message = { token: 't' }): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'c', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'test', context: { cluster: 'c', user: 'u', namespace: 'mine' } }],
  });

/** Processes whose command line holds the text, this one left out. */
export async function processesWith(text: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return pids.flatMap((pid, index) => (lines[index]?.includes(text) === true ? [Number(pid)] : []));
}

export const request = (id: number | string, method: string, params: Message = {}) => ({
  jsonrpc: '2.0',
  id,
  method,
  params,
});
export const toolCall = (id: number | string, name: string, args: Message = {}, more: Message = {}) =>
  request(id, 'tools/call', { name, arguments: args, ...more });
export const initialize = (id: number | string) =>
  request(id, 'initialize', {
    protocolVersion: '2025-06-18',
    capabilities: {},
    clientInfo: { name: 'test', version: '0' },
  });
export const initialized = { jsonrpc: '2.0', method: 'notifications/initialized' };

/** A request of 2026-07-28, which says itself who asks. */
export const modern = (id: number | string, method: string, params: Message = {}) =>
  request(id, method, {
    ...params,
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
      'io.modelcontextprotocol/clientInfo': { name: 'test', version: '0' },
      ...(params['_meta'] as Message | undefined),
    },
  });
