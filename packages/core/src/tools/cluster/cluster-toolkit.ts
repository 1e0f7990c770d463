import { awaitWithin } from '../../await-within.ts';
import type { GapReason } from '../../domain/gap.ts';
import { GpuError, isGpuError } from '../../errors.ts';
import { gapReasonOf } from '../../gpu-reader.ts';
import type { Cluster, ListReading, ObjectReading } from '../../ports/cluster.ts';
import type { Clock, Logger } from '../../ports/runtime.ts';
import type { StructuredContent, ToolContext } from '../tool.ts';

/** What the agent of a node said to a tool call, or why it said nothing. */
export type AgentSaid =
  | { readonly content: StructuredContent }
  | {
      readonly content: null;
      readonly reason: GapReason;
      /** Our own words. */
      readonly detail: string;
    };

/** What joins the calls of one question in logs and traces. */
export type QuestionTrace = Pick<ToolContext, 'correlationId' | 'traceparent'>;

/** Asks the agent of one node. Never rejects. */
export type AskAgent = (
  node: string,
  tool: string,
  input: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
  trace?: QuestionTrace,
) => Promise<AgentSaid>;

export interface ClusterToolkit {
  readonly cluster: Cluster;
  /** Null where there are no agents to ask. */
  readonly askAgent: AskAgent | null;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The same, for one question: agents are asked under its trace. */
export function tracedBy(toolkit: ClusterToolkit, trace: QuestionTrace): ClusterToolkit {
  const { askAgent } = toolkit;
  if (!askAgent) return toolkit;
  return {
    ...toolkit,
    askAgent: (node, tool, input, signal) => askAgent(node, tool, input, signal, trace),
  };
}

const overdue = () => new GpuError('TIMEOUT', 'no answer within the deadline');

/** An object; a failure is a gap. */
export async function readObject<T>(
  toolkit: ClusterToolkit,
  field: string,
  signal: AbortSignal,
  read: () => Promise<ObjectReading<T>>,
): Promise<ObjectReading<T>> {
  try {
    return await awaitWithin(read(), signal, toolkit.clock, overdue);
  } catch (thrown) {
    return { object: null, gaps: [gapOf(toolkit, field, thrown)] };
  }
}

/** A list; a failure is a gap, never an empty list. */
export async function readList<T>(
  toolkit: ClusterToolkit,
  field: string,
  signal: AbortSignal,
  read: () => Promise<ListReading<T>>,
): Promise<ListReading<T>> {
  try {
    return await awaitWithin(read(), signal, toolkit.clock, overdue);
  } catch (thrown) {
    return { items: null, isComplete: false, gaps: [gapOf(toolkit, field, thrown)] };
  }
}

/** What the agent said; also a gap reason where nobody can be asked, or the adapter broke its promise. */
export async function ask(
  toolkit: ClusterToolkit,
  node: string,
  tool: string,
  input: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<AgentSaid> {
  const { askAgent } = toolkit;
  if (!askAgent) return { content: null, reason: 'not-observable', detail: 'there are no agents to ask' };
  try {
    return await awaitWithin(askAgent(node, tool, input, signal), signal, toolkit.clock, overdue);
  } catch (thrown) {
    const { reason, detail } = gapOf(toolkit, 'agent', thrown);
    return { content: null, reason, detail };
  }
}

function gapOf({ logger }: ClusterToolkit, field: string, thrown: unknown) {
  const error = isGpuError(thrown) ? thrown : new GpuError('INTERNAL', `reading ${field} failed`);
  if (error !== thrown) logger.error('the cluster adapter failed', { field, error: thrown });
  return { field, reason: gapReasonOf(error), detail: `${error.code}: ${error.message}` };
}
