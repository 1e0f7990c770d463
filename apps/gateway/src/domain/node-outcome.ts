import type { StructuredContent } from '@k8s-gpu-mcp/core';
import type { AgentFailureKind, AgentIdentity } from '../ports/agent-client.ts';

/** `stale`: the directory cannot tell any more whether the node is there, and it did not answer. `error` includes a tool's own error. */
export const nodeStatuses = ['ok', 'error', 'timeout', 'circuit-open', 'not-ready', 'stale'] as const;
export type NodeStatus = (typeof nodeStatuses)[number];

/** How one node fared with one question. `agent`: who answers there, once it has told. */
export type NodeOutcome = (
  | {
      readonly node: string;
      readonly status: 'ok';
      readonly content: StructuredContent;
      /** Nothing is done yet: the agent's question travels with the caller's result. `content` is empty. */
      readonly isPending?: true;
    }
  | {
      readonly node: string;
      readonly status: Exclude<NodeStatus, 'ok'>;
      /** A sentence of ours. Never text of the agent. */
      readonly reason: string;
      /** What the agent or its tool said, for `error`. Untrusted, capped. */
      readonly said?: string;
      /** What kind of failure it was; absent when the agent was not asked, or its tool gave the error. */
      readonly failure?: AgentFailureKind;
    }
) & { readonly agent?: AgentIdentity };

/** All nodes that one question was meant for, by name. */
export interface FanOutResult {
  readonly outcomes: readonly NodeOutcome[];
  /** Copied from the directory: the set of nodes may be out of date. ISO 8601. */
  readonly staleSince: string | null;
  readonly directoryProblem: string | null;
}
