import { type Clock, type Confirmation, GpuError, type ToolContext } from '@k8s-gpu-mcp/core';
import { sayNode } from '../answers/words.ts';
import type { OperatorQuestion } from '../domain/question.ts';

/** What an agent asked and whom: an answer counts for nothing else. */
export interface AskedScope {
  /** Name of the caller whose person was asked. */
  readonly caller: string;
  readonly node: string;
  /** Of the agent: another process at the same node did not ask. */
  readonly instance: string;
  readonly tool: string;
  /** In one spelling. */
  readonly arguments: string;
}

interface AskedQuestion {
  /** The agent's own id of it. Never shown to the caller. */
  readonly agentQuestion: string;
  readonly scope: AskedScope;
  readonly answerBefore: number;
}

/** An agent waits 120 s for the answer; the way there takes some of it. */
export const answerMilliseconds = 115_000;
const maximumQuestions = 256;

/**
 * The questions of agents that went out with a result (2026-07-28), each under an id of the gateway's own. In memory and bounded: the
 * oldest goes first, and whoever asked plans again.
 */
export class AskedQuestions {
  readonly #clock: Clock;
  readonly #questions = new Map<string, AskedQuestion>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  keep(id: string, agentQuestion: string, scope: AskedScope): void {
    const answerBefore = this.#clock.now() + answerMilliseconds;
    for (const oldest of this.#questions.keys()) {
      if (this.#questions.size < maximumQuestions) break;
      this.#questions.delete(oldest);
    }
    this.#questions.set(id, { agentQuestion, scope, answerBefore });
  }

  /**
   * The agent's id of the question that the caller brings an answer to. Serves once.
   * @throws GpuError INVALID_INPUT when this caller was asked no such question, or about something else, or too long ago.
   */
  take(id: string, scope: AskedScope): string {
    const asked = this.#questions.get(id);
    // Another's question is reported as none: its existence is not the caller's business.
    if (!asked || asked.scope.caller !== scope.caller) throw refused('is to no question of this gateway');
    this.#questions.delete(id);
    if (asked.scope.node !== scope.node) throw refused('is to a question of another node');
    if (asked.scope.instance !== scope.instance) throw refused('is to an agent that is gone');
    if (asked.scope.tool !== scope.tool || asked.scope.arguments !== scope.arguments)
      throw refused('is to a question about something else');
    if (this.#clock.now() > asked.answerBefore) throw refused('came too late');
    return asked.agentQuestion;
  }
}

function refused(why: string): GpuError {
  return new GpuError('INVALID_INPUT', `the answer ${why}. Nothing was done.`, {
    hint: 'Call without planId for a new plan, and confirm that one.',
  });
}

interface CarryParts {
  readonly asked: AskedQuestions;
  readonly clock: Clock;
  /** Not to be guessed. */
  readonly newQuestionId: () => string;
  /** Aborts when questions are to be withdrawn. */
  readonly stopping: AbortSignal;
  /** Told while a person is being waited for. */
  readonly onWaiting: (isWaiting: boolean) => void;
}

/**
 * The way from an agent's question to the caller's person and back. Absent where the client cannot ask: then the agent is told so.
 * @throws GpuError as `AskedQuestions.take`
 */
export function carryConfirmation(
  context: Pick<ToolContext, 'confirm' | 'answeredQuestion'>,
  scope: AskedScope,
  parts: CarryParts,
): Pick<OperatorQuestion, 'confirm' | 'answeredQuestion'> {
  const { confirm: askPerson, answeredQuestion: broughtId } = context;
  const brought = broughtId === undefined ? undefined : parts.asked.take(broughtId, scope);
  if (!askPerson) return {};
  let isUsed = false;
  return {
    ...(brought === undefined ? {} : { answeredQuestion: brought }),
    async confirm(question) {
      // An answer serves one question, once: asked again, the person is asked again.
      const isBrought = brought === question.id && !isUsed;
      isUsed ||= isBrought;
      // Nobody can agree to nothing.
      if (!isBrought && question.message === '') return 'cancelled';
      const id = isBrought && broughtId !== undefined ? broughtId : parts.newQuestionId();
      const limit = new AbortController();
      const stopTimer = parts.clock.after(answerMilliseconds, () => limit.abort());
      const signal = AbortSignal.any([question.signal, parts.stopping, limit.signal]);
      parts.onWaiting(true);
      try {
        const answer = await untilAborted(
          askPerson({
            id,
            message: `Node ${sayNode(scope.node)} asks, before ${scope.tool}:\n${question.message}`,
            signal,
            timeoutMilliseconds: Math.min(question.timeoutMilliseconds, answerMilliseconds),
          }),
          signal,
        );
        if (answer === 'pending') parts.asked.keep(id, question.id, scope);
        return answer;
      } finally {
        stopTimer();
        parts.onWaiting(false);
      }
    },
  };
}

function untilAborted(answer: Promise<Confirmation>, signal: AbortSignal): Promise<Confirmation> {
  return new Promise((resolve) => {
    const giveUp = () => resolve('cancelled');
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    answer.then(resolve, giveUp).finally(() => signal.removeEventListener('abort', giveUp));
  });
}
