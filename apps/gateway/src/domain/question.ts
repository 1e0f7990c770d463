import type { Clock, Logger, ToolContext } from '@k8s-gpu-mcp/core';
import type { AgentClient } from '../ports/agent-client.ts';
import type { NodeDirectory } from '../ports/node-directory.ts';
import type { Circuits } from './circuit.ts';
import type { NodeStatus } from './node-outcome.ts';

/** One tool call that is meant for one or many nodes. */
export interface Question {
  readonly tool: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** When it has passed, the result is there, with what has been answered until then. */
  readonly deadlineMilliseconds: number;
  /** Of the caller. */
  readonly signal?: AbortSignal | undefined;
  /** Sixteen hexadecimal digits. */
  readonly correlationId: string;
  readonly traceparent?: string | undefined;
  /** Whether the tool only reads: then a call may be made again. */
  readonly isReadOnly: boolean;
  /** At most about twenty notes as nodes end; for a single node its own progress. */
  readonly progress?: ToolContext['progress'];
}

/** What an operator tool is asked of one node. It is never made twice. */
export interface OperatorQuestion extends Omit<Question, 'isReadOnly'> {
  /** Only asks what would be done: a failure leaves nothing changed. */
  readonly isPlan?: boolean;
  readonly confirm?: ToolContext['confirm'];
  /** Id of the question whose answer the caller brings. */
  readonly answeredQuestion?: ToolContext['answeredQuestion'];
}

/** How one node ended, for metrics. */
export interface NodeEnd {
  readonly node: string;
  readonly tool: string;
  readonly status: NodeStatus;
  readonly durationMilliseconds: number;
  /** False when it was not asked: not ready, circuit open, or no time. */
  readonly wasAsked: boolean;
}

export interface FanOutParts {
  readonly directory: NodeDirectory;
  readonly client: AgentClient;
  readonly circuits: Circuits;
  /** `now` should not jump: what is left of a deadline is reckoned with it. */
  readonly clock: Clock;
  readonly logger: Logger;
  /** From 0 to below 1. */
  readonly random: () => number;
}

export interface FanOutOptions {
  /** Calls at once, over all questions. Default 1,024. */
  readonly concurrency?: number;
  /** The most one node may take of the time of a question that only reads. Default: all of it. */
  readonly nodeDeadlineMilliseconds?: number;
  /**
   * A call that has run for so long does not count against `concurrency` any more, so that nodes that hang do not keep others from being
   * asked. Shorter when the nodes of a question need several turns. Default 2 s.
   */
  readonly lendAfterMilliseconds?: number;
  /** How long the directory may need to notice an agent that went away. Default 1 s. */
  readonly noticeMilliseconds?: number;
  /** How long an agent that restarts is waited for. Default 5 s. */
  readonly restartMilliseconds?: number;
  /** Retries of a reading call at the same agent. Default 2. */
  readonly retries?: number;
  /** A node that had less time than this and did not answer has not failed in the sense of its circuit. Default 1 s. */
  readonly leastTimeToFailMilliseconds?: number;
  /** Must not throw. */
  readonly onNodeEnd?: (end: NodeEnd) => void;
}
