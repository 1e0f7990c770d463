import {
  type Environment,
  type GivenFlags,
  type OptionOrigin,
  resolveOptions,
  UsageError,
} from '@k8s-gpu-mcp/command-line';
import { type CommandName, type OptionName, optionTable, type PluginOptions } from './options.ts';

/** @throws UsageError */
export function resolveConfig(
  command: CommandName,
  flags: GivenFlags<OptionName>,
  environment: Environment,
): PluginOptions {
  const { values, origins } = resolveOptions(optionTable, command, flags, withBridgeNames(environment));
  if (origins.token === 'flag' && origins.tokenFile === 'flag')
    throw new UsageError('--token and --token-file are both given: choose one');
  return { ...values, ...oneToken(values, origins) };
}

/** The bridge calls the gateway's namespace just that, and what is set for it should do here too. */
function withBridgeNames(environment: Environment): Environment {
  const inherited = environment['K8S_GPU_MCP_GATEWAY_NAMESPACE'] || environment['K8S_GPU_MCP_NAMESPACE'];
  return { ...environment, K8S_GPU_MCP_GATEWAY_NAMESPACE: inherited };
}

/** A flag wins over the environment; of two variables the file does. */
function oneToken(
  { token, tokenFile }: PluginOptions,
  origins: Readonly<Record<'token' | 'tokenFile', OptionOrigin>>,
): Pick<PluginOptions, 'token' | 'tokenFile'> {
  if (token === undefined || tokenFile === undefined) return { token, tokenFile };
  return origins.token === 'flag' ? { token, tokenFile: undefined } : { token: undefined, tokenFile };
}
