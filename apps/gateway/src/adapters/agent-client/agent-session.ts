import {
  Client,
  type FetchLike,
  type JsonSchemaValidatorResult,
  type jsonSchemaValidator,
  type PriorDiscovery,
  ProtocolError,
  ProtocolErrorCode,
  SdkError,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client';
import { AgentFailure } from '../../ports/agent-client.ts';
import { type AgentFetchOptions, createAgentFetch } from './agent-fetch.ts';
import type { Exchange } from './exchange.ts';
import { incompatible, protocolFailure } from './protocol-failure.ts';
import { ask, elicitResult } from './questions.ts';

export interface SessionOptions extends Omit<AgentFetchOptions, 'exchange'> {
  readonly url: URL;
  /** Of the gateway. */
  readonly version: string;
  /** Whether the agent is told that a person can be asked. */
  readonly canAsk: boolean;
  /** What an earlier call learned about the agent; undefined to ask it which protocol it speaks. */
  readonly prior: PriorDiscovery | undefined;
  /** For the one stream that outlasts calls: notifications. Absent: the agent sends none. */
  readonly stream?: FetchLike;
}

/** How this gateway names itself to agents. */
export const clientInfo = (version: string) => ({ name: 'k8s-gpu-mcp-gateway', version });

/** The SDK's own timer only ends a request that the exchange has forgotten. */
const timeoutMarginMilliseconds = 5_000;
export const requestOptions = (exchange: Exchange) => ({
  signal: exchange.signal,
  timeout: exchange.remainingMilliseconds + timeoutMarginMilliseconds,
});

/** Up to 2025-11-25 a GET; since then the answer to a request of its own. */
function isNotificationStream({ method, headers }: RequestInit = {}): boolean {
  return method === 'GET' || new Headers(headers).get('mcp-method') === 'subscriptions/listen';
}

/** Answers are checked by who reads them, not against a schema that the agent sends. */
const noValidation: jsonSchemaValidator = {
  getValidator:
    <T>() =>
    (input: unknown): JsonSchemaValidatorResult<T> => ({
      valid: true,
      data: input as T,
      errorMessage: undefined,
    }),
};

/**
 * A protocol client for one call at a time. From 2026-07-28 on it is made for one call and costs no round trip; up to 2025-11-25 it is a
 * session at the agent and serves one call after the other.
 */
export class AgentSession {
  readonly client: Client;
  readonly canAsk: boolean;
  readonly #transport: StreamableHTTPClientTransport;
  /** Requests whose answer has not begun. */
  readonly #unanswered = new Set<Promise<void>>();
  exchange: Exchange | undefined;

  private constructor(options: SessionOptions, exchange: Exchange) {
    this.exchange = exchange;
    this.canAsk = options.canAsk;
    const fetch = createAgentFetch({ ...options, exchange: () => this.exchange });
    this.#transport = new StreamableHTTPClientTransport(options.url, {
      fetch: (url, init) => {
        if (options.stream && isNotificationStream(init)) return options.stream(url, init);
        const response = fetch(url, init);
        const settled: Promise<void> = response.then(
          () => this.#forget(settled),
          () => this.#forget(settled),
        );
        this.#unanswered.add(settled);
        return response;
      },
      reconnectionOptions: {
        initialReconnectionDelay: 0,
        maxReconnectionDelay: 0,
        reconnectionDelayGrowFactor: 1,
        maxRetries: 0,
      },
    });
    this.client = new Client(clientInfo(options.version), {
      capabilities: options.canAsk ? { elicitation: {} } : {},
      versionNegotiation: { mode: 'auto' },
      jsonSchemaValidator: noValidation,
    });
    // On both: the SDK looks at the protocol version before the client listens to the transport.
    this.#transport.onerror = (error) => this.#broken(error);
    this.client.onerror = (error) => this.#broken(error);
    if (options.canAsk)
      this.client.setRequestHandler('elicitation/create', ({ params }) => this.#answer(params));
  }

  /** @throws what the SDK throws, or AgentFailure. */
  static async open(options: SessionOptions, exchange: Exchange): Promise<AgentSession> {
    const session = new AgentSession(options, exchange);
    try {
      const { prior } = options;
      await session.client.connect(session.#transport, {
        ...requestOptions(exchange),
        ...(prior ? { prior } : {}),
      });
      return session;
    } catch (error) {
      session.discard();
      // It speaks JSON-RPC and knows neither way to begin.
      if (error instanceof ProtocolError && error.code !== ProtocolErrorCode.UnsupportedProtocolVersion)
        throw incompatible([], error);
      throw error;
    } finally {
      exchange.answered();
    }
  }

  get isModern(): boolean {
    return this.client.getProtocolEra() === 'modern';
  }

  /** The revision without sessions that both speak; undefined where it is an older one. */
  get modernRevision(): string | undefined {
    return this.isModern ? this.client.getNegotiatedProtocolVersion() : undefined;
  }

  /** For the next session with the same agent. */
  get handshake(): PriorDiscovery {
    const discover = this.client.getDiscoverResult();
    if (!this.isModern || !discover) return { kind: 'legacy' };
    // Texts that nobody reads, and that an agent may make as long as an answer may be.
    const { _meta, instructions, ...kept } = discover;
    return { kind: 'modern', discover: kept };
  }

  /** What it told of itself; undefined when it was asked in an earlier session, or tells nothing. Untrusted. */
  get serverInfo(): unknown {
    return this.client.getServerVersion();
  }

  /** Ends it, at the agent too, without making anybody wait. */
  discard(): void {
    void this.#end();
  }

  #forget(settled: Promise<void>): void {
    this.#unanswered.delete(settled);
  }

  async #end(): Promise<void> {
    try {
      // The SDK may be about to say that the call is cancelled; the session must not go first.
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#transport.sessionId !== undefined) {
        await Promise.all(this.#unanswered);
        this.exchange = undefined;
        await this.#transport.terminateSession();
      }
    } catch {
      // The agent drops idle sessions by itself.
    } finally {
      await this.client.close().catch(() => {});
      await this.#transport.close().catch(() => {});
    }
  }

  /** An error that no request is told of: a message on a stream that is not MCP. */
  #broken(error: Error): void {
    const isTold = error instanceof SdkError || error instanceof AgentFailure || error.name === 'AbortError';
    if (!isTold) this.exchange?.fail(protocolFailure(error));
  }

  async #answer(params: Parameters<typeof ask>[1]) {
    const { exchange } = this;
    if (!exchange) return elicitResult('declined');
    const answer = await ask(exchange, params);
    if (answer === 'pending') exchange.isPending = true;
    return elicitResult(answer);
  }
}
