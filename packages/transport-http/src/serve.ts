import {
  createServer as createHttpServer,
  type RequestListener,
  type Server,
  type ServerOptions,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import { createHttpApp, type HttpApp } from './app.ts';
import { ErrorCode, errorBody, errorResponse } from './json-rpc.ts';
import {
  DEFAULT_REQUEST_TIMEOUT_MILLISECONDS,
  type HttpAppOptions,
  HttpConfigurationError,
  type ServerFactory,
  silentLogger,
} from './options.ts';
import { isLoopbackAddress, normalizeHost } from './security.ts';
import { loadTls, reloadTlsOnChange, type TlsFiles } from './tls.ts';

export interface ServeHttpOptions extends Omit<HttpAppOptions, 'boundAddress'> {
  /** 0 (the default) takes a free one. */
  readonly port?: number;
  /** Default 127.0.0.1. Any other reach needs `tokenFiles` or `allowUnauthenticated`. */
  readonly address?: string;
  /** Lets anyone who can reach the address call everything. */
  readonly allowUnauthenticated?: boolean;
  readonly tls?: TlsFiles;
  /** How often the TLS files are looked at. Default 5000 ms. */
  readonly tlsReloadIntervalMilliseconds?: number;
  /** How long calls in flight may still take once shutdown has begun. Default 5000 ms. */
  readonly drainMilliseconds?: number;
  /** How long a client may take to send its headers. Default 10 000 ms. */
  readonly headersTimeoutMilliseconds?: number;
}

export interface HttpClosure {
  /** Calls given up because they did not finish within the drain. */
  readonly abandonedRequests: number;
}

export interface HttpServing {
  /** The MCP endpoint, for example `http://127.0.0.1:8080/mcp`. */
  readonly url: string;
  /** The same without the path, for `/healthz` and its neighbours. */
  readonly origin: string;
  readonly address: string;
  readonly port: number;
  /** Publishes change notifications to 2026-07-28 clients that subscribed to them. */
  readonly notify: HttpApp['notify'];
  /** Resolves when everything is shut down; never rejects. */
  readonly closed: Promise<HttpClosure>;
  /** Graceful shutdown: refuses new calls, waits for those in flight, then ends what is left. Idempotent. */
  close(): Promise<HttpClosure>;
}

/** Refuses what would let strangers in, in words that say how to do it right. */
export function assertMayListen(
  options: Pick<ServeHttpOptions, 'address' | 'tokenFiles' | 'allowUnauthenticated'>,
): void {
  const address = options.address ?? '127.0.0.1';
  if (
    isLoopbackAddress(address) ||
    (options.tokenFiles?.length ?? 0) > 0 ||
    options.allowUnauthenticated === true
  )
    return;
  throw new HttpConfigurationError(
    `refusing to listen on ${address} without authentication: give a bearer token file, ` +
      'listen on 127.0.0.1, or allow unauthenticated access explicitly',
  );
}

/**
 * Listens and serves until `close()`. Rejects with HttpConfigurationError for what the operator must change, and with
 * the system's error (EADDRINUSE, EACCES) when the address cannot be had.
 */
export async function serveHttp(
  serverFactory: ServerFactory,
  options: ServeHttpOptions = {},
): Promise<HttpServing> {
  const logger = options.logger ?? silentLogger;
  const address = options.address ?? '127.0.0.1';
  assertMayListen(options);
  // Before anything is built: unusable TLS files are the operator's to mend.
  if (options.tls !== undefined) loadTls(options.tls);
  const httpApp = createHttpApp(serverFactory, { ...options, boundAddress: address });
  // Its own `Request` and `Response` take the place of the global ones (its default): an answer that is a string is written as it is, and
  // not made a stream and read back first, which costs more than the rest of a cheap call.
  const listener = getRequestListener((request, env) => httpApp.app.fetch(request, env), {
    errorHandler: () => errorResponse(400, ErrorCode.refused, 'Bad request'),
  });
  const headersTimeout = options.headersTimeoutMilliseconds ?? 10_000;
  const requestTimeout = options.requestTimeoutMilliseconds ?? DEFAULT_REQUEST_TIMEOUT_MILLISECONDS;
  const limits: ServerOptions = {
    headersTimeout: Math.min(headersTimeout, requestTimeout),
    // Bounds how long a client may take to send its request; how long the answer takes is the app's deadline.
    requestTimeout,
    connectionsCheckingInterval: Math.max(50, Math.min(5_000, headersTimeout / 2)),
    // A missing Host gets the app's JSON answer rather than Node's empty one.
    requireHostHeader: false,
  };
  const { server, startReloading } = createServer(limits, listener, options);
  server.on('clientError', answerClientError);

  try {
    await listen(server, options.port ?? 0, address);
  } catch (error) {
    await httpApp.close();
    throw error;
  }
  const bound = server.address() as AddressInfo;
  const { promise: closed, resolve: resolveClosed } = deferred<HttpClosure>();
  const stopReloading = startReloading();

  async function shutDown(): Promise<void> {
    const gone = new Promise<void>((resolve) => server.close(() => resolve()));
    httpApp.drain();
    server.closeIdleConnections();
    await until(() => httpApp.inFlight === 0, options.drainMilliseconds ?? 5_000);
    const abandonedRequests = httpApp.inFlight;
    await httpApp.close();
    stopReloading();
    // Answers that were just written get a moment to leave before the connections are cut.
    await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, 200))]);
    server.closeAllConnections();
    await gone;
    logger.info('http: closed', { abandonedRequests });
    resolveClosed({ abandonedRequests });
  }

  let closing = false;
  const close = () => {
    if (!closing) {
      closing = true;
      shutDown().catch((error: unknown) => {
        logger.error('http: shutdown failed', { error: String(error) });
        server.closeAllConnections();
        resolveClosed({ abandonedRequests: httpApp.inFlight });
      });
    }
    return closed;
  };

  if (!isLoopbackAddress(bound.address)) {
    // A name such as `localhost` can resolve to anything.
    if (
      isLoopbackAddress(address) &&
      (options.tokenFiles?.length ?? 0) === 0 &&
      !options.allowUnauthenticated
    ) {
      await close();
      assertMayListen({ ...options, address: bound.address });
    }
    if ((options.tokenFiles?.length ?? 0) === 0)
      logger.warn('http: anyone who can reach this address can call every tool', { address: bound.address });
    else if (options.tls === undefined)
      logger.warn('http: bearer tokens cross the network in clear text without TLS', {
        address: bound.address,
      });
  }

  const scheme = options.tls === undefined ? 'http' : 'https';
  const origin = `${scheme}://${reachableHost(bound.address)}:${bound.port}`;
  logger.info('http: listening', {
    address: bound.address,
    port: bound.port,
    tls: options.tls !== undefined,
  });
  return {
    url: `${origin}/mcp`,
    origin,
    address: bound.address,
    port: bound.port,
    notify: httpApp.notify,
    closed,
    close,
  };
}

/** The plain or TLS server, and how to start looking for new certificates once it listens. */
function createServer(
  limits: ServerOptions,
  listener: RequestListener,
  options: ServeHttpOptions,
): { server: Server; startReloading: () => () => void } {
  const { tls } = options;
  if (tls === undefined)
    return { server: createHttpServer(limits, listener), startReloading: () => () => {} };
  const server = createHttpsServer({ ...limits, ...loadTls(tls), minVersion: 'TLSv1.2' }, listener);
  const interval = options.tlsReloadIntervalMilliseconds ?? 5_000;
  return {
    server,
    startReloading: () => reloadTlsOnChange(server, tls, options.logger ?? silentLogger, interval),
  };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: host.replace(/^\[(.*)\]$/, '$1') }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** A host to put in a URL for this machine itself: wildcard addresses are no destination. */
function reachableHost(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1';
  if (address === '::') return '[::1]';
  return normalizeHost(address) ?? address;
}

const CLIENT_ERROR_STATUS: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
};

/** What is not HTTP, or too slow, or too long never reaches the app; it gets its JSON error here. */
function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = CLIENT_ERROR_STATUS[error.code ?? ''] ?? '400 Bad Request';
  const body = JSON.stringify(errorBody(ErrorCode.refused, status.slice(4)));
  const head = `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
  socket.end(`${head}Connection: close\r\n\r\n${body}`);
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

async function until(condition: () => boolean, limitMilliseconds: number): Promise<void> {
  const end = performance.now() + limitMilliseconds;
  while (!condition() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
}
