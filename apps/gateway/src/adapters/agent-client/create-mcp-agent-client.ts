import { type Clock, type Logger, silentLogger, systemClock } from '@k8s-gpu-mcp/core';
import { type AgentClient, AgentFailure } from '../../ports/agent-client.ts';
import { AgentInstance } from './agent-instance.ts';
import { type TokenProvider, tokenFromFile, trustFromFile } from './credentials.ts';
import { Exchange } from './exchange.ts';

export interface McpAgentClientOptions {
  /** Of the gateway, told to agents. */
  readonly version: string;
  /** Bearer token for agents that may have it: a file that is read again when it changes, or a function asked before every request. */
  readonly token?: { readonly file: string } | TokenProvider;
  /** PEM file of authorities that agents' certificates may come from, besides the system's. Read again when it changes. */
  readonly caFile?: string;
  /** The name that agents' certificates are for. Default: the host of the agent's URL. */
  readonly tlsServerName?: string;
  /** Default 4 MiB; a longer answer is garbage. */
  readonly maxResponseBytes?: number;
  /** Connections kept to one agent; more calls wait. Default 8. */
  readonly connectionsPerAgent?: number;
  /** Default 3,000; the call's own deadline holds too. */
  readonly connectTimeoutMilliseconds?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** Asks agents over MCP (Streamable HTTP), in every revision since 2024-10-07. */
export function createMcpAgentClient(options: McpAgentClientOptions): AgentClient {
  const { clock = systemClock, logger = silentLogger, token, caFile } = options;
  const instanceOptions = {
    clock,
    version: options.version,
    maxResponseBytes: options.maxResponseBytes ?? 4 * 1024 * 1024,
    connectionsPerAgent: options.connectionsPerAgent ?? 8,
    connectTimeoutMilliseconds: options.connectTimeoutMilliseconds ?? 3_000,
    tlsServerName: options.tlsServerName,
    token: typeof token === 'object' ? tokenFromFile(token.file, logger) : (token ?? (async () => undefined)),
    trust: caFile === undefined ? async () => undefined : trustFromFile(caFile, logger),
  };
  const instances = new Map<string, AgentInstance>();
  let isClosed = false;
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
      try {
        if (isClosed) throw new AgentFailure('cancelled', 'the gateway is shutting down');
        const instance = instances.get(node.instance) ?? new AgentInstance(instanceOptions);
        instances.set(node.instance, instance);
        const exchange = new Exchange(call, clock);
        const reply = await exchange.run(() => instance.ask(exchange));
        log(reply.isError ? 'tool-error' : 'ok');
        return reply;
      } catch (error) {
        const failure =
          error instanceof AgentFailure
            ? error
            : new AgentFailure('garbage', 'the call failed', { cause: error });
        log(failure.kind, failure.message);
        throw failure;
      }
    },
    retain(retained) {
      for (const [key, instance] of instances) {
        if (retained.has(key)) continue;
        instances.delete(key);
        void instance.close();
      }
    },
    async close() {
      isClosed = true;
      const all = [...instances.values()];
      instances.clear();
      await Promise.all(all.map((instance) => instance.destroy()));
    },
  };
}
