// What a cluster knows of its GPU nodes and of the pods on them. Plain data, as the API server tells it: names and label values are
// checked by the server, annotations and event messages are whatever somebody wrote.

/** Resources that count devices. Names of one vendor's device plugins begin alike. */
const deviceResourcePrefixes = [
  'nvidia.com/',
  'amd.com/',
  'gpu.intel.com/',
  'habana.ai/',
  'aws.amazon.com/neuron',
  'google.com/tpu',
] as const;

/** Whether an extended resource counts GPUs, parts of GPUs, or other accelerators. */
export function isDeviceResource(name: string): boolean {
  return deviceResourcePrefixes.some((prefix) => name.startsWith(prefix));
}

const suffixes: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/**
 * A quantity of an extended resource: whole numbers only, in any spelling (`8`, `8000m`, `1k`). Null for anything else.
 * Source: Kubernetes, "Managing resources for containers" (extended resources are whole amounts).
 */
export function parseDeviceCount(quantity: unknown): number | null {
  const text = typeof quantity === 'number' ? String(quantity) : quantity;
  if (typeof text !== 'string' || text.length > 24) return null;
  const [, digits, suffix = ''] = /^\+?(\d{1,15})([mkMGT]|[KMGT]i)?$/.exec(text) ?? [];
  if (digits === undefined) return null;
  const count = suffix === 'm' ? Number(digits) / 1_000 : Number(digits) * (suffixes[suffix] ?? Number.NaN);
  return Number.isSafeInteger(count) ? count : null;
}

/** Number of devices by resource name: `nvidia.com/gpu`, `nvidia.com/mig-1g.10gb`, `nvidia.com/gpu.shared`. */
export type DeviceCounts = Readonly<Record<string, number>>;

export interface NodeTaint {
  readonly key: string;
  readonly value: string | null;
  /** `NoSchedule`, `PreferNoSchedule`, `NoExecute`. */
  readonly effect: string;
}

export interface NodeCondition {
  /** `Ready`, `MemoryPressure`, or whatever a problem detector set. */
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** One word in CamelCase; null when there is none. */
  readonly reason: string | null;
  /** ISO 8601. */
  readonly lastTransitionAt: string | null;
  /** Untrusted. */
  readonly message: string | null;
}

export interface ClusterNode {
  readonly name: string;
  readonly uid: string | null;
  readonly labels: Readonly<Record<string, string>>;
  /** A bounded number of them, each cut short. Untrusted. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly taints: readonly NodeTaint[];
  readonly conditions: readonly NodeCondition[];
  /** Cordoned: no new pods. */
  readonly isUnschedulable: boolean;
  readonly kernelVersion: string | null;
  readonly kubeletVersion: string | null;
  readonly containerRuntimeVersion: string | null;
  readonly operatingSystem: string | null;
  /** Changes with every boot. */
  readonly bootId: string | null;
  /** Device resources only. What the kubelet knows of, healthy or not; null when the status holds no capacity at all. */
  readonly capacity: DeviceCounts | null;
  /** Device resources only. What of it may be given out. */
  readonly allocatable: DeviceCounts | null;
}

/** `sidecar`: an init container that keeps running (`restartPolicy: Always`). */
export const containerKinds = ['init', 'sidecar', 'main', 'ephemeral'] as const;
export type ContainerKind = (typeof containerKinds)[number];

/** How a container is, or how its last run ended. */
export type ContainerState =
  | { readonly kind: 'waiting'; readonly reason: string | null }
  | { readonly kind: 'running'; readonly startedAt: string | null }
  | {
      readonly kind: 'terminated';
      /** `OOMKilled`, `Error`, `Completed`, `ContainerStatusUnknown`, `StartError`. */
      readonly reason: string | null;
      readonly exitCode: number | null;
      /** Set by few runtimes. */
      readonly signal: number | null;
      /** ISO 8601. */
      readonly startedAt: string | null;
      readonly finishedAt: string | null;
      /** 64 hexadecimal digits, of the run that ended. */
      readonly containerId: string | null;
    };

export interface ClusterContainer {
  readonly name: string;
  readonly kind: ContainerKind;
  /** Device resources only. */
  readonly requests: DeviceCounts;
  readonly limits: DeviceCounts;
  /** Names, within the pod, of the resource claims that it uses. */
  readonly claimNames: readonly string[];
  /** 64 hexadecimal digits without the runtime; null before it was created. */
  readonly containerId: string | null;
  readonly isReady: boolean;
  readonly restartCount: number;
  /** Null while the kubelet has told nothing of it. */
  readonly state: ContainerState | null;
  /** Of the run before; null when there was none. */
  readonly lastState: ContainerState | null;
}

export interface OwnerRef {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  /** The one owner that manages the object. */
  readonly isController: boolean;
}

/** What somebody started and thinks of as their job. */
export interface WorkloadRef {
  readonly kind: string;
  readonly name: string;
  /** Null when only a label names it. */
  readonly uid: string | null;
}

export interface WorkloadOwner extends WorkloadRef {
  /** From the pod's own controller up to the root; the root is the last. */
  readonly chain: readonly WorkloadRef[];
  /** `labels`: the owners above could not be read, and well-known labels of the pod name the root. Those are set by whoever made the pod. */
  readonly basis: 'owner-references' | 'labels';
  /** False when something above could not be read, or the chain was cut. */
  readonly isComplete: boolean;
}

export interface PodClaim {
  /** Within the pod. */
  readonly name: string;
  /** Of the ResourceClaim in the pod's namespace; null while it is not made. */
  readonly claimName: string | null;
}

export interface PodCondition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** One word in CamelCase: `PreemptionByScheduler`. */
  readonly reason: string | null;
  readonly lastTransitionAt: string | null;
  /** Untrusted text; null or absent when there is none. */
  readonly message?: string | null;
}

export const podPhases = ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'] as const;
export type PodPhase = (typeof podPhases)[number];

export interface ClusterPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Null until it is scheduled. */
  readonly node: string | null;
  readonly phase: PodPhase;
  readonly labels: Readonly<Record<string, string>>;
  /** Of a static pod, the uid that its cgroups carry instead of `uid` (annotation `kubernetes.io/config.hash`). */
  readonly staticPodUid: string | null;
  readonly ownerReferences: readonly OwnerRef[];
  /** Null for a pod that nobody manages. */
  readonly owner: WorkloadOwner | null;
  /** Of the pod as a whole: `Evicted`, `DeadlineExceeded`, `NodeLost`, `UnexpectedAdmissionError`. */
  readonly reason: string | null;
  readonly conditions: readonly PodCondition[];
  /** ISO 8601. */
  readonly createdAt: string | null;
  readonly startedAt: string | null;
  readonly deletionRequestedAt: string | null;
  readonly containers: readonly ClusterContainer[];
  readonly claims: readonly PodClaim[];
}

/** One device that a claim was given. */
export interface ClaimedDevice {
  /** Name of the request within the claim. */
  readonly request: string;
  /** `gpu.nvidia.com`. */
  readonly driver: string;
  readonly pool: string;
  readonly device: string;
  /** Sees the device without taking it from anybody. */
  readonly hasAdminAccess: boolean;
}

/** A ResourceClaim of Dynamic Resource Allocation. */
export interface ClusterClaim {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Null while nothing is allocated. */
  readonly devices: readonly ClaimedDevice[] | null;
  /** Uids of the pods that may use it; more than one: it is shared. */
  readonly reservedForPodUids: readonly string[];
}

export interface ClusterObjectRef {
  readonly kind: string;
  /** Null for what has none, as nodes. */
  readonly namespace: string | null;
  readonly name: string;
  readonly uid: string | null;
}

export interface ClusterEvent {
  readonly about: ClusterObjectRef;
  readonly type: 'Normal' | 'Warning';
  /** One word in CamelCase. */
  readonly reason: string;
  /** At least 1. */
  readonly count: number;
  /** ISO 8601. */
  readonly firstAt: string | null;
  readonly lastAt: string | null;
  /** Untrusted, capped. */
  readonly message: string;
}
