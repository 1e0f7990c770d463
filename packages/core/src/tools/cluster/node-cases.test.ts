import { describe, expect, test } from 'vitest';
import { containerOf, gpuPod, nodeOf, pluginPod, podOf } from '../../../test/cluster.ts';
import { h100Node, h100Ref, h100Sample } from '../../../test/h100.ts';
import {
  deviceNodesOf,
  fellOffTheBus,
  h100Bus,
  h100Host,
  type RigOptions,
  record,
  rig,
  startedAt,
  turn,
} from '../../../test/rig.ts';
import { said } from '../../../test/workload.ts';
import type { ClusterNode, ClusterPod } from '../../domain/cluster.ts';
import { type Action, isDisruptive } from '../../domain/verdict.ts';
import { GpuError } from '../../errors.ts';
import type { Cluster } from '../../ports/cluster.ts';
import { fixedClock } from '../../testing.ts';
import type { StructuredContent } from '../tool.ts';
import { createClusterTools } from './create-cluster-tools.ts';

// Nodes whose numbers differ, as people meet them, with the real agent of this version.

const gpu = 'nvidia.com/gpu';
const discovered = {
  'nvidia.com/gpu.count': '8',
  'nvidia.com/gpu.replicas': '1',
  'nvidia.com/mig.strategy': 'none',
};
const operand = (set: string, isReady: boolean): ClusterPod =>
  podOf({
    namespace: 'gpu-operator',
    name: `${set}-x7k2p`,
    uid: `uid-of-${set}`,
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'DaemonSet', name: set, uid: set, isController: true }],
    containers: [containerOf({ name: 'operand', isReady })],
  });
const crashing = pluginPod({
  isReady: false,
  restartCount: 12,
  state: { kind: 'waiting', reason: 'CrashLoopBackOff' },
});
const bus = (h100Ref(3).pciAddress ?? '').replace(/\.0$/, '');
const fallen = record(fellOffTheBus(bus), { at: '2026-11-21T11:30:00.000Z' });

interface Case {
  readonly source: string;
  readonly node?: Partial<ClusterNode>;
  readonly pods?: readonly ClusterPod[];
  readonly agent?: RigOptions;
  readonly verdict: string;
  /** Rules that must be among the findings. */
  readonly finds: readonly string[];
  /** Rules that must not. */
  readonly spares?: readonly string[];
  readonly action: readonly (Action | undefined)[];
}

const plugins = 'Kubernetes, "Device Plugins"';
const operator = 'NVIDIA GPU operator documentation';

const cases: Readonly<Record<string, Case>> = {
  'all is well': {
    source: plugins,
    verdict: 'ok',
    finds: [],
    action: [undefined],
  },
  'the device plugin crashes: capacity stays, allocatable is 0': {
    source: `${plugins} (an endpoint that stopped has no healthy devices)`,
    node: { allocatable: { [gpu]: 0 } },
    pods: [crashing],
    verdict: 'warning',
    finds: ['cluster.all-devices-withdrawn', 'cluster.device-plugin-not-ready'],
    spares: ['cluster.devices-unhealthy'],
    action: ['restart-service'],
  },
  'the device plugin of a node with one GPU crashes': {
    source: `${plugins} (an endpoint that stopped has no healthy devices)`,
    node: {
      labels: { ...discovered, 'nvidia.com/gpu.count': '1' },
      capacity: { [gpu]: 1 },
      allocatable: { [gpu]: 0 },
    },
    pods: [crashing],
    agent: {
      gpus: h100Node({}, 1),
      host: h100Host({ pciGpus: h100Bus().slice(0, 2), deviceNodes: deviceNodesOf(0) }),
    },
    verdict: 'warning',
    finds: ['cluster.all-devices-withdrawn', 'cluster.device-plugin-not-ready'],
    spares: ['cluster.devices-unhealthy'],
    action: ['restart-service'],
  },
  'one GPU is unhealthy, after an Xid 79': {
    source: 'NVIDIA/k8s-device-plugin, internal/rm/health.go',
    node: { allocatable: { [gpu]: 7 } },
    agent: { log: [fallen] },
    verdict: 'critical',
    finds: ['cluster.devices-unhealthy'],
    action: ['drain-node', 'reboot-node', 'power-cycle', 'check-mechanicals'],
  },
  'one GPU is unhealthy, and no log says why': {
    source: 'NVIDIA/k8s-device-plugin#1014 (a mark is not taken back)',
    node: { allocatable: { [gpu]: 7 } },
    verdict: 'warning',
    finds: ['cluster.devices-unhealthy'],
    action: ['restart-service'],
  },
  'library and kernel module differ after an upgrade': {
    source: 'NVML (NVML_ERROR_LIB_RM_VERSION_MISMATCH); NVIDIA/k8s-device-plugin#1431',
    node: { capacity: { [gpu]: 8 }, allocatable: { [gpu]: 0 } },
    pods: [crashing],
    agent: {
      describe: new GpuError('DRIVER_MISMATCH', 'Driver/library version mismatch', {
        hint: 'Load the new module.',
      }),
    },
    verdict: 'critical',
    finds: ['cluster.device-plugin-not-ready'],
    action: ['update-software', 'reboot-node'],
  },
  'MIG with strategy mixed: 4 whole GPUs, 4 cut by 7': {
    source: 'NVIDIA/k8s-device-plugin, README (MIG strategies)',
    node: {
      labels: { ...discovered, 'nvidia.com/mig.strategy': 'mixed' },
      capacity: { [gpu]: 4, 'nvidia.com/mig-1g.10gb': 28 },
      allocatable: { [gpu]: 4, 'nvidia.com/mig-1g.10gb': 28 },
    },
    agent: {
      gpus: h100Node(
        Object.fromEntries(
          [0, 1, 2, 3].map((index) => [
            index,
            h100Sample(index, {
              mig: {
                enabled: true,
                pendingEnabled: true,
                devices: Array.from({ length: 7 }, (_, slice) => ({
                  index: slice,
                  uuid: `MIG-${index}${slice}000000-0000-5000-8000-000000000000`,
                  gpuInstanceId: slice + 7,
                  computeInstanceId: 0,
                  profile: '1g.10gb',
                  memoryTotalBytes: 10 * 1024 ** 3,
                  memoryUsedBytes: 0,
                  multiprocessorCount: 16,
                  gpuSliceCount: 1,
                  computeSliceCount: 1,
                  placementStart: slice,
                  placementSize: 1,
                })),
              },
            }),
          ]),
        ),
      ),
    },
    verdict: 'ok',
    finds: ['cluster.mig-slices'],
    spares: ['cluster.capacity-above-hardware', 'cluster.capacity-below-hardware'],
    action: [undefined],
  },
  'time-slicing, as labels tell': {
    source: 'NVIDIA/k8s-device-plugin, README (shared access to GPUs)',
    node: {
      labels: { ...discovered, 'nvidia.com/gpu.replicas': '4' },
      capacity: { [gpu]: 32 },
      allocatable: { [gpu]: 32 },
    },
    verdict: 'ok',
    finds: ['cluster.gpus-shared'],
    spares: ['cluster.capacity-above-hardware'],
    action: [undefined],
  },
  'time-slicing without GPU feature discovery: no label tells': {
    source: 'NVIDIA/k8s-device-plugin, README (feature discovery is optional)',
    node: { labels: {}, capacity: { [gpu]: 32 }, allocatable: { [gpu]: 32 } },
    verdict: 'ok',
    finds: ['cluster.gpus-shared'],
    spares: ['cluster.capacity-above-hardware'],
    action: [undefined],
  },
  'DRA without a device plugin': {
    source: 'Kubernetes, "Dynamic Resource Allocation"; NVIDIA/k8s-dra-driver-gpu',
    node: { labels: {}, capacity: {}, allocatable: {} },
    pods: [operand('nvidia-dra-driver-gpu-kubelet-plugin', true)],
    verdict: 'ok',
    finds: [],
    spares: [
      'cluster.device-plugin-absent',
      'cluster.plugin-not-registered',
      'cluster.capacity-below-hardware',
    ],
    action: [undefined],
  },
  cordoned: {
    source: 'Kubernetes, "Nodes" (unschedulable)',
    node: { isUnschedulable: true },
    verdict: 'ok',
    finds: ['cluster.cordoned'],
    action: [undefined],
  },
  'the operator upgrades the driver': {
    source: `${operator} (driver upgrade states)`,
    node: {
      labels: { ...discovered, 'nvidia.com/gpu-driver-upgrade-state': 'pod-restart-required' },
      allocatable: { [gpu]: 0 },
      isUnschedulable: true,
    },
    pods: [operand('nvidia-driver-daemonset', false), crashing],
    verdict: 'warning',
    finds: ['cluster.driver-upgrade', 'cluster.operand-not-ready', 'cluster.cordoned'],
    action: ['monitor'],
  },
  'the kubelet restarted and the plugin has not registered again': {
    source: `${plugins} (a plugin registers again after the kubelet restarts)`,
    node: { capacity: {}, allocatable: {} },
    verdict: 'warning',
    finds: ['cluster.plugin-not-registered'],
    action: ['restart-service'],
  },
  'GPUs kept for virtual machines': {
    source: 'NVIDIA GPU operator with KubeVirt (vm-passthrough: GPUs are bound to vfio-pci)',
    node: { labels: { 'nvidia.com/gpu.workload.config': 'vm-passthrough' }, capacity: {}, allocatable: {} },
    pods: [],
    agent: {
      gpus: [],
      host: h100Host({
        pciGpus: h100Bus(
          Object.fromEntries([0, 1, 2, 3, 4, 5, 6, 7].map((index) => [index, { driver: 'vfio-pci' }])),
        ),
        deviceNodes: [],
      }),
    },
    verdict: 'any',
    finds: ['cluster.gpus-for-virtual-machines'],
    spares: ['cluster.gpu-without-driver', 'cluster.device-plugin-absent'],
    action: [undefined],
  },
  'all are requested': {
    source: 'Kubernetes, "Managing Resources for Containers"',
    pods: [pluginPod(), gpuPod('train-0', 8)],
    verdict: 'ok',
    finds: ['cluster.all-requested'],
    action: [undefined],
  },
};

function clusterOf(node: ClusterNode, pods: readonly ClusterPod[]): Cluster {
  const all = async () => ({ items: pods, isComplete: true, gaps: [] });
  return {
    node: async () => ({ object: node, gaps: [] }),
    podsOnNode: all,
    pod: async () => ({ object: null, gaps: [] }),
    pods: all,
    podsOfJob: all,
    events: async () => ({ items: [], isComplete: true, gaps: [] }),
    claims: async () => ({ items: [], isComplete: true, gaps: [] }),
  };
}

async function describeNode({ node, pods = [pluginPod()], agent }: Case) {
  const clock = fixedClock(startedAt);
  const real = rig({ host: h100Host(), ...agent });
  const tools = createClusterTools({
    cluster: clusterOf(nodeOf({ labels: discovered, ...node }), pods),
    askAgent: async (_node, tool, input) =>
      tool === 'get_pod_gpu_allocation'
        ? { content: null, reason: 'not-observable', detail: 'no socket' }
        : said(real, tool, input),
    clock,
  });
  const tool = tools.find(({ name }) => name === 'describe_gpu_node') ?? expect.fail('no tool');
  const pending = tool.call({ node: 'gpu-node-7' });
  for (let step = 0; step < 24; step += 1) {
    for (let again = 0; again < 8; again += 1) await turn();
    clock.advance(500);
  }
  const result = await pending;
  if (result.isError) return expect.fail(result.text);
  return result.structuredContent as StructuredContent & {
    readonly summary: string;
    readonly verdict: string;
    readonly findings: readonly { readonly ruleId: string; readonly action: Action }[];
    readonly nextSteps: readonly { readonly action: Action; readonly tool?: string }[];
  };
}

describe('nodes whose numbers differ', () => {
  test.each(Object.entries(cases))('%s', async (_, expected) => {
    const { verdict, finds, spares = [], action } = expected;
    const answer = await describeNode(expected);
    const ids = answer.findings.map(({ ruleId }) => ruleId);
    expect(ids, answer.summary).toEqual(expect.arrayContaining([...finds]));
    expect(
      ids.filter((id) => spares.includes(id)),
      answer.summary,
    ).toEqual([]);
    if (verdict !== 'any') expect(answer.verdict, answer.summary).toBe(verdict);
    const step = answer.nextSteps.find((each) => each.tool === undefined)?.action;
    expect(action, answer.summary).toContain(step);
    if (step && isDisruptive(step)) expect(answer.summary).toMatch(/Xid 79/);
  });

  test('planted fault: the plugin that is ready, and the numbers are asked to be wrong', async () => {
    const wrong =
      cases['the kubelet restarted and the plugin has not registered again'] ?? expect.fail('no case');
    const { node: _, ...well } = wrong;
    const answer = await describeNode(well);
    expect(answer.findings.map(({ ruleId }) => ruleId)).not.toContain('cluster.plugin-not-registered');
  });
});
