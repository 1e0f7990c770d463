import {
  type JSONRPCMessage,
  parseJSONRPCMessage,
  type RequestId,
  serializeMessage,
  type Transport,
} from '@modelcontextprotocol/server';
import { ListenedResources, listensToTooMuch, MAX_LISTENED_RESOURCES } from './listened-resources.ts';
import { isNotification, isRequest, isResponse } from './message-kinds.ts';
import { type Line, MessageLines } from './message-lines.ts';
import type { GuardedOutput } from './stdout-guard.ts';

const PARSE_ERROR = -32700;
const INVALID_REQUEST = -32600;
const INVALID_PARAMS = -32602;

export interface LineTransportOptions {
  readonly output: GuardedOutput;
  readonly maxMessageBytes: number;
  /** Take no further request once this many have been taken; undefined: no limit. */
  readonly maxRequests: number | undefined;
}

/**
 * MCP's newline-delimited framing with the answers the SDK's own stdio transport lacks: bad bytes are answered
 * with a JSON-RPC error and never end the connection, and the number of bytes held is bounded.
 * It also knows which requests are still unanswered, which is what a graceful shutdown waits for.
 */
export class LineTransport implements Transport {
  onclose?: (() => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  onmessage?: Transport['onmessage'];
  /** Called whenever a message has been written or a request cancelled: `settled` may have become true. */
  onsettled?: (() => void) | undefined;
  /** Called when what `subscriptions/listen` requests listen to has changed: the resources of all of them together. */
  onlistening?: ((uris: readonly string[]) => void) | undefined;

  readonly #output: GuardedOutput;
  readonly #lines: MessageLines;
  readonly #maxMessageBytes: number;
  readonly #maxRequests: number;
  readonly #unanswered = new Set<RequestId>();
  readonly #listens = new ListenedResources();
  #taken = 0;
  #answered = 0;
  #writing = 0;
  #accepting = true;
  #closed = false;

  constructor(options: LineTransportOptions) {
    this.#output = options.output;
    this.#maxMessageBytes = options.maxMessageBytes;
    this.#maxRequests = options.maxRequests ?? Number.POSITIVE_INFINITY;
    this.#lines = new MessageLines(options.maxMessageBytes);
  }

  /** Requests taken and neither answered nor cancelled. */
  get unanswered(): number {
    return this.#unanswered.size;
  }

  /** True when every request taken has been answered or cancelled and the answers are written. */
  get settled(): boolean {
    return this.#unanswered.size === 0 && this.#writing === 0;
  }

  get answered(): number {
    return this.#answered;
  }

  /** True once `maxRequests` requests have been taken and all of them are settled. */
  get quotaServed(): boolean {
    return this.#taken >= this.#maxRequests && this.settled;
  }

  async start(): Promise<void> {}

  receive(chunk: Buffer): void {
    for (const line of this.#lines.push(chunk)) this.#take(line);
  }

  /** End of input: a last line without its newline still counts. */
  receiveEnd(): void {
    for (const line of this.#lines.end()) this.#take(line);
  }

  /** From now on requests are dropped; cancellations and responses to our own requests still get through. */
  stopAccepting(): void {
    this.#accepting = false;
  }

  send(message: JSONRPCMessage): Promise<void> {
    if (this.#closed) return Promise.reject(new Error('The stdio transport is closed'));
    if (this.#listens.began(message)) this.onlistening?.(this.#listens.uris);
    const settles = isResponse(message) && message.id !== undefined && this.#unanswered.delete(message.id);
    this.#writing += 1;
    return new Promise((resolve, reject) => {
      this.#output.write(serializeMessage(message), (error) => {
        this.#writing -= 1;
        if (settles && !error) this.#answered += 1;
        if (error) reject(error);
        else resolve();
        this.onsettled?.();
      });
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#accepting = false;
    if (this.#listens.clear()) this.onlistening?.([]);
    this.onclose?.();
  }

  #take(line: Line): void {
    if (this.#closed) return;
    if (line.kind === 'too-long') {
      this.#refuse(null, INVALID_REQUEST, `Message exceeds the limit of ${this.#maxMessageBytes} bytes`);
      return;
    }
    if (line.kind === 'not-utf8') {
      this.#refuse(null, PARSE_ERROR, 'Parse error: the message is not valid UTF-8');
      return;
    }
    let value: unknown;
    try {
      value = JSON.parse(line.text);
    } catch {
      this.#refuse(null, PARSE_ERROR, 'Parse error: the message is not valid JSON');
      return;
    }
    let message: JSONRPCMessage;
    try {
      message = parseJSONRPCMessage(value);
    } catch {
      const what = Array.isArray(value) ? 'batches are not supported' : 'not a JSON-RPC 2.0 message';
      this.#refuse(requestIdOf(value), INVALID_REQUEST, `Invalid request: ${what}`);
      return;
    }
    this.#deliver(message);
  }

  #deliver(message: JSONRPCMessage): void {
    if (isRequest(message)) {
      if (!this.#accepting || this.#taken >= this.#maxRequests) return;
      if (listensToTooMuch(message)) {
        const most = `at most ${MAX_LISTENED_RESOURCES} resources may be listened to by one request`;
        this.#refuse(message.id, INVALID_PARAMS, `Invalid params: ${most}`);
        return;
      }
      this.#taken += 1;
      // A subscription stays open by design; it is ended by closing, not waited for.
      if (message.method !== 'subscriptions/listen') this.#unanswered.add(message.id);
    }
    this.onmessage?.(message);
    if (isNotification(message) && message.method === 'notifications/cancelled') {
      const requestId = message.params?.['requestId'];
      if (this.#listens.ended(requestId)) this.onlistening?.(this.#listens.uris);
      // A cancelled request is not answered, so nobody must wait for it.
      if (
        (typeof requestId === 'string' || typeof requestId === 'number') &&
        this.#unanswered.delete(requestId)
      )
        this.onsettled?.();
    }
  }

  #refuse(id: RequestId | null, code: number, message: string): void {
    this.onerror?.(new Error(message));
    this.#output.write(`${JSON.stringify({ jsonrpc: '2.0', id, error: { code, message } })}\n`);
  }
}

/** The id to echo for a message that is JSON but no valid request; null (JSON-RPC 2.0, section 5) without one. */
function requestIdOf(value: unknown): RequestId | null {
  if (typeof value !== 'object' || value === null || !('id' in value) || !('method' in value)) return null;
  return typeof value.id === 'string' || typeof value.id === 'number' ? value.id : null;
}
