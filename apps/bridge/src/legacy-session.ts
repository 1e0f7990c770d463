import type { Logger } from '@k8s-gpu-mcp/core';
import type {
  JSONRPCMessage,
  JSONRPCRequest,
  JSONRPCResponse,
  StreamableHTTPClientTransport,
  StreamableHTTPReconnectionOptions,
} from '@modelcontextprotocol/client';
import { createGatewayTransport, type SessionHeaders } from './exchange.ts';
import type { GatewayLink } from './gateway-link.ts';

const maxSubscriptions = 1_000;
/** The stream for notifications is kept up for as long as the session lives. */
const keepUp: StreamableHTTPReconnectionOptions = {
  initialReconnectionDelay: 500,
  maxReconnectionDelay: 30_000,
  reconnectionDelayGrowFactor: 2,
  maxRetries: Number.POSITIVE_INFINITY,
};
const initialized: JSONRPCMessage = { jsonrpc: '2.0', method: 'notifications/initialized' };

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

/** A session of the era of `initialize`: its headers, its stream of notifications, and what must be told to a new one. */
export class LegacySession {
  readonly initialize: JSONRPCRequest;
  readonly headers: SessionHeaders;
  readonly #options: LegacySessionOptions;
  /** Requests whose effect lives in the session, by what a later one replaces. */
  readonly #state = new Map<string, JSONRPCRequest>();
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
    return [...this.#state.values()];
  }

  note(request: JSONRPCRequest, response: JSONRPCResponse): void {
    this.#ensureStream();
    if (!('result' in response)) return;
    const uri: unknown = request.params?.['uri'];
    if (request.method === 'logging/setLevel') this.#state.set('level', request);
    else if (request.method === 'resources/subscribe' && this.#state.size < maxSubscriptions)
      this.#state.set(`uri ${uri}`, request);
    else if (request.method === 'resources/unsubscribe') this.#state.delete(`uri ${uri}`);
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
