import { createTerminal, exitCodes, OutputClosedError, UsageError } from '@k8s-gpu-mcp/command-line';
import { type AgentConfig, resolveConfig } from '../config.ts';
import type { CommandName } from '../options.ts';
import { programName } from '../version.ts';
import type { CommandAction, Host } from './command.ts';
import { parseCommandLine } from './command-line.ts';

/** Each command loads only what it needs: `analyze` no MCP, stdio no HTTP stack, nothing native anywhere. */
const actions: Readonly<Record<CommandName, () => Promise<CommandAction>>> = {
  serve: async () => (await import('./commands/serve.ts')).serve,
  inventory: async () => (await import('./commands/questions.ts')).inventory,
  health: async () => (await import('./commands/questions.ts')).health,
  xid: async () => (await import('./commands/questions.ts')).xid,
  topology: async () => (await import('./commands/questions.ts')).topology,
  processes: async () => (await import('./commands/questions.ts')).processes,
  timeline: async () => (await import('./commands/timeline.ts')).timeline,
  diagnose: async () => (await import('./commands/questions.ts')).diagnose,
  watch: async () => (await import('./commands/watch.ts')).watch,
  analyze: async () => (await import('./commands/analyze.ts')).analyze,
  call: async () => (await import('./commands/call.ts')).call,
  tools: async () => (await import('./commands/tools.ts')).tools,
  doctor: async () => (await import('./commands/doctor.ts')).doctor,
  version: async () => (await import('./commands/version.ts')).version,
};

/** Runs one command line to its exit code. Never rejects: what goes wrong is one line on stderr. */
export async function run(argv: readonly string[], host: Host): Promise<number> {
  let config: AgentConfig | undefined;
  const createLogger = async () =>
    (await import('@k8s-gpu-mcp/command-line/logging')).createLogger(config?.logLevel ?? 'error');
  // What the person typed, or a driver said, can hold escape sequences.
  const note = (line: string) => {
    // What nobody reads any more must not end the program; without a listener it would be an uncaught exception.
    if (host.stderr.listenerCount('error') === 0) host.stderr.on('error', () => {});
    host.stderr.write(`${programName}: ${line.replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')}\n`);
  };
  try {
    const commandLine = parseCommandLine(argv);
    if (commandLine.kind === 'help') {
      await createTerminal(host.stdout, host.env).write(commandLine.text);
      return exitCodes.success;
    }
    const { command, operands, flags } = commandLine;
    config = resolveConfig(command, flags, host.env);
    const action = await actions[command]();
    const terminal = createTerminal(host.stdout, host.env);
    return await action({ config, operands, host, terminal, note, createLogger });
  } catch (error) {
    if (error instanceof OutputClosedError) return exitCodes.success;
    if (error instanceof UsageError) {
      note(error.message);
      return exitCodes.usage;
    }
    if (config?.logLevel === 'debug') (await createLogger()).debug('the command failed', { error });
    note(`internal error: ${error instanceof Error ? error.message : String(error)}`);
    return exitCodes.internal;
  }
}
