/** A way to the gateway that is open now. */
export interface OpenRoute {
  /** Of the MCP endpoint. */
  readonly url: URL;
  /** Resolves with the reason once new connections no longer get through; those that are open may live on. */
  readonly closed: Promise<string>;
  /** For a certificate of a private authority, or one that is for another name than the URL has. */
  readonly tls?: RouteTls | undefined;
  /** A bearer token that belongs to this way and must go along no other. */
  readonly token?: RouteToken | undefined;
}

export interface RouteTls {
  /** Authorities in PEM, instead of the system's. */
  readonly ca?: string | undefined;
  /** The name that the certificate must be for, instead of the URL's. */
  readonly serverName?: string | undefined;
}

export interface RouteToken {
  current(): string | undefined;
  /** Reads it again, after the gateway has refused what there was; true when there is another one now. Never rejects. */
  renew(): Promise<boolean>;
  /** Why there is none, for people. */
  problem(): string | undefined;
}

/** How the gateway is reached. One route at a time: `open` is not called again before `closed` has resolved. */
export interface GatewayRoute {
  /** Rejects with `RouteError`, or with the signal's reason. */
  open(signal: AbortSignal): Promise<OpenRoute>;
  close(): Promise<void>;
}

/** No way to the gateway. The message says what is wrong and what to do, for the person at the host app. */
export class RouteError extends Error {
  override readonly name = 'RouteError';
  /** True when trying again soon may help; false when somebody must change something first. */
  readonly isTransient: boolean;
  /** True when nothing was there to take the connection: worth a second try, but no waiting before it has ever worked. */
  readonly isRefused: boolean;

  constructor(
    message: string,
    options: { readonly isTransient: boolean; readonly isRefused?: boolean; readonly cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.isTransient = options.isTransient;
    this.isRefused = options.isRefused ?? false;
  }
}
