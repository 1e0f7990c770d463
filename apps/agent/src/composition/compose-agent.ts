import 'reflect-metadata/lite';
import {
  type FlightRecorder,
  type GpuEventSource,
  type GpuPrompt,
  type GpuProvider,
  type GpuResource,
  type GpuTool,
  type KernelLogFollower,
  type Logger,
  listingOf,
  type ResourceChanges,
  type ServerListing,
} from '@k8s-gpu-mcp/core';
import { Container } from 'inversify';
import type { AgentConfig } from '../config.ts';
import { backendModule, operatorModule, readOnlyModule, runtimeModule } from './modules.ts';
import { operatorTokens, tokens } from './tokens.ts';

/** The agent, put together. Nothing in it has touched the driver yet. */
export interface Agent {
  readonly gpuProvider: GpuProvider;
  /** What reads. */
  readonly tools: readonly GpuTool[];
  /** What changes something; empty unless in operator mode. */
  readonly operatorTools: readonly GpuTool[];
  readonly resources: readonly GpuResource[];
  /** Listens to driver and kernel log only while somebody listens to it. */
  readonly resourceChanges: ResourceChanges;
  readonly prompts: readonly GpuPrompt[];
  /** Asleep until it is started. */
  readonly recorder: FlightRecorder;
  /** Made of all of these. */
  listing(): ServerListing;
  /** Gives back what was opened. Bounded in time, also when the driver hangs. */
  close(): Promise<void>;
}

/** The live side of the agent, for `watch`. */
export interface AgentEvents {
  readonly gpuProvider: GpuProvider;
  readonly eventSource: GpuEventSource;
  readonly kernelLogFollower: KernelLogFollower;
  close(): Promise<void>;
}

/** The container of read-only mode. */
export function createReadOnlyContainer(config: AgentConfig, logger: Logger): Container {
  const container = new Container();
  container.load(runtimeModule(config, logger), backendModule(), readOnlyModule());
  return container;
}

/** The container of operator mode: the same, and what changes something beside it. */
export function createOperatorContainer(config: AgentConfig, logger: Logger): Container {
  const container = createReadOnlyContainer(config, logger);
  container.load(operatorModule());
  return container;
}

/**
 * The only place where ports meet adapters.
 * @throws UsageError when the configuration names something that does not exist, such as a scenario.
 */
export async function composeAgent(config: AgentConfig, logger: Logger): Promise<Agent> {
  const isOperator = config.mode === 'operator';
  const container = isOperator
    ? createOperatorContainer(config, logger)
    : createReadOnlyContainer(config, logger);
  const [gpuProvider, tools, resources, resourceChanges, prompts, recorder, operatorTools] =
    await Promise.all([
      container.getAsync(tokens.gpuProvider),
      container.getAsync(tokens.tools),
      container.getAsync(tokens.resources),
      container.getAsync(tokens.resourceChanges),
      container.getAsync(tokens.prompts),
      container.getAsync(tokens.recorder),
      isOperator ? container.getAsync(operatorTokens.tools) : [],
    ]);
  const parts = { tools, operatorTools, resources, resourceChanges, prompts };
  return {
    gpuProvider,
    ...parts,
    recorder,
    listing: () => listingOf(parts),
    close: () => container.unbindAllAsync(),
  };
}

export async function composeEvents(config: AgentConfig, logger: Logger): Promise<AgentEvents> {
  const container = createReadOnlyContainer(config, logger);
  const [gpuProvider, eventSource, kernelLogFollower] = await Promise.all([
    container.getAsync(tokens.gpuProvider),
    container.getAsync(tokens.eventSource),
    container.getAsync(tokens.kernelLogFollower),
  ]);
  return { gpuProvider, eventSource, kernelLogFollower, close: () => container.unbindAllAsync() };
}
