import type { Clock } from '@k8s-gpu-mcp/core';
import type { AgentFailure, AgentFailureKind } from '../ports/agent-client.ts';
import type { AgentNode } from '../ports/node-directory.ts';

export const circuitStates = ['closed', 'open', 'half-open'] as const;
/** `half-open`: the wait is over, and one call at a time may try. */
export type CircuitState = (typeof circuitStates)[number];

type NodeInstance = Pick<AgentNode, 'name' | 'instance'>;

/** What can be seen of one circuit. */
export interface CircuitStatus {
  readonly node: string;
  readonly instance: string;
  readonly state: CircuitState;
  readonly consecutiveFailures: number;
  /** Of the failures in a row; null when there are none. */
  readonly lastFailure: AgentFailureKind | null;
  /** ISO 8601; null while closed. */
  readonly openedAt: string | null;
  /** From when a call may try again, ISO 8601; null unless open. */
  readonly retryAt: string | null;
}

/** Leave to make one call. Exactly one of the three is to be called in the end; the first counts. */
export interface CircuitPermit {
  readonly isAllowed: true;
  /** The one call that finds out whether the agent is back: it should not be retried. */
  readonly isProbe: boolean;
  /** The agent answered, be it with an error of the tool. */
  succeed(): void;
  fail(kind: AgentFailureKind): void;
  /** The call ended without telling anything about the agent. */
  release(): void;
}

export interface CircuitRefusal {
  readonly isAllowed: false;
  readonly status: CircuitStatus;
}

export interface CircuitOptions {
  readonly clock: Clock;
  /** Failures in a row that open a circuit. Default 3. */
  readonly failureThreshold?: number;
  /**
   * How long the first opening lasts; every further one without a success between lasts twice as long. Default 30 s. Where the agent was
   * not reachable, half a second for the first five.
   */
  readonly openMilliseconds?: number;
  /** Default 5 min. */
  readonly maximumOpenMilliseconds?: number;
}

interface Circuit {
  readonly node: NodeInstance;
  state: CircuitState;
  consecutiveFailures: number;
  lastFailure: AgentFailureKind | null;
  openings: number;
  openedAt: number | null;
  retryAt: number | null;
  isProbing: boolean;
  /** Grows with every change of state, so that a call from before it has no say. */
  generation: number;
  stopTimer: () => void;
}

/**
 * What a failed call tells about the agent. A 4xx, a 429 and a missing tool come from an agent that works; `cancelled` tells nothing.
 */
export function circuitEffectOf(failure: AgentFailure): 'failure' | 'answered' | 'nothing' {
  switch (failure.kind) {
    case 'unreachable':
    case 'timeout':
    case 'unauthorized':
    case 'certificate':
    case 'garbage':
      return 'failure';
    case 'overloaded':
      return failure.isRetryable ? 'failure' : 'answered';
    case 'incompatible':
    case 'refused':
      return 'answered';
    case 'cancelled':
      return 'nothing';
  }
}

const briefMilliseconds = 500;
const briefOpenings = 4;

/**
 * One circuit for each instance of an agent, shared by all tools, so that a dead agent costs a few calls and not every call. It opens
 * after failures in a row, lets a single probe through when its time is over, and closes when that succeeds. A new instance begins closed.
 * Waiting uses the timers of the clock, so that a step of the wall clock neither shortens nor prolongs it.
 */
export class Circuits {
  readonly #clock: Clock;
  readonly #failureThreshold: number;
  readonly #openMilliseconds: number;
  readonly #maximumOpenMilliseconds: number;
  readonly #circuits = new Map<string, Circuit>();
  readonly #listeners = new Set<(status: CircuitStatus) => void>();

  constructor(options: CircuitOptions) {
    this.#clock = options.clock;
    this.#failureThreshold = options.failureThreshold ?? 3;
    this.#openMilliseconds = options.openMilliseconds ?? 30_000;
    this.#maximumOpenMilliseconds = options.maximumOpenMilliseconds ?? 300_000;
  }

  /** Asks for leave to call. */
  enter(node: NodeInstance): CircuitPermit | CircuitRefusal {
    const circuit = this.#circuitOf(node);
    if (circuit.state === 'open' || circuit.isProbing) {
      return { isAllowed: false, status: statusOf(circuit) };
    }
    const isProbe = circuit.state === 'half-open';
    circuit.isProbing = isProbe;
    const { generation } = circuit;
    let isSettled = false;
    const settle = (effect: () => void) => () => {
      if (isSettled) return;
      isSettled = true;
      if (circuit.generation !== generation) return;
      if (isProbe) circuit.isProbing = false;
      effect();
    };
    return {
      isAllowed: true,
      isProbe,
      succeed: settle(() => this.#succeeded(circuit)),
      fail: (kind) => settle(() => this.#failed(circuit, kind))(),
      release: settle(() => undefined),
    };
  }

  status(node: NodeInstance): CircuitStatus {
    return statusOf(this.#circuits.get(node.instance) ?? closedCircuit(node));
  }

  /** Of every instance that was ever asked and is retained. */
  statuses(): readonly CircuitStatus[] {
    return [...this.#circuits.values()].map(statusOf);
  }

  /** Calls `listener` after every change of a state; the result ends that. */
  onChange(listener: (status: CircuitStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Forgets the circuits of instances that are not in `instances` any more. To be called when the directory changes. */
  retain(instances: ReadonlySet<string>): void {
    for (const [instance, circuit] of this.#circuits) {
      if (!instances.has(instance)) this.#forget(circuit);
    }
  }

  /** Stops all timers. */
  close(): void {
    this.retain(new Set());
    this.#listeners.clear();
  }

  #circuitOf(node: NodeInstance): Circuit {
    const known = this.#circuits.get(node.instance);
    if (known) return known;
    const circuit = closedCircuit(node);
    this.#circuits.set(node.instance, circuit);
    return circuit;
  }

  #succeeded(circuit: Circuit): void {
    circuit.consecutiveFailures = 0;
    circuit.lastFailure = null;
    if (circuit.state === 'closed') return;
    circuit.openings = 0;
    circuit.openedAt = null;
    this.#change(circuit, 'closed');
  }

  #failed(circuit: Circuit, kind: AgentFailureKind): void {
    circuit.consecutiveFailures += 1;
    circuit.lastFailure = kind;
    if (circuit.state === 'half-open' || circuit.consecutiveFailures >= this.#failureThreshold) {
      this.#open(circuit);
    }
  }

  #open(circuit: Circuit): void {
    const milliseconds = Math.min(this.#openingOf(circuit), this.#maximumOpenMilliseconds);
    circuit.openings += 1;
    circuit.openedAt = this.#clock.now();
    circuit.retryAt = circuit.openedAt + milliseconds;
    circuit.stopTimer = this.#clock.after(milliseconds, () => {
      circuit.retryAt = null;
      this.#change(circuit, 'half-open');
    });
    this.#change(circuit, 'open');
  }

  /** A refused connection costs nobody time, and is what an agent looks like that restarts: it is tried again at once, for a while. */
  #openingOf({ lastFailure, openings }: Circuit): number {
    return lastFailure === 'unreachable'
      ? briefMilliseconds * 2 ** Math.min(Math.max(0, openings - briefOpenings), 30)
      : this.#openMilliseconds * 2 ** Math.min(openings, 30);
  }

  #change(circuit: Circuit, state: CircuitState): void {
    circuit.state = state;
    circuit.generation += 1;
    if (this.#circuits.get(circuit.node.instance) !== circuit) return;
    const status = statusOf(circuit);
    for (const listener of this.#listeners) listener(status);
  }

  #forget(circuit: Circuit): void {
    circuit.stopTimer();
    // What its last calls still report goes nowhere: no timer may start for a forgotten instance.
    circuit.generation += 1;
    this.#circuits.delete(circuit.node.instance);
  }
}

function closedCircuit(node: NodeInstance): Circuit {
  return {
    node: { name: node.name, instance: node.instance },
    state: 'closed',
    consecutiveFailures: 0,
    lastFailure: null,
    openings: 0,
    openedAt: null,
    retryAt: null,
    isProbing: false,
    generation: 0,
    stopTimer: () => undefined,
  };
}

const isoTime = (milliseconds: number | null) =>
  milliseconds === null ? null : new Date(milliseconds).toISOString();

function statusOf(circuit: Circuit): CircuitStatus {
  return {
    node: circuit.node.name,
    instance: circuit.node.instance,
    state: circuit.state,
    consecutiveFailures: circuit.consecutiveFailures,
    lastFailure: circuit.lastFailure,
    openedAt: isoTime(circuit.openedAt),
    retryAt: isoTime(circuit.retryAt),
  };
}
