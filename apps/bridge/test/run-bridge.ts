import { readdir, readFile } from 'node:fs/promises';
import { programCommand } from '../../../test/programs/program-form.ts';
import {
  cleanEnvironment,
  freePort,
  type RunningProcess,
  startProcess,
} from '../../../test/programs/run-program.ts';

export { cleanEnvironment, freePort };

/** The programs as users run them, for those that start them themselves. */
export const bridgeCommand = (args: readonly string[]) => programCommand('bridge', args);
export const agentCommand = (args: readonly string[]) => programCommand('agent', args);

export type Message = Readonly<Record<string, unknown>>;

export interface Running extends RunningProcess {
  send(...messages: readonly unknown[]): void;
  /** Every message on stdout so far. */
  messages(): Message[];
  /** Resolves with the first message on stdout that passes. */
  message(passes: (message: Message) => boolean): Promise<Message>;
  answerTo(id: number | string | null): Promise<Message>;
}

function start(
  program: 'agent' | 'bridge',
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Running {
  const running = startProcess(program, args, env);
  const { child } = running;
  const parsed: Message[] = [];
  let parsedTo = 0;
  const messages = () => {
    const stdout = running.stdout();
    for (let end = stdout.indexOf('\n', parsedTo); end !== -1; end = stdout.indexOf('\n', parsedTo)) {
      parsed.push(JSON.parse(stdout.slice(parsedTo, end)) as Message);
      parsedTo = end + 1;
    }
    return [...parsed];
  };
  const message = async (passes: (message: Message) => boolean) => {
    await running.until(() => messages().some(passes), 'stdout');
    return messages().find(passes) ?? {};
  };
  return {
    ...running,
    messages,
    message,
    answerTo: (id) => message((each) => each['id'] === id && !('method' in each)),
    send: (...each) => {
      for (const one of each) child.stdin.write(`${typeof one === 'string' ? one : JSON.stringify(one)}\n`);
    },
  };
}

export const startBridge = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  start('bridge', args, env);

/** A real MCP server over HTTP, as a gateway is one. */
export async function startGateway(port: number, ...args: readonly string[]): Promise<Running> {
  const agent = start('agent', ['--port', String(port), '--backend', 'mock', ...args], {});
  await agent.logged('http: listening');
  return agent;
}

export async function stop(running: Running | undefined, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (running === undefined) return;
  running.child.kill(signal);
  await running.exited;
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
