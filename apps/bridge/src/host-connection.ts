import type { Readable, Writable } from 'node:stream';
import type { Logger } from '@k8s-gpu-mcp/core';
import {
  type JSONRPCErrorResponse,
  type JSONRPCMessage,
  parseJSONRPCMessage,
  type RequestId,
} from '@modelcontextprotocol/client';
import { LineSplitter } from './line-splitter.ts';

const PARSE_ERROR = -32700;
const INVALID_REQUEST = -32600;

export interface HostConnectionOptions {
  readonly input: Readable;
  readonly output: Writable;
  /** Of one line of input, without its newline. */
  readonly maxMessageBytes: number;
  /** Notifications are dropped while the host leaves more than this unread. */
  readonly maxUnreadBytes: number;
  readonly logger: Logger;
}

/**
 * The host app: one JSON-RPC message a line, both ways. A line that is no message is answered with a JSON-RPC error
 * and does no harm to the next one; an over-long line is never held in memory.
 */
export class HostConnection {
  onmessage: (message: JSONRPCMessage) => void = () => {};
  /** The host has closed its end, or cannot be written to any more. Called once. */
  onend: () => void = () => {};

  readonly #options: HostConnectionOptions;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  readonly #lines: LineSplitter;
  #isEnded = false;
  #isDropping = false;

  constructor(options: HostConnectionOptions) {
    this.#options = options;
    const { maxMessageBytes } = options;
    this.#lines = new LineSplitter({
      maxLineBytes: maxMessageBytes,
      onLine: (line) => this.#take(line),
      onTooLong: () =>
        this.#refuse(null, INVALID_REQUEST, `Message exceeds the limit of ${maxMessageBytes} bytes`),
    });
  }

  start(): void {
    const { input, output } = this.#options;
    input.on('data', (chunk: Buffer) => this.#lines.push(chunk));
    input.on('end', () => {
      this.#lines.end();
      this.#end();
    });
    input.on('close', () => this.#end());
    input.on('error', () => this.#end());
    output.on('error', () => this.#end());
  }

  send(
    message: JSONRPCMessage | (Omit<JSONRPCErrorResponse, 'id'> & { readonly id: RequestId | null }),
  ): void {
    const { output, maxUnreadBytes, logger } = this.#options;
    if (output.destroyed) return;
    if (!('id' in message) && output.writableLength > maxUnreadBytes) {
      if (!this.#isDropping) logger.warn('the host does not read: notifications are dropped');
      this.#isDropping = true;
      return;
    }
    this.#isDropping = false;
    output.write(`${JSON.stringify(message)}\n`);
  }

  /** Resolves once everything sent has been handed to the operating system, or cannot be. */
  flush(): Promise<void> {
    const { output } = this.#options;
    if (output.destroyed || output.writableLength === 0) return Promise.resolve();
    return new Promise((resolve) => {
      output.once('close', () => resolve());
      output.once('error', () => resolve());
      output.write('', () => resolve());
    });
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.onend();
  }

  #take(bytes: Buffer): void {
    let value: unknown;
    try {
      const text = this.#decoder.decode(bytes).trim();
      if (text === '') return;
      value = JSON.parse(text);
    } catch {
      this.#refuse(null, PARSE_ERROR, 'Parse error: the line is not JSON in UTF-8');
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
    this.onmessage(message);
  }

  #refuse(id: RequestId | null, code: number, message: string): void {
    this.#options.logger.warn('a message of the host was refused', { reason: message });
    this.send({ jsonrpc: '2.0', id, error: { code, message } });
  }
}

/** The id to echo for JSON that is no valid request; null (JSON-RPC 2.0, section 5) without one. */
function requestIdOf(value: unknown): RequestId | null {
  if (typeof value !== 'object' || value === null || !('id' in value) || !('method' in value)) return null;
  return typeof value.id === 'string' || typeof value.id === 'number' ? value.id : null;
}
