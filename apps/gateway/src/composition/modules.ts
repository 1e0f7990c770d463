import { randomBytes } from 'node:crypto';
import type { Environment } from '@k8s-gpu-mcp/command-line';
import { describeGpuTools, type GpuTool, type Logger, systemClock, type Verdict } from '@k8s-gpu-mcp/core';
import { countCalls, createToolMetrics } from '@k8s-gpu-mcp/transport-http/tool-metrics';
import { ContainerModule } from 'inversify';
import { createMcpAgentClient } from '../adapters/agent-client/create-mcp-agent-client.ts';
import { GatewayMetrics } from '../adapters/metrics/gateway-metrics.ts';
import { measured } from '../adapters/metrics/measured-client.ts';
import type { GatewayConfig } from '../config.ts';
import { Circuits } from '../domain/circuit.ts';
import { FanOut } from '../domain/fan-out.ts';
import { type FanOutResult, nodeStatuses } from '../domain/node-outcome.ts';
import type { AgentClient } from '../ports/agent-client.ts';
import type { NodeDirectory } from '../ports/node-directory.ts';
import { type ClusterToolParts, createClusterTools } from '../tools/create-cluster-tools.ts';
import { gatewayVersion } from '../version.ts';
import { openDirectory } from './directories.ts';
import { tokens } from './tokens.ts';

export const runtimeModule = (config: GatewayConfig, environment: Environment, logger: Logger) =>
  new ContainerModule(({ bind }) => {
    bind(tokens.config).toConstantValue(config);
    bind(tokens.environment).toConstantValue(environment);
    bind(tokens.logger).toConstantValue(logger);
  });

/** What touches the world: the directory, the agents, the metrics. */
export const adapterModule = () =>
  new ContainerModule(({ bind }) => {
    bind(tokens.directory)
      .toResolvedValue(openDirectory, [tokens.config, tokens.environment, tokens.logger])
      .inSingletonScope()
      .onDeactivation((directory) => directory.close());
    bind(tokens.metrics).toResolvedValue(createMetrics).inSingletonScope();
    bind(tokens.client)
      .toResolvedValue(openClient, [tokens.config, tokens.metrics, tokens.logger])
      .inSingletonScope()
      .onDeactivation((client) => client.close());
  });

/** What is asked of many nodes, and how. */
export const clusterModule = () =>
  new ContainerModule(({ bind }) => {
    bind(tokens.circuits)
      .toResolvedValue(openCircuits, [tokens.directory, tokens.client, tokens.metrics])
      .inSingletonScope()
      .onDeactivation((circuits) => circuits.close());
    bind(tokens.fanOut)
      .toResolvedValue(
        (directory, client, circuits, logger) =>
          new FanOut({ directory, client, circuits, clock: systemClock, logger, random: Math.random }),
        [tokens.directory, tokens.client, tokens.circuits, tokens.logger],
      )
      .inSingletonScope();
    bind(tokens.tools)
      .toResolvedValue(
        (directory, fanOut, metrics, logger, config) =>
          counted(
            createClusterTools({
              directory,
              fanOut,
              clock: systemClock,
              logger,
              deadlineMilliseconds: config.deadlineMilliseconds,
              newCorrelationId: () => randomBytes(8).toString('hex'),
              onFanOut: noting(metrics),
            }),
            metrics,
          ),
        [tokens.directory, tokens.fanOut, tokens.metrics, tokens.logger, tokens.config],
      )
      .inSingletonScope();
  });

const createMetrics = () =>
  new GatewayMetrics({
    clock: systemClock,
    tools: createToolMetrics(describeGpuTools().map(({ name }) => name)),
  });

function openClient(config: GatewayConfig, metrics: GatewayMetrics, logger: Logger): AgentClient {
  const { agentTokenFile, agentCaFile } = config;
  const client = createMcpAgentClient({
    version: gatewayVersion(),
    logger,
    ...(agentTokenFile === undefined ? {} : { token: { file: agentTokenFile } }),
    ...(agentCaFile === undefined ? {} : { caFile: agentCaFile }),
  });
  return measured(client, metrics, systemClock);
}

/** One circuit for each agent; what the directory does not name any more is forgotten here, by the client and in the metrics. */
function openCircuits(directory: NodeDirectory, client: AgentClient, metrics: GatewayMetrics): Circuits {
  const circuits = new Circuits({ clock: systemClock });
  circuits.onChange(({ node, state }) => metrics.circuitChanged(node, state));
  const follow = () => {
    const snapshot = directory.snapshot();
    const instances = new Set(snapshot.nodes.map(({ instance }) => instance));
    metrics.nodesSeen(snapshot);
    circuits.retain(instances);
    client.retain(instances);
  };
  directory.onChange(follow);
  follow();
  return circuits;
}

/** What many nodes answered to one question, as metrics. */
function noting(metrics: GatewayMetrics): NonNullable<ClusterToolParts['onFanOut']> {
  return (tool, durationMilliseconds, result) => {
    const counts = Object.fromEntries(
      nodeStatuses.map((status) => [
        status,
        result.outcomes.filter((outcome) => outcome.status === status).length,
      ]),
    );
    metrics.fanOutEnded(tool, durationMilliseconds / 1_000, counts);
    if (tool === 'get_gpu_health') noteVerdicts(metrics, result);
  };
}

/** A node that fell silent keeps its verdict, whose age grows: silence is told by other metrics, and must not resolve an alert. */
function noteVerdicts(metrics: GatewayMetrics, { outcomes }: FanOutResult): void {
  for (const outcome of outcomes) {
    if (outcome.status === 'ok') metrics.verdictSeen(outcome.node, outcome.content['verdict'] as Verdict);
  }
}

const counted = (tools: readonly GpuTool[], metrics: GatewayMetrics): readonly GpuTool[] =>
  countCalls(
    tools,
    { observe: (tool) => metrics.toolStarted(tool) },
    (result) => !result.isError && isPartial(result.structuredContent),
  );

/** An answer that lacks a node. */
function isPartial({ statusCounts, nodeCount }: Readonly<Record<string, unknown>>): boolean {
  if (typeof statusCounts !== 'object' || statusCounts === null) return false;
  return !('ok' in statusCounts) || statusCounts.ok !== nodeCount;
}
