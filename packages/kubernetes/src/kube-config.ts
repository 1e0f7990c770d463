import { access, readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { KubernetesError } from './kubernetes-api.ts';

export interface KubeConfigOptions {
  /** Path of a kubeconfig; default: `KUBECONFIG`, then `~/.kube/config`, then the service account of the pod, as kubectl does. */
  readonly kubeconfig?: string | undefined;
  /** Default: the kubeconfig's current context. */
  readonly context?: string | undefined;
  /** Default: that of the context, or of the pod; else `default`. */
  readonly namespace?: string | undefined;
  /** `KUBECONFIG`, `HOME`, `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT` are read. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Default `/var/run/secrets/kubernetes.io/serviceaccount`. */
  readonly serviceAccountDirectory?: string;
}

export interface LoadedKubeConfig {
  /** Holds one cluster, one user and one context. Its exec plugins may run at each use. */
  readonly config: KubeConfig;
  /** Name of the context that was chosen. */
  readonly context: string;
  readonly server: URL;
  readonly namespace: string;
}

const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount';
const advice = 'give --kubeconfig, set KUBECONFIG, or run in a pod with a service account';

function fail(message: string, cause?: unknown): KubernetesError {
  return new KubernetesError('configuration', message, { cause });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/**
 * Finds out which API server is meant, and with whose credentials. Client certificates, tokens, basic auth, exec plugins, auth providers,
 * impersonation, proxies and several files in `KUBECONFIG` are those of @kubernetes/client-node, loaded when this is first called.
 *
 * @throws KubernetesError `configuration`.
 */
export async function loadKubeConfig(options: KubeConfigOptions): Promise<LoadedKubeConfig> {
  const module = await import('@kubernetes/client-node/dist/config.js');
  const config = new module.KubeConfig();
  const { environment } = options;
  const fromHome = environment['HOME'] ? join(environment['HOME'], '.kube', 'config') : undefined;
  let namesTokenFile = false;
  const directory = options.serviceAccountDirectory ?? SERVICE_ACCOUNT_DIRECTORY;

  if (options.kubeconfig !== undefined) await loadFiles([options.kubeconfig], true);
  else if (environment['KUBECONFIG'])
    await loadFiles(environment['KUBECONFIG'].split(delimiter).filter(Boolean), false);
  else if (fromHome !== undefined && (await exists(fromHome))) await loadFiles([fromHome], true);
  else if (environment['KUBERNETES_SERVICE_HOST'] && (await exists(join(directory, 'token'))))
    await loadServiceAccount();
  else throw fail(`no kubeconfig found: ${advice}`);

  const names = config.contexts.map(({ name }) => name);
  const wanted = options.context ?? config.currentContext;
  if (!wanted) throw fail(`the kubeconfig has no current context: choose one of ${listed(names)}`);
  const context = config.getContextObject(wanted);
  if (!context) throw fail(`the kubeconfig has no context ${quoted(wanted)}: choose one of ${listed(names)}`);
  const cluster = config.getCluster(context.cluster);
  if (!cluster) throw fail(`context ${quoted(wanted)} names a cluster that the kubeconfig lacks`);
  const user = context.user ? config.getUser(context.user) : null;
  if (context.user && !user) throw fail(`context ${quoted(wanted)} names a user that the kubeconfig lacks`);

  // client-node drops the field: without this the server would be asked without credentials.
  if (
    namesTokenFile &&
    user &&
    !user.token &&
    !user.exec &&
    !user.authProvider &&
    !user.certData &&
    !user.certFile
  )
    throw fail(
      `the user of context ${quoted(wanted)} seems to have a tokenFile, which is not read: use token or exec`,
    );

  const server = readServer(cluster.server);
  const isPlainHttp = server.protocol === 'http:';
  const informed = user?.exec ? { ...user, exec: withExecInfo(user.exec, cluster) } : user;
  // As kubectl: over plain HTTP no credentials are sent. A user is always there, since client-node reads the CA only when one is.
  config.loadFromClusterAndUser(
    { ...cluster, skipTLSVerify: cluster.skipTLSVerify || isPlainHttp },
    informed && !isPlainHttp ? informed : { name: 'anonymous' },
  );
  const namespace = options.namespace ?? context.namespace?.trim() ?? 'default';
  return { config, context: wanted, server, namespace };

  /** The first file that says a thing wins; files of a list may be missing, as kubectl has it. */
  async function loadFiles(paths: readonly string[], mustExist: boolean): Promise<void> {
    let loaded = 0;
    for (const path of paths) {
      if (!mustExist && !(await exists(path))) continue;
      const one = new module.KubeConfig();
      try {
        const text = await readFile(path, 'utf8');
        one.loadFromString(text);
        namesTokenFile ||= /\btokenFile"?:/.test(text);
      } catch (cause) {
        const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'not a kubeconfig';
        throw fail(`cannot read the kubeconfig ${quoted(path)} (${why}): ${advice}`, cause);
      }
      one.makePathsAbsolute(dirname(path));
      config.clusters = withoutDoubles(config.clusters, one.clusters);
      config.users = withoutDoubles(config.users, one.users);
      config.contexts = withoutDoubles(config.contexts, one.contexts);
      config.currentContext ||= one.currentContext;
      loaded += 1;
    }
    if (loaded === 0) throw fail(`none of the files in KUBECONFIG exists: ${advice}`);
  }

  async function loadServiceAccount(): Promise<void> {
    const host = environment['KUBERNETES_SERVICE_HOST'] ?? '';
    const port = environment['KUBERNETES_SERVICE_PORT'] ?? '443';
    const namespace = await readFile(join(directory, 'namespace'), 'utf8').catch(() => '');
    const name = 'in-cluster';
    config.loadFromOptions({
      clusters: [
        {
          name,
          server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
          caFile: join(directory, 'ca.crt'),
          skipTLSVerify: false,
        },
      ],
      // Read again each minute: the kubelet rotates it.
      users: [{ name, authProvider: { name: 'tokenFile', config: { tokenFile: join(directory, 'token') } } }],
      contexts: [{ name, cluster: name, user: name, namespace: namespace.trim() || 'default' }],
      currentContext: name,
    });
  }
}

function withoutDoubles<T extends { readonly name: string }>(known: readonly T[], more: readonly T[]): T[] {
  const names = new Set(known.map(({ name }) => name));
  return [...known, ...more.filter(({ name }) => !names.has(name))];
}

function readServer(text: string): URL {
  const server = URL.canParse(text) ? new URL(text) : null;
  if (server === null || !['http:', 'https:'].includes(server.protocol))
    throw fail('the kubeconfig gives a server that is not an http or https address');
  if (server.username !== '' || server.password !== '')
    throw fail('the kubeconfig gives a server with a password in its address');
  return server;
}

interface ExecPlugin {
  readonly apiVersion?: string;
  readonly env?: readonly { readonly name: string; readonly value: string }[] | null;
  readonly provideClusterInfo?: boolean;
}

/** What kubectl tells a plugin and client-node does not. Source: Kubernetes documentation, "client-go credential plugins". */
function withExecInfo<T extends ExecPlugin>(exec: T, cluster: { server: string; caData?: string }): T {
  const info = {
    apiVersion: exec.apiVersion ?? 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    spec: {
      interactive: false,
      ...(exec.provideClusterInfo === true
        ? { cluster: { server: cluster.server, 'certificate-authority-data': cluster.caData } }
        : {}),
    },
  };
  const env = (exec.env ?? []).filter(({ name }) => name !== 'KUBERNETES_EXEC_INFO');
  return { ...exec, env: [...env, { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }] };
}

const quoted = (text: string) => JSON.stringify(text.slice(0, 200));

function listed(names: readonly string[]): string {
  if (names.length === 0) return '(it has none)';
  const shown = names.slice(0, 10).map(quoted).join(', ');
  return names.length > 10 ? `${shown} and ${names.length - 10} more` : shown;
}
