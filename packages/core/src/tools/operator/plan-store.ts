import { GpuError } from '../../errors.ts';
import type { Clock } from '../../ports/runtime.ts';
import type { Facts } from './facts.ts';

/** How long a plan may be acted on, and how long a person may think about the question. */
const planLifetimeMilliseconds = 60_000;
export const answerTimeMilliseconds = 120_000;

/** Plans kept at once; the oldest goes first, and whoever made it plans again. */
const maximumPlans = 64;

/** Who may use a plan, and for what. */
export interface PlanScope {
  readonly caller: string;
  readonly tool: string;
  /** The arguments without the plan id, in one spelling. */
  readonly arguments: string;
}

export interface Plan extends PlanScope {
  readonly id: string;
  /** Id of the question to the person. Apart from the plan's, so that only who was asked can bring the answer. */
  readonly questionId: string;
  readonly facts: Facts;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

interface Entry {
  readonly plan: Plan;
  use: 'unused' | 'awaiting-answer' | 'used';
  answerBefore: number;
}

/** The plans of all operator tools, in memory: a restart forgets them, and nothing can be done with one twice. */
export class PlanStore {
  readonly #clock: Clock;
  readonly #newId: () => string;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock, newId: () => string) {
    this.#clock = clock;
    this.#newId = newId;
  }

  add(scope: PlanScope, facts: Facts): Plan {
    const expiresAt = this.#clock.now() + planLifetimeMilliseconds;
    const plan: Plan = { ...scope, id: this.#newId(), questionId: this.#newId(), facts, expiresAt };
    for (const id of this.#entries.keys()) {
      if (this.#entries.size < maximumPlans) break;
      this.#entries.delete(id);
    }
    this.#entries.set(plan.id, { plan, use: 'unused', answerBefore: 0 });
    return plan;
  }

  /**
   * The plan, from now on used. Once its question went out with a result (`suspend`), the call that brings the answer may have it again.
   * @throws GpuError INVALID_INPUT when there is no such plan of this caller's, or it is for something else, expired or used.
   */
  claim(id: string, scope: PlanScope, answeredQuestion: string | undefined): Plan {
    const entry = this.#entries.get(id);
    // Another's plan is reported as none: its existence is not the caller's business.
    if (!entry || entry.plan.caller !== scope.caller) throw refused('is not a plan of this caller', scope);
    const { plan } = entry;
    if (plan.tool !== scope.tool) throw refused(`is a plan of ${plan.tool}`, scope);
    if (plan.arguments !== scope.arguments) throw refused('was made for other arguments', scope);
    const now = this.#clock.now();
    if (entry.use === 'awaiting-answer' && answeredQuestion === plan.questionId) {
      entry.use = 'used';
      if (now <= entry.answerBefore) return plan;
      throw refused('was answered too late', scope);
    }
    if (entry.use !== 'unused') throw refused('has been used: a plan serves once', scope);
    entry.use = 'used';
    if (now <= plan.expiresAt) return plan;
    throw refused('has expired: a plan is good for 60 s', scope);
  }

  /** The question went out with the result of this call; the plan waits for the answer. */
  suspend(id: string): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    entry.use = 'awaiting-answer';
    entry.answerBefore = this.#clock.now() + answerTimeMilliseconds;
  }
}

function refused(why: string, { tool }: PlanScope): GpuError {
  return new GpuError('INVALID_INPUT', `planId ${why}. Nothing was done.`, {
    hint: `Call ${tool} without planId for a new plan.`,
  });
}
