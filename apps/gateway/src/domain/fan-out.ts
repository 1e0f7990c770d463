import type { AgentNode } from '../ports/node-directory.ts';
import type { FanOutResult, NodeOutcome } from './node-outcome.ts';
import type { FanOutOptions, FanOutParts, OperatorQuestion, Question } from './question.ts';
import { defaultConcurrency, QuestionRun } from './question-run.ts';
import { Slots } from './slots.ts';

/**
 * Asks many agents at once. A dead, slow or lying node costs its own answer and nothing else: every node gets an outcome with a reason,
 * the result is there at the deadline, and what comes later is dropped and its call aborted.
 */
export class FanOut {
  readonly #parts: FanOutParts;
  readonly #options: FanOutOptions;
  readonly #slots: Slots;

  constructor(parts: FanOutParts, options: FanOutOptions = {}) {
    this.#parts = parts;
    this.#options = options;
    this.#slots = new Slots(options.concurrency ?? defaultConcurrency);
  }

  /** Calls that count against the bound at this moment. */
  get inFlight(): number {
    return this.#slots.inUse;
  }

  /**
   * Outcomes come by name, one for each node.
   * @throws GpuError CANCELLED when the caller cancels.
   */
  async askNodes(nodes: readonly AgentNode[], question: Question): Promise<FanOutResult> {
    return await new QuestionRun(this.#parts, this.#options, this.#slots, nodes, question).result();
  }

  /**
   * Asks one node to act. Made once: neither retried nor asked of a new instance. A failure after which the action may have happened says so.
   * @throws GpuError CANCELLED when the caller cancels.
   */
  async askOne(node: AgentNode, question: OperatorQuestion): Promise<NodeOutcome> {
    const once = { ...question, isReadOnly: false };
    const run = new QuestionRun(this.#parts, this.#options, this.#slots, [node], once);
    const { outcomes } = await run.result();
    const [outcome] = outcomes;
    if (outcome === undefined) throw new Error('a question to one node has no outcome');
    return outcome;
  }
}
