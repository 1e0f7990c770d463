/** A way to the gateway that is open now. */
export interface OpenRoute {
  /** Of the MCP endpoint. */
  readonly url: URL;
  /** Resolves with the reason once new connections no longer get through; those that are open may live on. */
  readonly closed: Promise<string>;
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

  constructor(message: string, options: { readonly isTransient: boolean; readonly cause?: unknown }) {
    super(message, { cause: options.cause });
    this.isTransient = options.isTransient;
  }
}
