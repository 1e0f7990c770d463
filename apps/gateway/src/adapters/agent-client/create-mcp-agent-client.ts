import { silentLogger, systemClock } from '@k8s-gpu-mcp/core';
import { type AgentClient, AgentFailure } from '../../ports/agent-client.ts';
import type { AgentInstance } from './agent-instance.ts';
import { AgentInstances, type McpAgentClientOptions } from './agent-instances.ts';
import { Exchange } from './exchange.ts';

export type { McpAgentClientOptions } from './agent-instances.ts';

/**
 * Asks agents over MCP (Streamable HTTP), in every revision since 2024-10-07. Its connections can be shared: whoever closes the client
 * closes them.
 */
export function createMcpAgentClient(
  options: McpAgentClientOptions,
  instances: AgentInstances = new AgentInstances(options),
): AgentClient {
  const { clock = systemClock, logger = silentLogger } = options;
  return {
    async call(call) {
      const { node, tool, correlationId } = call;
      const startedAt = clock.now();
      const log = (outcome: string, message?: string) =>
        logger.debug('agents: call', {
          ...{ node: node.name, tool, correlationId, outcome },
          milliseconds: clock.now() - startedAt,
          ...(message === undefined ? {} : { message }),
        });
      let instance: AgentInstance | undefined;
      try {
        const asked = instances.of(node);
        instance = asked;
        const exchange = new Exchange(call, clock);
        const reply = await exchange.run(() => asked.ask(exchange));
        log(reply.isError ? 'tool-error' : 'ok');
        return reply;
      } catch (error) {
        const failure =
          error instanceof AgentFailure
            ? error
            : new AgentFailure('garbage', 'the call failed', { cause: error });
        log(failure.kind, failure.message);
        throw failure.of(instance?.identity);
      }
    },
    retain: (retained) => instances.retain(retained),
    close: () => instances.close(),
  };
}
