import { Command, CommanderError, Option } from 'commander';
import type { GivenFlags } from '../config.ts';
import {
  builtCommands,
  type CommandName,
  environmentNameOf,
  flagText,
  type OptionName,
  type OptionSpec,
  optionEntries,
} from '../options.ts';
import { UsageError } from '../usage-error.ts';
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

export type CommandLine =
  | { readonly kind: 'help'; readonly text: string }
  | {
      readonly kind: 'command';
      readonly command: CommandName;
      readonly operands: readonly string[];
      readonly flags: GivenFlags;
    };

/** @throws UsageError for what the command line does not know. */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  if (argv.includes('-V') || argv[0] === '--version') return parseCommandLine(['version']);
  let help = '';
  let parsed: CommandLine | undefined;
  const program = createProgram(
    (text) => {
      help += text;
    },
    (result) => {
      parsed = result;
    },
  );
  try {
    program.parse(commandFirst(argv), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw new UsageError(onOneLine(error.message));
  }
  return parsed ?? { kind: 'help', text: help };
}

function createProgram(onHelp: (text: string) => void, onParsed: (result: CommandLine) => void): Command {
  const program = new Command(programName)
    .description('GPU diagnostics: is it my code or the hardware, and what one thing do I do now?')
    .addHelpText('after', exitCodeHelp)
    .exitOverride()
    .configureOutput({ writeOut: onHelp, writeErr: () => {}, outputError: () => {} });
  for (const name of builtCommands) {
    const { description, operands }: { description: string; operands?: string } = commandTable[name];
    const command = program
      .command(operands ? `${name} ${operands}` : name)
      .description(description)
      .allowExcessArguments(false);
    const optionNames = new Map<string, OptionName>();
    for (const [optionName, spec] of optionEntries) {
      if (!spec.commands.includes(name)) continue;
      const option = commanderOption(spec);
      optionNames.set(option.attributeName(), optionName);
      command.addOption(option);
    }
    command.action(() => {
      const flags: Partial<Record<OptionName, readonly string[]>> = {};
      for (const [attribute, value] of Object.entries(command.opts())) {
        const optionName = optionNames.get(attribute);
        if (optionName) flags[optionName] = value === true ? ['true'] : value;
      }
      onParsed({ kind: 'command', command: name, operands: command.args, flags });
    });
  }
  return program;
}

/** Values stay texts here: flags and environment are checked by the same parsers, in one place. */
function commanderOption(spec: OptionSpec<unknown>): Option {
  const option = new Option(flagText(spec), describe(spec));
  if (spec.value !== undefined)
    option.argParser((value, before: readonly string[] | undefined) => [...(before ?? []), value]);
  return option;
}

function describe(spec: OptionSpec<unknown>): string {
  const notes = [
    ...(spec.isRepeatable ? ['repeatable'] : []),
    ...(spec.fallbackText ? [`default ${spec.fallbackText}`] : []),
    ...(!spec.fallbackText && typeof spec.fallback === 'string' ? [`default ${spec.fallback}`] : []),
    ...(environmentNameOf(spec) === undefined ? [] : [`env ${environmentNameOf(spec)}`]),
  ];
  return notes.length === 0 ? spec.description : `${spec.description} (${notes.join('; ')})`;
}

const knownWords: readonly string[] = [...builtCommands, 'help'];

/** Puts the command before the options, so that `--backend mock health` works like `health --backend mock`. */
function commandFirst(argv: readonly string[]): string[] {
  const at = commandIndex(argv);
  const word = argv[at];
  if (word === undefined) return argv[0] === '--help' || argv[0] === '-h' ? [...argv] : ['serve', ...argv];
  const others = [...argv.slice(0, at), ...argv.slice(at + 1)];
  return word === 'help' ? [...others.slice(0, 1), '--help'] : [word, ...others];
}

/** Where the command stands; -1 when none is given. */
function commandIndex(argv: readonly string[]): number {
  const specs = new Map(optionEntries.map(([, spec]) => [`--${spec.flag}`, spec]));
  let hasUnknownFlag = false;
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    if (word === '--') return -1;
    if (word.startsWith('-')) {
      const spec = specs.get(word.split('=', 1)[0] ?? '');
      if (!spec) hasUnknownFlag = true;
      else if (spec.value !== undefined && !word.includes('=')) index += 1;
      // The word behind an unknown flag can be its value; the flag is what is wrong then.
    } else if (!hasUnknownFlag || knownWords.includes(word)) return index;
  }
  return -1;
}

const onOneLine = (message: string) =>
  message
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .trim();
