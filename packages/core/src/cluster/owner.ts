import type { ClusterPod, OwnerRef, WorkloadOwner, WorkloadRef } from '../domain/cluster.ts';

/** Owners above owners: pod, Job, JobSet, and what made that. Deeper chains are cut. */
const maximumDepth = 8;

/** What is known of an object's owners: its references; `undefined` when it could not be read, or was not asked for. */
export type OwnerLookup = (owner: OwnerRef) => readonly OwnerRef[] | undefined;

/** Labels that controllers put on pods and that name what is above their direct owner. Sources: JobSet and LeaderWorkerSet documentation. */
const labelsAbove: Readonly<Record<string, { readonly kind: string; readonly label: string }>> = {
  Job: { kind: 'JobSet', label: 'jobset.sigs.k8s.io/jobset-name' },
  StatefulSet: { kind: 'LeaderWorkerSet', label: 'leaderworkerset.sigs.k8s.io/name' },
};

/** KubeRay says on the pods of a cluster which custom resource it was made for. */
const rayKind = 'ray.io/originated-from-crd';
const rayName = 'ray.io/originated-from-cr-name';
const rayKinds = new Set(['RayJob', 'RayService']);

/**
 * What somebody started: follows owner references from the pod up. Where an owner cannot be read, well-known labels name the root, and a
 * ReplicaSet's name minus its hash names the Deployment. Null for a pod that nobody manages. Pure; bounded, and safe with cycles.
 */
export function ownerOf(
  pod: Pick<ClusterPod, 'ownerReferences' | 'labels'>,
  lookup: OwnerLookup = () => undefined,
): WorkloadOwner | null {
  const chain: WorkloadRef[] = [];
  const seen = new Set<string>();
  let next = controllerOf(pod.ownerReferences);
  let isComplete = true;
  while (next) {
    if (seen.has(next.uid) || chain.length === maximumDepth) {
      isComplete = false;
      break;
    }
    seen.add(next.uid);
    chain.push({ kind: next.kind, name: next.name, uid: next.uid });
    const above: readonly OwnerRef[] | undefined = lookup(next);
    if (above === undefined) isComplete = isTopmost(next);
    next = above && controllerOf(above);
  }
  const top = chain.at(-1);
  if (top && isComplete) return { ...top, chain, basis: 'owner-references', isComplete };
  const labelled = rootFromLabels(pod.labels, top);
  if (labelled)
    return {
      ...labelled,
      chain: [...chain, labelled].slice(0, maximumDepth + 1),
      basis: 'labels',
      isComplete: false,
    };
  return top ? { ...top, chain, basis: 'owner-references', isComplete } : null;
}

/** Kinds that people make themselves; nothing is expected above them when nothing can be read. */
const topmostKinds = new Set(['DaemonSet', 'Node', 'Deployment', 'JobSet', 'LeaderWorkerSet', 'CronJob']);
const isTopmost = ({ kind }: OwnerRef) => topmostKinds.has(kind);

/** The one that manages it; without one, the only owner. */
function controllerOf(owners: readonly OwnerRef[]): OwnerRef | undefined {
  return owners.find((owner) => owner.isController) ?? (owners.length === 1 ? owners[0] : undefined);
}

/** Without an owner reference anybody could have written a label: a pod nobody manages stays that. */
function rootFromLabels(
  labels: Readonly<Record<string, string>>,
  top: WorkloadRef | undefined,
): WorkloadRef | undefined {
  const labelOf = (label: string) => (Object.hasOwn(labels, label) ? labels[label] : undefined);
  if (!top) return undefined;
  if (top.kind === 'ReplicaSet') {
    const hash = labelOf('pod-template-hash');
    return hash && top.name.endsWith(`-${hash}`)
      ? { kind: 'Deployment', name: top.name.slice(0, -hash.length - 1), uid: null }
      : undefined;
  }
  if (top.kind === 'RayCluster') {
    const kind = labelOf(rayKind);
    const name = labelOf(rayName);
    return kind && name && rayKinds.has(kind) ? { kind, name, uid: null } : undefined;
  }
  const above = Object.hasOwn(labelsAbove, top.kind) ? labelsAbove[top.kind] : undefined;
  const name = above && labelOf(above.label);
  return above && name ? { kind: above.kind, name, uid: null } : undefined;
}
