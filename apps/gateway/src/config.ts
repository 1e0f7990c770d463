import {
  checkNeeds,
  type Environment,
  type GivenFlags as Flags,
  type OptionValues,
  resolveOptions,
  UsageError,
} from '@k8s-gpu-mcp/command-line';
import { type CommandName, optionTable } from './options.ts';

export type GivenFlags = Flags<keyof typeof optionTable>;

/** What the program was asked to do; every option has its value. */
export interface GatewayConfig extends Omit<OptionValues<typeof optionTable>, 'directory'> {
  readonly directory: 'kubernetes' | 'static';
}

/** @throws UsageError one clear line that names the flag or variable, its value and what is valid. */
export function resolveConfig(
  command: CommandName,
  flags: GivenFlags,
  environment: Environment,
): GatewayConfig {
  const { values, origins } = resolveOptions(optionTable, command, flags, environment);
  const { agents, agentsFile } = values;
  const isListed = agents.length > 0 || agentsFile !== undefined;
  const directory = values.directory ?? (isListed ? 'static' : 'kubernetes');
  if (agents.length > 0 && agentsFile !== undefined)
    throw new UsageError('--agents and --agents-file exclude each other');
  if (directory === 'static' && !isListed && command === 'serve')
    throw new UsageError('--directory static needs --agents or --agents-file');
  if (directory === 'kubernetes' && isListed)
    throw new UsageError('--agents and --agents-file need --directory static');
  checkNeeds(
    optionTable,
    origins,
    {
      http: true,
      kubernetes: directory === 'kubernetes',
      operator: values.mode === 'operator',
      agentTls: directory === 'kubernetes' ? values.agentTls : isListedWithTls(agents, agentsFile),
    },
    {
      http: '',
      kubernetes: 'needs --directory kubernetes',
      operator: 'needs --mode operator',
      agentTls: 'needs --agent-tls, or an agent at https: in the list',
    },
  );
  if ((values.tlsCertificateFile === undefined) !== (values.tlsKeyFile === undefined))
    throw new UsageError('--tls-cert and --tls-key go together');
  if (directory === 'kubernetes' && values.agentTokenFile !== undefined && values.daemonSet === undefined)
    throw new UsageError('--agent-token-file needs --agent-daemonset: without it no pod is sent the token');
  const config = { ...values, directory };
  if (config.mode === 'operator') checkOperator(config);
  return config;
}

/** Which agents a file lists may change at any time, so one with TLS may be among them. */
const isListedWithTls = (agents: readonly string[], file: string | undefined): boolean =>
  file !== undefined || agents.some((list) => /(?:^|[=,])\s*https:/i.test(list));

/** Whoever can change things must be known, here and at the agents, and must not be let in by a token for reading. */
function checkOperator(config: GatewayConfig): void {
  if (config.allowUnauthenticated)
    throw new UsageError('--mode operator and --allow-unauthenticated exclude each other');
  const { operatorTokenFile: ofCallers, agentOperatorTokenFile: forAgents } = config;
  if (ofCallers === undefined)
    throw new UsageError('--mode operator needs --operator-token-file: the token of callers that may act');
  if (forAgents === undefined)
    throw new UsageError(
      '--mode operator needs --agent-operator-token-file: the operator token of the agents',
    );
  if (config.directory === 'kubernetes' && config.daemonSet === undefined)
    throw new UsageError(
      '--mode operator needs --agent-daemonset: without it no pod is sent the operator token',
    );
  if (ofCallers === config.authTokenFile)
    throw new UsageError('--operator-token-file and --auth-token-file must be two files with two tokens');
  if (forAgents === config.agentTokenFile)
    throw new UsageError(
      '--agent-operator-token-file and --agent-token-file must be two files with two tokens',
    );
}
