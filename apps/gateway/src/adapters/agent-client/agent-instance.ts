import type { SecureContext } from 'node:tls';
import type { Clock } from '@k8s-gpu-mcp/core';
import type { PriorDiscovery } from '@modelcontextprotocol/client';
import { Pool } from 'undici';
import { identify, sayMissing } from '../../domain/agent-version.ts';
import { AgentFailure, type AgentIdentity, type AgentReply } from '../../ports/agent-client.ts';
import type { AgentNode } from '../../ports/node-directory.ts';
import { pathOf } from './agent-fetch.ts';
import { AgentSession, type SessionOptions } from './agent-session.ts';
import type { CallWriter } from './call-message.ts';
import { converse } from './converse.ts';
import type { TokenProvider, TrustProvider } from './credentials.ts';
import { callDirectly } from './direct-call.ts';
import type { Exchange } from './exchange.ts';
import { type ListedTools, listTools, lookUp, ourTools } from './listed-tools.ts';
import { isStaleHandshake, isUnknownTool } from './protocol-failure.ts';

export interface InstanceOptions {
  readonly clock: Clock;
  readonly version: string;
  readonly maxResponseBytes: number;
  readonly connectionsPerAgent: number;
  readonly connectTimeoutMilliseconds: number;
  readonly tlsServerName: string | undefined;
  readonly token: TokenProvider;
  readonly trust: TrustProvider;
  readonly writeCall: CallWriter;
}

/** What every session with this agent has in common. */
export type ConnectionOptions = Omit<SessionOptions, 'canAsk' | 'prior' | 'stream'>;

/** Sessions of the older revisions kept for the next call. */
const maximumIdleSessions = 4;

/** What is known and open of one agent process: its connections, the protocol it speaks, sessions that wait for the next call. */
export class AgentInstance {
  readonly #options: InstanceOptions;
  /** As the directory tells it, and what that means. */
  #told: string | null = null;
  #url: URL | undefined;
  #path = '/';
  #pool: Pool | undefined;
  #trust: SecureContext | undefined;
  #handshake: PriorDiscovery | undefined;
  /** The one without sessions, where the agent speaks it. */
  #revision: string | undefined;
  #identity: AgentIdentity | undefined;
  /** Looked at once, and only when something speaks against asking; null when the agent did not tell. */
  #tools: ListedTools | null | undefined;
  #idle: AgentSession[] = [];
  #isClosed = false;
  readonly #closing = new AbortController();

  constructor(options: InstanceOptions) {
    this.#options = options;
  }

  /** Aborts when this agent is not asked any more. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Who answers there; undefined before it has told. */
  get identity(): AgentIdentity | undefined {
    return this.#identity;
  }

  /** What a session of one's own needs, over the same connections. @throws AgentFailure. */
  async connect(node: AgentNode): Promise<ConnectionOptions> {
    return this.#connectionOptions(await this.#connections(node), node);
  }

  /** @throws AgentFailure, or what the SDK throws. */
  async ask(exchange: Exchange): Promise<AgentReply> {
    const pool = await this.#connections(exchange.call.node);
    const wasRemembered = this.#handshake !== undefined;
    try {
      return await this.#askOver(pool, exchange);
    } catch (error) {
      // Another program may answer at the same address now, or the session ended there. No tool has begun.
      if (!wasRemembered || exchange.hasFailed || !isStaleHandshake(error)) throw error;
      this.#forget();
      return this.#askOver(pool, exchange);
    }
  }

  /** Ends idle sessions and connections at once, calls in flight when they are done. */
  async close(): Promise<void> {
    this.#end();
    await this.#pool?.close().catch(() => {});
  }

  /** Ends everything now. */
  async destroy(): Promise<void> {
    this.#end();
    await this.#pool?.destroy().catch(() => {});
  }

  async #askOver(pool: Pool, exchange: Exchange): Promise<AgentReply> {
    // An agent that has told all there is to tell about itself is sent the question and nothing else.
    const isKnown = this.#isPlain(exchange) && (!this.#isOfOtherLine || this.#tools !== undefined);
    const reply = isKnown ? await this.#askDirectly(pool, exchange) : undefined;
    if (reply) return this.#signed(reply);
    const session = await this.#session(pool, exchange);
    let isReusable = false;
    try {
      if (this.#isOfOtherLine) await this.#listTools(session, exchange);
      this.#checkQuestion(exchange);
      const first = isKnown || !this.#isPlain(exchange) ? undefined : await this.#askDirectly(pool, exchange);
      const answer = first ?? (await converse(session, exchange));
      isReusable = !session.isModern && !exchange.isOver;
      return this.#signed(answer);
    } catch (error) {
      if (!isUnknownTool(error) || exchange.hasFailed) throw error;
      await this.#listTools(session, exchange);
      throw this.#unknownTool(exchange, error);
    } finally {
      session.exchange = isReusable ? undefined : session.exchange;
      if (isReusable && !this.#isClosed && this.#idle.length < maximumIdleSessions) this.#idle.push(session);
      else session.discard();
    }
  }

  /** One request is all that it takes: no session at the agent, nobody who may be asked, no notes on the way. */
  #isPlain({ call }: Exchange): boolean {
    return this.#revision !== undefined && call.confirm === undefined && call.progress === undefined;
  }

  get #isOfOtherLine(): boolean {
    const { identity } = this;
    return identity !== undefined && identity.version !== null && !identity.isCompatible;
  }

  /** Undefined when the agent asks back, or when a session has to find out what it has. */
  async #askDirectly(pool: Pool, exchange: Exchange): Promise<AgentReply | undefined> {
    const { maxResponseBytes, writeCall, token } = this.#options;
    const { mayReceiveToken } = exchange.call.node;
    try {
      this.#checkQuestion(exchange);
      return await callDirectly(
        {
          ...{ pool, maxResponseBytes, writeCall },
          path: this.#path,
          revision: this.#revision ?? '',
          token: mayReceiveToken ? await token() : undefined,
        },
        exchange,
      );
    } catch (error) {
      if (!isUnknownTool(error) || exchange.hasFailed) throw error;
      return undefined;
    }
  }

  #signed(reply: AgentReply): AgentReply {
    return this.#identity ? { ...reply, agent: this.#identity } : reply;
  }

  /** Of an agent of another line of versions. @throws AgentFailure for a tool or an argument that it does not list. */
  #checkQuestion({ call }: Exchange): void {
    const tools = this.#isOfOtherLine ? this.#tools : null;
    const missing = tools && lookUp(tools, call);
    if (missing == null) return;
    if (missing === call.tool) throw this.#unknownTool({ call });
    throw new AgentFailure('incompatible', this.#sayMissing(`${missing} of ${call.tool}`));
  }

  /** A server that has none of our tools is no agent. */
  #unknownTool({ call }: Pick<Exchange, 'call'>, cause?: unknown): AgentFailure {
    const tools = this.#tools;
    const said = this.#identity?.name || undefined;
    if (tools && !ourTools().some((name) => tools.has(name)))
      return new AgentFailure('incompatible', 'what answers there is no agent: it has none of its tools', {
        ...{ said, cause },
      });
    return new AgentFailure('incompatible', this.#sayMissing(call.tool), { cause });
  }

  #sayMissing(what: string): string {
    return sayMissing(what, this.#identity, this.#options.version);
  }

  async #listTools(session: AgentSession, exchange: Exchange): Promise<void> {
    if (this.#tools === undefined) this.#tools = await listTools(session, exchange);
  }

  async #session(pool: Pool, exchange: Exchange): Promise<AgentSession> {
    const { call } = exchange;
    const canAsk = call.confirm !== undefined;
    const idle = this.#idle.find((each) => each.canAsk === canAsk);
    if (idle) {
      this.#idle = this.#idle.filter((each) => each !== idle);
      idle.exchange = exchange;
      return idle;
    }
    const options = { ...this.#connectionOptions(pool, call.node), canAsk, prior: this.#handshake };
    const session = await AgentSession.open(options, exchange);
    // A session after the first may tell nothing: it was not asked again.
    const isNew = this.#handshake === undefined || !session.isModern;
    if (isNew) this.#identity = identify(session.serverInfo, this.#options.version);
    this.#handshake = session.handshake;
    this.#revision = session.modernRevision;
    return session;
  }

  #connectionOptions(pool: Pool, { url, mayReceiveToken }: AgentNode): ConnectionOptions {
    const { clock, version, maxResponseBytes, token } = this.#options;
    return {
      ...{ pool, clock, version, maxResponseBytes },
      url: this.#url ?? new URL(url ?? ''),
      token: async () => (mayReceiveToken ? token() : undefined),
    };
  }

  /** The pool for the agent's address, made anew when whom to trust has changed. */
  async #connections(node: AgentNode): Promise<Pool> {
    const url = node.url === this.#told && this.#url ? this.#url : addressOf(node.url, node.notReadyBecause);
    const trust = url.protocol === 'https:' ? await this.#options.trust() : undefined;
    if (this.#isClosed) throw new AgentFailure('unreachable', 'the agent is not among the agents any more');
    const isSame = url === this.#url || url.href === this.#url?.href;
    if (this.#pool && trust === this.#trust && isSame) return this.#pool;
    void this.#pool?.close().catch(() => {});
    this.#forget();
    const { connectionsPerAgent, connectTimeoutMilliseconds, tlsServerName } = this.#options;
    this.#trust = trust;
    this.#told = node.url;
    this.#url = url;
    this.#path = pathOf(url);
    this.#pool = new Pool(url.origin, {
      connections: connectionsPerAgent,
      // Every call has its own deadline.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: {
        timeout: connectTimeoutMilliseconds,
        rejectUnauthorized: true,
        ...(trust ? { secureContext: trust } : {}),
        ...(tlsServerName === undefined ? {} : { servername: tlsServerName }),
      },
    });
    return this.#pool;
  }

  #end(): void {
    this.#isClosed = true;
    this.#closing.abort();
    this.#forget();
  }

  #forget(): void {
    this.#handshake = undefined;
    this.#revision = undefined;
    this.#identity = undefined;
    this.#tools = undefined;
    for (const session of this.#idle.splice(0)) session.discard();
  }
}

function addressOf(url: string | null, notReadyBecause: string | null): URL {
  const parsed = url !== null && URL.canParse(url) ? new URL(url) : null;
  if (parsed && (parsed.protocol === 'http:' || parsed.protocol === 'https:')) return parsed;
  const why =
    url === null ? (notReadyBecause ?? 'it has no address yet') : 'its address is not an http(s) URL';
  throw new AgentFailure('unreachable', `the agent cannot be reached: ${why}`);
}
