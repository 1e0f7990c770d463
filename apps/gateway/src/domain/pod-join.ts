import {
  type ClusterContainer,
  type ClusterPod,
  type Gap,
  normalizedContainerId,
  normalizedPodUid,
  type PodOfProcess,
  podOfProcess,
  type WorkloadRef,
} from '@k8s-gpu-mcp/core';

/** What an agent says of the cgroup and the start of a process. Untrusted: it is held against what the API server knows of that node. */
export type ProcessPlace = Parameters<typeof podOfProcess>[0];

export type JoinedPod =
  | {
      readonly pod: Pick<ClusterPod, 'namespace' | 'name' | 'uid'>;
      readonly container: string;
      /** Root of the chain of owners, in the namespace of the pod; null for a pod that nobody manages. */
      readonly owner: Pick<WorkloadRef, 'kind' | 'name'> | null;
    }
  | { readonly pod: null; readonly because: Extract<PodOfProcess, { pod: null }>['because'] };

/** The pod of a process on a node. A node tells of its own processes only: pods of other nodes are never the answer. */
export type PodJoin = (node: string, place: ProcessPlace) => JoinedPod;

/** What is known of the pods of nodes at the time of a question. */
export interface KnownPods {
  /** Null when the pods could not be read; then a gap says why. */
  readonly join: PodJoin | null;
  readonly gaps: readonly Gap[];
}

/** Pods under each spelling by which a cgroup may name them. */
type PodsByKey = ReadonlyMap<string, readonly ClusterPod[]>;

/** Joins many processes with many pods: time grows with their sum. Pure. */
export function createPodJoin(pods: readonly ClusterPod[]): PodJoin {
  const known = indexOf(pods);
  return (node, place) => {
    const { podUid, container } = place;
    const key =
      podUid !== null ? uidKey(node, podUid) : container !== null ? containerKey(node, container.id) : null;
    const found = podOfProcess(place, (key === null ? undefined : known.get(key)) ?? []);
    if (found.pod === null) return { pod: null, because: found.because };
    const { namespace, name, uid, owner } = found.pod;
    return {
      pod: { namespace, name, uid },
      container: found.container.name,
      owner: owner && { kind: owner.kind, name: owner.name },
    };
  };
}

const uidKey = (node: string, uid: string) => JSON.stringify(['uid', node, normalizedPodUid(uid)]);
const containerKey = (node: string, id: string) =>
  JSON.stringify(['container', node, normalizedContainerId(id)]);

function indexOf(pods: readonly ClusterPod[]): PodsByKey {
  const known = new Map<string, ClusterPod[]>();
  for (const pod of pods) {
    if (pod.node === null) continue;
    for (const key of keysOf(pod, pod.node)) {
      const others = known.get(key);
      if (others) others.push(pod);
      else known.set(key, [pod]);
    }
  }
  return known;
}

function keysOf({ uid, staticPodUid, containers }: ClusterPod, node: string): ReadonlySet<string> {
  return new Set([
    uidKey(node, uid),
    ...(staticPodUid === null ? [] : [uidKey(node, staticPodUid)]),
    ...containers.flatMap(idsOf).map((id) => containerKey(node, id)),
  ]);
}

/** Of the run now, and of those that have ended. */
function idsOf({ containerId, state, lastState }: ClusterContainer): readonly string[] {
  const ended = [state, lastState].map((each) => (each?.kind === 'terminated' ? each.containerId : null));
  return [containerId, ...ended].flatMap((id) => id ?? []);
}
