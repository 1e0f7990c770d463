import type {
  ClusterClaim,
  ClusterEvent,
  ClusterNode,
  ClusterObjectRef,
  ClusterPod,
  WorkloadRef,
} from '../domain/cluster.ts';
import type { Gap } from '../domain/gap.ts';

/** One object, or why it could not be read. */
export interface ObjectReading<T> {
  /** Null with a gap: not known. Null without one: there is no such object. */
  readonly object: T | null;
  readonly gaps: readonly Gap[];
}

/** A list, or why it could not be read. */
export interface ListReading<T> {
  /** Null when it could not be read, as without permission: never an empty list then. */
  readonly items: readonly T[] | null;
  /** False when there are more than the adapter takes; a gap says so. */
  readonly isComplete: boolean;
  readonly gaps: readonly Gap[];
}

/** A workload by its kind and name: `Job`, `PyTorchJob`, `RayCluster`. */
export interface WorkloadName extends Pick<WorkloadRef, 'kind' | 'name'> {
  readonly namespace: string;
}

/**
 * The port to the cluster's API server. It only reads. What may not be read is a gap of reason `no-permission`, what does not answer one
 * of `timeout` or `error`. Rejects only with `GpuError` TIMEOUT or CANCELLED when `signal` aborts, and UNAVAILABLE when there is no API
 * server to ask at all.
 */
export interface Cluster {
  node(name: string, signal: AbortSignal): Promise<ObjectReading<ClusterNode>>;
  /** Of all namespaces, those that have ended too, by namespace and name. */
  podsOnNode(nodeName: string, signal: AbortSignal): Promise<ListReading<ClusterPod>>;
  pod(namespace: string, name: string, signal: AbortSignal): Promise<ObjectReading<ClusterPod>>;
  /** Of one namespace, or of all (null), by namespace and name. */
  pods(namespace: string | null, signal: AbortSignal): Promise<ListReading<ClusterPod>>;
  /** The pods whose owners lead to that workload. */
  podsOfJob(workload: WorkloadName, signal: AbortSignal): Promise<ListReading<ClusterPod>>;
  /** The newest first. */
  events(about: ClusterObjectRef, signal: AbortSignal): Promise<ListReading<ClusterEvent>>;
  /** Resource claims of these namespaces; empty, without a gap, where the cluster has no Dynamic Resource Allocation. */
  claims(namespaces: readonly string[], signal: AbortSignal): Promise<ListReading<ClusterClaim>>;
}

/** What the kubelet gave to one container. */
export interface ContainerDevices {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** As the device plugin named them: a GPU UUID, a MIG UUID, a UUID with `::` and a number for a share of a GPU. */
  readonly devices: readonly { readonly resourceName: string; readonly deviceIds: readonly string[] }[];
  /** Devices of resource claims, by their CDI names. */
  readonly claims: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly cdiDevices: readonly string[];
  }[];
}

export interface PodResourcesReading {
  /** Null when it could not be read. */
  readonly containers: readonly ContainerDevices[] | null;
  /** All devices that the kubelet may give out, by resource; null when the kubelet does not tell. */
  readonly allocatable:
    | readonly { readonly resourceName: string; readonly deviceIds: readonly string[] }[]
    | null;
  readonly gaps: readonly Gap[];
}

/**
 * The port to the kubelet's pod-resources socket of this node. Some kubelets list pods that have ended (before Kubernetes 1.34, in which
 * List tells active pods only), so who holds a device is told by the pods' phases. Rejects only with `GpuError` TIMEOUT or CANCELLED when
 * `signal` aborts.
 */
export interface PodResources {
  list(signal: AbortSignal): Promise<PodResourcesReading>;
}
