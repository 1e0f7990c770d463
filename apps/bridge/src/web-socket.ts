import { ClusterError, type ClusterErrorReason } from './cluster-error.ts';

/** A connection through a network that fell silent is given up after two of these. */
const pingMilliseconds = 15_000;

/** What is used of a WebSocket of the `ws` package, which has no types of its own. */
export interface WebSocketLike {
  /** The subprotocol that both sides chose. */
  readonly protocol: string;
  on(event: 'close', listener: (code: number) => void): unknown;
  on(event: 'error' | 'pong', listener: () => void): unknown;
  send(data: Buffer): void;
  ping(): void;
  close(): void;
  terminate(): void;
}

/** Watches over an open WebSocket of the Kubernetes client; `onClose` is called once. */
export function keepAlive(opened: unknown, onClose: (code: number) => void): WebSocketLike {
  const webSocket = opened as WebSocketLike;
  let isAlive = true;
  const ping = setInterval(() => {
    if (!isAlive) return webSocket.terminate();
    isAlive = false;
    webSocket.ping();
  }, pingMilliseconds);
  webSocket.on('pong', () => {
    isAlive = true;
  });
  webSocket.on('error', () => {});
  webSocket.on('close', (code) => {
    clearInterval(ping);
    onClose(code);
  });
  return webSocket;
}

const reasonByStatus: Readonly<Record<number, ClusterErrorReason>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not-found',
};

/** What an API server that did not take a WebSocket meant. */
export function errorOfUpgrade(error: unknown, what: string): ClusterError {
  if (error instanceof ClusterError) return error;
  const reason = reasonOf(error);
  const status = Number(/response: (\d{3})/.exec(reason)?.[1]);
  const kind = reasonByStatus[status] ?? (status >= 400 ? 'server-error' : 'unreachable');
  return new ClusterError(kind, `${what}: ${reason}`, error);
}

/** The `ws` package rejects with an event, which has a message but is no Error. */
export function reasonOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'message' in error && error.message !== '')
    return String(error.message);
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : String(error);
}
