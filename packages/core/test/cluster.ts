import type { AgentInventory } from '../src/cluster/agent-inventory.ts';
import type { ClusterContainer, ClusterNode, ClusterPod, ContainerState } from '../src/domain/cluster.ts';

/** Objects of a cluster, made of what a test says of them. */
export const nodeOf = (changes: Partial<ClusterNode> = {}): ClusterNode => ({
  name: 'gpu-node-7',
  uid: 'node-uid',
  labels: { 'nvidia.com/gpu.count': '8', 'nvidia.com/mig.strategy': 'none' },
  annotations: {},
  taints: [],
  conditions: [
    { type: 'Ready', status: 'True', reason: 'KubeletReady', lastTransitionAt: null, message: null },
  ],
  isUnschedulable: false,
  kernelVersion: '6.8.0-45-generic',
  kubeletVersion: 'v1.34.1',
  containerRuntimeVersion: 'containerd://2.1.4',
  operatingSystem: 'Ubuntu 24.04.1 LTS',
  bootId: 'boot',
  capacity: { 'nvidia.com/gpu': 8 },
  allocatable: { 'nvidia.com/gpu': 8 },
  ...changes,
});

export const containerOf = (changes: Partial<ClusterContainer> = {}): ClusterContainer => ({
  name: 'main',
  kind: 'main',
  requests: {},
  limits: {},
  claimNames: [],
  containerId: null,
  isReady: true,
  restartCount: 0,
  state: { kind: 'running', startedAt: '2026-11-21T10:00:00Z' },
  lastState: null,
  ...changes,
});

export const podOf = (changes: Partial<ClusterPod> = {}): ClusterPod => ({
  namespace: 'research',
  name: 'train-0',
  uid: 'f0e1d2c3-0000-4000-8000-00000000abcd',
  node: 'gpu-node-7',
  phase: 'Running',
  labels: {},
  staticPodUid: null,
  ownerReferences: [],
  owner: null,
  reason: null,
  conditions: [],
  createdAt: '2026-11-21T09:59:00Z',
  startedAt: '2026-11-21T09:59:30Z',
  deletionRequestedAt: null,
  containers: [containerOf()],
  claims: [],
  ...changes,
});

/** A pod whose one container asks for so many GPUs. */
export const gpuPod = (name: string, count: number, changes: Partial<ClusterPod> = {}): ClusterPod =>
  podOf({
    name,
    uid: `uid-of-${name}`,
    containers: [containerOf({ limits: { 'nvidia.com/gpu': count } })],
    ...changes,
  });

/** The device plugin's pod, ready unless it is said otherwise. */
export const pluginPod = (container: Partial<ClusterContainer> = {}): ClusterPod =>
  podOf({
    namespace: 'gpu-operator',
    name: 'nvidia-device-plugin-daemonset-x7k2p',
    uid: 'uid-of-plugin',
    ownerReferences: [
      {
        apiVersion: 'apps/v1',
        kind: 'DaemonSet',
        name: 'nvidia-device-plugin-daemonset',
        uid: 'ds',
        isController: true,
      },
    ],
    containers: [containerOf({ name: 'nvidia-device-plugin', ...container })],
  });

export const ended = (
  exitCode: number | null,
  reason: string | null,
  changes: Partial<Extract<ContainerState, { kind: 'terminated' }>> = {},
): ContainerState => ({
  kind: 'terminated',
  reason,
  exitCode,
  signal: null,
  startedAt: '2026-11-21T10:00:00Z',
  finishedAt: '2026-11-21T11:00:00Z',
  containerId: null,
  ...changes,
});

/** Eight whole GPUs that all answer. */
export const inventoryOf = (changes: Partial<AgentInventory> = {}): AgentInventory => ({
  pciGpuCount: 8,
  driverGpuCount: 8,
  libraryGpuCount: 8,
  usableGpuCount: 8,
  deviceNodeCount: 8,
  migGpuCount: 0,
  migDevices: {},
  faults: [],
  xids: [],
  gaps: [],
  ...changes,
});
