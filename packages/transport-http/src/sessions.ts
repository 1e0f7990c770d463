import { randomUUID } from 'node:crypto';
import {
  type AuthInfo,
  isInitializeRequest,
  isJSONRPCErrorResponse,
  isJSONRPCNotification,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  type RequestId,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import { isEventStream } from './deadline.ts';
import { cancelledIdsIn, ErrorCode, errorBody, errorResponse, requestsIn } from './json-rpc.ts';
import type { Logger, ServerFactory } from './options.ts';
import { UpdateGate, watchStream } from './update-gate.ts';

/**
 * The SDK's session transport, which in addition knows its unanswered requests and can end them. A request that is
 * never answered (cancelled, or past its deadline) would otherwise stay in the transport's maps, with its stream open.
 */
class SessionTransport extends WebStandardStreamableHTTPServerTransport {
  readonly #unanswered = new Map<RequestId, { readonly alone: boolean; readonly deadline: NodeJS.Timeout }>();
  #gate: UpdateGate | undefined;

  get unanswered(): number {
    return this.#unanswered.size;
  }

  track(ids: readonly RequestId[], timeoutMilliseconds: number): void {
    for (const id of ids) {
      this.forget(id);
      const deadline = setTimeout(() => this.#expire(id, timeoutMilliseconds), timeoutMilliseconds);
      this.#unanswered.set(id, { alone: ids.length === 1, deadline });
    }
  }

  /** The client gave the request up: its stream ends without an answer. */
  async cancelled(id: RequestId): Promise<void> {
    const request = this.#unanswered.get(id);
    if (request === undefined) return;
    // With the stream gone the SDK drops the answer and forgets the id; a batch keeps its stream for the others.
    if (request.alone) this.closeSSEStream(id);
    await this.send(errorBody(ErrorCode.timedOutOrGone, 'Request cancelled', id) as JSONRPCMessage);
  }

  override async send(message: JSONRPCMessage, options?: { relatedRequestId?: RequestId }): Promise<void> {
    if ((isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message)) && message.id !== undefined)
      this.forget(message.id);
    const updated = options?.relatedRequestId === undefined ? updatedResource(message) : undefined;
    if (updated === undefined || this.#gate === undefined) await super.send(message, options);
    else this.#gate.tell(updated);
  }

  /** A GET stream is open: changes of resources go out as fast as it is read. */
  openGate(): UpdateGate {
    const gate = new UpdateGate((uri) => {
      super
        .send({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri } })
        .catch((error: unknown) => this.onerror?.(new Error(String(error))));
    });
    this.#gate = gate;
    return gate;
  }

  /** It is not any more. */
  closeGate(gate: UpdateGate): void {
    if (this.#gate === gate) this.#gate = undefined;
  }

  forget(id: RequestId): void {
    clearTimeout(this.#unanswered.get(id)?.deadline);
    this.#unanswered.delete(id);
  }

  override async close(): Promise<void> {
    for (const id of [...this.#unanswered.keys()]) this.forget(id);
    await super.close();
  }

  #expire(id: RequestId, timeoutMilliseconds: number): void {
    // Aborts the handler's signal; the SDK then sends nothing, so the answer comes from here.
    this.onmessage?.({
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: id, reason: 'deadline' },
    });
    const answer = errorBody(
      ErrorCode.timedOutOrGone,
      `Request timed out after ${timeoutMilliseconds} ms`,
      id,
    );
    this.send(answer as JSONRPCMessage).catch((error: unknown) => this.onerror?.(new Error(String(error))));
  }
}

interface Session {
  readonly transport: SessionTransport;
  readonly principal: string;
  /** GET streams open at the moment. */
  streams: number;
  lastUsed: number;
  close(): Promise<void>;
}

export interface SessionsOptions {
  readonly serverFactory: ServerFactory;
  readonly logger: Logger;
  readonly maxSessions: number;
  readonly idleMilliseconds: number;
  readonly requestTimeoutMilliseconds: number;
  readonly now: () => number;
}

/** The sessions of 2025-era clients: bounded in number and idle time, each bound to the principal that opened it. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #sessions = new Map<string, Session>();
  /** Initialising at the moment: they count against the limit already. */
  #opening = 0;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Requests of all sessions that have not been answered. */
  get unanswered(): number {
    let sum = 0;
    for (const session of this.#sessions.values()) sum += session.transport.unanswered;
    return sum;
  }

  async handle(request: Request, body: unknown, auth: AuthInfo): Promise<Response> {
    await this.dropIdle();
    const sessionId = request.headers.get('mcp-session-id');
    if (sessionId !== null) {
      const session = this.#sessions.get(sessionId);
      // Somebody else's session is reported as unknown: its existence is not the caller's business.
      if (session === undefined || session.principal !== auth.clientId)
        return errorResponse(404, ErrorCode.timedOutOrGone, 'Session not found');
      return this.#serve(session, request, body, auth);
    }
    if (request.method !== 'POST' || !isInitializeRequest(body))
      return errorResponse(400, ErrorCode.refused, 'Bad Request: Mcp-Session-Id header is required', {
        id: requestsIn(body)[0]?.id ?? null,
      });
    if (!(await this.#makeRoom()))
      return errorResponse(503, ErrorCode.refused, 'Too many sessions, all of them busy', {
        headers: { 'retry-after': '5' },
      });
    return this.#open(request, body, auth);
  }

  /** Closes sessions that have had no call and no stream for too long. */
  async dropIdle(): Promise<void> {
    const { idleMilliseconds, now } = this.#options;
    const oldest = now() - idleMilliseconds;
    await Promise.all(
      [...this.#sessions.values()]
        .filter((session) => isIdle(session) && session.streams === 0 && session.lastUsed <= oldest)
        .map((session) => session.close()),
    );
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((session) => session.close()));
  }

  /** Ends every GET stream; calls in flight go on. */
  closeStreams(): void {
    for (const session of this.#sessions.values()) session.transport.closeStandaloneSSEStream();
  }

  async #open(request: Request, body: unknown, auth: AuthInfo): Promise<Response> {
    const { serverFactory, logger, now } = this.#options;
    this.#opening += 1;
    try {
      const server = await serverFactory({ era: 'legacy', authInfo: auth, requestInfo: request });
      const transport = new SessionTransport({ sessionIdGenerator: randomUUID });
      let closing = false;
      const session: Session = {
        transport,
        principal: auth.clientId,
        streams: 0,
        lastUsed: now(),
        close: async () => {
          if (closing) return;
          closing = true;
          if (transport.sessionId !== undefined) this.#sessions.delete(transport.sessionId);
          await transport.close().catch(() => {});
          await server.close().catch(() => {});
        },
      };
      await server.connect(transport);
      const closeServerSide = transport.onclose;
      transport.onclose = () => {
        closeServerSide?.();
        session.close().catch(() => {});
      };
      const reportToServer = transport.onerror;
      transport.onerror = (error) => {
        logger.debug('http: session transport', { error: error.message });
        reportToServer?.(error);
      };
      const response = await this.#serve(session, request, body, auth);
      if (transport.sessionId === undefined) await session.close();
      else if (!closing) this.#sessions.set(transport.sessionId, session);
      return response;
    } finally {
      this.#opening -= 1;
    }
  }

  async #serve(session: Session, request: Request, body: unknown, auth: AuthInfo): Promise<Response> {
    const { now, requestTimeoutMilliseconds } = this.#options;
    const { transport } = session;
    session.lastUsed = now();
    const ids = requestsIn(body).map(({ id }) => id);
    transport.track(ids, requestTimeoutMilliseconds);
    const response = await transport.handleRequest(request, { parsedBody: body, authInfo: auth });
    if (!isEventStream(response.headers)) for (const id of ids) transport.forget(id);
    for (const id of cancelledIdsIn(body)) await transport.cancelled(id);
    if (request.method === 'GET' && response.body !== null && response.status === 200)
      return this.#countStream(session, response, response.body);
    return response;
  }

  #countStream(session: Session, response: Response, body: ReadableStream<Uint8Array>): Response {
    session.streams += 1;
    const gate = session.transport.openGate();
    return watchStream(response, body, {
      taken: () => gate.taken(),
      ended: () => {
        session.transport.closeGate(gate);
        session.streams -= 1;
        session.lastUsed = this.#options.now();
      },
    });
  }

  async #makeRoom(): Promise<boolean> {
    if (this.#sessions.size + this.#opening < this.#options.maxSessions) return true;
    const idle = [...this.#sessions.values()].filter(isIdle);
    // A client listening on a stream is still there; one without is probably gone.
    idle.sort((a, b) => Math.sign(a.streams - b.streams) || a.lastUsed - b.lastUsed);
    const [first] = idle;
    if (first === undefined) return false;
    this.#options.logger.info('http: session limit reached, dropping the longest idle session', {
      maxSessions: this.#options.maxSessions,
    });
    await first.close();
    return true;
  }
}

/** The URI of a plain notification that a resource has changed. */
function updatedResource(message: JSONRPCMessage): string | undefined {
  if (!isJSONRPCNotification(message) || message.method !== 'notifications/resources/updated')
    return undefined;
  const { uri, ...more } = message.params ?? {};
  return typeof uri === 'string' && Object.keys(more).length === 0 ? uri : undefined;
}

function isIdle(session: Session): boolean {
  return session.transport.unanswered === 0;
}
