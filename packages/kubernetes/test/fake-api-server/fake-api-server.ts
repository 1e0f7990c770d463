import type { IncomingMessage } from 'node:http';
import type { ServerOptions as TlsOptions } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '@k8s-gpu-mcp/core';
import type { KubernetesObject } from '../../src/kubernetes-api.ts';

export type Verb = 'get' | 'list' | 'watch';

export interface FakeRequest {
  readonly verb: Verb;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
}

/** What a request gets instead of its answer. `times`: so many requests, then it is over; without it until its end is called. */
export type Fault = {
  readonly on?: Verb | readonly Verb[];
  readonly path?: string;
  readonly times?: number;
} & (
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly retryAfter?: string;
      readonly message?: string;
    }
  /** The request is taken and never answered. */
  | { readonly kind: 'dead' }
  /** Answered after this time of the server's clock. */
  | { readonly kind: 'slow'; readonly milliseconds: number }
  /** The connection is cut without an answer. */
  | { readonly kind: 'reset' }
  /** 200 with this body, whatever it is. */
  | { readonly kind: 'body'; readonly body: string | Uint8Array }
  /** The head and half of the body, then the connection is cut. */
  | { readonly kind: 'cut'; readonly body: string }
  | { readonly kind: 'redirect'; readonly location: string }
);

export interface FakeApiServerOptions {
  /** Bytes of each piece in which bodies of watches are written; default: a line at once. */
  readonly chunkBytes?: number;
  /** Without this bearer token a request gets 401. */
  readonly token?: string;
  readonly tls?: TlsOptions;
  /** Default `127.0.0.1`. */
  readonly address?: string;
  readonly port?: number;
  /** For timeoutSeconds and `slow`; default: the machine's. */
  readonly clock?: Clock;
  /** How a watch from a forgotten version is told: 410 as the HTTP status, or as an ERROR event after 200. Default `status`. */
  readonly expiredAs?: 'status' | 'event';
}

export interface FakeApiServer {
  readonly url: string;
  readonly requests: readonly FakeRequest[];
  /** Number of watches that are open now. */
  readonly openWatches: number;
  /** Number of connections that were ever made. */
  readonly connections: number;
  readonly resourceVersion: string;
  /** `collection`: `/api/v1/namespaces/gpu/pods`. Creates or replaces. */
  put(collection: string, ...objects: readonly KubernetesObject[]): void;
  delete(collection: string, name: string): void;
  /** A recorded watch event: the store follows it and every open watch is told. */
  replay(collection: string, event: { readonly type: string; readonly object: unknown }): void;
  /** A BOOKMARK of the current version to every open watch that allows them. */
  bookmark(): void;
  /** Forgets all changes so far: watches from before and continue tokens are 410 from now on. */
  compact(): void;
  /** Ends open watches with an ERROR event. Default code 410. */
  failWatches(code?: number): void;
  /** `end`: as after timeoutSeconds. `reset`: the connection is cut. */
  closeWatches(how: 'end' | 'reset'): void;
  /** Raw text into every open watch. */
  writeToWatches(text: string): void;
  /** @returns a function that ends it. */
  inject(fault: Fault): () => void;
  /** For each TLS connection, when its handshake is over. */
  onTlsSocket(listener: (socket: TLSSocket) => void): void;
  setToken(token: string | undefined): void;
  /** Resolves at once if it is so, else after the request that makes it so. Watches count when their head has been sent. */
  until(condition: (server: FakeApiServer) => boolean): Promise<void>;
  /** For `KUBECONFIG`; without a user when `user` is not given. */
  kubeconfig(user?: Readonly<Record<string, unknown>>): string;
  /** Cuts every connection and refuses new ones. */
  close(): Promise<void>;
}
