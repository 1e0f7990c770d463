import type { Logger } from '@k8s-gpu-mcp/core';
import type {
  JSONRPCMessage,
  JSONRPCRequest,
  JSONRPCResponse,
  StreamableHTTPClientTransport,
  StreamableHTTPReconnectionOptions,
} from '@modelcontextprotocol/client';
import { createGatewayTransport } from './exchange.ts';
import type { GatewayLink } from './gateway-link.ts';
import type { Session, SessionHeaders } from './link.ts';
import { initialized, SessionState } from './session-state.ts';

/** The stream for notifications is kept up for as long as the session lives. */
const keepUp: StreamableHTTPReconnectionOptions = {
  initialReconnectionDelay: 500,
  maxReconnectionDelay: 30_000,
  reconnectionDelayGrowFactor: 2,
  maxRetries: Number.POSITIVE_INFINITY,
};

export interface LegacySessionOptions {
  readonly link: GatewayLink;
  readonly headers: SessionHeaders;
  /** As the host sent it: opening the session again sends the same. */
  readonly initialize: JSONRPCRequest;
  readonly onMessage: (message: JSONRPCMessage) => void;
  /** The server no longer knows the session. */
  readonly onLost: () => void;
  readonly logger: Logger;
}

/** A session over HTTP: its headers, and its stream of notifications. */
export class LegacySession implements Session {
  readonly initialize: JSONRPCRequest;
  readonly headers: SessionHeaders;
  readonly #options: LegacySessionOptions;
  readonly #state = new SessionState();
  #stream: StreamableHTTPClientTransport | undefined;
  #isStreamUp = false;
  #isStreamWanted = false;

  constructor(options: LegacySessionOptions) {
    this.#options = options;
    this.initialize = options.initialize;
    this.headers = options.headers;
  }

  /** Whether the host has said that it is ready. */
  get isInitialized(): boolean {
    return this.#isStreamWanted;
  }

  get state(): readonly JSONRPCRequest[] {
    return this.#state.requests;
  }

  note(request: JSONRPCRequest, response: JSONRPCResponse): void {
    this.#ensureStream();
    this.#state.note(request, response);
  }

  /** Tells the server that the host is ready, and opens the stream of notifications. Rejects when that could not be said. */
  async confirm(message: JSONRPCMessage = initialized): Promise<void> {
    this.#isStreamWanted = true;
    this.#isStreamUp = true;
    const stream = await this.#newStream();
    // The transport opens the stream itself once this message has been accepted.
    await stream.send(message).catch((error: unknown) => {
      this.#isStreamUp = false;
      throw error;
    });
  }

  /** Ends the session at the server too. Bounded by the signal. */
  async end(signal: AbortSignal): Promise<void> {
    this.drop();
    if (this.headers.sessionId === undefined) return;
    const transport = createGatewayTransport({
      ...this.#options,
      session: this.headers,
      reconnection: keepUp,
    });
    await transport.start();
    const close = () => void transport.close().catch(() => {});
    signal.addEventListener('abort', close, { once: true });
    await transport.terminateSession().catch(() => {});
    close();
  }

  /** Forgets the session without telling the server. */
  drop(): void {
    this.#isStreamWanted = false;
    void this.#stream?.close().catch(() => {});
    this.#stream = undefined;
  }

  #ensureStream(): void {
    if (!this.#isStreamWanted || this.#isStreamUp) return;
    this.#isStreamUp = true;
    this.#newStream()
      .then((stream) => stream.resumeStream(''))
      .catch(() => {
        this.#isStreamUp = false;
      });
  }

  async #newStream(): Promise<StreamableHTTPClientTransport> {
    await this.#stream?.close().catch(() => {});
    let hasOpened = false;
    const stream = createGatewayTransport({
      ...this.#options,
      session: this.headers,
      reconnection: keepUp,
      onResponse: (response, method) => {
        if (method !== 'GET') return;
        // 405: this server has no such stream, which is its right.
        hasOpened ||= response.ok || response.status === 405;
        if (response.status !== 404 || this.headers.sessionId === undefined) return;
        this.drop();
        this.#options.onLost();
      },
    });
    stream.onmessage = this.#options.onMessage;
    stream.onerror = (error) => {
      // Once open, the transport opens it again by itself.
      if (!hasOpened) this.#isStreamUp = false;
      this.#options.logger.debug('stream of notifications', { reason: error.message });
    };
    await stream.start();
    this.#stream = stream;
    return stream;
  }
}
