import { Agent as HttpAgent } from 'node:http';
import { type AgentOptions, Agent as HttpsAgent, type RequestOptions } from 'node:https';
import { type Clock, systemClock } from '@k8s-gpu-mcp/core';
import { createHttpApi, type HttpApiLimits } from './http-api.ts';
import type { Authorize } from './http-request.ts';
import { type KubeConfigOptions, type LoadedKubeConfig, loadKubeConfig } from './kube-config.ts';
import { type KubernetesApi, KubernetesError } from './kubernetes-api.ts';

export interface ConnectOptions extends KubeConfigOptions {
  /** Default: the machine's own time. */
  readonly clock?: Clock;
  readonly limits?: Partial<HttpApiLimits>;
}

/** Exec plugins cost a process each time they are asked; a service account's token is read again each minute. */
const CREDENTIALS_CACHED_MILLISECONDS = 60_000;
const MAXIMUM_SOCKETS = 16;

type TlsOptions = Pick<
  AgentOptions,
  'ca' | 'cert' | 'key' | 'pfx' | 'passphrase' | 'servername' | 'rejectUnauthorized'
>;

/**
 * The API server that the kubeconfig or the pod's service account names. Nothing is asked of it yet.
 *
 * @throws KubernetesError `configuration` when there is no kubeconfig, no such context, or one that cannot be read.
 */
export async function connectKubernetes(options: ConnectOptions): Promise<KubernetesApi> {
  const clock = options.clock ?? systemClock;
  const loaded = await loadKubeConfig(options);
  return createHttpApi({
    server: loaded.server,
    namespace: loaded.namespace,
    authorize: createAuthorize(loaded, () => loadKubeConfig({ ...options, context: loaded.context }), clock),
    clock,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
}

/** Credentials from `loaded`, kept for a minute; after a 401 the kubeconfig is read anew, as a login or a rotation may have changed it. */
function createAuthorize(
  loaded: LoadedKubeConfig,
  reload: () => Promise<LoadedKubeConfig>,
  clock: Clock,
): Authorize {
  let current = loaded;
  let agent: { readonly key: string; readonly agent: HttpAgent } | undefined;
  let cached: { readonly at: number; readonly options: Promise<RequestOptions> } | undefined;

  async function make(isRejected: boolean): Promise<RequestOptions> {
    if (isRejected) {
      const reloaded = await reload();
      // The credentials of one cluster are never shown to another.
      if (reloaded.server.href !== current.server.href)
        throw new KubernetesError('configuration', 'the kubeconfig now names another server: start again');
      current = reloaded;
    }
    const { config, server } = current;
    const options: RequestOptions = { headers: {} };
    try {
      await config.applyToHTTPSOptions(options);
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
      throw new KubernetesError(
        'configuration',
        `the credentials of the kubeconfig cannot be had${code}: its exec plugin or one of its files fails`,
        { cause },
      );
    }
    const { agent: madeAgent, headers, auth, ca, cert, key, pfx, passphrase, servername } = options;
    const request = { headers: trimmed(headers), ...(auth ? { auth } : {}) };
    // Proxies are reached through the agent that client-node makes; it has the TLS options already.
    if (config.getCurrentCluster()?.proxyUrl)
      return { ...request, ...(madeAgent ? { agent: madeAgent } : {}) };
    const { rejectUnauthorized = true } = options;
    const tls = { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized };
    return { ...request, agent: keptAgent(server, tls) };
  }

  function keptAgent(
    server: URL,
    tls: { [Name in keyof TlsOptions]: TlsOptions[Name] | undefined },
  ): HttpAgent {
    const given = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined));
    const key = JSON.stringify(given);
    if (agent?.key === key) return agent.agent;
    // Requests under way keep their sockets; idle ones made with the old certificates go.
    for (const socket of Object.values(agent?.agent.freeSockets ?? {}).flat()) socket?.destroy();
    const common = { keepAlive: true, maxSockets: MAXIMUM_SOCKETS, scheduling: 'lifo' as const };
    const made =
      server.protocol === 'https:' ? new HttpsAgent({ ...common, ...given }) : new HttpAgent(common);
    agent = { key, agent: made };
    return made;
  }

  return async ({ isRejected }) => {
    const now = clock.now();
    const isFresh = cached !== undefined && now - cached.at < CREDENTIALS_CACHED_MILLISECONDS;
    if (cached === undefined || isRejected || !isFresh) {
      const made = { at: now, options: make(isRejected) };
      cached = made;
      made.options.catch(() => {
        if (cached === made) cached = undefined;
      });
    }
    return await cached.options;
  };
}

/** A token file ends with a newline, which no header may hold. */
function trimmed(headers: RequestOptions['headers']): Record<string, string> {
  const entries = Object.entries(headers ?? {});
  return Object.fromEntries(entries.map(([name, value]) => [name.toLowerCase(), String(value).trim()]));
}
