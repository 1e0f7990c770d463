import type { Clock } from '@k8s-gpu-mcp/core';

/** Keeps what was read for a while, and no more than so much of it: the least recently used goes first. */
export class BoundedCache<T> {
  readonly #clock: Clock;
  readonly #lifetimeMilliseconds: number;
  readonly #maximumEntries: number;
  readonly #entries = new Map<string, { readonly value: T; readonly until: number }>();

  constructor(clock: Clock, lifetimeMilliseconds: number, maximumEntries: number) {
    this.#clock = clock;
    this.#lifetimeMilliseconds = lifetimeMilliseconds;
    this.#maximumEntries = maximumEntries;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): { readonly value: T } | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (entry.until <= this.#clock.now()) return undefined;
    this.#entries.set(key, entry);
    return entry;
  }

  set(key: string, value: T): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, until: this.#clock.now() + this.#lifetimeMilliseconds });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#maximumEntries) break;
      this.#entries.delete(oldest);
    }
  }
}
