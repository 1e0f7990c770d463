import type {
  Clock,
  Cluster,
  ClusterClaim,
  ClusterEvent,
  ClusterObjectRef,
  ClusterPod,
  Gap,
  ListReading,
  Logger,
  ObjectReading,
  WorkloadName,
} from '@k8s-gpu-mcp/core';
import type { KubernetesApi, KubernetesObject, ObjectQuery } from '../kubernetes-api.ts';
import { createClaimLists } from './claim-lists.ts';
import { ClusterReader, type Task } from './cluster-reader.ts';
import { byNamespaceAndName } from './fields.ts';
import { OwnerResolver, type OwnerResolverLimits } from './owner-resolver.ts';
import { byNewest, readEvent } from './read-event.ts';
import { readNode } from './read-node.ts';
import { readPod } from './read-pod.ts';
import { isObjectName } from './resource-path.ts';
import { selectorsOf } from './workload-labels.ts';

export interface KubernetesClusterLimits {
  /** Pods read for one answer. Default 20 000. */
  readonly pods: number;
  /** Events read for one answer. Default 2 000. */
  readonly events: number;
  /** Claims read for one answer. Default 20 000. */
  readonly claims: number;
  readonly owners: Partial<OwnerResolverLimits>;
}

export interface KubernetesClusterOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: Partial<KubernetesClusterLimits>;
}

const empty: ListReading<never> = { items: [], isComplete: true, gaps: [] };

/** What the API server tells of nodes, pods, events and claims. It asks anew each time; only owners are remembered, for a minute. */
export function createKubernetesCluster(api: KubernetesApi, options: KubernetesClusterOptions): Cluster {
  const { clock, logger } = options;
  const limits = { pods: 20_000, events: 2_000, claims: 20_000, ...options.limits };
  const reader = new ClusterReader(api, clock, logger);
  const owners = new OwnerResolver(reader, clock, limits.owners);
  const claimLists = createClaimLists(reader, clock, limits.claims);

  async function object<T>(
    path: string,
    task: Task,
    signal: AbortSignal,
    read: (object: KubernetesObject) => Promise<ObjectReading<T>>,
  ): Promise<ObjectReading<T>> {
    try {
      const found = await reader.get(path, signal);
      return found === null ? { object: null, gaps: [] } : await read(found);
    } catch (error) {
      return { object: null, gaps: [reader.gapOf(error, task, signal)] };
    }
  }

  async function list<T>(
    task: Omit<Task, 'verb'>,
    query: ObjectQuery,
    maximum: number,
    signal: AbortSignal,
    read: (object: KubernetesObject) => T,
  ): Promise<ListReading<T>> {
    const question = { ...task, verb: 'list' as const, query, maximum, read };
    try {
      return await reader.list(question, signal);
    } catch (error) {
      return { items: null, isComplete: false, gaps: [reader.gapOf(error, question, signal)] };
    }
  }

  async function podList(
    namespace: string | null,
    selector: Omit<ObjectQuery, 'path'>,
    signal: AbortSignal,
  ): Promise<ListReading<ClusterPod>> {
    const path = namespace === null ? '/api/v1/pods' : `/api/v1/namespaces/${namespace}/pods`;
    const where = namespace === null ? 'in all namespaces' : `in namespace ${namespace}`;
    const task = { resource: 'pods', where, field: 'pods' };
    const read = await list(task, { path, ...selector }, limits.pods, signal, readPod);
    if (read.items === null) return read;
    const owned = await owners.resolve(read.items, signal);
    return {
      items: owned.pods.toSorted(byNamespaceAndName),
      isComplete: read.isComplete,
      gaps: [...read.gaps, ...owned.gaps],
    };
  }

  return {
    async node(name, signal) {
      if (!isObjectName(name)) return { object: null, gaps: [] };
      const task: Task = { verb: 'get', resource: 'nodes', where: '', field: 'node' };
      return await object(`/api/v1/nodes/${name}`, task, signal, async (found) => {
        const { node, gaps } = readNode(found);
        return { object: node, gaps };
      });
    },
    async podsOnNode(nodeName, signal) {
      if (!isObjectName(nodeName)) return empty;
      return await podList(null, { fieldSelector: `spec.nodeName=${nodeName}` }, signal);
    },
    async pod(namespace, name, signal) {
      if (!isObjectName(namespace) || !isObjectName(name)) return { object: null, gaps: [] };
      const where = `in namespace ${namespace}`;
      const task: Task = { verb: 'get', resource: 'pods', where, field: 'pod' };
      return await object(`/api/v1/namespaces/${namespace}/pods/${name}`, task, signal, async (found) => {
        const { pods, gaps } = await owners.resolve([readPod(found)], signal);
        return { object: pods[0] ?? null, gaps };
      });
    },
    async pods(namespace, signal) {
      if (namespace !== null && !isObjectName(namespace)) return empty;
      return await podList(namespace, {}, signal);
    },
    async podsOfJob(workload, signal) {
      const { namespace } = workload;
      if (!isObjectName(namespace)) return empty;
      for (const labelSelector of selectorsOf(workload)) {
        const read = ofWorkload(await podList(namespace, { labelSelector }, signal), workload);
        if (read.items === null || read.items.length > 0) return read;
      }
      return ofWorkload(await podList(namespace, {}, signal), workload);
    },
    async events(about, signal) {
      const namespace = about.namespace ?? 'default';
      if (!isObjectName(namespace) || !isObjectName(about.name) || !/^[A-Za-z0-9]{1,63}$/.test(about.kind))
        return empty;
      const query = {
        path: `/api/v1/namespaces/${namespace}/events`,
        fieldSelector: `involvedObject.kind=${about.kind},involvedObject.name=${about.name}`,
      };
      const task = { resource: 'events', where: `in namespace ${namespace}`, field: 'events' };
      const read = await list(task, query, limits.events, signal, readEvent);
      const items = read.items?.filter((event) => isAbout(event, about)).sort(byNewest) ?? null;
      return { ...read, items };
    },
    claims: async (namespaces, signal): Promise<ListReading<ClusterClaim>> =>
      await claimLists.read(namespaces.filter(isObjectName), signal),
  };
}

/** Those of an earlier object of that name are not about this one. Kubelets give the name of a node as its uid. */
function isAbout(event: ClusterEvent, about: ClusterObjectRef): boolean {
  return (
    about.kind === 'Node' || about.uid === null || event.about.uid === null || event.about.uid === about.uid
  );
}

function ofWorkload(read: ListReading<ClusterPod>, { kind, name }: WorkloadName): ListReading<ClusterPod> {
  if (read.items === null) return read;
  const isIt = (each: { readonly kind: string; readonly name: string }) =>
    each.name === name && each.kind.toLowerCase() === kind.toLowerCase();
  const items = read.items.filter(({ owner }) => owner?.chain.some(isIt));
  const open = read.items.filter(({ owner }) => owner?.isComplete === false && !owner.chain.some(isIt));
  if (open.length === 0) return { ...read, items };
  const gap: Gap = {
    field: 'pods.owner',
    reason: 'not-observable',
    detail: `${open.length} more pods may belong to it: not all of their owners could be read`,
  };
  return { items, isComplete: false, gaps: [...read.gaps, gap] };
}
