import type { Environment } from '@k8s-gpu-mcp/command-line';
import type { GpuTool, Logger } from '@k8s-gpu-mcp/core';
import type { ServiceIdentifier } from 'inversify';
import type { GatewayMetrics } from '../adapters/metrics/gateway-metrics.ts';
import type { GatewayConfig } from '../config.ts';
import type { Circuits } from '../domain/circuit.ts';
import type { FanOut } from '../domain/fan-out.ts';
import type { AgentClient } from '../ports/agent-client.ts';
import type { NodeDirectory } from '../ports/node-directory.ts';

const token = <T>(name: string): ServiceIdentifier<T> => Symbol.for(`k8s-gpu-mcp/${name}`);

/** What is bound in the container, each with its type. */
export const tokens = {
  config: token<GatewayConfig>('GatewayConfig'),
  environment: token<Environment>('Environment'),
  logger: token<Logger>('Logger'),
  directory: token<NodeDirectory>('NodeDirectory'),
  client: token<AgentClient>('AgentClient'),
  circuits: token<Circuits>('Circuits'),
  metrics: token<GatewayMetrics>('GatewayMetrics'),
  fanOut: token<FanOut>('FanOut'),
  tools: token<readonly GpuTool[]>('ClusterTools'),
};
