import type { Logger } from '@k8s-gpu-mcp/core';
import type { JSONRPCMessage, JSONRPCRequest } from '@modelcontextprotocol/client';
import { exchange, post } from './exchange.ts';
import type { GatewayLink } from './gateway-link.ts';
import { LegacySession } from './legacy-session.ts';
import type { Link, Outcome, PostOutcome, Session, SessionHeaders } from './link.ts';

/** MCP over HTTP to the gateway: each message is a request of its own. */
export class HttpLink implements Link {
  readonly farSide = 'gateway';
  onmessage: (message: JSONRPCMessage) => void = () => {};
  readonly #link: GatewayLink;
  readonly #logger: Logger;

  constructor(options: { readonly link: GatewayLink; readonly logger: Logger }) {
    this.#link = options.link;
    this.#logger = options.logger;
  }

  get hasWorked(): boolean {
    return this.#link.hasWorked;
  }

  exchange(request: JSONRPCRequest, session: SessionHeaders, signal: AbortSignal): Promise<Outcome> {
    return exchange(request, { ...this.#common(), session, signal, onMessage: this.#onMessage });
  }

  post(message: JSONRPCMessage, session: SessionHeaders, signal: AbortSignal): Promise<PostOutcome> {
    return post(message, { ...this.#common(), session, signal });
  }

  createSession(initialize: JSONRPCRequest, headers: SessionHeaders, onLost: () => void): Session {
    return new LegacySession({ ...this.#common(), initialize, headers, onMessage: this.#onMessage, onLost });
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  readonly #onMessage = (message: JSONRPCMessage): void => this.onmessage(message);
  readonly #common = () => ({ link: this.#link, logger: this.#logger });
}
