import type {
  ClusterClaim,
  ClusterNode,
  ClusterPod,
  ContainerKind,
  WorkloadOwner,
} from '../domain/cluster.ts';
import type { ContainerDevices } from '../ports/cluster.ts';
import { type DeviceKind, deviceOfId, isGpuResource, kindOfId, kindOfResource } from './device-names.ts';
import { demandOf, hasEnded, podDemand } from './pod-demand.ts';

/** What one container, or one pod by a claim, has. */
export interface DeviceShare {
  readonly container: string | null;
  readonly containerKind: ContainerKind | null;
  /** Extended resource; null for a claim. */
  readonly resource: string | null;
  readonly kind: DeviceKind | 'claim';
  /** Units asked for; devices of a claim. Null for a claim that was given nothing yet, or cannot be read. */
  readonly count: number | null;
  /** As the device plugin or the DRA driver calls them; null when nobody told. */
  readonly deviceIds: readonly string[] | null;
  readonly claim?: {
    /** Null while the claim is not made. */
    readonly name: string | null;
    readonly drivers: readonly string[];
    /** Sees the devices without taking them from anybody. */
    readonly hasAdminAccess: boolean;
    /** Pods that may use the same claim, this one among them. */
    readonly podCount: number;
  };
}

export interface PodAllocation {
  readonly namespace: string;
  readonly pod: string;
  readonly podUid: string;
  readonly node: string | null;
  readonly phase: ClusterPod['phase'];
  readonly isBeingDeleted: boolean;
  readonly owner: WorkloadOwner | null;
  /** What the scheduler counts for the pod, by resource; nothing for a pod that has ended. */
  readonly takes: Readonly<Record<string, number>>;
  readonly shares: readonly DeviceShare[];
}

/** One resource of one node: what is taken against what there is. */
export interface ResourceTotal {
  readonly node: string;
  readonly resource: string;
  readonly kind: DeviceKind;
  readonly requested: number;
  readonly capacity: number | null;
  readonly allocatable: number | null;
  /** `allocatable - requested`; below zero when devices went away under running pods. */
  readonly free: number | null;
}

export interface Allocation {
  /** Pods that hold devices, by namespace and name. */
  readonly pods: readonly PodAllocation[];
  /** Pods that wait for devices: no node has them yet. */
  readonly pending: readonly PodAllocation[];
  readonly totals: readonly ResourceTotal[];
  /** Devices that claims took, each counted once however many pods share it; administrative access takes nothing. */
  readonly claimedDeviceCount: number | null;
  /** Devices that are given whole to more than one pod that runs: that should not be. */
  readonly doubleBooked: readonly { readonly deviceId: string; readonly pods: readonly string[] }[];
}

export interface AllocationOptions {
  /** By name: for totals, and for labels that say what a unit is. */
  readonly nodes?: ReadonlyMap<string, ClusterNode>;
  /** Null when they could not be read: pods that use claims then have shares of unknown count. */
  readonly claims?: readonly ClusterClaim[] | null;
}

/**
 * Who has which device. Ids come from the kubelet (`podResources`), and are null where nobody asked it. Pods that have ended hold nothing,
 * though some kubelets still list them. Pure.
 */
export function allocationOf(
  pods: readonly ClusterPod[],
  podResources: readonly ContainerDevices[] | null,
  { nodes = new Map(), claims = null }: AllocationOptions = {},
): Allocation {
  const given = byContainer(podResources ?? []);
  const claimOf = new Map((claims ?? []).map((claim) => [`${claim.namespace}/${claim.name}`, claim]));
  const live = pods.filter((pod) => !hasEnded(pod));
  const all = live
    .map((pod) => allocate(pod, podResources === null ? null : given, claimOf, nodes.get(pod.node ?? '')))
    .filter(({ shares }) => shares.length > 0)
    .sort((a, b) => compare(a.namespace, b.namespace) || compare(a.pod, b.pod));
  const held = all.filter(({ node }) => node !== null);
  return {
    pods: held,
    pending: all.filter(({ node }) => node === null),
    totals: totalsOf(held, nodes),
    claimedDeviceCount: claimedDevices(live, claims, claimOf),
    doubleBooked: doubleBooked(held),
  };
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const keyOf = (namespace: string, pod: string, container: string) => `${namespace}/${pod}/${container}`;

function byContainer(list: readonly ContainerDevices[]): ReadonlyMap<string, ContainerDevices> {
  return new Map(list.map((each) => [keyOf(each.namespace, each.pod, each.container), each]));
}

function allocate(
  pod: ClusterPod,
  given: ReadonlyMap<string, ContainerDevices> | null,
  claimOf: ReadonlyMap<string, ClusterClaim>,
  node: ClusterNode | undefined,
): PodAllocation {
  const { namespace, name, uid, phase, owner } = pod;
  const shares: DeviceShare[] = [];
  for (const container of pod.containers) {
    const listed = given?.get(keyOf(namespace, name, container.name));
    for (const [resource, count] of Object.entries(demandOf(container))) {
      if (!(count > 0)) continue;
      const ids = listed?.devices.filter(({ resourceName }) => resourceName === resource);
      const deviceIds = ids && ids.length > 0 ? ids.flatMap((each) => each.deviceIds) : null;
      const told = deviceIds?.[0] === undefined ? null : kindOfId(deviceIds[0]);
      const kind = (isGpuResource(resource) ? told : null) ?? kindOfResource(resource, node?.labels);
      shares.push({
        container: container.name,
        containerKind: container.kind,
        resource,
        kind,
        count,
        deviceIds,
      });
    }
  }
  for (const claim of pod.claims) {
    shares.push(claimShare(claim.claimName, claimOf.get(`${namespace}/${claim.claimName}`)));
  }
  return {
    namespace,
    pod: name,
    podUid: uid,
    node: pod.node,
    phase,
    isBeingDeleted: pod.deletionRequestedAt !== null,
    owner,
    takes: podDemand(pod),
    shares,
  };
}

function claimShare(name: string | null, claim: ClusterClaim | undefined): DeviceShare {
  const devices = claim?.devices ?? null;
  const hasAdminAccess =
    devices !== null && devices.length > 0 && devices.every((each) => each.hasAdminAccess);
  return {
    container: null,
    containerKind: null,
    resource: null,
    kind: 'claim',
    count: devices?.length ?? null,
    deviceIds: devices?.map(({ driver, pool, device }) => `${driver}/${pool}/${device}`) ?? null,
    claim: {
      name,
      drivers: [...new Set((devices ?? []).map(({ driver }) => driver))],
      hasAdminAccess,
      podCount: Math.max(1, claim?.reservedForPodUids.length ?? 1),
    },
  };
}

function totalsOf(
  held: readonly PodAllocation[],
  nodes: ReadonlyMap<string, ClusterNode>,
): readonly ResourceTotal[] {
  const requested = new Map<string, Map<string, number>>();
  for (const { name, capacity, allocatable } of nodes.values()) {
    const known = [...Object.keys(capacity ?? {}), ...Object.keys(allocatable ?? {})];
    requested.set(name, new Map(known.map((resource) => [resource, 0])));
  }
  for (const { node, takes } of held) {
    const sums = requested.get(node ?? '') ?? new Map<string, number>();
    requested.set(node ?? '', sums);
    for (const [resource, count] of Object.entries(takes))
      sums.set(resource, (sums.get(resource) ?? 0) + count);
  }
  return [...requested]
    .sort(([a], [b]) => compare(a, b))
    .flatMap(([name, sums]) => {
      const node = nodes.get(name);
      return [...sums]
        .sort(([a], [b]) => compare(a, b))
        .map(([resource, sum]) => {
          const allocatable = countOf(node?.allocatable, resource);
          return {
            node: name,
            resource,
            kind: kindOfResource(resource, node?.labels),
            requested: sum,
            capacity: countOf(node?.capacity, resource),
            allocatable,
            free: allocatable === null ? null : allocatable - sum,
          };
        });
    });
}

/** A node that tells its resources and not this one has none of it; one that tells nothing, or is not known, leaves it open. */
function countOf(
  counts: Readonly<Record<string, number>> | null | undefined,
  resource: string,
): number | null {
  if (!counts) return null;
  return Object.hasOwn(counts, resource) ? (counts[resource] ?? 0) : 0;
}

function claimedDevices(
  live: readonly ClusterPod[],
  claims: readonly ClusterClaim[] | null,
  claimOf: ReadonlyMap<string, ClusterClaim>,
): number | null {
  const used = live.flatMap(({ namespace, claims: own }) =>
    own.map(({ claimName }) => `${namespace}/${claimName}`),
  );
  if (claims === null) return used.length === 0 ? 0 : null;
  const taken = new Set<string>();
  for (const key of used) {
    for (const { driver, pool, device, hasAdminAccess } of claimOf.get(key)?.devices ?? []) {
      if (!hasAdminAccess) taken.add(`${driver}/${pool}/${device}`);
    }
  }
  return taken.size;
}

/** An init container hands its devices on to the containers of the same pod, so a pod counts once. */
function doubleBooked(held: readonly PodAllocation[]): Allocation['doubleBooked'] {
  const holders = new Map<string, { readonly deviceId: string; readonly pods: Set<string> }>();
  for (const { node, namespace, pod, shares } of held) {
    for (const { kind, deviceIds } of shares) {
      if (kind !== 'whole' && kind !== 'mig') continue;
      for (const id of deviceIds ?? []) {
        // What is not a UUID (`nvidia0`) is on every node.
        const deviceId = kindOfId(id) === null ? `${node}: ${id}` : deviceOfId(id);
        // Each node speaks of its own devices only, whatever ids it makes up.
        const key = `${node} ${deviceId}`;
        const holder = holders.get(key) ?? { deviceId, pods: new Set() };
        holder.pods.add(`${namespace}/${pod}`);
        holders.set(key, holder);
      }
    }
  }
  return [...holders.values()]
    .filter(({ pods }) => pods.size > 1)
    .map(({ deviceId, pods }) => ({ deviceId, pods: [...pods] }));
}
