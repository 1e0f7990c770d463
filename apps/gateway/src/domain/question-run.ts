import { GpuError, quarantine } from '@k8s-gpu-mcp/core';
import { AgentFailure, type AgentReply } from '../ports/agent-client.ts';
import type { AgentNode } from '../ports/node-directory.ts';
import { answerVersionProblem } from './agent-version.ts';
import { type CircuitPermit, circuitEffectOf } from './circuit.ts';
import { DirectoryView } from './directory-view.ts';
import type { FanOutResult, NodeOutcome } from './node-outcome.ts';
import {
  circuitOpenOutcome,
  defectOutcome,
  failureOutcome,
  notReachedInTimeOutcome,
  notReadyOutcome,
  toolErrorOutcome,
} from './outcome-words.ts';
import { ProgressNotes } from './progress-notes.ts';
import type { FanOutOptions, FanOutParts, OperatorQuestion, Question } from './question.ts';
import { callWithRetry } from './retry.ts';
import type { Slots } from './slots.ts';

/** One node's part of a question. */
interface Ask {
  readonly node: AgentNode;
  /** Ends the call, and the wait for another agent. */
  readonly controller: AbortController;
  isDone: boolean;
  isAnswered: boolean;
  startedAt: number | undefined;
  /** When the call to the present instance began. */
  calledAt: number;
  /** Null between calls. */
  permit: CircuitPermit | null;
  /** How the call before this wait failed. */
  lastFailure: AgentFailure | undefined;
  /** Timers, the place in the queue, the place among those that run. */
  readonly cleanUp: (() => void)[];
}

/** A question, and what one that acts brings besides. */
type AnyQuestion = Question & Pick<OperatorQuestion, 'confirm' | 'answeredQuestion' | 'isPlan'>;

/** Agents take their time side by side: a bound below the number of nodes would only make them wait for each other. */
export const defaultConcurrency = 1_024;

/** At most so many agents are asked one after the other for the same node: a crash loop must not eat the whole deadline. */
const maximumInstances = 3;

/** One question on its way to its nodes. Made for one use. */
export class QuestionRun {
  readonly #parts: FanOutParts;
  readonly #options: FanOutOptions;
  readonly #slots: Slots;
  readonly #question: AnyQuestion;
  readonly #asks: readonly Ask[];
  readonly #view: DirectoryView;
  readonly #outcomes: NodeOutcome[] = [];
  readonly #notes: ProgressNotes | undefined;
  readonly #startedAt: number;
  /** How long a call counts against the bound. */
  readonly #lendAfterMilliseconds: number;
  readonly #nodeDeadlineMilliseconds: number | undefined;
  #complete: () => void = () => {};

  constructor(
    parts: FanOutParts,
    options: FanOutOptions,
    slots: Slots,
    nodes: readonly AgentNode[],
    question: AnyQuestion,
  ) {
    this.#parts = parts;
    this.#options = options;
    this.#slots = slots;
    this.#question = question;
    this.#startedAt = parts.clock.now();
    this.#view = new DirectoryView(parts.directory, parts.clock);
    const unique = new Map(nodes.map((node) => [node.name, node]));
    this.#asks = [...unique.values()].map((node) => ({
      node,
      controller: new AbortController(),
      isDone: false,
      isAnswered: false,
      startedAt: undefined,
      calledAt: 0,
      permit: null,
      lastFailure: undefined,
      cleanUp: [],
    }));
    const turns = Math.ceil(this.#asks.length / (options.concurrency ?? defaultConcurrency));
    this.#lendAfterMilliseconds = Math.min(
      options.lendAfterMilliseconds ?? 2_000,
      question.deadlineMilliseconds / (turns + 1),
    );
    // An action may wait for a person.
    this.#nodeDeadlineMilliseconds = question.isReadOnly ? options.nodeDeadlineMilliseconds : undefined;
    if (question.progress) {
      this.#notes = new ProgressNotes(question.progress, this.#asks.length, parts.logger);
    }
  }

  /** @throws GpuError CANCELLED */
  async result(): Promise<FanOutResult> {
    try {
      await this.#run();
    } finally {
      this.#view.close();
    }
    return {
      outcomes: this.#outcomes.sort((a, b) => (a.node < b.node ? -1 : 1)),
      staleSince: this.#view.staleSince,
      directoryProblem: this.#view.problem,
    };
  }

  #run(): Promise<void> {
    const { signal, deadlineMilliseconds } = this.#question;
    return new Promise((resolve, reject) => {
      if (this.#asks.length === 0 && !signal?.aborted) return resolve();
      const stopTimer = this.#parts.clock.after(Math.max(0, deadlineMilliseconds), () => {
        for (const ask of this.#queuedFirst()) this.#giveUp(ask);
      });
      const end = () => {
        stopTimer();
        signal?.removeEventListener('abort', onCancel);
      };
      const onCancel = () => {
        // The time of the whole tool is up, on a machine that held our own timer up: what was heard until then is an answer.
        if (this.#waited() >= deadlineMilliseconds) {
          for (const ask of this.#queuedFirst()) this.#giveUp(ask);
          return;
        }
        end();
        const cancelled = new GpuError('CANCELLED', 'the caller cancelled the question');
        for (const ask of this.#queuedFirst()) this.#stop(ask, () => cancelled);
        reject(cancelled);
      };
      this.#complete = () => {
        end();
        resolve();
      };
      if (signal?.aborted) return onCancel();
      signal?.addEventListener('abort', onCancel, { once: true });
      for (const ask of this.#asks) this.#begin(ask);
    });
  }

  /** Those that wait leave first, so that no place that others give back lets them begin. */
  #queuedFirst(): readonly Ask[] {
    return [
      ...this.#asks.filter((ask) => ask.startedAt === undefined),
      ...this.#asks.filter((ask) => ask.startedAt !== undefined),
    ];
  }

  #begin(ask: Ask): void {
    const node = this.#askable(ask);
    if (node === undefined) return;
    // A refusal needs no place in the queue.
    const circuit = this.#parts.circuits.status(node);
    if (circuit.state === 'open') {
      this.#finish(ask, circuitOpenOutcome(circuit));
      return;
    }
    const leaveQueue = this.#slots.request(this, (release) => {
      // Asked for before the directory or the time may have changed.
      ask.cleanUp.push(release, this.#parts.clock.after(this.#lendAfterMilliseconds, release));
      void this.#ask(ask);
    });
    if (ask.isDone) leaveQueue();
    else ask.cleanUp.push(leaveQueue);
  }

  /** The agent to ask, as the directory shows it now. Ends the ask when there is none. */
  #askable(ask: Ask): AgentNode | undefined {
    const isStale = this.#view.staleSince !== null;
    const node = this.#view.find(ask.node.name) ?? (isStale ? ask.node : undefined);
    if (node === undefined) {
      this.#finish(ask, notReadyOutcome(ask.node.name, 'its agent is not there any more'));
      return undefined;
    }
    // Who acts was chosen: another agent that answers there now is not meant.
    if (!this.#question.isReadOnly && node.instance !== ask.node.instance) {
      this.#finish(ask, notReadyOutcome(node.name, 'another agent answers there now'));
      return undefined;
    }
    // What is said to be not ready may be so no more when nobody can tell.
    if (node.url !== null && (node.notReadyBecause === null || isStale)) return node;
    this.#finish(ask, notReadyOutcome(node.name, node.notReadyBecause ?? 'its agent has no address yet'));
    return undefined;
  }

  async #ask(ask: Ask): Promise<void> {
    try {
      let node: AgentNode | undefined = this.#askable(ask);
      if (node === undefined) return;
      if (this.#leftMilliseconds(ask) <= 0) {
        this.#giveUp(ask);
        return;
      }
      ask.startedAt = this.#parts.clock.now();
      const deadline = this.#nodeDeadlineMilliseconds;
      if (deadline !== undefined) {
        ask.cleanUp.push(this.#parts.clock.after(deadline, () => this.#giveUp(ask)));
      }
      for (let instance = 1; node !== undefined; instance += 1) {
        const failure: AgentFailure | undefined = await this.#askInstance(ask, node);
        if (failure === undefined || ask.isDone) return;
        const isLast = instance >= maximumInstances;
        const successor: AgentNode | undefined = isLast
          ? undefined
          : await this.#successorOf(ask, node, failure);
        if (ask.isDone) return;
        if (successor === undefined) this.#finish(ask, this.#outcomeOf(ask, failure));
        node = successor;
      }
    } catch (error) {
      if (ask.isDone) return;
      this.#parts.logger.error('asking a node failed unexpectedly', {
        node: quarantine(ask.node.name, 253),
        tool: this.#question.tool,
        correlationId: this.#question.correlationId,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
      this.#finish(ask, defectOutcome(ask.node.name));
    }
  }

  /** Makes the call and ends the ask, or returns how it failed. */
  async #askInstance(ask: Ask, node: AgentNode): Promise<AgentFailure | undefined> {
    const { circuits, client, clock, random } = this.#parts;
    const { tool, confirm, answeredQuestion, traceparent, correlationId, isReadOnly } = this.#question;
    const permit = circuits.enter(node);
    if (!permit.isAllowed) {
      this.#finish(ask, circuitOpenOutcome(permit.status));
      return undefined;
    }
    if (permit.isProbe && !isReadOnly) {
      // A trial that waits for a person would keep everybody else from the node.
      permit.release();
      const because = 'its last calls failed; ask it something that only reads first';
      this.#finish(ask, notReadyOutcome(node.name, because));
      return undefined;
    }
    ask.permit = permit;
    ask.calledAt = clock.now();
    ask.lastFailure = undefined;
    const notes = this.#asks.length === 1 ? this.#notes : undefined;
    try {
      const reply = await callWithRetry(
        client,
        {
          node,
          tool,
          arguments: this.#question.arguments,
          deadlineMilliseconds: this.#leftMilliseconds(ask),
          signal: ask.controller.signal,
          correlationId,
          ...(traceparent === undefined ? {} : { traceparent }),
          ...(confirm === undefined ? {} : { confirm }),
          ...(answeredQuestion === undefined ? {} : { answeredQuestion }),
          ...(notes && {
            progress: (done: number, total: number, message?: string) =>
              ask.isDone ? undefined : notes.forward(done, total, message),
          }),
        },
        {
          clock,
          random,
          isReadOnly,
          retries: permit.isProbe ? 0 : (this.#options.retries ?? 2),
          isWorthIt: () => !ask.isDone && this.#view.isThere(node),
          onRetry: (failure, waitMilliseconds) => this.#log(ask, failure, { waitMilliseconds }),
        },
      );
      if (ask.isDone) return undefined;
      permit.succeed();
      ask.isAnswered = true;
      this.#finish(ask, this.#outcomeOfReply(ask, reply));
      return undefined;
    } catch (error) {
      if (ask.isDone) return undefined;
      if (!(error instanceof AgentFailure)) throw error;
      this.#log(ask, error);
      const effect = this.#tellsNothing(ask, error) ? 'nothing' : circuitEffectOf(error);
      if (effect === 'failure') permit.fail(error.kind);
      else if (effect === 'answered') permit.succeed();
      else permit.release();
      ask.permit = null;
      ask.lastFailure = error;
      return error;
    }
  }

  #outcomeOfReply(ask: Ask, reply: AgentReply): NodeOutcome {
    const { name: node } = ask.node;
    if (reply.isError) return toolErrorOutcome(node, reply.text, reply.agent);
    const { structuredContent: content, isPending, agent } = reply;
    // Who acts reads the outcome out of the answer, and takes none it does not know for success.
    const problem = this.#question.isReadOnly && !isPending ? answerVersionProblem(content) : null;
    if (problem !== null) return this.#outcomeOf(ask, new AgentFailure('incompatible', problem, { agent }));
    return {
      ...{ node, status: 'ok', content },
      ...(isPending ? { isPending } : {}),
      ...(agent === undefined ? {} : { agent }),
    };
  }

  /** Who answers for the node now that `node` failed, so that a rolling restart loses no call. */
  async #successorOf(ask: Ask, node: AgentNode, failure: AgentFailure): Promise<AgentNode | undefined> {
    if (!this.#question.isReadOnly) return undefined;
    // An unreadable answer may be the last of an agent that stops: worth a look, but not a wait.
    const isLook = failure.kind === 'garbage' || failure.kind === 'unreachable';
    if (!failure.isRetryable && !isLook) return undefined;
    const noticeMilliseconds = failure.isRetryable ? (this.#options.noticeMilliseconds ?? 1_000) : 0;
    const restartMilliseconds = this.#options.restartMilliseconds ?? 5_000;
    return await this.#view.successorOf(
      node,
      { noticeMilliseconds, restartMilliseconds },
      ask.controller.signal,
    );
  }

  /** At the deadline of the question or of the node. */
  #giveUp(ask: Ask): void {
    if (ask.isDone) return;
    if (ask.startedAt === undefined) {
      this.#finish(ask, notReachedInTimeOutcome(ask.node.name, this.#waitedMilliseconds(ask)));
    } else if (ask.lastFailure) {
      this.#finish(ask, this.#outcomeOf(ask, ask.lastFailure));
    } else {
      if (this.#hadTime(ask)) ask.permit?.fail('timeout');
      this.#finish(ask, this.#outcomeOf(ask, new AgentFailure('timeout', 'given up')));
    }
  }

  /** A token for acting that an agent does not take says nothing about those who only read. */
  #tellsNothing(ask: Ask, { kind }: AgentFailure): boolean {
    if (kind === 'unauthorized') return !this.#question.isReadOnly;
    return kind === 'timeout' && !this.#hadTime(ask);
  }

  /** Whether silence tells something about the agent: it had some time, and no person to wait for. */
  #hadTime(ask: Ask): boolean {
    if (this.#question.confirm) return false;
    const had = this.#parts.clock.now() - ask.calledAt;
    return had >= (this.#options.leastTimeToFailMilliseconds ?? 1_000);
  }

  #waited(): number {
    return this.#parts.clock.now() - this.#startedAt;
  }

  #waitedMilliseconds(ask: Ask): number {
    return Math.max(0, this.#parts.clock.now() - (ask.startedAt ?? this.#startedAt));
  }

  #outcomeOf(ask: Ask, failure: AgentFailure): NodeOutcome {
    return failureOutcome(ask.node.name, failure, {
      waitedMilliseconds: this.#waitedMilliseconds(ask),
      staleSince: this.#view.staleSince,
      isReadOnly: this.#question.isReadOnly || this.#question.isPlan === true,
    });
  }

  #leftMilliseconds(ask: Ask): number {
    const now = this.#parts.clock.now();
    const ofQuestion = this.#question.deadlineMilliseconds - Math.max(0, now - this.#startedAt);
    const deadline = this.#nodeDeadlineMilliseconds;
    if (deadline === undefined) return ofQuestion;
    return Math.min(ofQuestion, deadline - Math.max(0, now - (ask.startedAt ?? now)));
  }

  #finish(ask: Ask, outcome: NodeOutcome): void {
    if (ask.isDone) return;
    this.#outcomes.push(outcome);
    this.#stop(ask, () => new GpuError('TIMEOUT', 'the deadline has passed'));
    this.#options.onNodeEnd?.({
      node: ask.node.name,
      tool: this.#question.tool,
      status: outcome.status,
      durationMilliseconds: this.#waitedMilliseconds(ask),
      wasAsked: ask.startedAt !== undefined && outcome.status !== 'circuit-open',
    });
    this.#notes?.nodeEnded();
    if (this.#outcomes.length === this.#asks.length) this.#complete();
  }

  /** Lets go of everything. A call that is still under way is aborted for `reason`. */
  #stop(ask: Ask, reason: () => GpuError): void {
    if (ask.isDone) return;
    ask.isDone = true;
    // A settled permit ignores this; one of an aborted probe gives its place back.
    ask.permit?.release();
    for (const clean of ask.cleanUp) clean();
    if (!ask.isAnswered) ask.controller.abort(reason());
  }

  #log(ask: Ask, failure: AgentFailure, more: Readonly<Record<string, unknown>> = {}): void {
    this.#parts.logger.debug('a call to an agent failed', {
      node: quarantine(ask.node.name, 253),
      tool: this.#question.tool,
      correlationId: this.#question.correlationId,
      kind: failure.kind,
      detail: quarantine(failure.message, 300),
      ...more,
    });
  }
}
