import type { ServerNotifier } from '@modelcontextprotocol/server';
import { Hono } from 'hono';
import { endOfTurn } from './end-of-turn.ts';
import { createReadinessCheck } from './health.ts';
import { ErrorCode, errorResponse } from './json-rpc.ts';
import { McpEndpoint } from './mcp-endpoint.ts';
import { HttpMetrics } from './metrics.ts';
import {
  DEFAULT_MAX_BODY_BYTES,
  DEFAULT_REQUEST_TIMEOUT_MILLISECONDS,
  type HttpAppOptions,
  type ServerFactory,
  silentLogger,
} from './options.ts';
import { Authenticator, HostCheck, OriginCheck } from './security.ts';

const DEFAULT_SESSION_IDLE_MILLISECONDS = 30 * 60_000;
const ROUTES = ['/mcp', '/healthz', '/readyz', '/version', '/metrics'] as const;

/** What `@hono/node-server` hands a handler beside the request; absent under `app.request`. */
interface Bindings {
  readonly outgoing?: { once(event: 'close', listener: () => void): unknown };
}
interface AppEnv {
  Bindings: Bindings;
  Variables: { principal: string | undefined };
}

export interface HttpApp {
  /** The Hono app: mount it, serve it, or call `app.request(...)` in a test. */
  readonly app: Hono<AppEnv>;
  /** Publishes change notifications to 2026-07-28 clients that subscribed to them; sessions have their own server object. */
  readonly notify: ServerNotifier;
  /** Calls in flight, open streams not counted. */
  readonly inFlight: number;
  /** Open sessions of 2025-era clients. */
  readonly sessionCount: number;
  /** Stops taking MCP requests (503), reports not ready and ends listening streams. Calls in flight go on. */
  drain(): void;
  /** Ends every session and every call, and frees the metrics registry. */
  close(): Promise<void>;
}

/** Builds the HTTP application: `/mcp`, `/healthz`, `/readyz`, `/version`, `/metrics`. Listening is `serveHttp`'s part. */
export function createHttpApp(serverFactory: ServerFactory, options: HttpAppOptions = {}): HttpApp {
  const logger = options.logger ?? silentLogger;
  const now = options.now ?? (() => performance.now());
  const sessionIdleMilliseconds = options.sessionIdleMilliseconds ?? DEFAULT_SESSION_IDLE_MILLISECONDS;
  const endpoint = new McpEndpoint({
    serverFactory,
    logger,
    now,
    sessionIdleMilliseconds,
    maxBodyBytes: options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
    requestTimeoutMilliseconds: options.requestTimeoutMilliseconds ?? DEFAULT_REQUEST_TIMEOUT_MILLISECONDS,
    maxSessions: options.maxSessions ?? 256,
    resourceChanges: options.resourceChanges,
  });
  const metrics = new HttpMetrics({
    logger,
    processMetrics: options.processMetrics ?? true,
    sessionCount: () => endpoint.sessions.size,
    collectFurther: options.collectMetrics,
  });
  const hosts = new HostCheck(options);
  const origins = new OriginCheck(options.allowedOrigins);
  const authenticator = new Authenticator(options, logger);
  let draining = false;
  const readiness = createReadinessCheck({
    readiness: options.readiness,
    logger,
    ownReasons: async () => [...(draining ? ['shutting down'] : []), ...(await authenticator.problems())],
  });
  const sweep = setInterval(
    () => {
      endpoint.sessions.dropIdle().catch((error: unknown) => {
        logger.warn('http: dropping idle sessions failed', { error: String(error) });
      });
    },
    Math.min(60_000, sessionIdleMilliseconds),
  );
  sweep.unref();

  const app = new Hono<AppEnv>();

  app.use(async (c, next) => {
    const route = ROUTES.find((known) => known === c.req.path) ?? 'other';
    const finished = metrics.requestStarted(route, c.req.method);
    try {
      await next();
    } finally {
      const { status } = c.res;
      const outgoing = c.env?.outgoing;
      if (outgoing === undefined) finished(status);
      else outgoing.once('close', () => finished(status));
    }
  });

  // Before the checks: a liveness probe must not depend on anything that can be configured.
  app.get('/healthz', (c) => c.text('ok'));

  app.use(async (c, next) => {
    if (!hosts.allows(c.req.header('host'))) {
      logger.warn('http: Host refused', { host: c.req.header('host') });
      return errorResponse(403, ErrorCode.refused, 'Host not allowed; name it with the allowed-host option');
    }
    if (!origins.allows(c.req.header('origin'))) {
      logger.warn('http: Origin refused', { origin: c.req.header('origin') });
      return errorResponse(
        403,
        ErrorCode.refused,
        'Origin not allowed; name it with the allowed-origin option',
      );
    }
    const authentication = await authenticator.authenticate(c.req.header('authorization'));
    if (authentication.kind === 'authenticated') c.set('principal', authentication.principal);
    else if (c.req.path !== '/readyz') return refuseUnauthenticated(authentication.kind);
    return next();
  });

  app.get('/readyz', async (c) => {
    const { ready, reasons } = await readiness();
    const status = ready ? 200 : 503;
    return c.get('principal') === undefined ? c.json({ ready }, status) : c.json({ ready, reasons }, status);
  });
  app.get('/version', (c) => c.json(options.version ?? {}));
  app.get('/metrics', async (c) =>
    c.body(await metrics.render(), 200, { 'content-type': metrics.contentType }),
  );

  app.on(['GET', 'POST', 'DELETE'], '/mcp', async (c) => {
    if (draining)
      return errorResponse(503, ErrorCode.refused, 'Shutting down', {
        headers: { connection: 'close', 'retry-after': '5' },
      });
    const response = await endpoint.handle(c.req.raw, c.get('principal') ?? '');
    await endOfTurn();
    return response;
  });

  app.notFound((c) => {
    const allow = c.req.path === '/mcp' ? 'GET, POST, DELETE' : 'GET, HEAD';
    if (ROUTES.some((known) => known === c.req.path))
      return errorResponse(405, ErrorCode.refused, 'Method not allowed', { headers: { allow } });
    return errorResponse(404, ErrorCode.refused, 'Not found');
  });
  app.onError((error) => {
    logger.error('http: request failed', { error: error.message, stack: error.stack });
    return errorResponse(500, -32603, 'Internal error');
  });

  return {
    app,
    notify: endpoint.notify,
    get inFlight() {
      return endpoint.inFlight;
    },
    get sessionCount() {
      return endpoint.sessions.size;
    },
    drain: () => {
      draining = true;
      endpoint.sessions.closeStreams();
    },
    close: async () => {
      draining = true;
      clearInterval(sweep);
      await endpoint.close();
      metrics.close();
    },
  };
}

function refuseUnauthenticated(kind: 'missing' | 'invalid' | 'unavailable'): Response {
  if (kind === 'unavailable')
    return errorResponse(503, ErrorCode.refused, 'Authentication is not possible at the moment', {
      headers: { 'retry-after': '5' },
    });
  const challenge = kind === 'invalid' ? 'Bearer realm="mcp", error="invalid_token"' : 'Bearer realm="mcp"';
  return errorResponse(401, ErrorCode.refused, 'A valid bearer token is required', {
    headers: { 'www-authenticate': challenge },
  });
}
