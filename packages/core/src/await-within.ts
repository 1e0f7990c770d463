import type { Clock } from './ports/runtime.ts';

/** How long after the signal an adapter may take to give up; past it the answer goes on without it. */
const graceMilliseconds = 300;

/**
 * Waits for work that promised to end with `signal`, but not longer than a grace after it: an adapter that breaks its contract does not
 * hold the answer up. `overdue` makes the error of that case.
 */
export function awaitWithin<T>(
  work: Promise<T>,
  signal: AbortSignal,
  clock: Clock,
  overdue: () => Error,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let cancelTimer: (() => void) | undefined;
    const onAbort = () => {
      cancelTimer = clock.after(graceMilliseconds, () => reject(overdue()));
    };
    const settle = () => {
      signal.removeEventListener('abort', onAbort);
      cancelTimer?.();
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(settle);
  });
}
