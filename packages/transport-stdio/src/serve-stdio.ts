import type { EventEmitter } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import type { McpServerFactory } from '@modelcontextprotocol/server';
import { serveStdio as serveWithSdk } from '@modelcontextprotocol/server/stdio';
import { LineTransport } from './line-transport.ts';
import { guardOutput } from './stdout-guard.ts';

const SHUTDOWN_SIGNALS = ['SIGTERM', 'SIGINT'] as const;
/** How long the SDK may take to tear its side down, on top of the drain. */
const TEARDOWN_LIMIT_MILLISECONDS = 1_000;

/** Receives the transport's own messages: malformed input, failed writes, shutdown. */
export interface Logger {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** Where the server's resources change. */
export interface ResourceChanges {
  /**
   * Tells of each change of these resources from now on, under the URI as it is given; URIs that never change are ignored. It sees to it that
   * one URI is told of at a bounded rate. The returned function ends it.
   */
  onChange(listener: (uri: string) => void, uris: readonly string[]): () => void;
}

export interface ServeStdioOptions {
  readonly logger?: Logger;
  /** Close after this many requests have been answered (`initialize` counts). Default: no limit. */
  readonly maxRequests?: number;
  /** Longest accepted line in bytes, without its newline. Default 4 MiB. */
  readonly maxMessageBytes?: number;
  /** How long calls in flight may still take once shutdown has begun. Default 2000 ms. */
  readonly drainMilliseconds?: number;
  /**
   * Changes that `subscriptions/listen` (2026-07-28) tells of. Asked only while the client listens. The server object has to offer the
   * capability `resources.subscribe`; `resources/subscribe` of 2025-era clients is its own.
   */
  readonly resourceChanges?: ResourceChanges;
  /** Default `process.stdin`. */
  readonly stdin?: Readable;
  /** Default `process.stdout`; guarded while serving. */
  readonly stdout?: Writable;
  /** Where anything but protocol written to `stdout` ends up. Default `process.stderr`. */
  readonly stderr?: Writable;
  /** Who emits `SIGTERM` and `SIGINT`. Default `process`. */
  readonly signals?: Pick<EventEmitter, 'on' | 'off'>;
}

export type StdioCloseReason =
  | 'stdin-end'
  | 'stdin-error'
  | 'stdout-error'
  | 'SIGTERM'
  | 'SIGINT'
  | 'max-requests'
  | 'closed'
  | 'server-closed';

export interface StdioClosure {
  readonly reason: StdioCloseReason;
  readonly answeredRequests: number;
  /** Requests given up because they did not finish within the drain. */
  readonly abandonedRequests: number;
}

export interface StdioServing {
  /** Resolves once, when everything is shut down. Never rejects, and never ends the process: that is the caller's. */
  readonly closed: Promise<StdioClosure>;
  /** Starts a graceful shutdown (reason `closed`); a no-op when one is under way. */
  close(): Promise<StdioClosure>;
}

/**
 * Serves MCP on stdin and stdout, 2025-era and 2026-07-28 clients alike, until input ends, a signal comes, the reader
 * of stdout goes away or `maxRequests` is reached. Malformed input is answered with a JSON-RPC error (-32700 or
 * -32600) and serving goes on. A second signal skips the rest of the drain.
 */
export function serveStdio(serverFactory: McpServerFactory, options: ServeStdioOptions = {}): StdioServing {
  const { logger } = options;
  const stdin = options.stdin ?? process.stdin;
  const stdout = options.stdout ?? process.stdout;
  const signals = options.signals ?? process;
  const drainMilliseconds = options.drainMilliseconds ?? 2_000;
  const output = guardOutput(stdout, () => options.stderr ?? process.stderr);
  const transport = new LineTransport({
    output,
    maxMessageBytes: options.maxMessageBytes ?? 4 * 1024 * 1024,
    maxRequests: options.maxRequests,
  });

  let shuttingDown = false;
  const { promise: drainOver, resolve: endDrain } = deferred<void>();
  const { promise: closed, resolve: resolveClosed } = deferred<StdioClosure>();

  const { resourceChanges } = options;
  let sendUpdated: (uri: string) => void = () => {};
  let stopListening = () => {};
  if (resourceChanges)
    transport.onlistening = (uris) => {
      const stopBefore = stopListening;
      // The new one first: what is behind it must not stop and start in between.
      stopListening =
        uris.length === 0 ? () => {} : resourceChanges.onChange((uri) => sendUpdated(uri), uris);
      stopBefore();
    };
  /** The SDK gives change notifications of the server object to who listens to them. */
  const factory: McpServerFactory = async (context) => {
    const product = await serverFactory(context);
    const server = 'server' in product ? product.server : product;
    sendUpdated = (uri) => {
      server.sendResourceUpdated({ uri }).catch((error: unknown) => {
        logger?.debug('stdio: a change could not be told', { error: String(error) });
      });
    };
    return product;
  };
  const handle = serveWithSdk(factory, {
    transport,
    onerror: (error) => logger?.debug('stdio: protocol error', { error: error.message }),
  });

  async function shutDown(reason: StdioCloseReason): Promise<void> {
    if (shuttingDown) return;
    shuttingDown = true;
    transport.stopAccepting();
    if (!transport.settled && reason !== 'stdout-error' && reason !== 'server-closed')
      await withinMilliseconds(drainOver, drainMilliseconds);
    const abandonedRequests = transport.unanswered;
    await withinMilliseconds(handle.close(), TEARDOWN_LIMIT_MILLISECONDS);
    await transport.close();
    detach(reason);
    const closure = { reason, answeredRequests: transport.answered, abandonedRequests };
    logger?.info('stdio: closed', { ...closure });
    resolveClosed(closure);
  }

  const begin = (reason: StdioCloseReason) => {
    shutDown(reason).catch((error: unknown) => {
      logger?.error('stdio: shutdown failed', { error: String(error) });
      resolveClosed({
        reason,
        answeredRequests: transport.answered,
        abandonedRequests: transport.unanswered,
      });
    });
  };

  const onData = (chunk: Buffer | string) =>
    transport.receive(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
  const onEnd = () => {
    transport.receiveEnd();
    begin('stdin-end');
  };
  const onStdinError = (error: Error) => {
    logger?.warn('stdio: reading stdin failed', { error: error.message });
    begin('stdin-error');
  };
  const onStdoutError = (error: Error) => {
    // EPIPE is how a client's exit looks from here: nothing can be answered any more, so nothing is waited for.
    if (!shuttingDown) logger?.warn('stdio: writing stdout failed', { error: error.message });
    endDrain();
    begin('stdout-error');
  };
  const onSignal = SHUTDOWN_SIGNALS.map((name) => ({
    name,
    listener: () => {
      if (shuttingDown) endDrain();
      begin(name);
    },
  }));

  function detach(reason: StdioCloseReason): void {
    stdin.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', onStdinError);
    stdin.pause();
    for (const { name, listener } of onSignal) signals.off(name, listener);
    output.restore();
    // After a broken pipe the listener stays: a late write must not become an uncaught exception.
    if (reason !== 'stdout-error') stdout.off('error', onStdoutError);
  }

  transport.onsettled = () => {
    if (shuttingDown && transport.settled) endDrain();
    if (transport.quotaServed) begin('max-requests');
  };
  const closeSdkSide = transport.onclose;
  transport.onclose = () => {
    closeSdkSide?.();
    begin('server-closed');
  };

  stdout.on('error', onStdoutError);
  for (const { name, listener } of onSignal) signals.on(name, listener);
  stdin.on('error', onStdinError).on('end', onEnd).on('close', onEnd).on('data', onData);
  if (stdin.readableEnded || stdin.destroyed) queueMicrotask(onEnd);

  return {
    closed,
    close: () => {
      begin('closed');
      return closed;
    },
  };
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Waits for `work`, but not longer than `milliseconds`; a failure of `work` only ends the wait. */
async function withinMilliseconds(work: Promise<unknown>, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([work.catch(() => {}), limit]);
  clearTimeout(timer);
}
