import 'reflect-metadata/lite';
import type { Environment } from '@k8s-gpu-mcp/command-line';
import type { GpuPrompt, GpuResource, GpuTool, Logger, ResourceChanges } from '@k8s-gpu-mcp/core';
import { Container } from 'inversify';
import type { GatewayConfig } from '../config.ts';
import type { NodeDirectory } from '../ports/node-directory.ts';
import { adapterModule, clusterModule, resourceModule, runtimeModule } from './modules.ts';
import { operatorModule } from './operator-module.ts';
import { operatorTokens, tokens } from './tokens.ts';

/** The gateway, put together. No agent has been asked yet. */
export interface Gateway {
  readonly directory: NodeDirectory;
  /** What reads. */
  readonly tools: readonly GpuTool[];
  /** What changes something; empty unless in operator mode. */
  readonly operatorTools: readonly GpuTool[];
  readonly resources: readonly GpuResource[];
  /** When a resource has changed. */
  readonly resourceChanges: ResourceChanges;
  readonly prompts: readonly GpuPrompt[];
  /** Loads what asks agents, so that the first question need not wait for it. */
  load(): Promise<void>;
  /** Shutdown has begun: questions to people are withdrawn, and nothing new acts. */
  stop(): void;
  /** Prometheus text. */
  collectMetrics(): Promise<string>;
  close(): Promise<void>;
}

/** The container of read-only mode. */
export function createReadOnlyContainer(
  config: GatewayConfig,
  environment: Environment,
  logger: Logger,
): Container {
  const container = new Container();
  container.load(
    runtimeModule(config, environment, logger),
    adapterModule(),
    clusterModule(),
    resourceModule(),
  );
  return container;
}

/** The container of operator mode: the same, and what makes agents act beside it. */
export function createOperatorContainer(
  config: GatewayConfig,
  environment: Environment,
  logger: Logger,
): Container {
  const container = createReadOnlyContainer(config, environment, logger);
  container.load(operatorModule());
  return container;
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
  const isOperator = config.mode === 'operator';
  const container = isOperator
    ? createOperatorContainer(config, environment, logger)
    : createReadOnlyContainer(config, environment, logger);
  const [directory, tools, metrics, resources, resourceChanges, prompts, agents, operatorTools, stopping] =
    await Promise.all([
      container.getAsync(tokens.directory),
      container.getAsync(tokens.tools),
      container.getAsync(tokens.metrics),
      container.getAsync(tokens.resources),
      container.getAsync(tokens.resourceChanges),
      container.getAsync(tokens.prompts),
      container.getAsync(tokens.agents),
      isOperator ? container.getAsync(operatorTokens.tools) : [],
      isOperator ? container.getAsync(operatorTokens.stopping) : undefined,
    ]);
  return {
    directory,
    tools,
    operatorTools,
    resources,
    resourceChanges,
    prompts,
    load: () => agents.load(),
    stop: () => stopping?.abort(),
    collectMetrics: () => metrics.render(),
    close: () => container.unbindAllAsync(),
  };
}
