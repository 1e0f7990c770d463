import type { AgentEvent } from '../ports/agent-events.ts';

/** One event of one node in the stream of the cluster. */
export interface ClusterEvent extends AgentEvent {
  /** Counts up from 1 in the order of arrival. A revision has a new one, and takes the place of what it replaces. */
  readonly id: number;
  readonly node: string;
  /** The id that its agent gave it. */
  readonly nodeEventId: number;
}

export interface RingLimits {
  /** Default 1,024. */
  readonly size?: number;
  /** The most that one node keeps. Default 256. */
  readonly nodeShare?: number;
}

interface Kept {
  readonly event: ClusterEvent;
  readonly key: string;
}

/** The events of one node that are kept: by the node's own number, and in order of arrival. */
type Share = Map<string, number>;

/**
 * The last events of all nodes. When it is full, the node that has the most gives up its oldest: a node that floods pushes out itself, and
 * never the only event of another.
 */
export class EventRing {
  readonly #size: number;
  readonly #nodeShare: number;
  readonly #events = new Map<number, Kept>();
  readonly #shares = new Map<string, Share>();
  /** The nodes that keep so and so many events, so that the largest share is found without a search. */
  readonly #nodesBySize: Set<string>[] = [];
  #lastId = 0;
  #evicted = 0;

  constructor({ size = 1_024, nodeShare = 256 }: RingLimits = {}) {
    this.#size = size;
    this.#nodeShare = nodeShare;
  }

  get lastId(): number {
    return this.#lastId;
  }

  /** Events that were here and made room. */
  get evicted(): number {
    return this.#evicted;
  }

  /** By id. */
  get events(): readonly ClusterEvent[] {
    return [...this.#events.values()].map(({ event }) => event);
  }

  /** `numbering` tells numbers apart that an agent gave before and after it was restarted. */
  add(node: string, numbering: number, event: AgentEvent): void {
    const key = `${numbering}:${event.id}`;
    const replaced = this.#shares.get(node)?.get(key);
    if (replaced !== undefined) this.#remove(node, key, replaced);
    this.#lastId += 1;
    this.#events.set(this.#lastId, {
      key,
      event: { ...event, id: this.#lastId, node, nodeEventId: event.id },
    });
    this.#resize(node, (share) => share.set(key, this.#lastId));
    if ((this.#shares.get(node)?.size ?? 0) > this.#nodeShare) this.#evictOldestOf(node);
    else if (this.#events.size > this.#size) this.#evictOldestOf(this.#largest());
  }

  #largest(): string {
    for (let size = this.#nodesBySize.length - 1; size > 0; size -= 1) {
      const [first] = this.#nodesBySize[size] ?? [];
      if (first !== undefined) return first;
    }
    throw new Error('a full ring holds no event');
  }

  #evictOldestOf(node: string): void {
    const [oldest] = this.#shares.get(node) ?? [];
    if (oldest === undefined) return;
    this.#remove(node, ...oldest);
    this.#evicted += 1;
  }

  #remove(node: string, key: string, id: number): void {
    this.#events.delete(id);
    this.#resize(node, (share) => share.delete(key));
  }

  #resize(node: string, change: (share: Share) => void): void {
    const share: Share = this.#shares.get(node) ?? new Map();
    this.#nodesBySize[share.size]?.delete(node);
    change(share);
    if (share.size === 0) {
      this.#shares.delete(node);
      return;
    }
    this.#shares.set(node, share);
    this.#nodesBySize[share.size] ??= new Set();
    this.#nodesBySize[share.size]?.add(node);
  }
}
