import { commaList } from './option-parsers.ts';
import { environmentNameOf, type OptionSpec, type OptionTable, type OptionValues } from './option-spec.ts';
import { UsageError } from './usage-error.ts';

export type Environment = Readonly<Record<string, string | undefined>>;
export type OptionOrigin = 'flag' | 'environment' | 'default';

/** Texts as the command line gave them, by option name; a switch is `['true']`. */
export type GivenFlags<Name extends PropertyKey = string> = Partial<Record<Name, readonly string[]>>;

export interface ResolvedOptions<Table extends OptionTable> {
  readonly values: OptionValues<Table>;
  readonly origins: Readonly<Record<keyof Table, OptionOrigin>>;
}

/**
 * Flag, else environment, else default, each checked by the same parser. Options that `command` does not take have their default.
 * @throws UsageError one clear line that names the flag or variable, its value and what is valid.
 */
export function resolveOptions<Table extends OptionTable>(
  table: Table,
  command: string,
  flags: GivenFlags<keyof Table>,
  environment: Environment,
): ResolvedOptions<Table> {
  const values: Partial<Record<keyof Table, unknown>> = {};
  const origins: Partial<Record<keyof Table, OptionOrigin>> = {};
  for (const [name, spec] of Object.entries(table) as [keyof Table, OptionSpec<unknown>][]) {
    const { value, origin } = spec.commands.includes(command)
      ? readOption(spec, flags[name], environment)
      : { value: spec.fallback, origin: 'default' as const };
    values[name] = value;
    origins[name] = origin;
  }
  return {
    values: values as OptionValues<Table>,
    origins: origins as Record<keyof Table, OptionOrigin>,
  };
}

function readOption(
  spec: OptionSpec<unknown>,
  given: readonly string[] | undefined,
  environment: Environment,
) {
  const variable = environmentNameOf(spec);
  // An empty variable is what a chart leaves behind for "not set".
  const inherited = (variable === undefined ? undefined : environment[variable]) || undefined;
  const texts = given ?? (inherited === undefined ? undefined : textsOf(spec, inherited));
  if (texts === undefined) return { value: spec.fallback, origin: 'default' as const };
  const shown = given ? `--${spec.flag}` : (variable ?? '');
  try {
    return { value: spec.parse(texts), origin: given ? ('flag' as const) : ('environment' as const) };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${shown}${serviceLinkHint(inherited, given)}: ${error.message}`);
  }
}

const textsOf = (spec: OptionSpec<unknown>, inherited: string) =>
  spec.isRepeatable ? commaList(inherited) : [inherited];

/** A Service named k8s-gpu-mcp makes Kubernetes set K8S_GPU_MCP_PORT to something like tcp://10.0.0.1:8080. */
function serviceLinkHint(inherited: string | undefined, given: readonly string[] | undefined): string {
  return given === undefined && inherited !== undefined && /^(?:tcp|udp|sctp):\/\//.test(inherited)
    ? ' (set by Kubernetes for a Service; turn that off with enableServiceLinks: false)'
    : '';
}

/**
 * A flag without effect is a mistake and is told; an inherited variable may be meant for other commands. `remedy` says, for each need that
 * is not met, what would meet it.
 * @throws UsageError
 */
export function checkNeeds<Need extends string>(
  table: Readonly<Record<string, OptionSpec<unknown, string, Need>>>,
  origins: Readonly<Record<string, OptionOrigin>>,
  isMet: Readonly<Record<Need, boolean>>,
  remedy: Readonly<Record<Need, string>>,
): void {
  for (const [name, { flag, needs }] of Object.entries(table)) {
    if (needs && !isMet[needs] && origins[name] === 'flag')
      throw new UsageError(`--${flag} ${remedy[needs]}`);
  }
}
