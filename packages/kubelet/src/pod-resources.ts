import { access, constants } from 'node:fs/promises';
import {
  type ContainerDevices,
  type Gap,
  GpuError,
  isDeviceResource,
  isGpuError,
  type PodResources,
  type PodResourcesReading,
} from '@k8s-gpu-mcp/core';
import { defaultPodResourcesSocket } from './default-socket.ts';
import type { WireDevices, WirePodResources } from './messages.ts';

export interface PodResourcesOptions {
  /** Default: `defaultPodResourcesSocket`. */
  readonly socket?: string;
}

/** More than a node can run; past it the answer is cut and says so. */
const maximumContainers = 10_000;

/**
 * Asks the kubelet of this node who was given which device. Every reading opens a connection of its own: the kubelet restarts, the tool is
 * asked now and then, and nothing is held while nobody asks.
 */
export function createPodResources({
  socket = defaultPodResourcesSocket,
}: PodResourcesOptions = {}): PodResources {
  return {
    async list(signal) {
      throwIfAborted(signal);
      const missing = await whyUnusable(socket);
      if (missing) return nothing(missing);
      // The gRPC client is loaded by the first question: most agents have no socket to ask.
      const [{ KubeletConnection }, { allocatableMethod, listMethod }] = await Promise.all([
        import('./kubelet-connection.ts'),
        import('./messages.ts'),
      ]);
      const kubelet = new KubeletConnection(socket);
      try {
        const [listed, allocatable] = await Promise.all([
          kubelet.ask(listMethod, signal),
          kubelet.ask(allocatableMethod, signal),
        ]);
        throwIfAborted(signal);
        if (listed.answer === null) return nothing({ field: 'podResources', ...listed.failure });
        const { containers, isComplete } = containersOf(listed.answer.podResources);
        return {
          containers,
          allocatable: allocatable.answer === null ? null : merged(allocatable.answer.devices),
          gaps: [
            ...(isComplete ? [] : [cutShort]),
            ...(allocatable.answer === null
              ? [{ field: 'podResources.allocatable', ...allocatable.failure }]
              : []),
          ],
        };
      } finally {
        kubelet.close();
      }
    },
  };
}

const cutShort: Gap = {
  field: 'podResources',
  reason: 'error',
  detail: `the kubelet lists more than ${maximumContainers} containers; the rest is left out`,
};

const nothing = (gap: Gap): PodResourcesReading => ({ containers: null, allocatable: null, gaps: [gap] });

/** What can be told before anything is asked; the kubelet's own refusals come later. */
async function whyUnusable(socket: string): Promise<Gap | null> {
  try {
    await access(socket, constants.R_OK | constants.W_OK);
    return null;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'an error';
    const isDenied = code === 'EACCES' || code === 'EPERM';
    return {
      field: 'podResources',
      reason: isDenied ? 'no-permission' : 'not-observable',
      detail: isDenied
        ? `${code}: this process may not use the kubelet's pod-resources socket`
        : `${code}: the kubelet's pod-resources socket is not there: mount its folder into the container`,
    };
  }
}

function throwIfAborted(signal: AbortSignal): void {
  if (!signal.aborted) return;
  if (isGpuError(signal.reason)) throw signal.reason;
  const isTimeout = signal.reason instanceof Error && signal.reason.name === 'TimeoutError';
  throw isTimeout
    ? new GpuError('TIMEOUT', 'asking the kubelet took longer than the deadline', { cause: signal.reason })
    : new GpuError('CANCELLED', 'asking the kubelet was cancelled', { cause: signal.reason });
}

/** Containers that were given something, by namespace, pod and container: the kubelet lists them in no order. */
function containersOf(pods: readonly WirePodResources[]) {
  const containers: ContainerDevices[] = [];
  for (const { namespace, name: pod, containers: listed } of pods) {
    for (const { name: container, devices, dynamicResources } of listed) {
      if (containers.length === maximumContainers)
        return { containers: inOrder(containers), isComplete: false };
      containers.push({
        namespace,
        pod,
        container,
        devices: merged(devices),
        claims: dynamicResources.map(({ claimNamespace, claimName, claimResources }) => ({
          namespace: claimNamespace,
          name: claimName,
          cdiDevices: claimResources.flatMap(({ cdiDevices }) => cdiDevices.map(({ name }) => name)),
        })),
      });
    }
  }
  return { containers: inOrder(containers), isComplete: true };
}

const inOrder = (containers: readonly ContainerDevices[]) =>
  containers.toSorted(
    (a, b) => compare(a.namespace, b.namespace) || compare(a.pod, b.pod) || compare(a.container, b.container),
  );
const compare = (a: string, b: string) => (a < b ? -1 : Number(a > b));

/** The kubelet splits one resource by NUMA node, and lists network cards and the like too. */
function merged(devices: readonly WireDevices[]): { resourceName: string; deviceIds: string[] }[] {
  const byResource = new Map<string, Set<string>>();
  for (const { resourceName, deviceIds } of devices) {
    if (!isDeviceResource(resourceName)) continue;
    const ids = byResource.get(resourceName) ?? new Set();
    for (const id of deviceIds) ids.add(id);
    byResource.set(resourceName, ids);
  }
  return [...byResource]
    .map(([resourceName, ids]) => ({ resourceName, deviceIds: [...ids].sort() }))
    .sort((a, b) => compare(a.resourceName, b.resourceName));
}
