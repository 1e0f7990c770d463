import { GpuError, isGpuError, type StructuredContent } from '@k8s-gpu-mcp/core';
import { presentOneNode } from '../answers/one-node.ts';
import { isNodeName } from '../answers/words.ts';
import type { NodeOutcome } from '../domain/node-outcome.ts';
import { mayHaveActed } from '../domain/outcome-words.ts';

/** `asked`: the question went to the client with the result. `unknown`: it may have been done, and may not. */
export type OperatorOutcome = 'planned' | 'refused' | 'asked' | 'declined' | 'done' | 'failed' | 'unknown';

/** How a call of an operator tool ended: for the caller, and for the record. */
export type Ending = { readonly outcome: OperatorOutcome; readonly detail: string } & (
  | { readonly content: StructuredContent }
  | { readonly error: unknown }
);

/** By the outcome that the agent's answer names. */
const ofAnswer: Readonly<Record<string, OperatorOutcome>> = {
  planned: 'planned',
  'cannot-act': 'refused',
  'awaiting-confirmation': 'asked',
  declined: 'declined',
  cancelled: 'declined',
  done: 'done',
  failed: 'failed',
  unverified: 'unknown',
};

/** What became of a call that reached the agent, or should have. */
export function endingOf(
  outcome: NodeOutcome,
  { tool, isPlan }: { readonly tool: string; readonly isPlan: boolean },
): Ending {
  if (outcome.status === 'ok') return answerEnding(outcome.content, outcome.isPending === true, isPlan);
  const presented = presentOneNode(outcome);
  if (!presented.isError) throw new Error('an outcome that is not ok presents as one');
  const isDoubtful = !isPlan && mayBeDone(outcome, presented.code === 'INTERNAL');
  // The text begins with the code, which the error brings itself.
  const message = presented.text.slice(presented.code.length + 2);
  const hint = isDoubtful ? lookFirst(outcome.node) : hintOf(outcome, tool);
  return {
    outcome: isDoubtful ? 'unknown' : 'refused',
    detail: `${outcome.status}: ${outcome.reason}`,
    error: new GpuError(presented.code, message, { hint }),
  };
}

function answerEnding(content: StructuredContent, isPending: boolean, isPlan: boolean): Ending {
  if (isPending) return { content, outcome: 'asked', detail: 'the question went to the client' };
  const said = content['outcome'];
  const known = typeof said === 'string' && Object.hasOwn(ofAnswer, said) ? ofAnswer[said] : undefined;
  if (known === undefined)
    return {
      content,
      outcome: isPlan ? 'refused' : 'unknown',
      detail: 'the agent tells no outcome that is known here',
    };
  return { content, outcome: known, detail: `the agent answered: ${said}` };
}

/** For what the gateway refuses, a caller that cancelled, and defects. `wasAsked`: the agent may have acted. */
export function thrownEnding(error: unknown, wasAsked: boolean): Ending {
  const detail = isGpuError(error) ? `${error.code}: ${error.message}` : 'a defect; the log has it';
  return { outcome: wasAsked ? 'unknown' : 'refused', detail, error };
}

/** An agent's tool refuses before it acts; only a defect (`INTERNAL`) can come after. */
function mayBeDone(outcome: Exclude<NodeOutcome, { status: 'ok' }>, isDefect: boolean): boolean {
  if (outcome.failure !== undefined) return mayHaveActed.has(outcome.failure);
  return isDefect || (outcome.status === 'error' && outcome.said === undefined);
}

function lookFirst(node: string): string {
  const there = isNodeName(node) ? `node ${node}` : 'that node';
  return `It may have been done. Before planning again look at ${there} with get_gpu_processes and get_gpu_health; the audit record of its agent tells too.`;
}

function hintOf(outcome: Exclude<NodeOutcome, { status: 'ok' }>, tool: string): string {
  switch (outcome.failure) {
    case 'unauthorized':
    case 'incompatible':
      return `Nothing was done. ${tool} needs an agent in operator mode (--mode operator; --operator-actions may leave it out) that knows the token of --agent-operator-token-file.`;
    default:
      return outcome.said === undefined ? 'Nothing was done.' : '';
  }
}
