import type { IncomingHttpHeaders } from 'node:http';
import type { Clock } from '@k8s-gpu-mcp/core';
import type { FetchLike } from '@modelcontextprotocol/client';
import type { Dispatcher, Pool } from 'undici';
import { AgentFailure } from '../../ports/agent-client.ts';
import type { Exchange, WireRequest } from './exchange.ts';
import { nestingMeter } from './nesting-meter.ts';
import { statusFailure, transportFailure } from './transport-failure.ts';

/** For what is sent after a call: a cancellation, the end of a session. Nobody waits for it. */
const farewellMilliseconds = 1_000;
/** Between the end of a stream and the verdict that it held no answer: the protocol layer reads it piece by piece. */
const afterglowMilliseconds = 100;
/** Deeper than any answer of a tool. Readers of what is nested without end run out of stack. */
export const maximumNesting = 100;
export const userAgent = 'k8s-gpu-mcp-gateway';

export interface AgentFetchOptions {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly maxResponseBytes: number;
  /** The token to send; undefined for an agent that may not have it. */
  readonly token: () => Promise<string | undefined>;
  /** The call that is going on, if any. */
  readonly exchange: () => Exchange | undefined;
}

/**
 * `fetch` for the MCP client, bound to one agent by its pool: whatever address is asked for, only the path is used. No redirects, no
 * compression, a limit on what is read; the first failure goes to the exchange, whatever the layers above make of it.
 */
export function createAgentFetch(options: AgentFetchOptions): FetchLike {
  const { pool, clock, maxResponseBytes } = options;
  return async (url, init = {}) => {
    const method = init.method ?? 'GET';
    // The stream for messages outside a call would hold one connection per session; nothing that this client needs comes on it.
    if (method === 'GET') return new Response(null, { status: 405 });
    const current = options.exchange();
    const exchange = current && !current.isOver && !current.signal.aborted ? current : undefined;
    const limit = exchange ? undefined : farewell(clock);
    const request = exchange && noteRequest(exchange, init.body);
    const fail = (failure: AgentFailure): AgentFailure => {
      exchange?.fail(failure);
      return failure;
    };
    try {
      const token = await options.token();
      const { statusCode, headers, body } = await pool.request({
        path: pathOf(url),
        method: method === 'DELETE' ? 'DELETE' : 'POST',
        headers: requestHeaders(init.headers, token),
        body: typeof init.body === 'string' ? init.body : null,
        signal: exchange?.wire ?? limit?.signal ?? null,
      });
      const failure =
        statusFailure(statusCode, headers, clock.now()) ?? unreadable(headers, maxResponseBytes);
      if (failure) {
        discard(body);
        throw failure;
      }
      return answered(statusCode, headers, body, { exchange, request, clock, maxResponseBytes, limit });
    } catch (error) {
      limit?.stop();
      throw fail(transportFailure(error, false));
    }
  };
}

export const requestHeaders = (
  given: ConstructorParameters<typeof Headers>[0],
  token: string | undefined,
) => ({
  ...Object.fromEntries(new Headers(given)),
  'accept-encoding': 'identity',
  'user-agent': userAgent,
  ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
});

/** What the headers of an answer tell against reading it. */
export function unreadable(headers: IncomingHttpHeaders, maxResponseBytes: number): AgentFailure | undefined {
  // None was accepted: a small body that unpacks to a huge one is not let in at all.
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    return new AgentFailure('garbage', "the agent's answer is compressed, which was not asked for");
  return Number(headers['content-length']) > maxResponseBytes ? tooLarge(maxResponseBytes) : undefined;
}

export const tooLarge = (bytes: number) =>
  new AgentFailure('garbage', `the agent's answer is larger than ${bytes} bytes`);
export const nestedTooDeep = () => new AgentFailure('garbage', "the agent's answer is nested too deep");

/** Those that the protocol client looks at. */
export const keptHeaders = (headers: IncomingHttpHeaders) =>
  ['content-type', 'mcp-session-id', 'www-authenticate'].flatMap((name) => {
    const value = headers[name];
    return typeof value === 'string' ? [[name, value] as [string, string]] : [];
  });

interface Reading {
  readonly exchange: Exchange | undefined;
  readonly request: WireRequest | undefined;
  readonly clock: Clock;
  readonly maxResponseBytes: number;
  readonly limit: Farewell | undefined;
}

function answered(
  status: number,
  headers: IncomingHttpHeaders,
  body: Dispatcher.ResponseData['body'],
  { exchange, request, clock, maxResponseBytes, limit }: Reading,
): Response {
  const kept = keptHeaders(headers);
  if (status === 204 || status === 205) {
    discard(body);
    limit?.stop();
    return new Response(null, { status, headers: kept });
  }
  const nesting = nestingMeter();
  const parts = body[Symbol.asyncIterator]();
  const bodyClosed = exchange?.bodyOpened();
  let received = 0;
  const closed = () => {
    bodyClosed?.();
    limit?.stop();
  };
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await parts.next();
          if (done) {
            closed();
            controller.close();
            clock.after(afterglowMilliseconds, () => checkAnswered(exchange, request));
            return;
          }
          const bytes: Uint8Array = value;
          received += bytes.byteLength;
          if (received > maxResponseBytes) throw tooLarge(maxResponseBytes);
          if (nesting.add(bytes) > maximumNesting) throw nestedTooDeep();
          controller.enqueue(new Uint8Array(bytes));
        } catch (error) {
          closed();
          discard(body);
          const failure = transportFailure(error, true);
          exchange?.fail(failure);
          controller.error(failure);
        }
      },
      cancel() {
        closed();
        discard(body);
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(stream, { status, headers: kept });
}

function checkAnswered(exchange: Exchange | undefined, request: WireRequest | undefined): void {
  if (request?.isAnswered === false)
    exchange?.fail(new AgentFailure('garbage', "the agent's answer was cut off", { isRetryable: true }));
}

/** Notifications and answers to the agent's questions get no answer themselves; a notification follows an answered request. */
function noteRequest(exchange: Exchange, body: unknown): WireRequest | undefined {
  const message: unknown = typeof body === 'string' ? JSON.parse(body) : undefined;
  if (typeof message !== 'object' || message === null || !('method' in message)) return undefined;
  if ('id' in message) return exchange.beginRequest();
  exchange.answered();
  return undefined;
}

/** Ends a body that is not wanted; its connection goes with it. */
export function discard(body: Dispatcher.ResponseData['body']): void {
  body.on('error', () => {});
  body.destroy();
}

export function pathOf(url: string | URL): string {
  const { pathname, search } = new URL(url);
  return `${pathname}${search}`;
}

interface Farewell {
  readonly signal: AbortSignal;
  stop(): void;
}

function farewell(clock: Clock): Farewell {
  const controller = new AbortController();
  return { signal: controller.signal, stop: clock.after(farewellMilliseconds, () => controller.abort()) };
}
