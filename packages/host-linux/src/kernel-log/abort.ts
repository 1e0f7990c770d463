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

/** Lets timers, sockets and the abort itself have their turn during a long pass. */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
