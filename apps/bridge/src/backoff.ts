import type { Clock } from '@k8s-gpu-mcp/core';

const firstPauseMilliseconds = 100;
const longestPauseMilliseconds = 2_000;

/** Waits before the next attempt after a failure, longer with each one. */
export class Backoff {
  readonly #clock: Clock;
  #failures = 0;
  #failedAt = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Attempts that fail together count once. */
  noteFailure(): void {
    if (this.#remaining() > 0) return;
    this.#failures += 1;
    this.#failedAt = this.#clock.now();
  }

  noteSuccess(): void {
    this.#failures = 0;
  }

  /** Rejects with the signal's reason. */
  pause(signal: AbortSignal | null | undefined): Promise<void> {
    const remaining = this.#remaining();
    if (remaining <= 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const stop = () => {
        cancel();
        reject(signal?.reason ?? new Error('aborted'));
      };
      const cancel = this.#clock.after(remaining, () => {
        signal?.removeEventListener('abort', stop);
        resolve();
      });
      if (signal?.aborted === true) stop();
      else signal?.addEventListener('abort', stop, { once: true });
    });
  }

  #remaining(): number {
    if (this.#failures === 0) return 0;
    const pause = Math.min(longestPauseMilliseconds, firstPauseMilliseconds * 2 ** (this.#failures - 1));
    return this.#failedAt + pause - this.#clock.now();
  }
}

export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (signal === null || signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
