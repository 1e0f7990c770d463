import type { StructuredContent, ToolContext } from '@k8s-gpu-mcp/core';
import type { AgentNode } from './node-directory.ts';

/** One tool call to one agent. */
export interface AgentCall {
  readonly node: AgentNode;
  readonly tool: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** What is left of the caller's time. The agent is told a second less, so that it answers with what it has before it is given up. */
  readonly deadlineMilliseconds: number;
  /** Aborts when the caller cancels, or the gateway gives up. The agent is told. */
  readonly signal: AbortSignal;
  /** Sixteen hexadecimal digits, the same for every call that one question made. Logged here and by the agent. */
  readonly correlationId: string;
  /** W3C trace context of the caller. */
  readonly traceparent?: string;
  readonly progress?: ToolContext['progress'];
  /** Carries the agent's question to the person. Absent: the agent is told that nobody can be asked. */
  readonly confirm?: ToolContext['confirm'];
  /** Id of the question whose answer the caller brings with this call: the agent is asked with that answer. */
  readonly answeredQuestion?: string;
}

/** Who answers at an address, as it told in its handshake; see `identify` for what follows from it. */
export interface AgentIdentity {
  /** Untrusted, cut; empty when it did not tell. */
  readonly name: string;
  /** Of a closed form that can stand in a sentence; null when it told none, or is another program. */
  readonly version: string | null;
  /** Of the same line of versions as the gateway. */
  readonly isCompatible: boolean;
}

/** What an agent said. */
export type AgentReply = (
  | {
      readonly isError: false;
      readonly structuredContent: StructuredContent;
      /** The agent asked, and `confirm` said that the question travels with the caller's result. There is no content yet. */
      readonly isPending?: true;
    }
  /** The tool's own error: the agent works, the question or the node does not. `text` is untrusted. */
  | { readonly isError: true; readonly text: string }
) & { readonly agent?: AgentIdentity };

/**
 * `unreachable`: refused, reset, no route, name not resolved. `overloaded`: 429 or 502, 503, 504. `unauthorized`: 401 or 403.
 * `certificate`: not valid for that agent. `incompatible`: no protocol, tool, argument or form of answer in common. `garbage`: not MCP, too large, cut off.
 */
export type AgentFailureKind =
  | 'unreachable'
  | 'timeout'
  | 'cancelled'
  | 'overloaded'
  | 'unauthorized'
  | 'certificate'
  | 'incompatible'
  | 'garbage'
  | 'refused';

export class AgentFailure extends Error {
  override readonly name = 'AgentFailure';
  readonly kind: AgentFailureKind;
  /** True for transport errors and 502, 503, 504: a call that reads may be tried again. */
  readonly isRetryable: boolean;
  /** What a `Retry-After` header asked for. */
  readonly retryAfterMilliseconds: number | undefined;
  /** What the agent said with it. Untrusted, capped; never part of `message`. */
  readonly said: string | undefined;
  /** Who failed, if it has ever told. */
  readonly agent: AgentIdentity | undefined;

  constructor(
    kind: AgentFailureKind,
    message: string,
    options: {
      isRetryable?: boolean;
      retryAfterMilliseconds?: number | undefined;
      said?: string | undefined;
      agent?: AgentIdentity | undefined;
      cause?: unknown;
    } = {},
  ) {
    super(message, { cause: options.cause });
    this.kind = kind;
    this.isRetryable = options.isRetryable ?? false;
    this.retryAfterMilliseconds = options.retryAfterMilliseconds;
    this.said = options.said;
    this.agent = options.agent;
  }

  /** The same failure, with who it is of. */
  of(agent: AgentIdentity | undefined): AgentFailure {
    if (agent === undefined) return this;
    return new AgentFailure(this.kind, this.message, { ...this, agent, cause: this.cause });
  }
}

/** Asks agents. One pool of connections for all of them; no retries and no circuit: those stand above it. */
export interface AgentClient {
  /** @throws AgentFailure, and nothing else. */
  call(call: AgentCall): Promise<AgentReply>;
  /** Closes the connections to agents that are not in `instances` any more. */
  retain(instances: ReadonlySet<string>): void;
  close(): Promise<void>;
}
