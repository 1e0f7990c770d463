import type { Logger } from '@k8s-gpu-mcp/core';
import {
  isJSONRPCResponse,
  type JSONRPCMessage,
  type JSONRPCRequest,
  SdkHttpError,
  StreamableHTTPClientTransport,
  type StreamableHTTPReconnectionOptions,
} from '@modelcontextprotocol/client';
import { TooLargeError } from './bounded-body.ts';
import { type GatewayLink, GatewayRefusedError } from './gateway-link.ts';
import { RouteError } from './gateway-route.ts';
import type { Outcome, PostOutcome, SessionHeaders } from './link.ts';

export interface GatewayTransportOptions {
  readonly link: GatewayLink;
  readonly session: SessionHeaders;
  readonly reconnection: StreamableHTTPReconnectionOptions;
  readonly logger: Logger;
  readonly onResponse?: (response: Response, method: string | undefined) => void;
}

/** The transport does not see the real address, which may change under it; the link knows it. */
const anyUrl = new URL('http://gateway.invalid/mcp');
/** A stream that its server cut to be resumed (`Last-Event-ID`) is resumed soon or given up. */
const resumeSoon: StreamableHTTPReconnectionOptions = {
  initialReconnectionDelay: 200,
  maxReconnectionDelay: 1_000,
  reconnectionDelayGrowFactor: 2,
  maxRetries: 2,
};
/** After its answer a stream has nothing more to say; one that stays open would hold its connection. */
const streamEndGraceMilliseconds = 1_000;

/** The SDK's client transport as a bare carrier of messages: headers of both eras, event streams and their resumption. */
export function createGatewayTransport(options: GatewayTransportOptions): StreamableHTTPClientTransport {
  const { sessionId, protocolVersion } = options.session;
  return new StreamableHTTPClientTransport(anyUrl, {
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(protocolVersion === undefined ? {} : { protocolVersion }),
    reconnectionOptions: options.reconnection,
    fetch: async (_url, init = {}) => {
      const response = await options.link.fetch(init);
      options.onResponse?.(response, init.method);
      return response;
    },
  });
}

export interface ExchangeOptions {
  readonly link: GatewayLink;
  readonly session: SessionHeaders;
  /** Aborting closes the HTTP stream, which in the era without sessions is how a call is cancelled. */
  readonly signal: AbortSignal;
  /** Everything that is not the answer, as soon as it comes. */
  readonly onMessage: (message: JSONRPCMessage) => void;
  readonly logger: Logger;
}

/** Sends one request and waits for its answer. Never rejects. */
export async function exchange(request: JSONRPCRequest, options: ExchangeOptions): Promise<Outcome> {
  const { signal, logger } = options;
  if (signal.aborted) return { kind: 'cancelled' };
  let isStream = false;
  let failure: unknown;
  const transport = createGatewayTransport({
    link: options.link,
    session: options.session,
    reconnection: resumeSoon,
    logger,
    onResponse: (response) => {
      isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
    },
  });
  transport.onerror = (error) => {
    failure ??= error;
    logger.debug('gateway transport', { request: request.method, reason: error.message });
  };
  await transport.start();
  return new Promise((resolve) => {
    let isSettled = false;
    const close = () => void transport.close().catch(() => {});
    const settle = (outcome: Outcome) => {
      if (isSettled) return;
      isSettled = true;
      signal.removeEventListener('abort', onAbort);
      if (outcome.kind === 'answered' && isStream) setTimeout(close, streamEndGraceMilliseconds).unref();
      else close();
      resolve(outcome);
    };
    const onAbort = () => settle({ kind: 'cancelled' });
    signal.addEventListener('abort', onAbort, { once: true });
    transport.onmessage = (message) => {
      if (isSettled) return;
      if (!isJSONRPCResponse(message)) options.onMessage(message);
      else if (message.id === request.id)
        settle({ kind: 'answered', response: message, sessionId: transport.sessionId });
      else logger.warn('an answer to another request was dropped', { request: request.method });
    };
    const noAnswer = () => settle(outcomeOf(failure ?? new Error('the answer did not come')));
    transport.send(request, { onRequestStreamEnd: noAnswer }).then(
      () => {
        if (!isStream) noAnswer();
      },
      (error: unknown) => settle(outcomeOf(error)),
    );
  });
}

/** Posts what is not answered: a notification, or the host's answer to the server. */
export async function post(
  message: JSONRPCMessage,
  options: Omit<ExchangeOptions, 'onMessage'>,
): Promise<PostOutcome> {
  const transport = createGatewayTransport({ ...options, reconnection: resumeSoon });
  const close = () => void transport.close().catch(() => {});
  options.signal.addEventListener('abort', close, { once: true });
  await transport.start();
  try {
    if (options.signal.aborted) return { kind: 'cancelled' };
    await transport.send(message);
    return { kind: 'accepted' };
  } catch (error) {
    return options.signal.aborted ? { kind: 'cancelled' } : outcomeOf(error);
  } finally {
    options.signal.removeEventListener('abort', close);
    close();
  }
}

function outcomeOf(error: unknown): Exclude<Outcome, { readonly kind: 'answered' }> {
  if (error instanceof RouteError) return { kind: 'not-sent', reason: error.message, ...transienceOf(error) };
  if (error instanceof GatewayRefusedError || error instanceof TooLargeError)
    return { kind: 'refused', reason: error.message };
  if (error instanceof SdkHttpError) {
    const { status, text } = error.data;
    return { kind: 'http-error', status, text: typeof text === 'string' ? text : '' };
  }
  const reason = error instanceof Error ? error.message : String(error);
  // The transport wraps what broke an event stream in words only.
  if (reason.includes('TooLargeError')) return { kind: 'refused', reason };
  return { kind: 'lost', reason };
}

const transienceOf = ({ isTransient, isRefused }: RouteError) => ({ isTransient, isRefused });
