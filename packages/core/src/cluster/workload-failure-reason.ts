import type { ClusterEvent } from '../domain/cluster.ts';
import type { NotYourCode } from '../domain/diagnosis.ts';
import type { Confidence, Evidence, Finding } from '../domain/verdict.ts';
import { timeOf } from './workload-failure-facts.ts';
import type { WorkloadCause, WorkloadRuleId } from './workload-failure-rules.ts';

/** What the cluster alone says of a failure. */
export interface ClusterReason {
  readonly ruleId: WorkloadRuleId;
  readonly cause: WorkloadCause;
  readonly notYourCode: NotYourCode;
  readonly confidence: Confidence;
  /** True where this is known to have ended it, or kept it from starting; false where something else may be behind it. */
  readonly isDecisive: boolean;
  /** True where broken hardware brings the same about. */
  readonly canBeHardware: boolean;
  readonly finding: Finding;
  /** Where it is; absent for where the first pod ended, or no node. */
  readonly node?: string;
}

export type Meaning = Pick<ClusterReason, 'cause' | 'confidence' | 'isDecisive' | 'canBeHardware'> & {
  /** Instead of what the end itself says. */
  readonly notYourCode?: NotYourCode;
};

export const open: Meaning = { cause: 'unknown', confidence: 'low', isDecisive: false, canBeHardware: true };
const disruption: Meaning = {
  cause: 'disruption',
  confidence: 'high',
  isDecisive: true,
  canBeHardware: false,
};

export const meanings: Partial<Record<WorkloadRuleId, Meaning>> = {
  'workload.host-memory': {
    cause: 'host-memory',
    confidence: 'high',
    isDecisive: true,
    canBeHardware: false,
  },
  'workload.node-memory': {
    cause: 'host-memory',
    confidence: 'medium',
    isDecisive: true,
    canBeHardware: false,
    notYourCode: 'undecided',
  },
  'workload.crashed': { ...open, cause: 'application-fault' },
  'workload.probe-failed': { ...open, notYourCode: 'undecided' },
  'workload.not-startable': {
    cause: 'application-fault',
    confidence: 'high',
    isDecisive: true,
    canBeHardware: false,
  },
  // Drains and taints of health checks evict, too.
  'workload.evicted': { ...disruption, canBeHardware: true },
  'workload.preempted': { ...disruption, notYourCode: true },
  'workload.node-lost': {
    cause: 'node-lost',
    confidence: 'high',
    isDecisive: true,
    canBeHardware: true,
    notYourCode: true,
  },
  'workload.device-unavailable': {
    cause: 'unschedulable',
    confidence: 'medium',
    isDecisive: true,
    canBeHardware: true,
    notYourCode: true,
  },
  // Whether it asks for more than any node has, the scheduler does not say.
  'workload.insufficient-gpus': {
    cause: 'unschedulable',
    confidence: 'medium',
    isDecisive: true,
    canBeHardware: true,
    notYourCode: true,
  },
  'workload.unschedulable': {
    cause: 'unschedulable',
    confidence: 'medium',
    isDecisive: true,
    canBeHardware: false,
    notYourCode: 'undecided',
  },
};

export const atOf = (at: string | null) => (timeOf(at) === undefined || at === null ? {} : { at });

/** An event, in words of ours. */
export const evidenceOf = ({ about, reason, count, lastAt }: ClusterEvent): Evidence => ({
  field: `events.${about.kind === 'Node' ? 'node' : about.kind === 'Pod' ? 'pod' : 'owner'}.${wordOf(reason)}`,
  value: count,
  ...atOf(lastAt),
});
/** One word in CamelCase, by the API's convention; whatever else somebody wrote is not repeated. */
const wordOf = (reason: string) => (/^[A-Za-z]{1,64}$/.test(reason) ? reason : 'other');
