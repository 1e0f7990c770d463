import type { Clock } from '@k8s-gpu-mcp/core';
import { type AgentCall, AgentFailure } from '../../ports/agent-client.ts';
import { protocolFailure } from './protocol-failure.ts';

/** How long a stream may take to end once the answer has come; a connection that is read to its end can be used again. */
export const tailMilliseconds = 250;

/** One request on the wire, so that a body that ends without its answer can be told from one that ends after it. */
export interface WireRequest {
  isAnswered: boolean;
}

/** One call from its first byte to its outcome: the deadline, the caller's cancellation, and the first thing that went wrong. */
export class Exchange {
  readonly call: AgentCall;
  readonly clock: Clock;
  readonly #deadlineAt: number;
  // Made when somebody asks for them: a call that goes well over one request needs neither.
  #work: AbortController | undefined;
  #wire: AbortController | undefined;
  #failure: AgentFailure | undefined;
  #request: WireRequest = { isAnswered: true };
  #openBodies = 0;
  #onFailure: ((failure: AgentFailure) => void)[] = [];
  /** The question of the agent went to the caller with the result; see `AgentReply.isPending`. */
  isPending = false;
  isOver = false;

  constructor(call: AgentCall, clock: Clock) {
    this.call = call;
    this.clock = clock;
    this.#deadlineAt = clock.now() + call.deadlineMilliseconds;
  }

  /** Aborts when the call has failed. */
  get signal(): AbortSignal {
    this.#work ??= abortedBy(this.#failure);
    return this.#work.signal;
  }

  /** Aborts what is still on the wire: at once on failure, else shortly after the answer. */
  get wire(): AbortSignal {
    this.#wire ??= abortedBy(this.#failure);
    return this.#wire.signal;
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  get remainingMilliseconds(): number {
    return Math.max(this.#deadlineAt - this.clock.now(), 0);
  }

  /** Requests of a call follow each other: a new one means that the one before was answered. */
  beginRequest(): WireRequest {
    this.answered();
    this.#request = { isAnswered: false };
    return this.#request;
  }

  answered(): void {
    this.#request.isAnswered = true;
  }

  /** The first failure counts. */
  fail(failure: AgentFailure): void {
    if (this.isOver || this.#failure) return;
    this.#failure = failure;
    // In this order: the protocol layer still tells a session's agent that the call is cancelled.
    this.#work?.abort(failure);
    this.#wire?.abort(failure);
    for (const listener of this.#onFailure) listener(failure);
  }

  /** Called once, when the call fails before it is over; at once if it has. */
  onFailure(listener: (failure: AgentFailure) => void): void {
    if (this.#failure) listener(this.#failure);
    else this.#onFailure.push(listener);
  }

  bodyOpened(): () => void {
    this.#openBodies += 1;
    let isOpen = true;
    return () => {
      if (isOpen) this.#openBodies -= 1;
      isOpen = false;
    };
  }

  /** @throws AgentFailure, and nothing else. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const { signal: caller, deadlineMilliseconds } = this.call;
    const cancelled = () => this.fail(new AgentFailure('cancelled', 'the caller cancelled'));
    const late = () =>
      this.fail(new AgentFailure('timeout', `the agent did not answer within ${deadlineMilliseconds} ms`));
    const stop = this.clock.after(Math.max(deadlineMilliseconds, 0), late);
    caller.addEventListener('abort', cancelled, { once: true });
    if (caller.aborted) cancelled();
    else if (!(deadlineMilliseconds > 0)) late();
    try {
      if (this.#failure) throw this.#failure;
      return await new Promise<T>((resolve, reject) => {
        this.onFailure(reject);
        work().then(resolve, reject);
      });
    } catch (error) {
      throw this.#failure ?? protocolFailure(error);
    } finally {
      this.isOver = true;
      this.#onFailure = [];
      stop();
      caller.removeEventListener('abort', cancelled);
      if (this.#openBodies > 0) this.clock.after(tailMilliseconds, () => this.#wire?.abort());
    }
  }
}

function abortedBy(failure: AgentFailure | undefined): AbortController {
  const controller = new AbortController();
  if (failure) controller.abort(failure);
  return controller;
}
