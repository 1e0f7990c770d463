import { hostname } from 'node:os';
import {
  checkNeeds,
  type Environment,
  type GivenFlags as Flags,
  type LogLevel,
  type OptionOrigin,
  type OptionValues,
  resolveOptions,
  UsageError,
} from '@k8s-gpu-mcp/command-line';
import { type CommandName, type OptionName, optionTable } from './options.ts';

type Resolved = OptionValues<typeof optionTable>;

/** What the program was asked to do; every option has its value. */
export interface AgentConfig extends Omit<Resolved, 'logLevel' | 'nvmlMode'> {
  readonly command: CommandName;
  readonly logLevel: LogLevel;
}

/** Texts as the command line gave them, by option name; a switch is `['true']`. */
export type GivenFlags = Flags<OptionName>;
type Origins = Readonly<Record<OptionName, OptionOrigin>>;

/**
 * Flag, else environment, else default, each checked by the same parser.
 * @throws UsageError one clear line that names the flag or variable, its value and what is valid.
 */
export function resolveConfig(
  command: CommandName,
  flags: GivenFlags,
  environment: Environment,
): AgentConfig {
  const { values, origins } = resolveOptions(optionTable, command, flags, environment);
  const { nvmlMode, logLevel, ...rest } = values;
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

const originStrength: readonly OptionOrigin[] = ['default', 'environment', 'flag'];

function backendOf(
  backend: AgentConfig['backend'],
  nvmlMode: Resolved['nvmlMode'],
  origins: Origins,
): AgentConfig['backend'] {
  if (nvmlMode === undefined) return backend;
  const asked = nvmlMode === 'mock' ? 'mock' : 'nvml';
  const difference = originStrength.indexOf(origins.nvmlMode) - originStrength.indexOf(origins.backend);
  if (difference === 0 && asked !== backend && !(asked === 'nvml' && backend === 'auto')) {
    throw new UsageError(`--nvml-mode ${nvmlMode} contradicts --backend ${backend}; leave one of them out`);
  }
  return difference >= 0 ? asked : backend;
}

function checkTogether(config: AgentConfig, origins: Origins): void {
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
  checkNeeds(optionTable, origins, isMet, remedy);
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
