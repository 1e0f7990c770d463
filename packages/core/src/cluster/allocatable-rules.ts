import type { Action, Confidence, Evidence, Finding, Verdict } from '../domain/verdict.ts';
import type { PublishedRule } from '../health/rule.ts';

const devicePlugins = 'Kubernetes, "Device plugins" (unhealthy devices lower allocatable and not capacity)';
const nvidiaPlugin = 'NVIDIA/k8s-device-plugin, README and internal/rm/health.go';
const crossCheck = 'leptonai/gpud; Amazon EKS node monitoring agent (GPU count mismatch)';
const migStrategies = 'NVIDIA/k8s-device-plugin, README (MIG strategies)';
const gpuOperator = 'NVIDIA GPU operator documentation (node labels and states)';
const nodes = 'Kubernetes, "Nodes" and "Taints and tolerations"';

/** Why a node gives out other numbers of devices than it has. `ok` explains and is no fault. */
const rules = {
  'cluster.gpu-without-driver': {
    title: 'GPUs without the vendor driver',
    threshold: 'fewer GPUs bound to the vendor driver than on the PCI bus',
    verdict: 'warning',
    action: 'update-software',
    source: crossCheck,
  },
  'cluster.gpus-for-virtual-machines': {
    title: 'GPUs kept for virtual machines',
    threshold: 'label nvidia.com/gpu.workload.config is vm-passthrough or vm-vgpu',
    verdict: 'ok',
    action: 'none',
    source: 'NVIDIA GPU operator with KubeVirt (workload configurations)',
    note: 'GPUs without the driver, and without a device plugin for containers, are meant to be so there.',
  },
  'cluster.gpu-missing-from-library': {
    title: 'GPUs missing from the driver',
    threshold: "fewer GPUs in NVML's list than are bound to the driver",
    verdict: 'critical',
    action: 'reboot-node',
    source: crossCheck,
    note: "Disruptive only where the agent's own finding has confirmed it.",
  },
  'cluster.gpu-not-answering': {
    title: 'GPUs that do not answer',
    threshold: 'fewer GPUs that answer than NVML lists',
    verdict: 'critical',
    action: 'none',
    source: crossCheck,
    note: 'What to do is told by get_gpu_health of the node.',
  },
  'cluster.device-files-missing': {
    title: 'Device files missing',
    threshold: 'fewer /dev/nvidiaN than GPUs in the list of NVML',
    verdict: 'warning',
    action: 'restart-service',
    source: 'NVIDIA driver README (device files are made by nvidia-modprobe or nvidia-persistenced)',
  },
  'cluster.device-plugin-absent': {
    title: 'No device plugin',
    threshold: 'GPUs in the node, none in its capacity, and no pod of a device plugin or DRA driver',
    verdict: 'warning',
    action: 'update-software',
    source: nvidiaPlugin,
  },
  'cluster.device-plugin-not-ready': {
    title: 'Device plugin not ready',
    threshold: 'a pod of the device plugin or DRA driver that is not ready',
    verdict: 'warning',
    action: 'restart-service',
    source: devicePlugins,
  },
  'cluster.device-plugin-held-back': {
    title: 'Device plugin held back by the operator',
    threshold: 'label nvidia.com/gpu.deploy.device-plugin is not true',
    verdict: 'warning',
    action: 'monitor',
    source: gpuOperator,
  },
  'cluster.driver-upgrade': {
    title: 'Driver upgrade under way',
    threshold: 'label nvidia.com/gpu-driver-upgrade-state is neither upgrade-done nor upgrade-required',
    verdict: 'warning',
    action: 'monitor',
    source: 'NVIDIA GPU operator documentation (driver upgrade states)',
    note: 'While it is under way, operands that are not ready ask for patience and not for a restart.',
  },
  'cluster.operand-not-ready': {
    title: 'GPU software not ready',
    threshold: 'a driver, toolkit, validator or MIG manager pod that is not ready',
    verdict: 'warning',
    action: 'restart-service',
    source: gpuOperator,
  },
  'cluster.all-devices-withdrawn': {
    title: 'All devices withdrawn',
    threshold:
      'allocatable zero, and capacity above one, or above zero without a device plugin that is ready',
    verdict: 'warning',
    action: 'restart-service',
    source: `${devicePlugins}; a plugin that went away has all its devices unhealthy at once`,
  },
  'cluster.devices-unhealthy': {
    title: 'Devices marked unhealthy',
    threshold: 'allocatable below capacity, above zero',
    verdict: 'warning',
    action: 'restart-service',
    source: `${devicePlugins}; ${nvidiaPlugin}`,
    note: 'With an Xid on the node the verdict and the action are those of the Xid.',
  },
  'cluster.plugin-not-registered': {
    title: 'Device plugin not registered',
    threshold: 'device plugin ready, GPUs answer, capacity zero or absent',
    verdict: 'warning',
    action: 'restart-service',
    source: 'Kubernetes, "Device plugins" (a plugin must register again after the kubelet restarts)',
  },
  'cluster.capacity-below-hardware': {
    title: 'Capacity below the hardware',
    threshold: 'capacity below what the plugin should offer of the GPUs that answer',
    verdict: 'warning',
    action: 'restart-service',
    source: `${nvidiaPlugin}; the plugin lists devices when it starts`,
  },
  'cluster.capacity-above-hardware': {
    title: 'Capacity above the hardware',
    threshold: 'capacity above what the plugin should offer of the GPUs that answer',
    verdict: 'warning',
    action: 'restart-service',
    source: `${nvidiaPlugin}; the plugin lists devices when it starts`,
  },
  'cluster.requested-above-allocatable': {
    title: 'More requested than allocatable',
    threshold: 'requests of the pods on the node above allocatable',
    verdict: 'warning',
    action: 'monitor',
    source: devicePlugins,
  },
  'cluster.device-double-booked': {
    title: 'One device given twice',
    threshold: 'a whole GPU or MIG device with more than one pod that has not ended',
    verdict: 'warning',
    action: 'restart-service',
    source: 'Kubernetes, "Device plugins" (a device is given to one container at a time)',
    note: 'A kubelet that still lists a pod that has ended does not count: the phase of the pod decides.',
  },
  'cluster.all-requested': {
    title: 'All devices requested',
    threshold: 'requests equal allocatable, above zero',
    verdict: 'ok',
    action: 'none',
    source: 'Kubernetes, "Managing resources for containers"',
  },
  'cluster.gpus-shared': {
    title: 'GPUs shared',
    threshold:
      'label nvidia.com/gpu.replicas above 1, a .shared resource, or a multiple of the GPUs where no label of GPU feature discovery tells',
    verdict: 'ok',
    action: 'none',
    source: 'NVIDIA/k8s-device-plugin, README (shared access to GPUs)',
  },
  'cluster.mig-slices': {
    title: 'GPUs offered as MIG slices',
    threshold: 'nvidia.com/mig-* in capacity, or MIG strategy single',
    verdict: 'ok',
    action: 'none',
    source: migStrategies,
  },
  'cluster.mig-without-instances': {
    title: 'MIG enabled without instances',
    threshold: 'MIG enabled on GPUs and no MIG device at all',
    verdict: 'warning',
    action: 'check-app',
    source: migStrategies,
  },
  'cluster.mig-layout-invalid': {
    title: 'MIG layout does not fit the strategy',
    threshold: 'product label MIG-INVALID, or strategy single over unlike GPUs',
    verdict: 'warning',
    action: 'check-app',
    source: migStrategies,
  },
  'cluster.mig-config-not-applied': {
    title: 'MIG configuration not applied',
    threshold: 'label nvidia.com/mig.config.state is not success',
    verdict: 'warning',
    action: 'monitor',
    source: gpuOperator,
  },
  'cluster.node-not-ready': {
    title: 'Node not ready',
    threshold: 'condition Ready is False or Unknown',
    verdict: 'critical',
    action: 'restart-service',
    source: nodes,
  },
  'cluster.cordoned': {
    title: 'Node cordoned',
    threshold: 'spec.unschedulable',
    verdict: 'ok',
    action: 'none',
    source: nodes,
  },
  'cluster.tainted': {
    title: 'Node tainted',
    threshold: 'a taint NoSchedule or NoExecute other than that of a cordon',
    verdict: 'ok',
    action: 'none',
    source: nodes,
  },
} as const satisfies Record<string, Omit<PublishedRule, 'id'> & { verdict: Verdict; action: Action }>;

export type AllocatableRuleId = keyof typeof rules;

/** The table as published. */
export const clusterRules: readonly PublishedRule[] = Object.entries(rules).map(([id, row]) => ({
  id,
  ...row,
}));

export interface AllocatableFinding {
  readonly what: string;
  readonly evidence: readonly Evidence[];
  readonly verdict?: Verdict;
  readonly action?: Action;
  readonly confidence?: Confidence;
}

export function allocatableFinding(ruleId: AllocatableRuleId, rest: AllocatableFinding): Finding {
  const { verdict, action, source } = rules[ruleId];
  return { ruleId, verdict, action, source, confidence: 'high', ...rest };
}
