import 'reflect-metadata/lite';
import type { GpuPrompt, GpuProvider, GpuResource, GpuTool, Logger } from '@k8s-gpu-mcp/core';
import { Container } from 'inversify';
import type { AgentConfig } from '../config.ts';
import { backendModule, readOnlyModule, runtimeModule } from './modules.ts';
import { tokens } from './tokens.ts';

/** The agent, put together. Nothing in it has touched the driver yet. */
export interface Agent {
  readonly gpuProvider: GpuProvider;
  readonly tools: readonly GpuTool[];
  readonly resources: readonly GpuResource[];
  readonly prompts: readonly GpuPrompt[];
  /** Gives back what was opened. Bounded in time, also when the driver hangs. */
  close(): Promise<void>;
}

/** The container of read-only mode. */
export function createReadOnlyContainer(config: AgentConfig, logger: Logger): Container {
  const container = new Container();
  container.load(runtimeModule(config, logger), backendModule(), readOnlyModule());
  return container;
}

/**
 * The only place where ports meet adapters.
 * @throws UsageError when the configuration names something that does not exist, such as a scenario.
 */
export async function composeAgent(config: AgentConfig, logger: Logger): Promise<Agent> {
  const container = createReadOnlyContainer(config, logger);
  const [gpuProvider, tools, resources, prompts] = await Promise.all([
    container.getAsync(tokens.gpuProvider),
    container.getAsync(tokens.tools),
    container.getAsync(tokens.resources),
    container.getAsync(tokens.prompts),
  ]);
  return { gpuProvider, tools, resources, prompts, close: () => container.unbindAllAsync() };
}
