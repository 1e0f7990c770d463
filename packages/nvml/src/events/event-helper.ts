import type { HelperExit } from '../executor/helper-process.ts';
import { HelperSlot, type SlotOptions } from '../executor/slot.ts';
import type { Incident } from '../executor/suspicions.ts';
import type { Failure, Operation } from '../protocol/protocol.ts';

/** How a request ended. */
export type Answer =
  | { readonly result: unknown }
  | { readonly failure: Failure }
  | { readonly hung: Incident }
  | { readonly exit: HelperExit };

/** A helper process for one listener: one request at a time, every one of which ends. What hangs is killed. */
export class EventHelper {
  /** Resolves with true once the process is gone, with false when SIGKILL does not end it. */
  readonly ended: Promise<boolean>;
  /** Resolves once the process is gone, whenever that is. */
  readonly gone: Promise<void>;
  readonly #slot: HelperSlot;
  #settle: (answer: Answer) => void = () => {};
  #exit: HelperExit | undefined;

  constructor(options: Pick<SlotOptions, 'startHelper' | 'clock' | 'logger'>) {
    const ended = deferred<boolean>();
    const gone = deferred<void>();
    this.ended = ended.promise;
    this.gone = gone.promise;
    const giveUp = (slot: HelperSlot) => {
      const { incident } = slot;
      options.logger.warn('nvml event helper does not answer', slot.fields);
      slot.kill();
      if (incident) this.#settle({ hung: incident });
    };
    this.#slot = new HelperSlot({
      ...options,
      onReply: (_slot, _job, reply) => {
        if ('failure' in reply) this.#settle({ failure: reply.failure });
        else if ('result' in reply) this.#settle({ result: reply.result });
      },
      onStall: () => {},
      onPeerStall: giveUp,
      onPeerAnswer: () => {},
      onDeadline: giveUp,
      onExit: (_slot, exit) => {
        this.#exit = exit;
        this.#settle({ exit });
        ended.resolve(true);
        gone.resolve();
      },
      onStuck: () => ended.resolve(false),
      // One wait at a time.
      onReturned: () => {},
    });
  }

  get pid(): number | undefined {
    return this.#slot.pid;
  }

  get incident(): Incident | undefined {
    return this.#slot.incident;
  }

  /** `stallMilliseconds`: how long one GPU may take of it. */
  request(operation: Operation, deadlineMilliseconds: number, stallMilliseconds: number): Promise<Answer> {
    if (this.#exit !== undefined) return Promise.resolve({ exit: this.#exit });
    const answer = new Promise<Answer>((resolve) => {
      this.#settle = resolve;
    });
    this.#slot.begin(operation, undefined, { deadlineMilliseconds, stallMilliseconds });
    return answer;
  }

  /** It shuts NVML down and goes once it is done with what it does; it is killed when it does not. */
  end(): void {
    this.#slot.retire();
  }
}

function deferred<T>() {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
