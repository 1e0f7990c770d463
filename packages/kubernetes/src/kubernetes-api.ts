/** An object of the API as it came: its fields are whatever the server sent, and are read with care. */
export interface KubernetesObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMetadata;
  readonly [field: string]: unknown;
}

export interface ObjectMetadata {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** ISO 8601. */
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly [field: string]: unknown;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
}

/** Which objects: `{ path: '/api/v1/namespaces/gpu/pods', labelSelector: 'app=agent' }`. */
export interface ObjectQuery {
  /** Of the collection, without a query. */
  readonly path: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ObjectPage {
  readonly items: readonly KubernetesObject[];
  readonly resourceVersion: string;
  readonly continueToken: string | null;
}

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubernetesObject }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

/**
 * `expired`: 410, the caller lists again. `unreachable`: no answer at all. Anything the server said that is not meant for us is `garbage`.
 * `configuration`: no kubeconfig, no such context, credentials that cannot be had: the server was never asked.
 */
export type KubernetesErrorReason =
  | 'configuration'
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'expired'
  | 'too-many-requests'
  | 'server-error'
  | 'unreachable'
  | 'timeout'
  | 'cancelled'
  | 'garbage';

export class KubernetesError extends Error {
  override readonly name = 'KubernetesError';
  readonly reason: KubernetesErrorReason;
  /** HTTP status; null when there was none. */
  readonly status: number | null;
  /** What `Retry-After` asked for, 10 minutes at most. */
  readonly retryAfterMilliseconds: number | undefined;
  /** What the server said of it: untrusted, one line, 300 characters at most. Never part of `message`. */
  readonly serverMessage: string | null;

  constructor(
    reason: KubernetesErrorReason,
    message: string,
    options: {
      status?: number;
      retryAfterMilliseconds?: number | undefined;
      serverMessage?: string | null;
      cause?: unknown;
    } = {},
  ) {
    super(message, { cause: options.cause });
    this.reason = reason;
    this.status = options.status ?? null;
    this.retryAfterMilliseconds = options.retryAfterMilliseconds;
    this.serverMessage = options.serverMessage ?? null;
  }
}

/** The few things asked of an API server, all of them reading. Every method rejects with `KubernetesError` only. */
export interface KubernetesApi {
  /** Namespace of the current context, or of this pod; `default` when neither says. */
  readonly namespace: string;
  get(path: string, signal: AbortSignal): Promise<KubernetesObject>;
  /** One page; `limit` objects at most (the server may give fewer). */
  list(
    query: ObjectQuery,
    page: { readonly limit?: number; readonly continueToken?: string },
    signal: AbortSignal,
  ): Promise<ObjectPage>;
  /**
   * Events after `resourceVersion`, until the server ends the stream (returns) or it fails (throws; `expired` for 410, as a status and as
   * an ERROR event). A stream that is silent for longer than its own timeout allows is `timeout`. `opened` is called once, when the
   * server has accepted the watch: nothing else says so while nothing changes.
   */
  watch(
    query: ObjectQuery,
    resourceVersion: string,
    signal: AbortSignal,
    opened?: () => void,
  ): AsyncIterable<WatchEvent>;
}
