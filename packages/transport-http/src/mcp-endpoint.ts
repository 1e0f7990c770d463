import {
  type AuthInfo,
  createMcpHandler,
  isJsonContentType,
  isLegacyRequest,
  type ServerNotifier,
} from '@modelcontextprotocol/server';
import { readJsonBody } from './body.ts';
import { withDeadline } from './deadline.ts';
import { claimsModern, ErrorCode, errorBody, errorResponse, requestsIn } from './json-rpc.ts';
import { ListenBus, listenedResources, MAX_LISTENED_RESOURCES } from './listen-bus.ts';
import type { Logger, ResourceChanges, ServerFactory } from './options.ts';
import { requestForHandlers } from './request-for-handlers.ts';
import { Sessions } from './sessions.ts';

const BODY_REFUSALS = {
  'too-large': { status: 413, code: ErrorCode.refused, message: 'Payload too large' },
  'not-utf8': {
    status: 400,
    code: ErrorCode.parseError,
    message: 'Parse error: the body is not valid UTF-8',
  },
  'not-json': { status: 400, code: ErrorCode.parseError, message: 'Parse error: the body is not valid JSON' },
  'broken-off': {
    status: 400,
    code: ErrorCode.parseError,
    message: 'Parse error: the body could not be read',
  },
} as const;

export interface McpEndpointOptions {
  readonly serverFactory: ServerFactory;
  readonly logger: Logger;
  readonly maxBodyBytes: number;
  readonly requestTimeoutMilliseconds: number;
  readonly maxSessions: number;
  readonly sessionIdleMilliseconds: number;
  readonly resourceChanges: ResourceChanges | undefined;
  readonly now: () => number;
}

/**
 * `/mcp` for both protocol eras: requests of the stateless 2026-07-28 revision get a server object each, everything
 * older gets a session. The SDK decides which is which.
 */
export class McpEndpoint {
  readonly sessions: Sessions;
  readonly #options: McpEndpointOptions;
  readonly #bus: ListenBus;
  readonly #modern: ReturnType<typeof createMcpHandler>;
  #modernInFlight = 0;

  constructor(options: McpEndpointOptions) {
    const { serverFactory, logger } = options;
    this.#options = options;
    const onerror = (error: Error) => logger.debug('http: protocol error', { error: error.message });
    this.#bus = new ListenBus(options.resourceChanges, onerror);
    this.#modern = createMcpHandler(serverFactory, { legacy: 'reject', bus: this.#bus, onerror });
    this.sessions = new Sessions({ ...options, idleMilliseconds: options.sessionIdleMilliseconds });
  }

  /** Calls in flight, streams and subscriptions not counted. */
  get inFlight(): number {
    return this.#modernInFlight + this.sessions.unanswered;
  }

  get notify(): ServerNotifier {
    return this.#modern.notify;
  }

  async handle(incoming: Request, principal: string): Promise<Response> {
    const { maxBodyBytes } = this.#options;
    const auth: AuthInfo = { token: '', clientId: principal, scopes: [principal] };
    let body: unknown;
    if (incoming.method === 'POST') {
      if (!isJsonContentType(incoming.headers.get('content-type')))
        return errorResponse(415, ErrorCode.refused, 'Unsupported Media Type: send application/json');
      const read = await readJsonBody(incoming, maxBodyBytes);
      if (read.kind !== 'json') {
        const { status, code, message } = BODY_REFUSALS[read.kind];
        const limit = read.kind === 'too-large' ? `: the limit is ${maxBodyBytes} bytes` : '';
        // The rest of a body nobody reads must not be taken for the next request.
        const headers: Record<string, string> = read.kind === 'too-large' ? { connection: 'close' } : {};
        return errorResponse(status, code, `${message}${limit}`, { headers });
      }
      body = read.value;
      if (typeof body !== 'object' || body === null)
        return errorResponse(400, ErrorCode.invalidRequest, 'Invalid request: not a JSON-RPC message');
    }
    if (!claimsModern(body) && (await isLegacyRequest(incoming, body)))
      return this.sessions.handle(requestForHandlers(incoming), body, auth);
    return this.#handleModern(incoming, body, auth);
  }

  async close(): Promise<void> {
    await Promise.all([this.#modern.close(), this.sessions.close()]);
  }

  async #handleModern(incoming: Request, body: unknown, authInfo: AuthInfo): Promise<Response> {
    const [request] = requestsIn(body);
    const serve = (signal: AbortSignal) =>
      this.#modern.fetch(requestForHandlers(incoming, signal), { parsedBody: body, authInfo });
    if (request === undefined) return serve(incoming.signal);
    if (request.method === 'subscriptions/listen') {
      const uris = listenedResources(body);
      if (uris.length > MAX_LISTENED_RESOURCES)
        return errorResponse(
          400,
          ErrorCode.invalidParams,
          `Invalid params: at most ${MAX_LISTENED_RESOURCES} resources may be listened to by one request`,
          { id: request.id },
        );
      return this.#bus.naming(uris, () => serve(incoming.signal));
    }
    const { requestTimeoutMilliseconds } = this.#options;
    const message = `Request timed out after ${requestTimeoutMilliseconds} ms`;
    this.#modernInFlight += 1;
    return withDeadline(
      requestTimeoutMilliseconds,
      incoming.signal,
      serve,
      () => errorResponse(504, ErrorCode.timedOutOrGone, message, { id: request.id }),
      () =>
        `event: message\ndata: ${JSON.stringify(errorBody(ErrorCode.timedOutOrGone, message, request.id))}\n\n`,
      () => {
        this.#modernInFlight -= 1;
      },
    );
  }
}
