import type { AskAgent, GapReason, GpuTool } from '@k8s-gpu-mcp/core';
import type { FanOut } from '../domain/fan-out.ts';
import type { NodeOutcome } from '../domain/node-outcome.ts';
import type { NodeDirectory } from '../ports/node-directory.ts';

export interface AskAgentParts {
  readonly directory: NodeDirectory;
  readonly fanOut: FanOut;
  readonly deadlineMilliseconds: number;
  /** Sixteen hexadecimal digits, new for each question. */
  readonly newCorrelationId: () => string;
}

/** How tools about the cluster ask the agent of one node: through the circuits and retries that every question goes through. */
export function createAskAgent(parts: AskAgentParts): AskAgent {
  const { directory, fanOut, deadlineMilliseconds, newCorrelationId } = parts;
  return async (name, tool, input, signal, trace) => {
    // What has not been read yet says of no node that it has no agent.
    await directory.settled(signal);
    const node = directory.snapshot().nodes.find((each) => each.name === name);
    if (!node) return { content: null, reason: 'not-observable', detail: 'no agent runs on this node' };
    const { outcomes } = await fanOut.askNodes([node], {
      tool,
      arguments: input,
      deadlineMilliseconds,
      signal,
      correlationId: trace?.correlationId ?? newCorrelationId(),
      traceparent: trace?.traceparent,
      isReadOnly: true,
    });
    const [outcome] = outcomes;
    if (outcome === undefined) throw new Error('a question to one node has no outcome');
    if (outcome.status === 'ok') return { content: outcome.content };
    return { content: null, reason: reasonOf(outcome), detail: `${outcome.status}: ${outcome.reason}` };
  };
}

/** A tool all of whose questions to agents belong together in the logs, also when the caller brought no id. */
export function withCorrelation(tool: GpuTool, newCorrelationId: () => string): GpuTool {
  return {
    ...tool,
    call: (input, context = {}) =>
      tool.call(input, { ...context, correlationId: context.correlationId ?? newCorrelationId() }),
  };
}

function reasonOf(outcome: Exclude<NodeOutcome, { status: 'ok' }>): GapReason {
  if (outcome.failure === 'unauthorized') return 'no-permission';
  if (outcome.failure === 'incompatible') return 'unsupported';
  if (outcome.status === 'timeout') return 'timeout';
  return outcome.status === 'error' ? 'error' : 'not-observable';
}
