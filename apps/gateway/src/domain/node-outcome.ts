import type { StructuredContent } from '@k8s-gpu-mcp/core';

/** `stale`: the directory cannot tell any more whether the node is there, and it did not answer. `error` includes a tool's own error. */
export const nodeStatuses = ['ok', 'error', 'timeout', 'circuit-open', 'not-ready', 'stale'] as const;
export type NodeStatus = (typeof nodeStatuses)[number];

/** How one node fared with one question. */
export type NodeOutcome =
  | { readonly node: string; readonly status: 'ok'; readonly content: StructuredContent }
  | {
      readonly node: string;
      readonly status: Exclude<NodeStatus, 'ok'>;
      /** A sentence of ours. Never text of the agent. */
      readonly reason: string;
      /** What the agent's tool said, for `error`. Untrusted, capped. */
      readonly said?: string;
    };

/** All nodes that one question was meant for, by name. */
export interface FanOutResult {
  readonly outcomes: readonly NodeOutcome[];
  /** Copied from the directory: the set of nodes may be out of date. ISO 8601. */
  readonly staleSince: string | null;
  readonly directoryProblem: string | null;
}
