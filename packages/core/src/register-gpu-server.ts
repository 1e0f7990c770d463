import { type McpPromptServer, registerGpuPrompts } from './prompts/gpu-prompts.ts';
import type { GpuPrompt } from './prompts/prompt.ts';
import type { GpuResource } from './resources/gpu-resources.ts';
import { type McpResourceServer, type ResourceHost, registerGpuResources } from './resources/register.ts';
import type { ResourceChanges } from './resources/resource-changes.ts';
import {
  type McpSubscriptionServer,
  registerResourceSubscriptions,
  type SubscriptionHost,
} from './resources/subscriptions.ts';
import { type McpToolServer, type RegisterOptions, registerGpuTools } from './tools/register.ts';
import type { GpuTool } from './tools/tool.ts';

/** All that a server offers, made once per process. */
export interface GpuServerParts {
  readonly tools: readonly GpuTool[];
  /** Registered only for callers that may change something. */
  readonly operatorTools: readonly GpuTool[];
  readonly resources: readonly GpuResource[];
  /** When a resource has changed. */
  readonly resourceChanges: ResourceChanges;
  readonly prompts: readonly GpuPrompt[];
}

/** A whole server object of either SDK line; see `McpToolServer`. */
export interface McpGpuServer extends McpToolServer, McpResourceServer, McpPromptServer {
  readonly server: NonNullable<McpToolServer['server']> & McpSubscriptionServer;
}

export interface RegisterServerOptions extends RegisterOptions {
  /** Whether the caller gets the operator tools too. */
  readonly mayOperate: boolean;
}

/** Registers tools, resources, their subscriptions and prompts on the server object of one caller, before it is connected. */
export function registerGpuServer(
  server: McpGpuServer,
  parts: GpuServerParts,
  host: ResourceHost & SubscriptionHost,
  { mayOperate, ...options }: RegisterServerOptions,
): void {
  const { tools, operatorTools, resources, resourceChanges, prompts } = parts;
  registerGpuTools(server, mayOperate ? [...tools, ...operatorTools] : tools, options);
  registerGpuResources(server, resources, host);
  registerResourceSubscriptions(server.server, resources, resourceChanges, host);
  registerGpuPrompts(server, prompts);
}
