import 'reflect-metadata/lite';
import type { Environment } from '@k8s-gpu-mcp/command-line';
import type { GpuTool, Logger } from '@k8s-gpu-mcp/core';
import { Container } from 'inversify';
import type { GatewayConfig } from '../config.ts';
import type { NodeDirectory } from '../ports/node-directory.ts';
import { adapterModule, clusterModule, runtimeModule } from './modules.ts';
import { tokens } from './tokens.ts';

/** The gateway, put together. No agent has been asked yet. */
export interface Gateway {
  readonly directory: NodeDirectory;
  readonly tools: readonly GpuTool[];
  /** Prometheus text. */
  collectMetrics(): Promise<string>;
  close(): Promise<void>;
}

/**
 * The only place where ports meet adapters.
 * @throws UsageError when the configuration names something that cannot be used: no kubeconfig, a list of agents with a mistake.
 */
export async function composeGateway(
  config: GatewayConfig,
  environment: Environment,
  logger: Logger,
): Promise<Gateway> {
  const container = new Container();
  container.load(runtimeModule(config, environment, logger), adapterModule(), clusterModule());
  const [directory, tools, metrics] = await Promise.all([
    container.getAsync(tokens.directory),
    container.getAsync(tokens.tools),
    container.getAsync(tokens.metrics),
  ]);
  return {
    directory,
    tools,
    collectMetrics: () => metrics.render(),
    close: () => container.unbindAllAsync(),
  };
}
