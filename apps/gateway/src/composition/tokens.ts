import type { Environment } from '@k8s-gpu-mcp/command-line';
import type { Cluster, GpuPrompt, GpuResource, GpuTool, Logger, ResourceChanges } from '@k8s-gpu-mcp/core';
import type { KubernetesApi } from '@k8s-gpu-mcp/kubernetes';
import type { ServiceIdentifier } from 'inversify';
import type { AgentsOnDemand } from '../adapters/agents-on-demand.ts';
import type { GatewayMetrics } from '../adapters/metrics/gateway-metrics.ts';
import type { GatewayConfig } from '../config.ts';
import type { Circuits } from '../domain/circuit.ts';
import type { ClusterEvents } from '../domain/cluster-events.ts';
import type { FanOut } from '../domain/fan-out.ts';
import type { AgentClient } from '../ports/agent-client.ts';
import type { AgentEvents } from '../ports/agent-events.ts';
import type { NodeDirectory } from '../ports/node-directory.ts';
import type { OperatorToolParts } from '../tools/create-operator-tools.ts';

const token = <T>(name: string): ServiceIdentifier<T> => Symbol.for(`k8s-gpu-mcp/${name}`);

/** What is bound in the container, each with its type. */
export const tokens = {
  config: token<GatewayConfig>('GatewayConfig'),
  environment: token<Environment>('Environment'),
  logger: token<Logger>('Logger'),
  /** Null where the agents are a list. */
  kubernetesApi: token<KubernetesApi | null>('KubernetesApi'),
  cluster: token<Cluster | null>('Cluster'),
  directory: token<NodeDirectory>('NodeDirectory'),
  /** The connections that questions and live events share. */
  agents: token<AgentsOnDemand>('Agents'),
  client: token<AgentClient>('AgentClient'),
  agentEvents: token<AgentEvents>('AgentEvents'),
  circuits: token<Circuits>('Circuits'),
  metrics: token<GatewayMetrics>('GatewayMetrics'),
  fanOut: token<FanOut>('FanOut'),
  tools: token<readonly GpuTool[]>('ClusterTools'),
  /** Listens to agents only while somebody listens to it. */
  clusterEvents: token<ClusterEvents>('ClusterEvents'),
  resources: token<readonly GpuResource[]>('ClusterResources'),
  resourceChanges: token<ResourceChanges>('ClusterResourceChanges'),
  prompts: token<readonly GpuPrompt[]>('ClusterPrompts'),
};

/** What is bound in operator mode only. */
export const operatorTokens = {
  /** Asks agents with the operator token. */
  client: token<AgentClient>('OperatorAgentClient'),
  fanOut: token<FanOut>('OperatorFanOut'),
  record: token<OperatorToolParts['record']>('OperatorRecord'),
  /** Aborted at shutdown. */
  stopping: token<AbortController>('OperatorStopping'),
  tools: token<readonly GpuTool[]>('OperatorTools'),
};
