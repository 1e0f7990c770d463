import type { Clock, Logger } from '@k8s-gpu-mcp/core';
import {
  isJSONRPCResponse,
  type JSONRPCMessage,
  type JSONRPCRequest,
  parseJSONRPCMessage,
  type RequestId,
} from '@modelcontextprotocol/client';
import { Backoff, unlessAborted } from './backoff.ts';
import type { ExecConnection, ExecEnd } from './cluster-exec.ts';
import { type ExecRoute, explainStart } from './exec-route.ts';
import { ExecSession } from './exec-session.ts';
import { RouteError } from './gateway-route.ts';
import { LineSplitter } from './line-splitter.ts';
import type { Link, Outcome, PostOutcome, Session, SessionHeaders } from './link.ts';

const maxRemoteLogBytes = 8_192;
/** Ids that a late answer may still come for. */
const maxAbandoned = 10_000;
/** How long an agent whose stdin has been closed may take to end before its connection is cut. */
const endMilliseconds = 400;

export interface ExecLinkOptions {
  readonly route: ExecRoute;
  readonly command: readonly string[];
  /** Of one message from the agent. */
  readonly maxMessageBytes: number;
  /** One line of the agent's stderr, printable and bounded. */
  readonly onRemoteLog: (line: string) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * MCP over the stdin and stdout of an agent that is started in its pod with the first message. When it dies, what is in
 * flight is lost, its session is gone, and the next request starts another one.
 */
export class ExecLink implements Link {
  readonly farSide = 'agent';
  onmessage: (message: JSONRPCMessage) => void = () => {};
  readonly #options: ExecLinkOptions;
  readonly #closing = new AbortController();
  readonly #backoff: Backoff;
  #current: Promise<Conversation> | undefined;
  #count = 0;
  #hasWorked = false;

  constructor(options: ExecLinkOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.clock);
  }

  get hasWorked(): boolean {
    return this.#hasWorked;
  }

  async exchange(request: JSONRPCRequest, session: SessionHeaders, signal: AbortSignal): Promise<Outcome> {
    const conversation = await this.#open(session, signal);
    return 'kind' in conversation ? conversation : conversation.ask(request, signal);
  }

  async post(message: JSONRPCMessage, session: SessionHeaders, signal: AbortSignal): Promise<PostOutcome> {
    // Whoever aborts a request has the agent told already, under the id that the agent knows.
    if ('method' in message && message.method === 'notifications/cancelled') return { kind: 'accepted' };
    const conversation = await this.#open(session, signal);
    if ('kind' in conversation) return conversation;
    conversation.write(message);
    return { kind: 'accepted' };
  }

  createSession(initialize: JSONRPCRequest, headers: SessionHeaders, onLost: () => void): Session {
    const session = new ExecSession({ link: this, initialize, headers, signal: this.#closing.signal });
    void this.#current
      ?.then((conversation) => (conversation.id === headers.sessionId ? conversation.ended : undefined))
      .then(() => {
        // Nobody asks for what was subscribed to: without this it would never come again.
        if (session.isInitialized && session.state.length > 0) onLost();
      })
      .catch(() => {});
    return session;
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('The bridge is closing'));
    const conversation = await this.#current?.catch(() => undefined);
    await conversation?.close();
  }

  async #open(
    { sessionId }: SessionHeaders,
    signal: AbortSignal,
  ): Promise<Conversation | Exclude<PostOutcome, { readonly kind: 'accepted' }>> {
    // A session that is gone does not start an agent: opening it again does.
    if (sessionId !== undefined && this.#current === undefined) return { kind: 'session-gone' };
    try {
      await this.#backoff.pause(signal);
      const conversation = await unlessAborted(this.#started(), signal);
      if (sessionId !== undefined && sessionId !== conversation.id) return { kind: 'session-gone' };
      return conversation;
    } catch (error) {
      if (signal.aborted) return { kind: 'cancelled' };
      if (!(error instanceof RouteError)) throw error;
      const { message: reason, isTransient, isRefused } = error;
      return { kind: 'not-sent', reason, isTransient, isRefused };
    }
  }

  #started(): Promise<Conversation> {
    if (this.#current !== undefined) return this.#current;
    const { route, logger } = this.#options;
    this.#count += 1;
    const conversation = new Conversation(String(this.#count), {
      ...this.#options,
      onMessage: (message) => this.onmessage(message),
      onHeard: () => {
        this.#hasWorked = true;
        this.#backoff.noteSuccess();
      },
    });
    const starting = route.open(conversation, this.#closing.signal).then(
      (connection) => {
        conversation.begin(connection);
        return conversation;
      },
      (error: unknown) => {
        if (error instanceof RouteError && error.isTransient) this.#backoff.noteFailure();
        throw error;
      },
    );
    this.#current = starting;
    const forget = () => {
      if (this.#current === starting) this.#current = undefined;
    };
    starting.catch(forget);
    void conversation.ended.then(({ reason }) => {
      forget();
      if (this.#closing.signal.aborted) return;
      this.#backoff.noteFailure();
      logger.warn('the agent is gone', { reason });
    });
    return starting;
  }
}

interface ConversationOptions extends ExecLinkOptions {
  readonly onMessage: (message: JSONRPCMessage) => void;
  /** The agent said something in the protocol. */
  readonly onHeard: () => void;
}

/** One run of the agent: its lines, and the requests that it has not answered. */
class Conversation {
  readonly id: string;
  readonly ended: Promise<ExecEnd>;
  readonly #options: ConversationOptions;
  readonly #waiting = new Map<RequestId, { readonly id: RequestId; settle(outcome: Outcome): void }>();
  readonly #abandoned = new Set<RequestId>();
  readonly #out: LineSplitter;
  readonly #log: LineSplitter;
  #connection: ExecConnection | undefined;
  #end: ExecEnd | undefined;
  #resolveEnded: (end: ExecEnd) => void = () => {};
  #hasSpoken = false;
  #hasBabbled = false;
  #serial = 0;

  constructor(id: string, options: ConversationOptions) {
    this.id = id;
    this.#options = options;
    const { maxMessageBytes } = options;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#out = new LineSplitter({
      maxLineBytes: maxMessageBytes,
      onLine: (line) => this.#take(line),
      // Whose answer it was cannot be known: everybody who waits is told.
      onTooLong: () =>
        this.#fail({ kind: 'refused', reason: `It is of more than ${maxMessageBytes} bytes.` }),
    });
    this.#log = new LineSplitter({
      maxLineBytes: maxRemoteLogBytes,
      onLine: (line) => this.#print(line.toString('utf8')),
      onTooLong: () => this.#print(`(a line of more than ${maxRemoteLogBytes} bytes)`),
    });
  }

  begin(connection: ExecConnection): void {
    this.#connection = connection;
  }

  onStdout(chunk: Buffer): void {
    this.#out.push(chunk);
  }

  onStderr(chunk: Buffer): void {
    this.#log.push(chunk);
  }

  onEnd(end: ExecEnd): void {
    if (this.#end !== undefined) return;
    this.#out.end();
    this.#log.end();
    this.#end = end;
    for (const { settle } of [...this.#waiting.values()]) settle(this.#outcomeOfEnd(end));
    this.#resolveEnded(end);
  }

  write(message: JSONRPCMessage): void {
    this.#connection?.write(Buffer.from(`${JSON.stringify(message)}\n`));
  }

  /** Never rejects. */
  ask(request: JSONRPCRequest, signal: AbortSignal): Promise<Outcome> {
    if (signal.aborted) return Promise.resolve({ kind: 'cancelled' });
    if (this.#end !== undefined) return Promise.resolve(this.#outcomeOfEnd(this.#end));
    const wireId = this.#freshId(request.id);
    return new Promise((resolve) => {
      const settle = (outcome: Outcome) => {
        if (!this.#waiting.delete(wireId)) return;
        signal.removeEventListener('abort', onAbort);
        resolve(outcome);
      };
      const onAbort = () => {
        if (this.#abandoned.size < maxAbandoned) this.#abandoned.add(wireId);
        this.write({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: wireId } });
        settle({ kind: 'cancelled' });
      };
      this.#waiting.set(wireId, { id: request.id, settle });
      signal.addEventListener('abort', onAbort, { once: true });
      this.write({ ...request, id: wireId });
    });
  }

  /** Closes the agent's stdin, at which it ends by itself. */
  async close(): Promise<void> {
    if (this.#end !== undefined || this.#connection === undefined) return;
    this.#connection.end();
    let cancel = () => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.#options.clock.after(endMilliseconds, resolve);
    });
    await Promise.race([this.ended, late]);
    cancel();
    this.#connection.terminate();
  }

  /** The host's own id, unless an answer to an earlier use of it may still come. */
  #freshId(id: RequestId): RequestId {
    if (!this.#waiting.has(id) && !this.#abandoned.has(id)) return id;
    this.#serial += 1;
    return `k8s-gpu-mcp-bridge ${this.#serial}`;
  }

  #take(line: Buffer): void {
    let message: JSONRPCMessage;
    try {
      const text = line.toString('utf8').trim();
      if (text === '') return;
      message = parseJSONRPCMessage(JSON.parse(text));
    } catch {
      if (!this.#hasBabbled)
        this.#options.logger.warn('the agent printed something that is no message; it is dropped');
      this.#hasBabbled = true;
      return;
    }
    this.#hasSpoken = true;
    this.#options.onHeard();
    if (!isJSONRPCResponse(message)) {
      this.#options.onMessage(message);
      return;
    }
    if (message.id === undefined) return;
    const waiting = this.#waiting.get(message.id);
    if (waiting !== undefined)
      waiting.settle({ kind: 'answered', response: { ...message, id: waiting.id }, sessionId: this.id });
    else if (!this.#abandoned.delete(message.id))
      this.#options.logger.warn('an answer that nobody waits for was dropped');
  }

  #print(text: string): void {
    // Control characters could tell a terminal to do things.
    const line = text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').trim();
    if (line !== '') this.#options.onRemoteLog(line);
  }

  #fail(outcome: Outcome): void {
    for (const { settle } of [...this.#waiting.values()]) settle(outcome);
    this.#connection?.terminate();
  }

  #outcomeOfEnd(end: ExecEnd): Outcome {
    const problem = this.#hasSpoken ? undefined : explainStart(end, this.#options.command);
    return problem === undefined
      ? { kind: 'lost', reason: end.reason }
      : { kind: 'not-sent', reason: problem, isTransient: false, isRefused: false };
  }
}
