import type { FetchLike } from '@modelcontextprotocol/client';
import type { Dispatcher } from 'undici';
import { AgentFailure } from '../../ports/agent-client.ts';
import { discard, keptHeaders, pathOf, requestHeaders, unreadable } from '../agent-client/agent-fetch.ts';
import type { ConnectionOptions } from '../agent-client/agent-instance.ts';
import { statusFailure, transportFailure } from '../agent-client/transport-failure.ts';
import { streamMeter } from './stream-meter.ts';

export interface NotificationStreamOptions extends ConnectionOptions {
  /** Ends the stream. */
  readonly signal: AbortSignal;
  /** The agent has begun to send. */
  readonly onOpen: () => void;
  /** There is no stream, or not any more. */
  readonly onEnd: (failure: AgentFailure) => void;
}

/** `fetch` for the one stream of notifications that a session has: as the one for calls, but without a deadline or a limit on its length. */
export function createNotificationStream(options: NotificationStreamOptions): FetchLike {
  const { pool, signal, onOpen, onEnd } = options;
  return async (url, init = {}) => {
    const stop = init.signal ? AbortSignal.any([signal, init.signal]) : signal;
    try {
      const token = await options.token();
      const { statusCode, headers, body } = await pool.request({
        path: pathOf(url),
        method: init.method === 'GET' ? 'GET' : 'POST',
        headers: requestHeaders(init.headers, token),
        body: typeof init.body === 'string' ? init.body : null,
        signal: stop,
      });
      const failure =
        statusFailure(statusCode, headers, options.clock.now()) ??
        unreadable(headers, options.maxResponseBytes) ??
        refusal(statusCode);
      if (failure) {
        discard(body);
        throw failure;
      }
      onOpen();
      return new Response(metered(body, options), { status: statusCode, headers: keptHeaders(headers) });
    } catch (error) {
      const failure = transportFailure(error, false);
      onEnd(failure);
      throw failure;
    }
  };
}

function refusal(status: number): AgentFailure | undefined {
  if (status === 200) return undefined;
  // 405: it has no stream. 404 and 400: the session is gone, or the request is not known.
  const kind = status === 405 ? 'incompatible' : 'garbage';
  return new AgentFailure(kind, `the agent offers no stream of notifications (HTTP ${status})`, {
    isRetryable: status === 404,
  });
}

function metered(
  body: Dispatcher.ResponseData['body'],
  { clock, onEnd, signal }: NotificationStreamOptions,
): ReadableStream<Uint8Array> {
  const meter = streamMeter(clock);
  const parts = body[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await parts.next();
          if (done) {
            controller.close();
            onEnd(
              new AgentFailure('unreachable', 'the agent ended the stream of notifications', {
                isRetryable: true,
              }),
            );
            return;
          }
          const bytes: Uint8Array = value;
          const why = meter.add(bytes);
          if (why !== undefined) throw new AgentFailure('garbage', why);
          controller.enqueue(new Uint8Array(bytes));
        } catch (error) {
          discard(body);
          const failure =
            error instanceof AgentFailure
              ? error
              : new AgentFailure('unreachable', 'the stream of notifications broke off', {
                  isRetryable: true,
                  cause: error,
                });
          if (!signal.aborted) onEnd(failure);
          controller.error(failure);
        }
      },
      cancel() {
        discard(body);
      },
    },
    { highWaterMark: 0 },
  );
}
