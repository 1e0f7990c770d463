/** One consumer, several producers, who ask for room before they push more than a few. */
export class BoundedQueue<T> {
  readonly #capacity: number;
  readonly #items: T[] = [];
  #isEnded = false;
  #wakeConsumer: (() => void) | undefined;
  #wakeProducers: (() => void)[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Never waits, so that a timer can tell what is due; the number of those is bounded elsewhere. */
  push(item: T): void {
    if (this.#isEnded) return;
    this.#items.push(item);
    this.#wakeConsumer?.();
  }

  /** Resolves once there is room, or the queue has ended. */
  async room(): Promise<void> {
    while (this.#items.length >= this.#capacity && !this.#isEnded) {
      await new Promise<void>((resolve) => this.#wakeProducers.push(resolve));
    }
  }

  /** The next item; undefined after the last. */
  async take(): Promise<T | undefined> {
    while (this.#items.length === 0 && !this.#isEnded) {
      await new Promise<void>((resolve) => {
        this.#wakeConsumer = resolve;
      });
      this.#wakeConsumer = undefined;
    }
    const item = this.#items.shift();
    if (this.#items.length < this.#capacity) this.#release();
    return item;
  }

  /** No more items; those that wait are still handed out unless they are discarded. */
  end({ discard = false } = {}): void {
    this.#isEnded = true;
    if (discard) this.#items.length = 0;
    this.#wakeConsumer?.();
    this.#release();
  }

  #release(): void {
    const waiting = this.#wakeProducers;
    this.#wakeProducers = [];
    for (const wake of waiting) wake();
  }
}
