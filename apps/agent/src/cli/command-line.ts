import { type CommandLine, type ProgramSpec, parseCommandLine as parse } from '@k8s-gpu-mcp/command-line';
import { type CommandName, type OptionName, optionTable } from '../options.ts';
import { programName } from '../version.ts';

const commandTable = {
  serve: { description: 'Serve MCP over stdio, or over HTTP with --port (the default command)' },
  inventory: { description: 'What GPUs are here' },
  health: { description: 'Verdict on every GPU, with evidence and one action' },
  xid: { description: 'GPU errors of the kernel log as incidents' },
  topology: { description: 'How the GPUs are connected: PCIe, NUMA, NVLink' },
  processes: { description: 'Who holds which GPU, and how much of it' },
  timeline: { description: 'What was recorded: temperatures, power, clocks, errors, as sparklines' },
  diagnose: { description: 'Is it the code or the hardware, and what one thing to do now' },
  watch: { description: 'GPU events as they happen, from the driver and the kernel log, until interrupted' },
  analyze: {
    description:
      'One diagnosis from files: kernel logs, nvidia-smi output, nvidia-bug-report.log[.gz]; - is standard input. Needs no GPU',
    operands: '<file...>',
  },
  call: {
    description: 'Call any tool and print its structured result',
    operands: '<tool> [arguments]',
  },
  tools: { description: 'List the tools' },
  doctor: { description: 'Check what this machine lets the agent see, and what to do about it' },
  version: { description: 'Print the version' },
} as const satisfies Record<CommandName, { description: string; operands?: string }>;

const exitCodeHelp = `
Exit codes of inventory, health, xid, topology, processes, timeline, diagnose, analyze and doctor: 0 ok, 1 warning, 2 critical, 3 unknown; 64 usage, 70 internal.
Every option but those of one question can be set by K8S_GPU_MCP_<OPTION>; a flag wins.`;

const program: ProgramSpec<CommandName, typeof optionTable> = {
  name: programName,
  description: 'GPU diagnostics: is it my code or the hardware, and what one thing do I do now?',
  commands: commandTable,
  defaultCommand: 'serve',
  options: optionTable,
  footer: exitCodeHelp,
};

/** @throws UsageError for what the command line does not know. */
export const parseCommandLine = (argv: readonly string[]): CommandLine<CommandName, OptionName> =>
  parse(program, argv);
