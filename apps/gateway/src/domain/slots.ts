interface Waiting {
  /** Undefined once it was taken back. */
  begin: ((release: () => void) => void) | undefined;
}

/** In order of arrival. */
interface Queue {
  readonly waiting: Waiting[];
  next: number;
}

/**
 * A bound on what runs at once, fair between questions: each waiting question gets a place in turn, so that one about a single node does
 * not stand behind the thousand calls of another.
 */
export class Slots {
  readonly #limit: number;
  #inUse = 0;
  #isFilling = false;
  /** In the order of turns. */
  readonly #queues = new Map<object, Queue>();

  constructor(limit: number) {
    this.#limit = Math.max(1, Math.trunc(limit));
  }

  get inUse(): number {
    return this.#inUse;
  }

  /** Calls `begin` when there is a place, at once if there is one now. The result takes the request back while it still waits. */
  request(question: object, begin: (release: () => void) => void): () => void {
    const waiting: Waiting = { begin };
    const queue = this.#queues.get(question) ?? { waiting: [], next: 0 };
    queue.waiting.push(waiting);
    this.#queues.set(question, queue);
    this.#fill();
    return () => {
      waiting.begin = undefined;
    };
  }

  #fill(): void {
    // A place given back while places are handed out is seen by the loop: no recursion, however long the queue.
    if (this.#isFilling) return;
    this.#isFilling = true;
    try {
      while (this.#inUse < this.#limit && this.#beginNext());
    } finally {
      this.#isFilling = false;
    }
  }

  #beginNext(): boolean {
    const [next] = this.#queues;
    if (next === undefined) return false;
    const [question, queue] = next;
    this.#queues.delete(question);
    while (queue.next < queue.waiting.length && !queue.waiting[queue.next]?.begin) queue.next += 1;
    const begin = queue.waiting[queue.next]?.begin;
    queue.next += 1;
    if (begin === undefined) return true;
    if (queue.next < queue.waiting.length) this.#queues.set(question, queue);
    this.#inUse += 1;
    let isHeld = true;
    begin(() => {
      if (!isHeld) return;
      isHeld = false;
      this.#inUse -= 1;
      this.#fill();
    });
    return true;
  }
}
