import type { TextParser } from './option-parsers.ts';

/**
 * One option of a program: the command line, the environment, `--help` and the docs table are all made from it. `Command` names the commands
 * of the program, `Need` what a choice must be in force for an option to have any effect.
 */
export interface OptionSpec<T, Command extends string = string, Need extends string = string> {
  /** Without the dashes. The environment name follows from it (`K8S_GPU_MCP_LOG_LEVEL` for `log-level`). */
  readonly flag: string;
  /** Placeholder of the value; a switch has none. */
  readonly value?: string;
  /** One letter: `-n VALUE`, `-nVALUE` and `-n=VALUE` mean the flag too. Not `h` or `V`, which every program has. */
  readonly short?: string;
  readonly parse: TextParser<T>;
  readonly fallback: T;
  /** The default in words, when the value alone does not tell. */
  readonly fallbackText?: string;
  readonly description: string;
  readonly commands: readonly Command[];
  readonly isRepeatable?: true;
  /** False for what belongs to one question and not to an installation. */
  readonly hasEnvironment?: false;
  /** What must be chosen for this option to have any effect. */
  readonly needs?: Need;
}

export type OptionTable = Readonly<Record<string, OptionSpec<unknown>>>;

/** Of each option, what its parser makes. */
export type OptionValues<Table extends OptionTable> = {
  readonly [Name in keyof Table]: ReturnType<Table[Name]['parse']>;
};

export const environmentNameOf = (spec: OptionSpec<unknown>): string | undefined =>
  spec.hasEnvironment === false ? undefined : `K8S_GPU_MCP_${spec.flag.toUpperCase().replaceAll('-', '_')}`;

export const flagText = (spec: OptionSpec<unknown>): string =>
  `${spec.short === undefined ? '' : `-${spec.short}, `}--${spec.flag}${spec.value === undefined ? '' : ` <${spec.value}>`}`;

export interface OptionDescription<Command extends string = string> {
  readonly flag: string;
  readonly environment: string | null;
  readonly default: string;
  readonly description: string;
  readonly commands: readonly Command[];
  readonly isRepeatable: boolean;
}

/** Every option that works, for `--help` and for generated documentation. */
export function describeOptions<Command extends string>(
  table: Readonly<Record<string, OptionSpec<unknown, Command>>>,
): readonly OptionDescription<Command>[] {
  return Object.values(table).map((spec) => ({
    flag: flagText(spec),
    environment: environmentNameOf(spec) ?? null,
    default: spec.fallbackText ?? fallbackText(spec.fallback),
    description: spec.description,
    commands: spec.commands,
    isRepeatable: spec.isRepeatable ?? false,
  }));
}

function fallbackText(value: unknown): string {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return 'none';
  return value === false ? 'off' : String(value);
}
