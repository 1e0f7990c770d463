import {
  createTerminal,
  exitCodes,
  OutputClosedError,
  type ProgramSpec,
  parseCommandLine,
  UsageError,
} from '@k8s-gpu-mcp/command-line';
import { resolveConfig } from '../config.ts';
import { type CommandName, optionTable } from '../options.ts';
import { gatewayVersion, programName } from '../version.ts';

/** The process as the program sees it, so that a test can bring its own. */
export interface Host {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const program: ProgramSpec<CommandName, typeof optionTable> = {
  name: programName,
  description: 'One MCP endpoint for every GPU node: asks the agents, and answers for all of them.',
  commands: {
    serve: { description: 'Serve MCP over HTTP (the default command)' },
    version: { description: 'Print the version' },
  },
  defaultCommand: 'serve',
  options: optionTable,
  footer: `
Exit codes: 0 ended as asked; 64 usage, 70 internal.
Every option can be set by K8S_GPU_MCP_<OPTION>; a flag wins.`,
};

/** Runs one command line to its exit code. Never rejects: what goes wrong is one line on stderr. */
export async function run(argv: readonly string[], host: Host): Promise<number> {
  // A log that nobody reads any more must not end the program.
  host.stderr.on('error', () => {});
  const note = (line: string) =>
    host.stderr.write(`${programName}: ${line.replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')}\n`);
  try {
    const commandLine = parseCommandLine(program, argv);
    const terminal = createTerminal(host.stdout, host.env);
    if (commandLine.kind === 'help') {
      await terminal.write(commandLine.text);
      return exitCodes.success;
    }
    if (commandLine.command === 'version') {
      await terminal.write(`${programName} ${gatewayVersion()} (node ${process.versions.node})\n`);
      return exitCodes.success;
    }
    const config = resolveConfig(commandLine.command, commandLine.flags, host.env);
    const { serve } = await import('./serve.ts');
    return await serve(config, host.env);
  } catch (error) {
    if (error instanceof OutputClosedError) return exitCodes.success;
    note(
      error instanceof UsageError
        ? error.message
        : `internal error: ${error instanceof Error ? error.message : String(error)}`,
    );
    return error instanceof UsageError ? exitCodes.usage : exitCodes.internal;
  }
}
