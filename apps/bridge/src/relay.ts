import type { Clock, Logger } from '@k8s-gpu-mcp/core';
import {
  isJSONRPCNotification,
  isJSONRPCRequest,
  type JSONRPCMessage,
  type JSONRPCNotification,
  type JSONRPCRequest,
  type JSONRPCResponse,
  type RequestId,
} from '@modelcontextprotocol/client';
import { bridgeError, failureReply } from './failure-replies.ts';
import type { Link, Outcome, Session, SessionHeaders } from './link.ts';
import { ownProtocolVersion, RetrySafety } from './request-traits.ts';

const maxInFlight = 1_000;
/** How long a request that could not be sent is tried again. A gateway that restarts is back within this. */
const unsentRetryMilliseconds = 8_000;
/** Where nothing takes the connection and nothing ever did, waiting is not likely to help: a person wants to know. */
const triesOfWhatNeverWorked = 2;
const renewalId = 'k8s-gpu-mcp-bridge';

export interface RelayOptions {
  readonly link: Link;
  readonly send: (message: JSONRPCMessage) => void;
  readonly hasToken: () => boolean;
  /** Why there is no token, where one was looked for. */
  readonly tokenProblem?: () => string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface InFlight {
  readonly controller: AbortController;
  readonly isLegacy: boolean;
  /** A subscription is open until somebody ends it: nobody waits for its answer. */
  readonly isAwaited: boolean;
}

/**
 * Carries messages between the host and the far side of a link, of both protocol eras, without knowing any tool. Every request is
 * answered once, unless the host cancels it.
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #inFlight = new Map<RequestId, InFlight>();
  readonly #safety = new RetrySafety();
  readonly #stop = new AbortController();
  /** Requests of the server that the host has not answered. */
  readonly #asked = new Set<RequestId>();
  readonly #running = new Set<Promise<void>>();
  #session: Session | undefined;
  #renewal: Promise<Session | Outcome> | undefined;
  #isClosing = false;
  #onSettled: () => void = () => {};

  constructor(options: RelayOptions) {
    this.#options = options;
    options.link.onmessage = this.#fromGateway;
  }

  receive(message: JSONRPCMessage): void {
    if (isJSONRPCRequest(message)) {
      const running = this.#request(message).finally(() => this.#running.delete(running));
      this.#running.add(running);
    } else if (!isJSONRPCNotification(message)) {
      if (message.id !== undefined) this.#asked.delete(message.id);
      void this.#post(message);
    } else if (message.method === 'notifications/cancelled') this.#cancel(message);
    else if (message.method === 'notifications/initialized') void this.#confirm(message);
    else void this.#post(message);
  }

  /** Takes nothing more; what is in flight has `graceMilliseconds` to finish and is then cancelled. At most a second longer. */
  async close(graceMilliseconds: number): Promise<void> {
    this.#isClosing = true;
    const { clock } = this.#options;
    if (this.#awaited() > 0)
      await new Promise<void>((resolve) => {
        const cancel = clock.after(graceMilliseconds, resolve);
        this.#onSettled = () => {
          if (this.#awaited() > 0) return;
          cancel();
          resolve();
        };
      });
    const told = [...this.#inFlight]
      .filter(([, { isLegacy }]) => isLegacy)
      .map(([requestId]) =>
        this.#post({
          jsonrpc: '2.0',
          method: 'notifications/cancelled',
          params: { requestId, reason: 'the host app has closed the connection' },
        }),
      );
    for (const { controller } of this.#inFlight.values()) controller.abort();
    const cancelStop = clock.after(500, () => this.#stop.abort());
    await Promise.all(told);
    await this.#session?.end(this.#stop.signal);
    cancelStop();
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  #awaited(): number {
    return [...this.#inFlight.values()].filter(({ isAwaited }) => isAwaited).length;
  }

  async #request(request: JSONRPCRequest): Promise<void> {
    const { send } = this.#options;
    if (this.#isClosing) return send(bridgeError(request, 'closing', 'The bridge is closing.'));
    if (this.#inFlight.has(request.id))
      return send(bridgeError(request, 'duplicate-id', 'A request with this id is still in flight.'));
    if (this.#inFlight.size >= maxInFlight)
      return send(bridgeError(request, 'busy', `More than ${maxInFlight} requests are in flight: wait.`));
    const entry: InFlight = {
      controller: new AbortController(),
      isLegacy: ownProtocolVersion(request) === undefined,
      isAwaited: request.method !== 'subscriptions/listen',
    };
    this.#inFlight.set(request.id, entry);
    const reply = await this.#answer(request, entry);
    // A host that has cancelled the request expects no answer, and may use its id again.
    if (this.#inFlight.get(request.id) !== entry) return;
    this.#inFlight.delete(request.id);
    send(reply);
    this.#onSettled();
  }

  async #answer(request: JSONRPCRequest, { controller, isLegacy }: InFlight): Promise<JSONRPCResponse> {
    const { clock, link, logger, hasToken, tokenProblem } = this.#options;
    const { signal } = controller;
    const giveUpAt = clock.now() + unsentRetryMilliseconds;
    const isSafe = this.#safety.allows(request);
    let session = isLegacy && request.method !== 'initialize' ? this.#session : undefined;
    let hasRenewed = false;
    let wasRetried = false;
    for (let tries = 1; ; tries += 1) {
      let outcome = await this.#exchange(request, session?.headers ?? {}, signal);
      if (isSessionGone(outcome, session) && session !== undefined && !hasRenewed) {
        logger.warn(`the ${link.farSide} has forgotten the session: it is opened again`, {
          request: request.method,
        });
        const renewed = await this.#renew(session);
        // What was not sent is tried again within its time, like the request itself.
        hasRenewed = !('kind' in renewed && renewed.kind === 'not-sent');
        if (!('kind' in renewed)) {
          session = renewed;
          continue;
        }
        outcome = renewed;
      }
      if (outcome.kind === 'answered') {
        this.#note(request, outcome, session);
        return outcome.response;
      }
      const unsent = outcome.kind === 'not-sent' && outcome.isTransient ? outcome : undefined;
      const isHopeless = unsent?.isRefused === true && !link.hasWorked && tries >= triesOfWhatNeverWorked;
      if (unsent !== undefined && !isHopeless && !this.#isClosing && clock.now() < giveUpAt) continue;
      if (isSafe && !wasRetried && !signal.aborted && isBroken(outcome)) {
        wasRetried = true;
        logger.warn('a request that only reads is sent again', { request: request.method });
        continue;
      }
      if (outcome.kind !== 'cancelled')
        logger.warn('a request failed', { request: request.method, ...outcome });
      return failureReply(request, outcome, {
        farSide: link.farSide,
        hasToken: hasToken(),
        tokenProblem: tokenProblem?.(),
        wasRetried,
      });
    }
  }

  #exchange(request: JSONRPCRequest, session: SessionHeaders, signal: AbortSignal): Promise<Outcome> {
    return this.#options.link.exchange(request, session, signal);
  }

  #note(
    request: JSONRPCRequest,
    outcome: Extract<Outcome, { kind: 'answered' }>,
    session: Session | undefined,
  ): void {
    this.#safety.note(request, outcome.response);
    session?.note(request, outcome.response);
    if (request.method !== 'initialize' || ownProtocolVersion(request) !== undefined) return;
    const opened = this.#sessionOf(request, outcome);
    if (opened === undefined) return;
    this.#session?.drop();
    this.#session = opened;
  }

  #sessionOf(
    initialize: JSONRPCRequest,
    { response, sessionId }: Extract<Outcome, { kind: 'answered' }>,
  ): Session | undefined {
    if (!('result' in response)) return undefined;
    const version: unknown = response.result['protocolVersion'];
    const headers = { sessionId, protocolVersion: typeof version === 'string' ? version : undefined };
    const session = this.#options.link.createSession(initialize, headers, () => void this.#renew(session));
    return session;
  }

  /** A new session in place of a lost one; who finds the same one lost shares the renewal. */
  #renew(lost: Session): Promise<Session | Outcome> {
    if (this.#session !== lost && this.#session !== undefined) return Promise.resolve(this.#session);
    this.#renewal ??= this.#openAgain(lost).finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #openAgain(lost: Session): Promise<Session | Outcome> {
    const { signal } = this.#stop;
    const wasInitialized = lost.isInitialized || this.#session === lost;
    lost.drop();
    const outcome = await this.#exchange({ ...lost.initialize, id: renewalId }, {}, signal);
    if (outcome.kind !== 'answered') return outcome;
    const session = this.#sessionOf(lost.initialize, outcome);
    if (session === undefined) return { kind: 'refused', reason: 'The session could not be opened again.' };
    try {
      if (wasInitialized) await session.confirm();
    } catch (error) {
      return { kind: 'lost', reason: error instanceof Error ? error.message : String(error) };
    }
    this.#session = session;
    for (const requestId of this.#asked)
      this.#options.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } });
    this.#asked.clear();
    for (const request of lost.state) {
      const told = await this.#exchange({ ...request, id: renewalId }, session.headers, signal);
      if (told.kind === 'answered') session.note(request, told.response);
    }
    return session;
  }

  readonly #fromGateway = (message: JSONRPCMessage): void => {
    if (this.#isClosing && isJSONRPCRequest(message)) return;
    if (isJSONRPCRequest(message) && this.#asked.size < maxInFlight) this.#asked.add(message.id);
    this.#options.send(message);
  };

  async #confirm(message: JSONRPCNotification): Promise<void> {
    try {
      await (this.#session?.confirm(message) ?? this.#post(message));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.logger.warn(`the ${this.#options.link.farSide} was not told that the host is ready`, {
        reason,
      });
    }
  }

  /** In the era without sessions closing the stream is what cancels; before it, a message does. */
  #cancel(notification: JSONRPCNotification): void {
    const requestId: unknown = notification.params?.['requestId'];
    if (typeof requestId !== 'string' && typeof requestId !== 'number') return;
    const entry = this.#inFlight.get(requestId);
    if (entry === undefined) return;
    this.#inFlight.delete(requestId);
    entry.controller.abort();
    if (entry.isLegacy) void this.#post(notification);
    this.#onSettled();
  }

  async #post(message: JSONRPCMessage): Promise<void> {
    const { link, logger, clock } = this.#options;
    const { signal } = this.#stop;
    const giveUpAt = clock.now() + unsentRetryMilliseconds;
    const version = ownProtocolVersion(message);
    const session = this.#session?.headers ?? (version === undefined ? {} : { protocolVersion: version });
    for (;;) {
      const outcome = await link.post(message, session, signal);
      if (outcome.kind === 'accepted') return;
      if (outcome.kind === 'not-sent' && outcome.isTransient && !this.#isClosing && clock.now() < giveUpAt)
        continue;
      logger.warn(`a message did not reach the ${link.farSide}`, { ...outcome });
      return;
    }
  }
}

/** 404 is the server's word for a session that it does not know (MCP 2025-11-25, transports). */
function isSessionGone(outcome: Outcome, session: Session | undefined): boolean {
  if (session?.headers.sessionId === undefined) return false;
  return outcome.kind === 'session-gone' || (outcome.kind === 'http-error' && outcome.status === 404);
}

const isBroken = (outcome: Outcome) =>
  outcome.kind === 'lost' || (outcome.kind === 'http-error' && [502, 503, 504].includes(outcome.status));
