import type { Clock, Logger } from '@k8s-gpu-mcp/core';
import { Backoff, unlessAborted } from './backoff.ts';
import { boundedBody } from './bounded-body.ts';
import { type GatewayRoute, type OpenRoute, RouteError } from './gateway-route.ts';
import { createSecureFetch, type Fetch } from './secure-fetch.ts';
import { codeOf, explainTls } from './tls-errors.ts';

/** Node's codes for a connection that was never made, so that no byte of the request was sent. */
const neverConnected: ReadonlySet<unknown> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

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
  readonly #backoff: Backoff;
  #fetch: { fetch: Fetch; close(): void } | undefined;
  #tokenProblem: string | undefined;
  #hasRouteToken = false;
  #hasWorked = false;

  constructor(options: GatewayLinkOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.clock);
  }

  /** Whether the gateway has ever answered anything. */
  get hasWorked(): boolean {
    return this.#hasWorked;
  }

  /** Whether the way that was last open brought a token of its own. */
  get hasRouteToken(): boolean {
    return this.#hasRouteToken;
  }

  /** Why the way that was last open could bring no token. */
  get tokenProblem(): string | undefined {
    return this.#tokenProblem;
  }

  /**
   * One HTTP request to the MCP endpoint. Rejects with `RouteError` when nothing was sent, `GatewayRefusedError` for a
   * redirect, and with fetch's own error when the connection broke.
   */
  async fetch(init: RequestInit): Promise<Response> {
    await this.#backoff.pause(init.signal);
    const route = await unlessAborted(this.#open(), init.signal);
    let response = await this.#send(route, init);
    const own = this.#ownToken() === undefined ? route.token : undefined;
    // The gateway has done nothing, so that the same may be sent again once.
    if (response.status === 401 && own !== undefined && (await own.renew())) {
      await response.body?.cancel();
      response = await this.#send(route, init);
    }
    this.#hasRouteToken = own?.current() !== undefined;
    this.#tokenProblem = own?.problem();
    this.#backoff.noteSuccess();
    this.#hasWorked = true;
    const { origin } = route.url;
    if (response.status >= 300 && response.status < 400) {
      await response.body?.cancel();
      throw new GatewayRefusedError(
        `${origin} redirects (HTTP ${response.status}), which is not followed: give the gateway's own URL`,
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
    this.#fetch?.close();
    await this.#options.route.close();
  }

  async #send(route: OpenRoute, init: RequestInit): Promise<Response> {
    const { url } = route;
    const token = this.#ownToken() ?? route.token?.current();
    const headers = new Headers(init.headers);
    headers.delete('authorization');
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
    const send = this.#fetch?.fetch ?? fetch;
    try {
      return await send(url, { ...init, headers, redirect: 'manual' });
    } catch (error) {
      if (init.signal?.aborted === true) throw error;
      if (neverConnected.has(codeOf(error))) {
        this.#backoff.noteFailure();
        throw new RouteError(`Nothing answers at ${url.origin} (${codeOf(error)})`, {
          isTransient: true,
          isRefused: true,
          cause: error,
        });
      }
      const tlsProblem = explainTls(error, url, route.tls?.serverName);
      if (tlsProblem !== undefined) throw new RouteError(tlsProblem, { isTransient: false, cause: error });
      throw error;
    }
  }

  #ownToken(): string | undefined {
    try {
      return this.#options.token();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new RouteError(`The token cannot be read: ${reason}`, { isTransient: false, cause: error });
    }
  }

  #open(): Promise<OpenRoute> {
    if (this.#route !== undefined) return this.#route;
    const opening = this.#options.route.open(this.#closing.signal);
    this.#route = opening;
    const forget = () => {
      if (this.#route === opening) this.#route = undefined;
    };
    opening.then(
      ({ url, closed, tls }) => {
        this.#fetch?.close();
        this.#fetch = tls === undefined ? undefined : createSecureFetch(tls);
        this.#options.logger.info('the way to the gateway is open', { url: url.href });
        closed.then((reason) => {
          forget();
          this.#backoff.noteFailure();
          this.#options.logger.warn('the way to the gateway is closed', { reason });
        }, forget);
      },
      (error: unknown) => {
        forget();
        if (error instanceof RouteError && error.isTransient) this.#backoff.noteFailure();
      },
    );
    return opening;
  }
}
