import type { ClusterAccess, ForwardTarget } from './cluster-access.ts';
import { ClusterError } from './cluster-error.ts';
import { RouteError } from './gateway-route.ts';
import {
  annotationsOf,
  fieldOf,
  isReadyPod,
  itemsOf,
  labelsOf,
  listOf,
  nameOf,
  namespaceOf,
  stringsOf,
} from './kubernetes-object.ts';

/** Of the gateway's service and of nothing else: agents carry another component. */
export const gatewaySelector =
  'app.kubernetes.io/name=k8s-gpu-mcp-server,app.kubernetes.io/component=gateway';
const agentComponent = 'agent';
const componentLabel = 'app.kubernetes.io/component';
const usualPortNames: readonly string[] = ['mcp', 'http', 'https'];
/** On the gateway's Service: where its bearer token is. */
export const tokenSecretAnnotation = 'k8s-gpu-mcp/token-secret';
const maxNamed = 5;

export interface GatewayQuery {
  readonly namespace: string | undefined;
  readonly service: string | undefined;
  readonly servicePort: string | undefined;
}

export interface GatewayService {
  readonly namespace: string;
  readonly name: string;
  readonly selector: Readonly<Record<string, string>>;
  /** Number, or name of a container's port. */
  readonly targetPort: number | string;
  /** What the port says of itself (`appProtocol`, or its name), as Kubernetes documents it for Services. */
  readonly isHttps: boolean;
  /** `NAME` or `NAME/KEY`, as the release has written it down. */
  readonly tokenSecret: string | undefined;
}

/** The one gateway that the query means. Rejects with `RouteError`: none, several, no rights, not to be reached. */
export async function findGatewayService(
  cluster: ClusterAccess,
  query: GatewayQuery,
  signal: AbortSignal,
): Promise<GatewayService> {
  const found = await listServices(cluster, query, signal);
  const [only, ...others] = found;
  const where = query.namespace === undefined ? 'in any namespace' : `in namespace "${query.namespace}"`;
  if (only === undefined)
    throw new RouteError(
      `No gateway was found ${where} of context "${cluster.contextName}" (a service labelled ${gatewaySelector}): install the chart with the gateway enabled, choose another --context, or name the service with --namespace and --service.`,
      { isTransient: false },
    );
  if (others.length > 0) {
    const names = found.slice(0, maxNamed).map((service) => `${namespaceOf(service)}/${nameOf(service)}`);
    throw new RouteError(
      `${found.length} gateways were found (${names.join(', ')}${found.length > maxNamed ? ', ...' : ''}): choose one with --namespace and --service.`,
      { isTransient: false },
    );
  }
  return describe(only, query.servicePort);
}

/** A pod that is ready behind the service, the same one each time. */
export async function findGatewayPod(
  cluster: ClusterAccess,
  service: GatewayService,
  signal: AbortSignal,
): Promise<ForwardTarget> {
  const selector = Object.entries(service.selector)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
  const path = `/api/v1/namespaces/${encodeURIComponent(service.namespace)}/pods?labelSelector=${encodeURIComponent(selector)}`;
  const pods = itemsOf(await ask(cluster, path, `list pods in namespace "${service.namespace}"`, signal));
  const ready = pods.filter(isReadyPod).sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  for (const pod of ready) {
    const port = containerPort(pod, service.targetPort);
    if (port !== undefined) return { namespace: service.namespace, pod: nameOf(pod), port };
  }
  throw new RouteError(
    pods.length === 0
      ? `The gateway ${service.namespace}/${service.name} has no pod: see kubectl -n ${service.namespace} get deployments.`
      : ready.length === 0
        ? `None of the ${pods.length} pods of the gateway ${service.namespace}/${service.name} is ready: see kubectl -n ${service.namespace} get pods.`
        : `The pods of the gateway ${service.namespace}/${service.name} have no port "${service.targetPort}": choose one with --service-port.`,
    { isTransient: ready.length === 0 },
  );
}

async function listServices(
  cluster: ClusterAccess,
  { namespace, service }: GatewayQuery,
  signal: AbortSignal,
): Promise<unknown[]> {
  const labelled = `?labelSelector=${encodeURIComponent(gatewaySelector)}`;
  if (service !== undefined) {
    const at = namespace ?? cluster.namespace;
    const path = `/api/v1/namespaces/${encodeURIComponent(at)}/services/${encodeURIComponent(service)}`;
    const found = await ask(cluster, path, `read service "${service}" in namespace "${at}"`, signal);
    if (labelsOf(found)[componentLabel] === agentComponent)
      throw new RouteError(
        `Service "${service}" is of the agents, not of the gateway: name the gateway's service.`,
        { isTransient: false },
      );
    return [found];
  }
  return listObjects(
    cluster,
    { namespace, kind: 'services', search: labelled, whose: "the gateway's" },
    signal,
  );
}

/** What to list, and where. */
export interface ListQuery {
  /** Undefined: all of them, or the caller's own where only that may be looked into. */
  readonly namespace: string | undefined;
  readonly kind: 'pods' | 'services';
  /** With its question mark. */
  readonly search: string;
  /** Whose namespace to name where none may be looked into. */
  readonly whose: string;
}

/** Rejects with `RouteError`. */
export async function listObjects(
  cluster: ClusterAccess,
  { namespace, kind, search, whose }: ListQuery,
  signal: AbortSignal,
): Promise<unknown[]> {
  const inNamespace = async (name: string, what: string) => {
    const path = `/api/v1/namespaces/${encodeURIComponent(name)}/${kind}${search}`;
    return itemsOf(await ask(cluster, path, what, signal));
  };
  if (namespace !== undefined) return inNamespace(namespace, `list ${kind} in namespace "${namespace}"`);
  try {
    return itemsOf(await cluster.get(`/api/v1/${kind}${search}`, signal));
  } catch (error) {
    // Many people may look only into their own namespace.
    if (!(error instanceof ClusterError) || error.reason !== 'forbidden')
      throw routeErrorOf(error, cluster, `list ${kind}`);
  }
  return inNamespace(
    cluster.namespace,
    `list ${kind}, neither in all namespaces nor in "${cluster.namespace}": name ${whose} namespace with --namespace, or`,
  );
}

export async function ask(
  cluster: ClusterAccess,
  path: string,
  what: string,
  signal: AbortSignal,
): Promise<unknown> {
  try {
    return await cluster.get(path, signal);
  } catch (error) {
    throw routeErrorOf(error, cluster, what);
  }
}

/** What to do about a cluster that does not give what was asked. */
export function routeErrorOf(error: unknown, cluster: ClusterAccess, what: string): RouteError {
  if (error instanceof RouteError) return error;
  if (!(error instanceof ClusterError))
    return new RouteError(error instanceof Error ? error.message : String(error), {
      isTransient: true,
      cause: error,
    });
  const context = `context "${cluster.contextName}"`;
  switch (error.reason) {
    case 'unauthorized':
      return new RouteError(
        `The cluster of ${context} does not accept your credentials: log in again. (${error.message})`,
        { isTransient: false, cause: error },
      );
    case 'forbidden':
      return new RouteError(
        `You may not ${what} in ${context}: ask for the right to get and list services and pods and to get and create pods/portforward, or use --gateway-url. (${error.message})`,
        { isTransient: false, cause: error },
      );
    case 'not-found':
      return new RouteError(`It does not exist in ${context}: you asked to ${what}. (${error.message})`, {
        isTransient: false,
        cause: error,
      });
    case 'no-kubeconfig':
      return new RouteError(error.message, { isTransient: false, cause: error });
    case 'unreachable':
    case 'server-error':
      return new RouteError(`The API server of ${context} cannot be asked: ${error.message}`, {
        isTransient: true,
        isRefused: error.reason === 'unreachable',
        cause: error,
      });
  }
}

function describe(service: unknown, wanted: string | undefined): GatewayService {
  const spec = fieldOf(service, 'spec');
  const name = nameOf(service);
  const selector = stringsOf(fieldOf(spec, 'selector'));
  if (Object.keys(selector).length === 0)
    throw new RouteError(`Service "${name}" selects no pods: use --gateway-url for it.`, {
      isTransient: false,
    });
  const ports = listOf(fieldOf(spec, 'ports'));
  const port =
    wanted === undefined
      ? (ports.find((each) => usualPortNames.includes(String(fieldOf(each, 'name')))) ?? ports[0])
      : ports.find((each) => [fieldOf(each, 'name'), String(fieldOf(each, 'port'))].includes(wanted));
  const target = fieldOf(port, 'targetPort') ?? fieldOf(port, 'port');
  if (typeof target !== 'number' && typeof target !== 'string')
    throw new RouteError(
      `Service "${name}" has no port ${wanted === undefined ? 'at all' : `"${wanted}"`}: choose one with --service-port.`,
      { isTransient: false },
    );
  return {
    namespace: namespaceOf(service),
    name,
    selector,
    targetPort: target,
    isHttps: [fieldOf(port, 'appProtocol'), fieldOf(port, 'name')].some(
      (each) => typeof each === 'string' && /^(?:https|mcp-https)$/i.test(each),
    ),
    tokenSecret: annotationsOf(service)[tokenSecretAnnotation],
  };
}

function containerPort(pod: unknown, targetPort: number | string): number | undefined {
  if (typeof targetPort === 'number') return targetPort;
  for (const container of listOf(fieldOf(fieldOf(pod, 'spec'), 'containers')))
    for (const port of listOf(fieldOf(container, 'ports')))
      if (fieldOf(port, 'name') === targetPort) {
        const number = fieldOf(port, 'containerPort');
        if (typeof number === 'number') return number;
      }
  return undefined;
}
