import { get as httpGet, type RequestOptions } from 'node:http';
import { get as httpsGet } from 'node:https';
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { PortForward } from '@kubernetes/client-node/dist/portforward.js';
import { ClusterError } from './cluster-error.ts';
import { type ExecConnection, type ExecEvents, type ExecTarget, execIn } from './cluster-exec.ts';
import { errorOfUpgrade, keepAlive, reasonOf } from './web-socket.ts';

export { ClusterError, type ClusterErrorReason } from './cluster-error.ts';

const requestTimeoutMilliseconds = 10_000;
const maxAnswerBytes = 16 * 1024 * 1024;
const normalClosures: readonly number[] = [1000, 1001, 1005];

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
  /** Starts a program in a container, without a terminal. */
  exec(target: ExecTarget, events: ExecEvents): Promise<ExecConnection>;
}

/** The cluster of a kubeconfig, with everything kubectl understands in one: exec plugins, tokens, certificates, proxies. */
export function openCluster(options: {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}): ClusterAccess {
  let config = loadConfig(options);
  const { server, contextName, namespace } = describe(config);
  /** The library keeps what a login once gave; when the cluster refuses it, one new login may help. */
  const withLogin = async <T>(work: (config: KubeConfig) => Promise<T>): Promise<T> => {
    const used = config;
    try {
      return await work(used);
    } catch (error) {
      if (!(error instanceof ClusterError) || error.reason !== 'unauthorized') throw error;
      // Calls that are refused together log in once.
      if (config === used) config = loadConfig(options);
      return work(config);
    }
  };
  return {
    contextName,
    namespace,
    server,
    get: (path, signal) =>
      withLogin(async (current) => {
        const requestOptions: RequestOptions = { signal };
        await authenticate(current, requestOptions);
        return getJson(new URL(path.replace(/^\//, ''), server.replace(/\/*$/, '/')), requestOptions);
      }),
    forward: (target, socket, onFault) => withLogin((current) => forward(current, target, socket, onFault)),
    exec: (target, events) => withLogin((current) => execIn(current, target, events)),
  };
}

async function authenticate(config: KubeConfig, options: RequestOptions): Promise<void> {
  try {
    await config.applyToHTTPSOptions(options);
  } catch (error) {
    throw new ClusterError('unauthorized', `The credentials cannot be had: ${reasonOf(error)}`, error);
  }
}

function describe(config: KubeConfig): Pick<ClusterAccess, 'contextName' | 'namespace' | 'server'> {
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
  const { server } = cluster;
  // The library refuses this too, in words about its own settings.
  if (/^http:/i.test(server) && !cluster.skipTLSVerify)
    throw new ClusterError(
      'no-kubeconfig',
      `The API server of context "${contextName}" is given as ${server}: https expected. Correct it in the kubeconfig; for a proxy on this machine that speaks plain HTTP, set insecure-skip-tls-verify for the cluster.`,
    );
  return {
    contextName,
    namespace: config.getContextObject(contextName)?.namespace ?? 'default',
    server,
  };
}

const isInClear = (server: string) =>
  /^http:/i.test(server) &&
  !/^http:\/\/(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})(?::\d+)?(?:\/|$)/i.test(server);

function loadConfig(options: {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}): KubeConfig {
  const config = new KubeConfig();
  try {
    if (options.kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(options.kubeconfig);
  } catch (error) {
    // The library takes the shape of the file for granted.
    const reason = error instanceof TypeError ? 'it is empty, or no kubeconfig' : reasonOf(error);
    throw new ClusterError('no-kubeconfig', `The kubeconfig cannot be read: ${reason}`, error);
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
  // Over plain HTTP no credentials leave this machine.
  if (isInClear(config.getCurrentCluster()?.server ?? ''))
    config.users = config.users.map(({ name }) => ({ name }));
  return config;
}

function getJson(url: URL, options: RequestOptions): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) =>
      reject(
        error instanceof ClusterError
          ? error
          : new ClusterError('unreachable', `${url.origin} does not answer: ${explain(error, url)}`, error),
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
        const text = Buffer.concat(chunks).toString('utf8');
        if (status < 200 || status > 299) return fail(errorOfStatus(status, url, text));
        try {
          resolve(JSON.parse(text));
        } catch (error) {
          fail(new ClusterError('server-error', `${url.origin} did not answer with JSON`, error));
        }
      });
    });
  });
}

const headersOf = ({ headers }: RequestOptions) => (Array.isArray(headers) ? {} : headers);

function errorOfStatus(status: number, url: URL, text: string): ClusterError {
  if (status === 400 && /HTTP request to an HTTPS server/i.test(text))
    return new ClusterError(
      'no-kubeconfig',
      `${url.origin} speaks TLS: https expected instead of http in the kubeconfig.`,
    );
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
  const opened: unknown = await new PortForward(config)
    .portForward(namespace, pod, [port], socket, complaints, socket)
    .catch((error: unknown) => {
      throw errorOfUpgrade(error, `The port-forward to pod ${namespace}/${pod} failed`);
    });
  const webSocket = keepAlive(opened, (code) => {
    if (!socket.destroyed && !normalClosures.includes(code))
      onFault(`the connection to the API server broke (${code})`);
    socket.destroy();
  });
  const close = () => webSocket.close();
  if (socket.destroyed) close();
  else socket.once('close', close);
}

/** What answers to TLS with something else is most often plain HTTP, and the other way round. */
function explain(error: unknown, url: URL): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const reason = reasonOf(error);
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') return `it does not speak TLS, http expected? (${code})`;
  // A TLS server that gets plain HTTP hangs up, or sends an alert.
  if (url.protocol === 'http:' && (code === 'ECONNRESET' || code.startsWith('HPE_')))
    return `${reason}; https expected instead of http in the kubeconfig?`;
  return reason;
}
