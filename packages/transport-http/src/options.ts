import type { McpServerFactory } from '@modelcontextprotocol/server';

export type ServerFactory = McpServerFactory;

/** Where the transport reports what it does. Secrets are never passed to it. */
export interface Logger {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** A file holding one bearer token, and who its bearer is to the server factory (`authInfo.clientId` and its one scope). */
export interface TokenFileOption {
  readonly principal: string;
  readonly file: string;
}

export interface Readiness {
  readonly ready: boolean;
  /** What is not ready, for people. Shown to authenticated callers only. */
  readonly reasons: readonly string[];
}

/** Where the server's resources change. */
export interface ResourceChanges {
  /**
   * Tells of each change of these resources from now on, under the URI as it is given; URIs that never change are ignored. It sees to it that
   * one URI is told of at a bounded rate. The returned function ends it.
   */
  onChange(listener: (uri: string) => void, uris: readonly string[]): () => void;
}

/** What `/mcp` and its neighbours do with a request. All limits have defaults. */
export interface HttpAppOptions {
  readonly logger?: Logger;
  /** Accepted bearer tokens. Empty or absent: no authentication. */
  readonly tokenFiles?: readonly TokenFileOption[];
  /** The address the listener is bound to; it passes the Host check. */
  readonly boundAddress?: string;
  /** Further names (`gpu-agent.example.com`, with or without port) that pass the Host check. */
  readonly allowedHosts?: readonly string[];
  /** Further browser origins that pass: `https://console.example.com` exactly, or a host name for any scheme and port. */
  readonly allowedOrigins?: readonly string[];
  /** Default 4 MiB; longer bodies are answered 413. */
  readonly maxBodyBytes?: number;
  /** How long one request may take, except GET streams and subscriptions. Default 60 000 ms, then 504 or a JSON-RPC error. */
  readonly requestTimeoutMilliseconds?: number;
  /** Sessions of 2025-era clients kept at once. Default 256. The longest idle one goes first. */
  readonly maxSessions?: number;
  /** A session without calls or an open stream is dropped after this. Default 30 minutes. */
  readonly sessionIdleMilliseconds?: number;
  /**
   * Changes that `subscriptions/listen` (2026-07-28) tells of. Asked only while somebody listens. The server objects have to offer the
   * capability `resources.subscribe`; `resources/subscribe` of 2025-era sessions is theirs.
   */
  readonly resourceChanges?: ResourceChanges;
  readonly readiness?: () => Promise<Readiness>;
  /** The body of `/version`. */
  readonly version?: Readonly<Record<string, unknown>>;
  /** Further Prometheus text appended to `/metrics`. */
  readonly collectMetrics?: () => Promise<string>;
  /** Node.js process metrics in `/metrics`. Default true. */
  readonly processMetrics?: boolean;
  /** Milliseconds on a clock that never goes back. Default `performance.now`. */
  readonly now?: () => number;
}

/** The configuration cannot be served as asked; `message` says why and what to change. Callers map it to a usage error. */
export class HttpConfigurationError extends Error {
  override readonly name = 'HttpConfigurationError';
}

export const DEFAULT_MAX_BODY_BYTES = 4 * 1024 * 1024;
export const DEFAULT_REQUEST_TIMEOUT_MILLISECONDS = 60_000;
