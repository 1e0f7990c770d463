import type { WorkloadName } from '@k8s-gpu-mcp/core';
import { isLabelValue } from './resource-path.ts';

/** The training operator, and version 2 of the MPI operator. Source: Kubeflow, training-operator API, `JobNameLabel`. */
const training = ['training.kubeflow.org/job-name'];
const jobSet = ['jobset.sigs.k8s.io/jobset-name'];

/**
 * Labels that controllers put on every pod of a workload, with its name. They only narrow the question: the owners decide. Kinds some of
 * whose pods go without (the submitter of a RayJob) are not here. Sources: the documentation of each.
 */
const labelsByKind: Readonly<Record<string, readonly string[]>> = {
  // Also Volcano's Job, of the same kind.
  job: ['batch.kubernetes.io/job-name', 'job-name', 'volcano.sh/job-name'],
  jobset: jobSet,
  // Kubeflow Trainer makes a JobSet of the same name.
  trainjob: jobSet,
  leaderworkerset: ['leaderworkerset.sigs.k8s.io/name'],
  pytorchjob: training,
  tfjob: training,
  mpijob: training,
  xgboostjob: training,
  paddlejob: training,
  jaxjob: training,
  raycluster: ['ray.io/cluster'],
  workflow: ['workflows.argoproj.io/workflow'],
  sparkapplication: ['sparkoperator.k8s.io/app-name'],
};

/** Label selectors to try, in this order. None: only the owners tell. */
export function selectorsOf({ kind, name }: WorkloadName): readonly string[] {
  const labels = Object.hasOwn(labelsByKind, kind.toLowerCase()) ? labelsByKind[kind.toLowerCase()] : [];
  return isLabelValue(name) ? (labels ?? []).map((label) => `${label}=${name}`) : [];
}
