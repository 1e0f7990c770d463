import type { ClusterEvent, ClusterNode, ClusterPod } from '../domain/cluster.ts';
import type { Cause, NotYourCode } from '../domain/diagnosis.ts';
import type { Incident } from '../domain/incident.ts';
import type { Action, Confidence, Verdict } from '../domain/verdict.ts';
import type { TerminationFact } from './termination.ts';

/**
 * How long before the first end an error of the hardware may lie and still be behind it: a collective waits 10 minutes (NCCL) or 30
 * (other backends) before its watchdog ends the program. Source: PyTorch, torch.distributed, `timeout` of init_process_group.
 */
export const beforeMilliseconds = 35 * 60_000;
/** And how long after it: a log may be stamped late, and clocks of nodes differ. */
export const afterMilliseconds = 60_000;
/** By how much clocks of nodes, and the one of the API server, are taken to differ at most. Judged: kept times differ by far less. */
export const clockSkewMilliseconds = 120_000;

/** What the agent of a node made of the time of the failure, with its `explain_failure`. */
export interface AgentDiagnosis {
  readonly verdict: Verdict;
  readonly notYourCode: NotYourCode;
  readonly cause: Cause;
  readonly confidence: Confidence;
  readonly action: Action;
  /** Index; null for the node, or several. */
  readonly gpu: number | null;
  /** Of that GPU; null when nothing named it. */
  readonly gpuUuid: string | null;
  readonly findings: readonly {
    readonly ruleId: string;
    readonly verdict: Verdict;
    readonly action: Action;
    readonly gpu: number | null;
  }[];
  /** Whether the agent could read the driver, and the kernel log of that time. */
  readonly canReadGpus: boolean;
  readonly canReadLog: boolean;
}

/** How one pod ended, or does not start. */
export interface PodEnd {
  readonly pod: ClusterPod;
  /** What tells most of it. */
  readonly fact: TerminationFact;
  /** ISO 8601; null when nothing tells. */
  readonly endedAt: string | null;
}

/** A node on which the workload ran, and what its agent told. */
export interface WorkloadNodeFacts {
  readonly name: string;
  /** Null when the cluster did not tell. */
  readonly node: ClusterNode | null;
  /** Whether the cluster said that there is no such node any more. */
  readonly isGone: boolean;
  /** Null when the agent was not heard. */
  readonly diagnosis: AgentDiagnosis | null;
  /** Null when the kernel log was not read. */
  readonly incidents: readonly Incident[] | null;
  /** About the node; null when they were not read. */
  readonly events: readonly ClusterEvent[] | null;
  /** GPUs of the workload on this node: all, or by UUID; null when nobody told. */
  readonly gpus: 'all' | readonly string[] | null;
  /** Whether others may use those GPUs at the same time, by time-slicing or MPS. */
  readonly areGpusShared?: boolean;
  /** When the first of its pods on this node ended, by the node's own clock, ISO 8601; null when none is known to have. */
  readonly firstEndAt?: string | null;
  /** When the first of those that ended had begun, ISO 8601; null when it is not known. */
  readonly firstStartAt?: string | null;
  /** ISO 8601: where its kernel log begins, when that is after the failure. */
  readonly logBeginsAt?: string | null;
  readonly podCount: number;
}

/** What is known of a workload that failed. */
export interface WorkloadFacts {
  readonly kind: 'pod' | 'job';
  /** Null when they could not be read. */
  readonly pods: readonly ClusterPod[] | null;
  /** Of the newest run that failed; the first to end comes first, those without a time last. */
  readonly ends: readonly PodEnd[];
  /** When it failed, ISO 8601. */
  readonly moment: {
    readonly at: string;
    /** `now`: nothing has ended badly. */
    readonly basis: 'container' | 'pod' | 'event' | 'asked' | 'now';
  };
  /** Those that were asked. */
  readonly nodes: readonly WorkloadNodeFacts[];
  /** On which the workload ran. */
  readonly nodeCount: number;
  /** About its pods and its owner; null when none could be read. */
  readonly events: readonly ClusterEvent[] | null;
}

/** Milliseconds since 1970; undefined for what is no time. */
export function timeOf(text: string | null): number | undefined {
  const time = text === null ? Number.NaN : Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

/** Whether the first end is of the time that was asked about; true where nobody asked for one, or nothing tells. */
export function isOfMoment({ ends, moment }: Pick<WorkloadFacts, 'ends' | 'moment'>): boolean {
  const end = timeOf(ends[0]?.endedAt ?? null);
  const asked = timeOf(moment.at);
  if (moment.basis !== 'asked' || end === undefined || asked === undefined) return true;
  return Math.abs(end - asked) <= beforeMilliseconds;
}

/** Whether an event of that time may have to do with the failure. One without a time may. */
export function isNear(at: string | null, moment: string): boolean {
  const time = timeOf(at);
  const end = timeOf(moment);
  if (time === undefined || end === undefined) return true;
  return time >= end - beforeMilliseconds && time <= end + 5 * 60_000;
}
