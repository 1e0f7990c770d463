import { randomBytes } from 'node:crypto';
import type { Environment } from '@k8s-gpu-mcp/command-line';
import {
  createClusterTools as createNodeAndPodTools,
  createWorkloadTools,
  describeGpuTools,
  describeOperatorTools,
  type GpuTool,
  type Logger,
  systemClock,
  type Verdict,
} from '@k8s-gpu-mcp/core';
import { countCalls, createToolMetrics } from '@k8s-gpu-mcp/transport-http/tool-metrics';
import { ContainerModule } from 'inversify';
import { type AgentsOnDemand, agentsOnDemand } from '../adapters/agents-on-demand.ts';
import { GatewayMetrics } from '../adapters/metrics/gateway-metrics.ts';
import { measured } from '../adapters/metrics/measured-client.ts';
import type { GatewayConfig } from '../config.ts';
import { Circuits } from '../domain/circuit.ts';
import { ClusterEvents } from '../domain/cluster-events.ts';
import { FanOut } from '../domain/fan-out.ts';
import { type FanOutResult, nodeStatuses } from '../domain/node-outcome.ts';
import type { AgentClient } from '../ports/agent-client.ts';
import type { NodeDirectory } from '../ports/node-directory.ts';
import { createClusterPrompts } from '../prompts/create-cluster-prompts.ts';
import { createClusterResourceChanges } from '../resources/cluster-resource-changes.ts';
import { createClusterResources } from '../resources/create-cluster-resources.ts';
import { createAskAgent, withCorrelation } from '../tools/ask-agent.ts';
import { type ClusterToolParts, createClusterTools } from '../tools/create-cluster-tools.ts';
import { withWorkloads } from '../tools/workload-tools.ts';
import { gatewayVersion } from '../version.ts';
import { openCluster, openDirectory, openKubernetesApi } from './directories.ts';
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
    bind(tokens.kubernetesApi)
      .toResolvedValue(openKubernetesApi, [tokens.config, tokens.environment])
      .inSingletonScope();
    bind(tokens.cluster)
      .toResolvedValue(openCluster, [tokens.kubernetesApi, tokens.logger])
      .inSingletonScope();
    bind(tokens.directory)
      .toResolvedValue(openDirectory, [tokens.config, tokens.kubernetesApi, tokens.logger])
      .inSingletonScope()
      .onDeactivation((directory) => directory.close());
    bind(tokens.metrics).toResolvedValue(createMetrics, [tokens.config]).inSingletonScope();
    bind(tokens.agents)
      .toResolvedValue(
        (config, logger) => openAgents(config, logger, config.agentTokenFile),
        [tokens.config, tokens.logger],
      )
      .inSingletonScope();
    bind(tokens.client)
      .toResolvedValue(
        ({ client }, metrics) => measured(client, metrics, systemClock),
        [tokens.agents, tokens.metrics],
      )
      .inSingletonScope()
      .onDeactivation((client) => client.close());
    bind(tokens.agentEvents)
      .toResolvedValue(({ events }) => events, [tokens.agents])
      .inSingletonScope();
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
        (directory, fanOut, cluster, metrics, logger, { deadlineMilliseconds }) => {
          const parts = {
            directory,
            fanOut,
            clock: systemClock,
            logger,
            deadlineMilliseconds,
            newCorrelationId: () => randomBytes(8).toString('hex'),
          };
          const ports = cluster
            ? { cluster, askAgent: createAskAgent(parts), clock: systemClock, logger }
            : null;
          const workloads = ports && createWorkloadTools(ports, { deadlineMilliseconds });
          const ofAgents = createClusterTools({ ...parts, cluster, onFanOut: noting(metrics) });
          const ofNodesAndPods = ports ? createNodeAndPodTools(ports, { deadlineMilliseconds }) : [];
          const tools = [...ofAgents.map((tool) => withWorkloads(tool, workloads)), ...ofNodesAndPods];
          return counted(
            tools.map((tool) => withCorrelation(tool, parts.newCorrelationId)),
            metrics,
          );
        },
        [tokens.directory, tokens.fanOut, tokens.cluster, tokens.metrics, tokens.logger, tokens.config],
      )
      .inSingletonScope();
  });

/** What a client can read and follow beside the tools. */
export const resourceModule = () =>
  new ContainerModule(({ bind }) => {
    bind(tokens.clusterEvents)
      .toResolvedValue(
        (directory, events, logger) =>
          new ClusterEvents({ directory, events, clock: systemClock, random: Math.random, logger }),
        [tokens.directory, tokens.agentEvents, tokens.logger],
      )
      .inSingletonScope()
      .onDeactivation((events) => events.close());
    bind(tokens.resources)
      .toResolvedValue(
        (tools, directory, agentEvents, clusterEvents, { deadlineMilliseconds }) =>
          createClusterResources({
            tools,
            directory,
            agentEvents,
            clusterEvents,
            clock: systemClock,
            deadlineMilliseconds,
          }),
        [tokens.tools, tokens.directory, tokens.agentEvents, tokens.clusterEvents, tokens.config],
      )
      .inSingletonScope();
    bind(tokens.resourceChanges)
      .toResolvedValue(
        (clusterEvents) => createClusterResourceChanges({ clusterEvents, clock: systemClock }),
        [tokens.clusterEvents],
      )
      .inSingletonScope();
    bind(tokens.prompts).toResolvedValue(createClusterPrompts, [tokens.tools]).inSingletonScope();
  });

/** Tools that join what the API server tells with what agents see. */
const nodeAndPodTools = ['describe_gpu_node', 'get_pod_gpu_allocation'];

function createMetrics({ mode }: GatewayConfig): GatewayMetrics {
  const agentTools = [...describeGpuTools(), ...(mode === 'operator' ? describeOperatorTools() : [])];
  return new GatewayMetrics({
    clock: systemClock,
    tools: createToolMetrics([...agentTools.map(({ name }) => name), ...nodeAndPodTools]),
  });
}

/** How agents are reached, with the token in `tokenFile`. */
export function openAgents(
  { agentCaFile, agentTlsName }: GatewayConfig,
  logger: Logger,
  tokenFile: string | undefined,
): AgentsOnDemand {
  return agentsOnDemand(async () => {
    const [{ AgentInstances }, { createMcpAgentClient }, { createMcpAgentEvents }] = await Promise.all([
      import('../adapters/agent-client/agent-instances.ts'),
      import('../adapters/agent-client/create-mcp-agent-client.ts'),
      import('../adapters/agent-events/create-mcp-agent-events.ts'),
    ]);
    const options = {
      version: gatewayVersion(),
      logger,
      ...(tokenFile === undefined ? {} : { token: { file: tokenFile } }),
      ...(agentCaFile === undefined ? {} : { caFile: agentCaFile }),
      ...(agentTlsName === undefined ? {} : { tlsServerName: agentTlsName }),
    };
    const instances = new AgentInstances(options);
    return {
      client: createMcpAgentClient(options, instances),
      events: createMcpAgentEvents(instances, { clock: systemClock }),
    };
  });
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

export const counted = (tools: readonly GpuTool[], metrics: GatewayMetrics): readonly GpuTool[] =>
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
