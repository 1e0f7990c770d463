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
    { http: true, kubernetes: directory === 'kubernetes' },
    { http: '', kubernetes: 'needs --directory kubernetes' },
  );
  if ((values.tlsCertificateFile === undefined) !== (values.tlsKeyFile === undefined))
    throw new UsageError('--tls-cert and --tls-key go together');
  if (directory === 'kubernetes' && values.agentTokenFile !== undefined && values.daemonSet === undefined)
    throw new UsageError('--agent-token-file needs --agent-daemonset: without it no pod is sent the token');
  return { ...values, directory };
}
