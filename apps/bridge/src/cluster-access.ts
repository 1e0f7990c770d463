import { get as httpGet, type RequestOptions } from 'node:http';
import { get as httpsGet } from 'node:https';
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { PortForward } from '@kubernetes/client-node/dist/portforward.js';

const requestTimeoutMilliseconds = 10_000;
const maxAnswerBytes = 16 * 1024 * 1024;
/** A forward through a network that fell silent is given up after two of these. */
const pingMilliseconds = 15_000;
const normalClosures: readonly number[] = [1000, 1001, 1005];

export type ClusterErrorReason =
  | 'no-kubeconfig'
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'unreachable'
  | 'server-error';

export class ClusterError extends Error {
  override readonly name = 'ClusterError';
  readonly reason: ClusterErrorReason;

  constructor(reason: ClusterErrorReason, message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

export interface ForwardTarget {
  readonly namespace: string;
  readonly pod: string;
  /** Of the container. */
  readonly port: number;
}

/** The few things the bridge asks of a cluster. Everything rejects with `ClusterError`. */
export interface ClusterAccess {
  /** Of the context, for messages to people. */
  readonly contextName: string;
  readonly namespace: string;
  readonly server: string;
  get(path: string, signal: AbortSignal): Promise<unknown>;
  /**
   * Joins the socket to a port of a pod; resolves once the API server has taken the connection. Both ends close together.
   * `onFault` hears of a connection that broke instead of being closed.
   */
  forward(target: ForwardTarget, socket: Socket, onFault: (reason: string) => void): Promise<void>;
}

/** What is used of a WebSocket of the `ws` package, which has no types of its own. */
interface ForwardSocket {
  on(event: 'close', listener: (code: number) => void): unknown;
  on(event: 'error' | 'pong', listener: () => void): unknown;
  ping(): void;
  close(): void;
  terminate(): void;
}

/** The cluster of a kubeconfig, with everything kubectl understands in one: exec plugins, tokens, certificates, proxies. */
export function openCluster(options: {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}): ClusterAccess {
  const config = loadConfig(options);
  const cluster = config.getCurrentCluster();
  const contextName = config.getCurrentContext();
  if (cluster === null)
    throw new ClusterError(
      'no-kubeconfig',
      contextName === ''
        ? 'The kubeconfig has no current context: choose one with --context.'
        : `The kubeconfig has no cluster for context "${contextName}": choose one of ${config
            .getContexts()
            .slice(0, 10)
            .map(({ name }) => `"${name}"`)
            .join(', ')} with --context.`,
    );
  const request = async (path: string, signal: AbortSignal) => {
    const requestOptions: RequestOptions = { signal };
    try {
      await config.applyToHTTPSOptions(requestOptions);
    } catch (error) {
      throw new ClusterError('unauthorized', `The credentials cannot be had: ${reasonOf(error)}`, error);
    }
    return getJson(new URL(path, cluster.server.replace(/\/*$/, '/')), requestOptions);
  };
  return {
    contextName,
    namespace: config.getContextObject(contextName)?.namespace ?? 'default',
    server: cluster.server,
    get: (path, signal) => request(path.replace(/^\//, ''), signal),
    forward: (target, socket, onFault) => forward(config, target, socket, onFault),
  };
}

function loadConfig(options: {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}): KubeConfig {
  const config = new KubeConfig();
  try {
    if (options.kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(options.kubeconfig);
  } catch (error) {
    throw new ClusterError('no-kubeconfig', `The kubeconfig cannot be read: ${reasonOf(error)}`, error);
  }
  if (options.context !== undefined) config.setCurrentContext(options.context);
  // Without any file the library invents a cluster on this machine.
  const isInvented =
    config.getCurrentContext() === 'loaded-context' &&
    config.getCurrentCluster()?.server === 'http://localhost:8080';
  if (isInvented)
    throw new ClusterError(
      'no-kubeconfig',
      'No kubeconfig: set KUBECONFIG, or give --kubeconfig, or name the gateway with --gateway-url.',
    );
  return config;
}

function getJson(url: URL, options: RequestOptions): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) =>
      reject(
        error instanceof ClusterError
          ? error
          : new ClusterError('unreachable', `${url.origin} does not answer: ${reasonOf(error)}`, error),
      );
    const get = url.protocol === 'https:' ? httpsGet : httpGet;
    const request = get(url, { ...options, headers: { ...headersOf(options), accept: 'application/json' } });
    const timer = setTimeout(
      () => request.destroy(new Error(`no answer within ${requestTimeoutMilliseconds} ms`)),
      requestTimeoutMilliseconds,
    );
    request.on('error', fail);
    request.on('close', () => clearTimeout(timer));
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > maxAnswerBytes) request.destroy(new Error(`more than ${maxAnswerBytes} bytes`));
        else chunks.push(chunk);
      });
      response.on('error', fail);
      response.on('end', () => {
        const status = response.statusCode ?? 0;
        if (status < 200 || status > 299) return fail(errorOfStatus(status, url));
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
        } catch (error) {
          fail(new ClusterError('server-error', `${url.origin} did not answer with JSON`, error));
        }
      });
    });
  });
}

const headersOf = ({ headers }: RequestOptions) => (Array.isArray(headers) ? {} : headers);

function errorOfStatus(status: number, url: URL): ClusterError {
  const what = `GET ${url.pathname} gave HTTP ${status}`;
  if (status === 401) return new ClusterError('unauthorized', what);
  if (status === 403) return new ClusterError('forbidden', what);
  if (status === 404) return new ClusterError('not-found', what);
  return new ClusterError('server-error', what);
}

async function forward(
  config: KubeConfig,
  { namespace, pod, port }: ForwardTarget,
  socket: Socket,
  onFault: (reason: string) => void,
): Promise<void> {
  // Kubernetes says on a stream of its own why a connection to the pod failed.
  const complaints = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const reason = chunk.toString('utf8').trim().slice(0, 500);
      if (reason !== '') onFault(reason);
      done();
    },
  });
  let webSocket: ForwardSocket;
  try {
    const opened: unknown = await new PortForward(config).portForward(
      namespace,
      pod,
      [port],
      socket,
      complaints,
      socket,
    );
    webSocket = opened as ForwardSocket;
  } catch (error) {
    const reason = reasonOf(error);
    const status = Number(/response: (\d{3})/.exec(reason)?.[1]);
    const name =
      status === 401
        ? 'unauthorized'
        : status === 403
          ? 'forbidden'
          : status === 404
            ? 'not-found'
            : 'unreachable';
    throw new ClusterError(name, `The port-forward to pod ${namespace}/${pod} failed: ${reason}`, error);
  }
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
    if (!socket.destroyed && !normalClosures.includes(code))
      onFault(`the connection to the API server broke (${code})`);
    socket.destroy();
  });
  const close = () => webSocket.close();
  if (socket.destroyed) close();
  else socket.once('close', close);
}

/** The `ws` package rejects with an event, which has a message but is no Error. */
function reasonOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'message' in error && error.message !== '')
    return String(error.message);
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : String(error);
}
