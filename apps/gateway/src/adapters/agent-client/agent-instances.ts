import { type Clock, type Logger, silentLogger, systemClock } from '@k8s-gpu-mcp/core';
import { AgentFailure } from '../../ports/agent-client.ts';
import type { AgentNode } from '../../ports/node-directory.ts';
import { AgentInstance, type InstanceOptions } from './agent-instance.ts';
import { createCallWriter } from './call-message.ts';
import { type TokenProvider, tokenFromFile, trustFromFile } from './credentials.ts';

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

/** The agents that were ever asked or listened to, and what is open to each: one pool of connections, whoever uses it. */
export class AgentInstances {
  readonly #options: InstanceOptions;
  readonly #instances = new Map<string, AgentInstance>();
  #isClosed = false;

  constructor(options: McpAgentClientOptions) {
    const { clock = systemClock, logger = silentLogger, token, caFile } = options;
    this.#options = {
      clock,
      version: options.version,
      maxResponseBytes: options.maxResponseBytes ?? 4 * 1024 * 1024,
      connectionsPerAgent: options.connectionsPerAgent ?? 8,
      connectTimeoutMilliseconds: options.connectTimeoutMilliseconds ?? 3_000,
      tlsServerName: options.tlsServerName,
      token:
        typeof token === 'object' ? tokenFromFile(token.file, logger) : (token ?? (async () => undefined)),
      trust: caFile === undefined ? async () => undefined : trustFromFile(caFile, logger),
      writeCall: createCallWriter(options.version),
    };
  }

  /** @throws AgentFailure after `close`. */
  of(node: AgentNode): AgentInstance {
    if (this.#isClosed) throw new AgentFailure('cancelled', 'the gateway is shutting down');
    const instance = this.#instances.get(node.instance) ?? new AgentInstance(this.#options);
    this.#instances.set(node.instance, instance);
    return instance;
  }

  /** Closes the connections to agents that are not in `retained` any more. */
  retain(retained: ReadonlySet<string>): void {
    for (const [key, instance] of this.#instances) {
      if (retained.has(key)) continue;
      this.#instances.delete(key);
      void instance.close();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const all = [...this.#instances.values()];
    this.#instances.clear();
    await Promise.all(all.map((instance) => instance.destroy()));
  }
}
