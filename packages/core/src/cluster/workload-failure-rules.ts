import { causes } from '../domain/diagnosis.ts';
import type { Action, Confidence, Evidence, Finding, Verdict } from '../domain/verdict.ts';
import type { PublishedRule } from '../health/rule.ts';

/** Beyond the causes that a node can show: what the cluster itself does to a workload. */
export const workloadCauses = [
  ...causes,
  /** Evicted, preempted, drained: ended by the cluster's own rules. */
  'disruption',
  /** The node stopped answering, was shut down or is gone. */
  'node-lost',
  /** No node has room for it, or the one it was given refused it. */
  'unschedulable',
] as const;
export type WorkloadCause = (typeof workloadCauses)[number];

const podLifecycle = 'Kubernetes, "Pod Lifecycle" (container states, termination)';
const debugPods = 'Kubernetes, "Determine the Reason for Pod Failure" and "Debug Pods"';
const memory = 'Kubernetes, "Assign Memory Resources to Containers and Pods" (OOMKilled)';
const pressure = 'Kubernetes, "Node-pressure Eviction"';
const disruptions = 'Kubernetes, "Disruptions" and "Pod Priority and Preemption"';
const shells = 'POSIX and Docker conventions (128 and the number of the signal)';
const nodes = 'Kubernetes, "Nodes" (heartbeats, graceful node shutdown)';
const devices = 'Kubernetes, "Device plugins" (admission of unhealthy devices)';

/** How a workload failed, and what that asks for. The hardware has rules of its own. */
const rules = {
  'workload.hardware': {
    title: 'Hardware error behind the failure',
    threshold:
      'an error that programs do not cause, on a GPU of the workload or on what its node shares, at most 35 minutes before its first end',
    verdict: 'critical',
    action: 'monitor',
    source: 'NVIDIA Xid catalogue; PyTorch, torch.distributed (timeouts of collectives)',
    note: "Verdict and action are those of the node's agent.",
  },
  'workload.hardware-beside': {
    title: 'Hardware error on a GPU that may not be of the workload',
    threshold:
      'such an error on a node of the workload, on a GPU that it did not hold or that nobody can tell',
    verdict: 'warning',
    action: 'monitor',
    source: 'NVIDIA Xid catalogue',
  },
  'workload.host-memory': {
    title: 'Out of main memory',
    threshold: 'a container ended with reason OOMKilled',
    verdict: 'warning',
    action: 'check-app',
    source: memory,
  },
  'workload.node-memory': {
    title: 'The node ran out of main memory',
    threshold: 'OOMKilled, with SystemOOM or MemoryPressure on its node near that time',
    verdict: 'warning',
    action: 'monitor',
    source: pressure,
  },
  'workload.killed': {
    title: 'Ended by SIGKILL',
    threshold: 'exit code 137 without reason OOMKilled, or another deadly signal',
    verdict: 'warning',
    action: 'check-app',
    source: shells,
  },
  'workload.asked-to-stop': {
    title: 'Asked to stop',
    threshold: 'exit code 143 or 130',
    verdict: 'warning',
    action: 'none',
    source: shells,
  },
  'workload.probe-failed': {
    title: 'A probe failed',
    threshold: 'SIGKILL or SIGTERM, with an event Unhealthy of a liveness or startup probe near that time',
    verdict: 'warning',
    action: 'check-app',
    source: podLifecycle,
  },
  'workload.crashed': {
    title: 'Crashed',
    threshold: 'exit code 132, 135, 136 or 139',
    verdict: 'warning',
    action: 'check-app',
    source: shells,
  },
  'workload.aborted': {
    title: 'Aborted',
    threshold: 'exit code 134',
    verdict: 'warning',
    action: 'check-app',
    source: shells,
  },
  'workload.own-error': {
    title: 'Ended itself with an error',
    threshold: 'an exit code from 1 to 125 or above 192',
    verdict: 'warning',
    action: 'check-app',
    source: debugPods,
  },
  'workload.not-startable': {
    title: 'The command cannot be run',
    threshold: 'exit code 126 or 127',
    verdict: 'warning',
    action: 'check-app',
    source: shells,
  },
  'workload.not-started': {
    title: 'Not started',
    threshold:
      'a container that waits with an error, or that the runtime could not start, or an event of what keeps the kubelet from making it',
    verdict: 'warning',
    action: 'check-app',
    source: debugPods,
  },
  'workload.status-lost': {
    title: 'Nobody saw how it ended',
    threshold: 'reason ContainerStatusUnknown, or Unknown',
    verdict: 'unknown',
    action: 'monitor',
    source: podLifecycle,
  },
  'workload.evicted': {
    title: 'Evicted',
    threshold: 'reason, condition or event of an eviction',
    verdict: 'warning',
    action: 'restart-app',
    source: `${pressure}; ${disruptions}`,
  },
  'workload.preempted': {
    title: 'Preempted',
    threshold: 'reason, condition or event of a preemption',
    verdict: 'warning',
    action: 'restart-app',
    source: disruptions,
  },
  'workload.deadline': {
    title: 'Deadline exceeded',
    threshold: 'reason DeadlineExceeded',
    verdict: 'warning',
    action: 'check-app',
    source: 'Kubernetes, "Jobs" (activeDeadlineSeconds)',
  },
  'workload.node-lost': {
    title: 'The node was lost',
    threshold:
      'reason NodeLost, a shutdown or boot of the node at that time, or a node that is gone or not ready since then at the latest',
    verdict: 'warning',
    action: 'restart-app',
    source: nodes,
  },
  'workload.device-unavailable': {
    title: 'The node refused the pod',
    threshold: 'reason UnexpectedAdmissionError or OutOf<resource>',
    verdict: 'warning',
    action: 'restart-app',
    source: devices,
  },
  'workload.insufficient-gpus': {
    title: 'No node has the GPUs',
    threshold:
      'an event FailedScheduling, or the message of condition PodScheduled, with an insufficient device resource',
    verdict: 'warning',
    action: 'none',
    source: debugPods,
  },
  'workload.unschedulable': {
    title: 'No node fits',
    threshold:
      'an event FailedScheduling, or condition PodScheduled with reason Unschedulable or SchedulingGated',
    verdict: 'warning',
    action: 'check-app',
    source: debugPods,
  },
  'workload.backing-off': {
    title: 'Starts again and again',
    threshold: 'a container in CrashLoopBackOff of whose last end nothing is told',
    verdict: 'warning',
    action: 'check-app',
    source: debugPods,
  },
  'workload.unknown': {
    title: 'How it ended is not told',
    threshold: 'a container that ended without reason and exit code',
    verdict: 'unknown',
    action: 'monitor',
    source: podLifecycle,
  },
} as const satisfies Record<string, Omit<PublishedRule, 'id'> & { verdict: Verdict; action: Action }>;

export type WorkloadRuleId = keyof typeof rules;

/** The table as published. */
export const workloadRules: readonly PublishedRule[] = Object.entries(rules).map(([id, row]) => ({
  id,
  ...row,
}));

export interface WorkloadFinding {
  readonly what: string;
  readonly evidence: readonly Evidence[];
  readonly gpu?: number;
  readonly verdict?: Verdict;
  readonly action?: Action;
  readonly confidence?: Confidence;
}

export function workloadFinding(ruleId: WorkloadRuleId, rest: WorkloadFinding): Finding {
  const { verdict, action, source } = rules[ruleId];
  return { ruleId, verdict, action, source, confidence: 'high', ...rest };
}
