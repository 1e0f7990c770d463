import { hostname } from 'node:os';
import { commaList } from './option-parsers.ts';
import {
  type CommandName,
  environmentNameOf,
  type LogLevel,
  type OptionName,
  type OptionSpec,
  optionEntries,
  type optionTable,
} from './options.ts';
import { UsageError } from './usage-error.ts';

type Resolved = { readonly [Name in OptionName]: ReturnType<(typeof optionTable)[Name]['parse']> };

/** What the program was asked to do; every option has its value. */
export interface AgentConfig extends Omit<Resolved, 'logLevel' | 'nvmlMode'> {
  readonly command: CommandName;
  readonly logLevel: LogLevel;
}

/** Texts as the command line gave them, by option name; a switch is `['true']`. */
export type GivenFlags = Partial<Record<OptionName, readonly string[]>>;
type Environment = Readonly<Record<string, string | undefined>>;
type Origin = 'flag' | 'environment' | 'default';

/**
 * Flag, else environment, else default, each checked by the same parser.
 * @throws UsageError one clear line that names the flag or variable, its value and what is valid.
 */
export function resolveConfig(
  command: CommandName,
  flags: GivenFlags,
  environment: Environment,
): AgentConfig {
  const values: Partial<Record<OptionName, unknown>> = {};
  const origins: Partial<Record<OptionName, Origin>> = {};
  for (const [name, spec] of optionEntries) {
    const { value, origin } = spec.commands.includes(command)
      ? readOption(spec, flags[name], environment)
      : { value: spec.fallback, origin: 'default' as const };
    values[name] = value;
    origins[name] = origin;
  }
  const { nvmlMode, logLevel, ...rest } = values as Resolved;
  const config: AgentConfig = {
    ...rest,
    command,
    backend: backendOf(rest.backend, nvmlMode, origins),
    nodeName: rest.nodeName || (command === 'analyze' ? 'offline' : hostname()),
    logLevel: logLevel ?? (command === 'serve' ? 'info' : 'error'),
  };
  checkTogether(config, origins);
  return config;
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

const originStrength: readonly (Origin | undefined)[] = ['default', 'environment', 'flag'];

function backendOf(
  backend: AgentConfig['backend'],
  nvmlMode: Resolved['nvmlMode'],
  origins: Partial<Record<OptionName, Origin>>,
): AgentConfig['backend'] {
  if (nvmlMode === undefined) return backend;
  const asked = nvmlMode === 'mock' ? 'mock' : 'nvml';
  const difference = originStrength.indexOf(origins.nvmlMode) - originStrength.indexOf(origins.backend);
  if (difference === 0 && asked !== backend && !(asked === 'nvml' && backend === 'auto')) {
    throw new UsageError(`--nvml-mode ${nvmlMode} contradicts --backend ${backend}; leave one of them out`);
  }
  return difference >= 0 ? asked : backend;
}

/** A flag without effect is a mistake and is told; an inherited variable may be meant for other commands. */
function checkTogether(config: AgentConfig, origins: Partial<Record<OptionName, Origin>>): void {
  const isMet = {
    http: config.port > 0,
    stdio: config.port === 0,
    mock: config.backend === 'mock',
    nvml: config.backend === 'auto' || config.backend === 'nvml',
    replay: config.backend === 'replay',
    operator: config.mode === 'operator',
    operatorHttp: config.mode === 'operator' && config.port > 0,
  };
  const remedy = {
    http: 'needs --port N (MCP over HTTP)',
    stdio: 'works with MCP over stdio only, not with --port',
    mock: 'needs --backend mock',
    nvml: 'has no effect with --backend mock or replay',
    replay: 'needs --backend replay',
    operator: 'needs --mode operator',
    operatorHttp: 'needs --mode operator and --port N (MCP over HTTP)',
  };
  for (const [name, { flag, needs }] of optionEntries) {
    if (needs && !isMet[needs] && origins[name] === 'flag')
      throw new UsageError(`--${flag} ${remedy[needs]}`);
  }
  if (config.port > 0 && (config.tlsCertificateFile === undefined) !== (config.tlsKeyFile === undefined))
    throw new UsageError('--tls-cert and --tls-key go together');
  if (config.mode === 'operator') checkOperator(config);
  if ([config.gpu, config.pid, config.at].filter((each) => each !== undefined).length > 1)
    throw new UsageError('--gpu, --pid and --at exclude each other');
  if (config.json && config.events) throw new UsageError('--json and --events exclude each other');
}

/** Whoever can change things must be known, and must not be let in by the token for reading. */
function checkOperator(config: AgentConfig): void {
  if (config.backend === 'mock' || config.backend === 'replay')
    throw new UsageError(
      `--mode operator acts on real GPUs and processes: it does not go with --backend ${config.backend}`,
    );
  if (config.allowUnauthenticated)
    throw new UsageError('--mode operator and --allow-unauthenticated exclude each other');
  if (config.port === 0) return;
  if (config.operatorTokenFile === undefined)
    throw new UsageError('--mode operator with --port needs --operator-token-file');
  if (config.operatorTokenFile === config.authTokenFile)
    throw new UsageError('--operator-token-file and --auth-token-file must be two files with two tokens');
}
