import { programCommand } from '../../../test/programs/program-form.ts';
import {
  cleanEnvironment,
  freePort,
  type Outcome,
  type RunningProcess,
  startProcess,
} from '../../../test/programs/run-program.ts';

export { cleanEnvironment, freePort };

/** The program as users run it, for clients that start it themselves. */
export const agentCommand = (args: readonly string[]) => programCommand('agent', args);

export interface RunningAgent extends RunningProcess {
  /** Resolves with the answer to a request id on stdout. */
  answerTo(id: number): Promise<Record<string, unknown>>;
}

export function startAgent(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): RunningAgent {
  const running = startProcess('agent', args, env);
  const answers = () =>
    running
      .stdout()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return {
    ...running,
    async answerTo(id) {
      await running.until(() => answers().some((answer) => answer['id'] === id), 'stdout');
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
