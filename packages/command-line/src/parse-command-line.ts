import { Command, CommanderError, Option } from 'commander';
import { environmentNameOf, flagText, type OptionSpec, type OptionTable } from './option-spec.ts';
import type { GivenFlags } from './resolve-options.ts';
import { UsageError } from './usage-error.ts';

/** What a program is called, can do and takes. */
export interface ProgramSpec<Name extends string = string, Table extends OptionTable = OptionTable> {
  readonly name: string;
  readonly description: string;
  readonly commands: Readonly<Record<Name, { readonly description: string; readonly operands?: string }>>;
  /** Meant when no command is named. */
  readonly defaultCommand: Name;
  readonly options: Table;
  /** Behind the help of the whole program. */
  readonly footer: string;
}

export type CommandLine<Name extends string = string, OptionName extends PropertyKey = string> =
  | { readonly kind: 'help'; readonly text: string }
  | {
      readonly kind: 'command';
      readonly command: Name;
      readonly operands: readonly string[];
      readonly flags: GivenFlags<OptionName>;
    };

/** @throws UsageError for what the command line does not know. */
export function parseCommandLine<Name extends string, Table extends OptionTable>(
  spec: ProgramSpec<Name, Table>,
  argv: readonly string[],
): CommandLine<Name, keyof Table> {
  const asked = argv.includes('-V') || argv[0] === '--version' ? ['version'] : withLongFlags(spec, argv);
  let help = '';
  let parsed: CommandLine<Name, keyof Table> | undefined;
  const words = commandFirst(spec, asked);
  const program = createProgram(
    spec,
    commandsFor(spec, words),
    (text) => {
      help += text;
    },
    (result) => {
      parsed = result;
    },
  );
  try {
    program.parse(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw new UsageError(onOneLine(error.message));
  }
  return parsed ?? { kind: 'help', text: help };
}

/** The one that is named. Making them all, with every option of each, takes longer than everything else before the first answer. */
function commandsFor<Name extends string>({ commands }: ProgramSpec<Name>, [first = '']: readonly string[]) {
  const all = Object.entries(commands) as [Name, ProgramSpec['commands'][string]][];
  const named = all.filter(([name]) => name === first);
  // Help lists them, and what is misspelt is told what is like it.
  return named.length > 0 ? named : all;
}

function createProgram<Name extends string, Table extends OptionTable>(
  spec: ProgramSpec<Name, Table>,
  commands: ReturnType<typeof commandsFor<Name>>,
  onHelp: (text: string) => void,
  onParsed: (result: CommandLine<Name, keyof Table>) => void,
): Command {
  const program = new Command(spec.name)
    .description(spec.description)
    .addHelpText('after', spec.footer)
    .exitOverride()
    .configureOutput({ writeOut: onHelp, writeErr: () => {}, outputError: () => {} });
  for (const [name, { description, operands }] of commands) {
    const command = program
      .command(operands ? `${name} ${operands}` : name)
      .description(description)
      .allowExcessArguments(false);
    const optionNames = new Map<string, keyof Table>();
    for (const [optionName, option] of Object.entries(spec.options)) {
      if (!option.commands.includes(name)) continue;
      const made = commanderOption(option);
      optionNames.set(made.attributeName(), optionName);
      command.addOption(made);
    }
    command.action(() => {
      const flags: GivenFlags<keyof Table> = {};
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

/** Flags in their long form, so that what follows knows one spelling of each. */
function withLongFlags({ options }: ProgramSpec, argv: readonly string[]): string[] {
  const specs = Object.values(options);
  const words: string[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const word = longFlag(specs, argv[index] ?? '');
    if (word === '--') return [...words, ...argv.slice(index)];
    words.push(word);
    const takesNext = specs.some(({ flag, value }) => value !== undefined && word === `--${flag}`);
    if (!takesNext || index + 1 === argv.length) continue;
    index += 1;
    words.push(argv[index] ?? '');
  }
  return words;
}

function longFlag(specs: readonly OptionSpec<unknown>[], word: string): string {
  const [, letter, rest = ''] = /^-([A-Za-z])(.*)$/s.exec(word) ?? [];
  const spec = specs.find(({ short }) => letter !== undefined && short === letter);
  if (!spec || (spec.value === undefined && rest !== '')) return word;
  if (rest === '') return `--${spec.flag}`;
  return `--${spec.flag}=${rest.startsWith('=') ? rest.slice(1) : rest}`;
}

/** Puts the command before the options, so that `--backend mock health` works like `health --backend mock`. */
function commandFirst(spec: ProgramSpec, argv: readonly string[]): string[] {
  const at = commandIndex(spec, argv);
  const word = argv[at];
  if (word === undefined)
    return argv[0] === '--help' || argv[0] === '-h' ? [...argv] : [spec.defaultCommand, ...argv];
  const others = [...argv.slice(0, at), ...argv.slice(at + 1)];
  return word === 'help' ? [...others.slice(0, 1), '--help'] : [word, ...others];
}

/** Where the command stands; -1 when none is given. */
function commandIndex({ commands, options }: ProgramSpec, argv: readonly string[]): number {
  const knownWords = [...Object.keys(commands), 'help'];
  const specs = new Map(Object.values(options).map((spec) => [`--${spec.flag}`, spec]));
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
