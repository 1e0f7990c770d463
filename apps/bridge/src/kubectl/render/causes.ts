import { causeWords, type WorkloadCause } from '@k8s-gpu-mcp/core';

const workloadCauseWords: Readonly<Record<WorkloadCause, string>> = {
  ...causeWords,
  disruption: 'the cluster ended it (eviction, preemption or drain)',
  'node-lost': 'its node was lost',
  unschedulable: 'no node has room for it',
};

/** A cause in words; one of a newer engine by its name. */
export const causeWord = (cause: string): string =>
  Object.hasOwn(workloadCauseWords, cause) ? workloadCauseWords[cause as WorkloadCause] : cause;
