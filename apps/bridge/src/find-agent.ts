import type { ClusterAccess } from './cluster-access.ts';
import { ask, listObjects } from './find-gateway.ts';
import { RouteError } from './gateway-route.ts';
import {
  annotationsOf,
  fieldOf,
  isReadyPod,
  labelsOf,
  listOf,
  nameOf,
  namespaceOf,
} from './kubernetes-object.ts';

export const agentSelector = 'app.kubernetes.io/name=k8s-gpu-mcp-server,app.kubernetes.io/component=agent';
const usualContainer = 'agent';
const maxNamed = 10;
/** Enough to see a whole cluster of nodes with GPUs. */
const maxListed = 1_000;

export interface AgentQuery {
  readonly namespace: string | undefined;
  readonly node: string | undefined;
  readonly pod: string | undefined;
  readonly container: string | undefined;
}

export interface AgentPod {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

/** The one agent pod that the query means. Rejects with `RouteError`: none, several, not ready, no rights. */
export async function findAgentPod(
  cluster: ClusterAccess,
  query: AgentQuery,
  signal: AbortSignal,
): Promise<AgentPod> {
  if (query.pod !== undefined) return describe(await namedPod(cluster, query.pod, query, signal), query);
  const { node } = query;
  const pods = await listAgents(cluster, query, node, signal);
  const ready = pods.filter(isReadyPod).sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  // Whoever may make a pod can label it as an agent: what would be run in another's pod is not chosen by its name.
  const spaces = [...new Set(pods.map(namespaceOf))].sort();
  if (spaces.length > 1)
    throw new RouteError(
      `Pods labelled as agents are in ${spaces.length} namespaces (${spaces.slice(0, maxNamed).join(', ')}): choose one with --namespace.`,
      { isTransient: false },
    );
  const [first, second] = ready;
  if (first !== undefined && (node !== undefined || second === undefined)) return describe(first, query);
  if (node === undefined) throw chooseOne(ready, pods.length, cluster);
  if (pods.length > 0)
    throw new RouteError(
      `The agent pod ${namespaceOf(pods[0])}/${nameOf(pods[0])} on node "${node}" is not ready: see kubectl -n ${namespaceOf(pods[0])} get pods.`,
      { isTransient: true },
    );
  throw new RouteError(
    `No agent pod runs on node "${node}" (labelled ${agentSelector}). ${nodesWithAgent(await listAgents(cluster, query, undefined, signal))}`,
    { isTransient: false },
  );
}

async function namedPod(
  cluster: ClusterAccess,
  name: string,
  query: AgentQuery,
  signal: AbortSignal,
): Promise<unknown> {
  const namespace = query.namespace ?? cluster.namespace;
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
  const pod = await ask(cluster, path, `read pod "${name}" in namespace "${namespace}"`, signal);
  if (labelsOf(pod)['app.kubernetes.io/component'] !== 'agent')
    throw new RouteError(
      `Pod ${namespace}/${name} is no agent (it lacks app.kubernetes.io/component=agent).`,
      {
        isTransient: false,
      },
    );
  if (!isReadyPod(pod))
    throw new RouteError(`Pod ${namespace}/${name} is not ready, or about to go.`, { isTransient: true });
  return pod;
}

function listAgents(
  cluster: ClusterAccess,
  { namespace }: AgentQuery,
  node: string | undefined,
  signal: AbortSignal,
): Promise<unknown[]> {
  const search = new URLSearchParams({ labelSelector: agentSelector, limit: String(maxListed) });
  if (node !== undefined) search.set('fieldSelector', `spec.nodeName=${node}`);
  return listObjects(
    cluster,
    { namespace, kind: 'pods', search: `?${search}`, whose: "the agents'" },
    signal,
  );
}

function describe(pod: unknown, { container }: AgentQuery): AgentPod {
  const names = listOf(fieldOf(fieldOf(pod, 'spec'), 'containers')).map((each) =>
    String(fieldOf(each, 'name')),
  );
  const usual = [annotationsOf(pod)['kubectl.kubernetes.io/default-container'], usualContainer].find(
    (name) => name !== undefined && names.includes(name),
  );
  const chosen = container ?? usual ?? names[0];
  if (chosen === undefined || !names.includes(chosen))
    throw new RouteError(
      `Pod ${namespaceOf(pod)}/${nameOf(pod)} has no container "${chosen ?? ''}": choose one of ${names.slice(0, maxNamed).join(', ')} with --container.`,
      { isTransient: false },
    );
  return { namespace: namespaceOf(pod), pod: nameOf(pod), container: chosen };
}

function chooseOne(ready: readonly unknown[], found: number, cluster: ClusterAccess): RouteError {
  if (ready.length > 0)
    return new RouteError(
      `${ready.length} agents are ready: choose one with --node or --pod. ${nodesWithAgent(ready)}`,
      { isTransient: false },
    );
  return new RouteError(
    found === 0
      ? `No agent pod was found in context "${cluster.contextName}" (labelled ${agentSelector}): install the chart, choose another --context, or name the --namespace.`
      : `None of the ${found} agent pods is ready: see kubectl get pods -A -l ${agentSelector}.`,
    { isTransient: found > 0 },
  );
}

function nodesWithAgent(pods: readonly unknown[]): string {
  const nodes = pods
    .filter(isReadyPod)
    .map((pod) => String(fieldOf(fieldOf(pod, 'spec'), 'nodeName')))
    .sort();
  if (nodes.length === 0) return 'No node has one that is ready.';
  const more = nodes.length > maxNamed ? ` and ${nodes.length - maxNamed} more` : '';
  return `Nodes that have one: ${nodes.slice(0, maxNamed).join(', ')}${more}.`;
}
