import type { Clock } from '@k8s-gpu-mcp/core';
import { type AgentCall, type AgentClient, AgentFailure, type AgentReply } from '../ports/agent-client.ts';

export interface RetryOptions {
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** A call that acts is made once, whatever happens to it. */
  readonly isReadOnly: boolean;
  /** After the first attempt. Default 2. */
  readonly retries?: number;
  /** The longest wait before the first retry; it doubles with every further one. Default 100 ms. */
  readonly firstWaitMilliseconds?: number;
  /** Default 2 s. */
  readonly maximumWaitMilliseconds?: number;
  /** An attempt is only worth it with so much time left. Default 100 ms. */
  readonly leastAttemptMilliseconds?: number;
  /** Asked before every retry: false when there is nobody left to ask at that address. */
  readonly isWorthIt?: () => boolean;
  readonly onRetry?: (failure: AgentFailure, waitMilliseconds: number) => void;
}

/**
 * Calls, and again when the failure says that it may help, with full jitter between attempts and never past the deadline of `call`. What
 * is left of that deadline goes with each attempt. A `Retry-After` that does not fit ends it at once.
 * @throws AgentFailure of the last attempt, or `cancelled` when the signal aborts between two.
 */
export async function callWithRetry(
  client: AgentClient,
  call: AgentCall,
  options: RetryOptions,
): Promise<AgentReply> {
  const { clock, random } = options;
  const retries = options.isReadOnly ? (options.retries ?? 2) : 0;
  const startedAt = clock.now();
  let left = call.deadlineMilliseconds;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await client.call({ ...call, deadlineMilliseconds: left });
    } catch (error) {
      if (!(error instanceof AgentFailure) || !error.isRetryable || attempt >= retries) throw error;
      if (call.signal.aborted || options.isWorthIt?.() === false) throw error;
      const ceiling = (options.firstWaitMilliseconds ?? 100) * 2 ** attempt;
      const jitter = random() * Math.min(ceiling, options.maximumWaitMilliseconds ?? 2_000);
      const wait = Math.ceil(Math.max(jitter, error.retryAfterMilliseconds ?? 0));
      const elapsed = () => Math.max(0, clock.now() - startedAt);
      const least = options.leastAttemptMilliseconds ?? 100;
      if (call.deadlineMilliseconds - elapsed() - wait < least) throw error;
      options.onRetry?.(error, wait);
      await pause(wait, call.signal, clock);
      left = call.deadlineMilliseconds - elapsed();
      // The event loop may have been held up, and the agent replaced meanwhile.
      if (left < least || options.isWorthIt?.() === false) throw error;
    }
  }
}

function pause(milliseconds: number, signal: AbortSignal, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    const stopTimer = clock.after(milliseconds, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    const onAbort = () => {
      stopTimer();
      reject(new AgentFailure('cancelled', 'given up between two attempts'));
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}
