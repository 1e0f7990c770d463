import type { Clock } from '@k8s-gpu-mcp/core';
import { type AgentClient, AgentFailure } from '../../ports/agent-client.ts';
import type { AskStatus, GatewayMetrics } from './gateway-metrics.ts';

/** The client, with each of its calls counted and timed. */
export function measured(client: AgentClient, metrics: GatewayMetrics, clock: Clock): AgentClient {
  return {
    async call(call) {
      const startedAt = clock.now();
      const ended = (status: AskStatus) =>
        metrics.nodeAsked(call.node.name, (clock.now() - startedAt) / 1_000, status);
      try {
        const reply = await client.call(call);
        if (reply.agent) metrics.agentSeen(call.node, reply.agent.version);
        ended(reply.isError ? 'tool-error' : 'ok');
        return reply;
      } catch (error) {
        if (error instanceof AgentFailure) {
          if (error.agent) metrics.agentSeen(call.node, error.agent.version);
          ended(error.kind);
        }
        throw error;
      }
    },
    retain: (instances) => client.retain(instances),
    close: () => client.close(),
  };
}
