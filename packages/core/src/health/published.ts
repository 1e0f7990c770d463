import { clusterRules } from '../cluster/allocatable-rules.ts';
import { workloadRules } from '../cluster/workload-failure-rules.ts';
import { crossCheckRules } from '../diagnosis/cross-check.ts';
import { diagnosticTestRules } from '../diagnosis/diagnostic-tests.ts';
import { driftRules } from '../diagnosis/drift.ts';
import { holderRules } from '../diagnosis/holder-findings.ts';
import { nodeRules } from './node-rules.ts';
import type { PublishedRule } from './rule.ts';
import { healthRules } from './rules.ts';

/**
 * Every rule that a finding of a reading can name: of one GPU, of the node, of what exists, of who holds it, of what differs, of what the cluster
 * gives out, and of how a workload ended.
 */
export const publishedRules: readonly PublishedRule[] = [
  ...healthRules,
  ...nodeRules,
  ...crossCheckRules,
  ...holderRules,
  ...diagnosticTestRules,
  ...driftRules,
  ...clusterRules,
  ...workloadRules,
];
