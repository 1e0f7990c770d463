import { type Clock, quarantine } from '@k8s-gpu-mcp/core';
import { AgentFailure, type AgentFailureKind } from '../ports/agent-client.ts';
import type { AgentEvent, AgentEventBatch, AgentEvents, EventsPosition } from '../ports/agent-events.ts';
import type { AgentNode } from '../ports/node-directory.ts';
import { EventAllowance } from './cluster-events-allowance.ts';

const firstWaitMilliseconds = 1_000;
const longestWaitMilliseconds = 60_000;
/** An agent without live events gets them only by another version, which is another instance as a rule. */
const incompatibleWaitMilliseconds = 300_000;
/** Listening that held for so long was no flapping: the next failure begins with a short wait again. */
const steadyMilliseconds = 60_000;

/** `waiting`: before the first attempt, or between two. */
export type ListenerState = 'connecting' | 'listening' | 'waiting';

/** What a listener knows of its node, and what lasts when it is stopped and started again. */
export interface ListenerStatus {
  readonly state: ListenerState;
  /** Since when it is heard, or not heard. Milliseconds since 1970. */
  readonly since: number;
  /** Why it is not heard, in our own words; null before the first attempt has ended, and while it is heard. */
  readonly reason: string | null;
  readonly failure: AgentFailureKind | null;
}

export interface ListenerParts {
  readonly events: AgentEvents;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Taken at once and per second. */
  readonly perSecond: number;
  onTaken(events: readonly AgentEvent[], lost: number, batch: AgentEventBatch): void;
  /** It is heard, or not any more, or for another reason. */
  onStatus(): void;
}

/** Listens to one agent for as long as it is wanted, and begins again when that fails, with waits that grow. */
export class NodeListener {
  readonly node: AgentNode;
  readonly #parts: ListenerParts;
  readonly #allowance: EventAllowance;
  #position: EventsPosition | undefined;
  #controller: AbortController | undefined;
  #cancelWait: () => void = () => {};
  #attempts = 0;
  #status: ListenerStatus;
  #isStopped = false;

  constructor(node: AgentNode, parts: ListenerParts, position: EventsPosition | undefined) {
    this.node = node;
    this.#parts = parts;
    this.#position = position;
    this.#allowance = new EventAllowance(parts.clock, parts.perSecond);
    this.#status = { state: 'waiting', since: parts.clock.now(), reason: null, failure: null };
  }

  get status(): ListenerStatus {
    return this.#status;
  }

  get position(): EventsPosition | undefined {
    return this.#position;
  }

  /** Whether the first attempt is still going on. */
  get isFirst(): boolean {
    return this.#status.state !== 'listening' && this.#status.reason === null;
  }

  start(delayMilliseconds: number): void {
    this.#cancelWait = this.#parts.clock.after(delayMilliseconds, () => void this.#listen());
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelWait();
    this.#controller?.abort();
  }

  async #listen(): Promise<void> {
    const { events, clock } = this.#parts;
    const controller = new AbortController();
    this.#controller = controller;
    this.#enter({ ...this.#status, state: 'connecting' });
    let heardSince: number | undefined;
    const onEvents = (batch: AgentEventBatch) => {
      if (this.#isStopped || controller.signal.aborted) return;
      if (heardSince === undefined) {
        heardSince = clock.now();
        this.#enter({ state: 'listening', since: heardSince, reason: null, failure: null });
      }
      this.#take(batch);
    };
    try {
      await events.listen(this.node, onEvents, controller.signal, this.#position);
    } catch (error) {
      if (this.#isStopped) return;
      if (heardSince !== undefined && clock.now() - heardSince >= steadyMilliseconds) this.#attempts = 0;
      this.#failed(
        error instanceof AgentFailure ? error : new AgentFailure('garbage', 'a defect of the gateway'),
      );
    } finally {
      controller.abort();
    }
  }

  #take(batch: AgentEventBatch): void {
    this.#position = batch.position;
    const taken = this.#allowance.take(batch.events);
    // What happened before anybody listened is history: what of it is not taken was not lost by listening.
    const left = batch.isHistory ? 0 : batch.events.length - taken.length;
    this.#parts.onTaken(taken, batch.lost + left, batch);
  }

  #failed(failure: AgentFailure): void {
    const { clock, random } = this.#parts;
    const wasHeard = this.#status.state === 'listening' || this.#status.reason === null;
    this.#enter({
      state: 'waiting',
      since: wasHeard ? clock.now() : this.#status.since,
      // The client's words are ours; what the agent said is kept apart from them.
      reason: quarantine(failure.message, 200),
      failure: failure.kind,
    });
    const growing = Math.min(
      firstWaitMilliseconds * 2 ** Math.min(this.#attempts, 20),
      longestWaitMilliseconds,
    );
    const ceiling = failure.kind === 'incompatible' ? incompatibleWaitMilliseconds : growing;
    this.#attempts += 1;
    const asked = Math.min(failure.retryAfterMilliseconds ?? 0, incompatibleWaitMilliseconds);
    this.start(Math.max(Math.ceil(ceiling / 2 + (random() * ceiling) / 2), asked));
  }

  /** An attempt that changes nothing for anybody is not told. */
  #enter(status: ListenerStatus): void {
    const before = this.#status;
    this.#status = status;
    const wasHeard = before.state === 'listening';
    if (wasHeard !== (status.state === 'listening') || before.reason !== status.reason)
      this.#parts.onStatus();
  }
}
