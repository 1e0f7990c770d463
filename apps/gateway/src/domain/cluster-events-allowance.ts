import { type Clock, eventSeverities } from '@k8s-gpu-mcp/core';
import type { AgentEvent } from '../ports/agent-events.ts';

/** How many events of one node are taken: so many at once, and as many per second. */
export class EventAllowance {
  readonly #clock: Clock;
  readonly #perSecond: number;
  #left: number;
  #at: number;

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#left = perSecond;
    this.#at = clock.now();
  }

  /** Those that are taken, by id. When there are too many, the worst go first, and of those the earliest: the cause comes before its effects. */
  take(events: readonly AgentEvent[]): readonly AgentEvent[] {
    const now = this.#clock.now();
    // A clock that was set back gives nothing.
    const earned = (Math.max(0, now - this.#at) / 1_000) * this.#perSecond;
    this.#left = Math.min(this.#perSecond, this.#left + earned);
    this.#at = now;
    const count = Math.min(events.length, Math.floor(this.#left));
    this.#left -= count;
    return count === events.length ? events : worstOf(events, count);
  }
}

function worstOf(events: readonly AgentEvent[], count: number): readonly AgentEvent[] {
  return [...events]
    .sort((a, b) => eventSeverities.indexOf(a.severity) - eventSeverities.indexOf(b.severity) || a.id - b.id)
    .slice(0, count)
    .sort((a, b) => a.id - b.id);
}
