/** What was heard and not yet taken, up to a limit: of what comes too fast the oldest is dropped, and counted. */
export class EventQueue<T> {
  readonly #limit: number;
  #items: T[] = [];
  #dropped = 0;
  #wake: () => void = () => {};

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(item: T): void {
    this.#items.push(item);
    if (this.#items.length > this.#limit) {
      this.#items.shift();
      this.#dropped += 1;
    }
    this.#wake();
  }

  /** The next one and how many were dropped before it; undefined when there is none. */
  take(): { readonly item: T; readonly dropped: number } | undefined {
    const item = this.#items.shift();
    if (item === undefined) return undefined;
    const dropped = this.#dropped;
    this.#dropped = 0;
    return { item, dropped };
  }

  /** Resolves with the next push or `wake`. For one waiter. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  wake(): void {
    this.#wake();
  }
}
