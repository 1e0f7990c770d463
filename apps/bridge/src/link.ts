import type { JSONRPCMessage, JSONRPCRequest, JSONRPCResponse } from '@modelcontextprotocol/client';

/** How one request to the far side ended. */
export type Outcome =
  | { readonly kind: 'answered'; readonly response: JSONRPCResponse; readonly sessionId: string | undefined }
  /** Nothing reached the far side. */
  | {
      readonly kind: 'not-sent';
      readonly reason: string;
      readonly isTransient: boolean;
      /** Nothing was there to take the connection, which is not likely to change by itself. */
      readonly isRefused: boolean;
    }
  /** The far side may have acted on it, but its answer did not come. */
  | { readonly kind: 'lost'; readonly reason: string }
  | { readonly kind: 'http-error'; readonly status: number; readonly text: string }
  /** The far side does not know the session; nothing was done. */
  | { readonly kind: 'session-gone' }
  /** An answer that asking again would not make better. */
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'cancelled' };

export type PostOutcome = Exclude<Outcome, { readonly kind: 'answered' }> | { readonly kind: 'accepted' };

/** Of the era of `initialize`; both undefined in the era without sessions, whose requests speak for themselves. */
export interface SessionHeaders {
  readonly sessionId?: string | undefined;
  readonly protocolVersion?: string | undefined;
}

/** A session of the era of `initialize`, and what must be told to a new one when it is lost. */
export interface Session {
  readonly headers: SessionHeaders;
  /** As the host sent it: opening the session again sends the same. */
  readonly initialize: JSONRPCRequest;
  /** Whether the host has said that it is ready. */
  readonly isInitialized: boolean;
  /** Requests whose effect lives in the session, without those that a later one replaced. */
  readonly state: readonly JSONRPCRequest[];
  note(request: JSONRPCRequest, response: JSONRPCResponse): void;
  /** Tells the server that the host is ready. Rejects when that could not be said. */
  confirm(message?: JSONRPCMessage): Promise<void>;
  /** Ends the session at the server too. Bounded by the signal. */
  end(signal: AbortSignal): Promise<void>;
  /** Forgets the session without telling the server. */
  drop(): void;
}

/** Messages to and from one MCP server, however it is reached. A link mends itself: each request finds the way again. */
export interface Link {
  /** For people: who is at the far side. */
  readonly farSide: 'gateway' | 'agent';
  /** Whether the far side has ever been heard. */
  readonly hasWorked: boolean;
  /** Everything that is not the answer to a request, as soon as it comes. */
  onmessage: (message: JSONRPCMessage) => void;
  /** Sends one request and waits for its answer; aborting cancels it. Never rejects. */
  exchange(request: JSONRPCRequest, session: SessionHeaders, signal: AbortSignal): Promise<Outcome>;
  /** Sends what is not answered: a notification, or the host's answer to the server. Never rejects. */
  post(message: JSONRPCMessage, session: SessionHeaders, signal: AbortSignal): Promise<PostOutcome>;
  /** `onLost` hears when the server no longer knows the session. */
  createSession(initialize: JSONRPCRequest, headers: SessionHeaders, onLost: () => void): Session;
  close(): Promise<void>;
}
