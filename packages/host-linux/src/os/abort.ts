import { GpuError, isGpuError } from '@k8s-gpu-mcp/core';

/** The error that a port owes its caller when `signal` has aborted. */
export function abortError(signal: AbortSignal, what: string): GpuError {
  const reason: unknown = signal.reason;
  if (isGpuError(reason)) return reason;
  const timedOut =
    typeof reason === 'object' && reason !== null && 'name' in reason && reason.name === 'TimeoutError';
  return timedOut
    ? new GpuError('TIMEOUT', `${what} took longer than the deadline`, { cause: reason })
    : new GpuError('CANCELLED', `${what} was cancelled`, { cause: reason });
}

export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw abortError(signal, what);
}

/** The result of `work`, or an early rejection when `signal` aborts; the work itself goes on unheard. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal, what: string): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(abortError(signal, what));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** Lets timers, sockets and the abort itself have their turn during a long pass. */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
