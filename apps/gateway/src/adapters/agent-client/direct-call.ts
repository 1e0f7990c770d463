import type { IncomingHttpHeaders } from 'node:http';
import { ProtocolError, SdkErrorCode, SdkHttpError } from '@modelcontextprotocol/client';
import type { Dispatcher, Pool } from 'undici';
import { AgentFailure, type AgentReply } from '../../ports/agent-client.ts';
import { tooLarge, unreadable, userAgent } from './agent-fetch.ts';
import { type CallWriter, type Fields, isFields, resultIn } from './call-message.ts';
import { agentDeadline, replyOf } from './converse.ts';
import { eventReader } from './event-reader.ts';
import { type Exchange, tailMilliseconds } from './exchange.ts';
import { statusFailure, transportFailure } from './transport-failure.ts';

export interface DirectCallOptions {
  readonly pool: Pool;
  /** Of the agent's MCP endpoint. */
  readonly path: string;
  /** The revision without sessions that the agent speaks. */
  readonly revision: string;
  readonly maxResponseBytes: number;
  readonly writeCall: CallWriter;
  /** The token to send; undefined for an agent that may not have it. */
  readonly token: string | undefined;
}

/**
 * A call from 2026-07-28 on is one request with one answer: sent and read here without a protocol client, which would be made for every
 * node of every question. Undefined when the agent wants to ask something first: that takes a conversation.
 * @throws AgentFailure, or what the SDK would throw.
 */
export async function callDirectly(
  options: DirectCallOptions,
  exchange: Exchange,
): Promise<AgentReply | undefined> {
  const { pool, path, revision, writeCall, maxResponseBytes, token } = options;
  const { call } = exchange;
  const result = await new Promise<Fields>((resolve, reject) => {
    const reader = new AnswerReader(exchange, maxResponseBytes, resolve, reject);
    // The call may have ended while the token was fetched.
    if (exchange.hasFailed) return;
    const headers = headersOf(call.tool, revision, token);
    const body = writeCall(call, agentDeadline(exchange.remainingMilliseconds), revision);
    pool.dispatch({ path, method: 'POST', headers, body }, reader);
  });
  if (result['resultType'] === 'input_required') return undefined;
  const { content, isError, structuredContent } = result;
  if (result['resultType'] !== 'complete' || !Array.isArray(content) || !content.every(isFields))
    throw notMcp();
  return replyOf({
    content: content.map(({ type, text }) => ({ type: String(type), text })),
    isError: isError === true,
    structuredContent: isFields(structuredContent) ? structuredContent : undefined,
  });
}

const headersOf = (tool: string, revision: string, token: string | undefined): string[] => [
  ...['accept', 'application/json, text/event-stream', 'content-type', 'application/json'],
  ...['mcp-method', 'tools/call', 'mcp-name', tool, 'mcp-protocol-version', revision],
  ...['accept-encoding', 'identity', 'user-agent', userAgent],
  ...(token === undefined ? [] : ['authorization', `Bearer ${token}`]),
];

const notMcp = () => new AgentFailure('garbage', "the agent's answer is not MCP");
const cutOff = () => new AgentFailure('garbage', "the agent's answer was cut off", { isRetryable: true });

const mediaTypeOf = (headers: IncomingHttpHeaders) =>
  headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();

/** Reads one answer, as JSON or as a stream of events, and believes nothing about its size, its depth or its end. */
class AnswerReader implements Dispatcher.DispatchHandler {
  readonly #exchange: Exchange;
  readonly #maximumBytes: number;
  readonly #resolve: (result: Fields) => void;
  readonly #reject: (error: unknown) => void;
  readonly #parts: Buffer[] = [];
  #received = 0;
  #status = 0;
  #events: ReturnType<typeof eventReader> | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #stopped: Error | undefined;
  #isSettled = false;
  #stopTail = () => {};

  constructor(
    exchange: Exchange,
    maximumBytes: number,
    resolve: (result: Fields) => void,
    reject: (error: unknown) => void,
  ) {
    this.#exchange = exchange;
    this.#maximumBytes = maximumBytes;
    this.#resolve = resolve;
    this.#reject = reject;
    exchange.onFailure((failure) => this.#fail(failure));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // It ended while it waited for a connection.
    if (this.#stopped) controller.abort(this.#stopped);
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    // Said on the way.
    if (status < 200) return;
    this.#status = status;
    const failure =
      statusFailure(status, headers, this.#exchange.clock.now()) ?? unreadable(headers, this.#maximumBytes);
    if (failure) {
      this.#fail(failure);
      return;
    }
    // A request that is turned away may be told why.
    if (status === 400) return;
    if (status >= 300) {
      this.#fail(notHere(status));
      return;
    }
    if (status !== 200) {
      this.#fail(cutOff());
      return;
    }
    const type = mediaTypeOf(headers);
    if (type === 'text/event-stream') this.#events = eventReader((data) => this.#read(data));
    else if (type !== 'application/json') this.#fail(notMcp());
  }

  onResponseData(_controller: Dispatcher.DispatchController, bytes: Buffer): void {
    this.#received += bytes.length;
    if (this.#received > this.#maximumBytes) {
      this.#fail(tooLarge(this.#maximumBytes));
      return;
    }
    if (this.#events) this.#events.add(bytes);
    else this.#parts.push(bytes);
  }

  onResponseEnd(): void {
    this.#stopTail();
    if (this.#isSettled) return;
    if (this.#events) {
      this.#fail(cutOff());
      return;
    }
    const [first, ...more] = this.#parts;
    const bytes = first && more.length === 0 ? first : Buffer.concat(this.#parts);
    this.#read(bytes.toString());
    if (!this.#isSettled) this.#fail(notMcp());
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#stopTail();
    this.#settle(() => this.#reject(transportFailure(error, this.#status !== 0)));
  }

  /** One message. */
  #read(text: string): void {
    if (this.#isSettled) return;
    try {
      const result = resultIn(text);
      if (result === undefined) return;
      if (this.#status === 400) {
        this.#fail(notHere(this.#status));
        return;
      }
      this.#settle(() => this.#resolve(result));
      if (!this.#events) return;
      // Read to its end, its connection can be used again; but nobody waits for it.
      const { clock } = this.#exchange;
      this.#stopTail = clock.after(tailMilliseconds, () => this.#controller?.abort(new Error('unwanted')));
    } catch (error) {
      const isTold = this.#status !== 400 || error instanceof ProtocolError;
      this.#fail(isTold ? error : notHere(this.#status));
    }
  }

  /** The first failure counts. What is still on the wire is ended, so that the agent sees that nobody waits for it. */
  #fail(error: unknown): void {
    this.#settle(() => this.#reject(error));
    if (this.#stopped) return;
    this.#stopped = error instanceof Error ? error : new Error('the call failed');
    this.#controller?.abort(this.#stopped);
  }

  #settle(tell: () => void): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    tell();
  }
}

/** As the SDK has it, so that what follows from it is decided in one place. */
const notHere = (status: number) =>
  new SdkHttpError(SdkErrorCode.ClientHttpNotImplemented, 'not answered', { status, statusText: '' });
