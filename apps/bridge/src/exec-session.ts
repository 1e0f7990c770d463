import type { JSONRPCMessage, JSONRPCRequest, JSONRPCResponse } from '@modelcontextprotocol/client';
import type { Link, Session, SessionHeaders } from './link.ts';
import { initialized, SessionState } from './session-state.ts';

export interface ExecSessionOptions {
  readonly link: Pick<Link, 'post'>;
  readonly initialize: JSONRPCRequest;
  readonly headers: SessionHeaders;
  readonly signal: AbortSignal;
}

/** A session with an agent over its stdin: it lives and ends with that run of the agent. */
export class ExecSession implements Session {
  readonly initialize: JSONRPCRequest;
  readonly headers: SessionHeaders;
  readonly #options: ExecSessionOptions;
  readonly #state = new SessionState();
  #isInitialized = false;

  constructor(options: ExecSessionOptions) {
    this.#options = options;
    this.initialize = options.initialize;
    this.headers = options.headers;
  }

  get isInitialized(): boolean {
    return this.#isInitialized;
  }

  get state(): readonly JSONRPCRequest[] {
    return this.#state.requests;
  }

  note(request: JSONRPCRequest, response: JSONRPCResponse): void {
    this.#state.note(request, response);
  }

  async confirm(message: JSONRPCMessage = initialized): Promise<void> {
    this.#isInitialized = true;
    const outcome = await this.#options.link.post(message, this.headers, this.#options.signal);
    if (outcome.kind !== 'accepted') throw new Error(`it was not said: ${outcome.kind}`);
  }

  async end(): Promise<void> {
    this.drop();
  }

  drop(): void {
    this.#isInitialized = false;
  }
}
