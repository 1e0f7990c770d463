import type { Clock, Logger } from '@k8s-gpu-mcp/core';
import { boundedBody } from './bounded-body.ts';
import { type GatewayRoute, type OpenRoute, RouteError } from './gateway-route.ts';

/** Node's codes for a connection that was never made, so that no byte of the request was sent. */
const neverConnected: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const firstPauseMilliseconds = 100;
const longestPauseMilliseconds = 2_000;

/** The gateway answered, but with something that must not be followed or read on. */
export class GatewayRefusedError extends Error {
  override readonly name = 'GatewayRefusedError';
}

export interface GatewayLinkOptions {
  readonly route: GatewayRoute;
  /** Asked before every request, so that a rotated token is seen. */
  readonly token: () => string | undefined;
  /** Of one message from the gateway. */
  readonly maxMessageBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * HTTP to the gateway over whatever route is open. Requests that come while the route is being opened wait for the
 * same opening; after a failure the next attempt waits, longer with each one.
 */
export class GatewayLink {
  readonly #options: GatewayLinkOptions;
  readonly #closing = new AbortController();
  #route: Promise<OpenRoute> | undefined;
  #failures = 0;
  #failedAt = 0;

  constructor(options: GatewayLinkOptions) {
    this.#options = options;
  }

  /**
   * One HTTP request to the MCP endpoint. Rejects with `RouteError` when nothing was sent, `GatewayRefusedError` for a
   * redirect, and with fetch's own error when the connection broke.
   */
  async fetch(init: RequestInit): Promise<Response> {
    await this.#pause(init.signal);
    const { url } = await unlessAborted(this.#open(), init.signal);
    const headers = this.#withToken(init.headers);
    let response: Response;
    try {
      response = await fetch(url, { ...init, headers, redirect: 'manual' });
    } catch (error) {
      if (init.signal?.aborted !== true && isNeverConnected(error)) {
        this.#noteFailure();
        throw new RouteError(`Nothing answers at ${url.origin} (${codeOf(error)})`, {
          isTransient: true,
          cause: error,
        });
      }
      throw error;
    }
    this.#failures = 0;
    if (response.status >= 300 && response.status < 400) {
      await response.body?.cancel();
      throw new GatewayRefusedError(
        `${url.origin} redirects (HTTP ${response.status}), which is not followed: give the gateway's own URL`,
      );
    }
    const isEventStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
    const bound = boundedBody(this.#options.maxMessageBytes, isEventStream ? 'event-stream' : 'whole');
    return new Response(response.body?.pipeThrough(bound) ?? null, {
      status: response.status,
      statusText: response.statusText,
      headers: response.headers,
    });
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('The bridge is closing'));
    await this.#options.route.close();
  }

  #withToken(given: RequestInit['headers']): Headers {
    const headers = new Headers(given);
    headers.delete('authorization');
    try {
      const token = this.#options.token();
      if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new RouteError(`The token cannot be read: ${reason}`, { isTransient: false, cause: error });
    }
    return headers;
  }

  #open(): Promise<OpenRoute> {
    if (this.#route !== undefined) return this.#route;
    const opening = this.#options.route.open(this.#closing.signal);
    this.#route = opening;
    const forget = () => {
      if (this.#route === opening) this.#route = undefined;
    };
    opening.then(
      ({ url, closed }) => {
        this.#options.logger.info('the way to the gateway is open', { url: url.href });
        closed.then((reason) => {
          forget();
          this.#noteFailure();
          this.#options.logger.warn('the way to the gateway is closed', { reason });
        }, forget);
      },
      (error: unknown) => {
        forget();
        if (error instanceof RouteError && error.isTransient) this.#noteFailure();
      },
    );
    return opening;
  }

  /** Requests that fail together count once. */
  #noteFailure(): void {
    if (this.#remainingPause() > 0) return;
    this.#failures += 1;
    this.#failedAt = this.#options.clock.now();
  }

  #remainingPause(): number {
    if (this.#failures === 0) return 0;
    const pause = Math.min(longestPauseMilliseconds, firstPauseMilliseconds * 2 ** (this.#failures - 1));
    return this.#failedAt + pause - this.#options.clock.now();
  }

  #pause(signal: AbortSignal | null | undefined): Promise<void> {
    const remaining = this.#remainingPause();
    if (remaining <= 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const stop = () => {
        cancel();
        reject(signal?.reason ?? new Error('aborted'));
      };
      const cancel = this.#options.clock.after(remaining, () => {
        signal?.removeEventListener('abort', stop);
        resolve();
      });
      if (signal?.aborted === true) stop();
      else signal?.addEventListener('abort', stop, { once: true });
    });
  }
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (signal === null || signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

function codeOf(error: unknown): unknown {
  const cause = error instanceof Error ? error.cause : undefined;
  if (typeof cause !== 'object' || cause === null) return undefined;
  // A name with several addresses fails with an AggregateError that carries the code of the first.
  return 'code' in cause ? cause.code : undefined;
}

const isNeverConnected = (error: unknown) => neverConnected.has(codeOf(error));
