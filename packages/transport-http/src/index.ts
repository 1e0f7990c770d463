/**
 * MCP over Streamable HTTP for any server factory. Importing this module is cheap: what it serves with (the MCP server
 * SDK, Hono, the metrics client) is loaded by the first call.
 */
import type { HttpApp } from './app.ts';
import type { HttpAppOptions, ServerFactory } from './options.ts';
import type { HttpServing, ServeHttpOptions } from './serve.ts';

export type { HttpApp } from './app.ts';
export {
  type HttpAppOptions,
  HttpConfigurationError,
  type Logger,
  type Readiness,
  type ResourceChanges,
  type ServerFactory,
  type TokenFileOption,
} from './options.ts';
export type { HttpClosure, HttpServing, ServeHttpOptions } from './serve.ts';
export type { TlsFiles } from './tls.ts';

/** Builds the application without listening: mount `app` in a server of your own, or test it with `app.request`. */
export async function createHttpApp(
  serverFactory: ServerFactory,
  options: HttpAppOptions = {},
): Promise<HttpApp> {
  const { createHttpApp: create } = await import('./app.ts');
  return create(serverFactory, options);
}

/**
 * Listens (127.0.0.1 by default) and serves until `close()`. Rejects with HttpConfigurationError for what the operator
 * must change (no authentication on an open address, unusable TLS files), else with the system's error.
 */
export async function serveHttp(
  serverFactory: ServerFactory,
  options: ServeHttpOptions = {},
): Promise<HttpServing> {
  const { serveHttp: serve } = await import('./serve.ts');
  return serve(serverFactory, options);
}
