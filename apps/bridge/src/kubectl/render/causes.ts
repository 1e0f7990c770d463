import type { WorkloadCause } from '@k8s-gpu-mcp/core';

const causeWords: Readonly<Record<WorkloadCause, string>> = {
  none: 'nothing wrong is seen',
  unknown: 'the evidence does not tell the cause',
  'application-fault': 'the program did something wrong',
  'application-gpu-memory': 'the program ran out of GPU memory',
  'host-memory': 'out of main memory',
  'stalled-collective': 'a collective waits for a rank',
  'leftover-process': 'a leftover process holds the GPU',
  'gpu-memory': 'hardware (GPU memory)',
  'gpu-bus': 'hardware (GPU off its bus)',
  'pcie-link': 'hardware (PCIe link)',
  nvlink: 'hardware (NVLink)',
  nvswitch: 'hardware (NVSwitch or fabric)',
  'gpu-service': 'a service that the GPUs need',
  'gpu-firmware': 'GPU firmware',
  'gpu-hardware': 'hardware (GPU)',
  'gpu-missing': 'hardware (a GPU is missing)',
  thermal: 'heat',
  power: 'power',
  driver: 'the driver',
  configuration: 'how the node is set up',
  'host-hardware': 'hardware (host)',
  disruption: 'the cluster ended it (eviction, preemption or drain)',
  'node-lost': 'its node was lost',
  unschedulable: 'no node has room for it',
};

/** A cause in words; one of a newer engine by its name. */
export const causeWord = (cause: string): string =>
  Object.hasOwn(causeWords, cause) ? causeWords[cause as WorkloadCause] : cause;
