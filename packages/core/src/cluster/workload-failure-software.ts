import type { ClusterEvent } from '../domain/cluster.ts';
import type { NotYourCode } from '../domain/diagnosis.ts';
import type { Confidence, Evidence, Finding } from '../domain/verdict.ts';
import { isNear, type PodEnd, timeOf, type WorkloadFacts } from './workload-failure-facts.ts';
import { type WorkloadCause, type WorkloadRuleId, workloadFinding } from './workload-failure-rules.ts';

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
}

type Meaning = Pick<ClusterReason, 'cause' | 'confidence' | 'isDecisive' | 'canBeHardware'> & {
  /** Instead of what the end itself says. */
  readonly notYourCode?: NotYourCode;
};

const open: Meaning = { cause: 'unknown', confidence: 'low', isDecisive: false, canBeHardware: true };
const disruption: Meaning = {
  cause: 'disruption',
  confidence: 'high',
  isDecisive: true,
  canBeHardware: false,
};

const meanings: Partial<Record<WorkloadRuleId, Meaning>> = {
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
  // Taints of health checks evict, too.
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
  'workload.insufficient-gpus': {
    cause: 'unschedulable',
    confidence: 'high',
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

/** The end of the first pod that failed, or what keeps the workload from starting; undefined where nothing has gone wrong. Pure. */
export function clusterReason(facts: WorkloadFacts): ClusterReason | undefined {
  const [lead] = facts.ends;
  return lead ? reasonOfEnd(facts, lead) : reasonOfWaiting(facts);
}

/** Ends that say little, and which an event may explain. */
const vague: ReadonlySet<string> = new Set(['killed', 'asked-to-stop', 'status-lost', 'unknown']);

function reasonOfEnd(facts: WorkloadFacts, lead: PodEnd): ClusterReason {
  const { fact, endedAt } = lead;
  const told = fact.kind === 'completed' ? 'unknown' : fact.kind;
  const explained =
    fact.kind === 'host-memory'
      ? memoryOfNode(facts, lead)
      : vague.has(fact.kind)
        ? eventBehind(facts, lead)
        : undefined;
  const ruleId: WorkloadRuleId = explained?.ruleId ?? `workload.${told}`;
  const meaning = meanings[ruleId] ?? open;
  const evidence: Evidence[] = [
    ...(fact.exitCode === null
      ? []
      : [{ field: 'container.exitCode', value: fact.exitCode, ...atOf(fact.finishedAt) }]),
    ...(fact.reason === null
      ? []
      : [{ field: fact.container === null ? 'pod.reason' : 'container.reason', value: fact.reason }]),
    ...(explained?.evidence ?? []),
  ];
  const isConfigured = fact.cause === 'configuration';
  const cause = meaning.cause === 'unknown' ? (fact.cause ?? 'unknown') : meaning.cause;
  return {
    ...meaning,
    cause,
    ruleId,
    isDecisive: meaning.isDecisive || isConfigured || fact.notYourCode === false,
    canBeHardware: meaning.canBeHardware && !isConfigured && fact.notYourCode !== false,
    confidence: isConfigured || fact.notYourCode === false ? 'high' : meaning.confidence,
    notYourCode: explained?.notYourCode ?? meaning.notYourCode ?? fact.notYourCode,
    finding: workloadFinding(ruleId, {
      what: [explained?.what, fact.statement].filter((each) => each !== undefined).join(' '),
      evidence:
        evidence.length > 0 ? evidence : [{ field: 'pod.phase', value: lead.pod.phase, ...atOf(endedAt) }],
      confidence: meaning.confidence,
    }),
  };
}

const atOf = (at: string | null) => (timeOf(at) === undefined || at === null ? {} : { at });

interface Behind {
  readonly ruleId: WorkloadRuleId;
  readonly what: string;
  readonly evidence: readonly Evidence[];
  readonly notYourCode?: NotYourCode;
}

const evidenceOf = ({ about, reason, count, lastAt }: ClusterEvent): Evidence => ({
  field: `events.${about.kind === 'Node' ? 'node' : about.kind === 'Pod' ? 'pod' : 'owner'}.${wordOf(reason)}`,
  value: count,
  ...atOf(lastAt),
});
/** One word in CamelCase, by the API's convention; whatever else somebody wrote is not repeated. */
const wordOf = (reason: string) => (/^[A-Za-z]{1,64}$/.test(reason) ? reason : 'other');

/** Whether the whole node was short of memory, or the container alone at its limit. */
function memoryOfNode({ nodes, moment }: WorkloadFacts, { pod }: PodEnd): Behind | undefined {
  const own = nodes.find(({ name }) => name === pod.node);
  const event = own?.events?.find(
    ({ reason, lastAt }) => (reason === 'SystemOOM' || reason === 'OOMKilling') && isNear(lastAt, moment.at),
  );
  const pressed = own?.node?.conditions.find(
    ({ type, status }) => type === 'MemoryPressure' && status === 'True',
  );
  // The problem detector tells the kills of containers at their limit by the same word.
  if (!pressed && event?.reason !== 'SystemOOM') return undefined;
  return {
    ruleId: 'workload.node-memory',
    what: 'The node as a whole ran out of main memory, so another process may have used it up.',
    evidence: [
      ...(event ? [evidenceOf(event)] : []),
      ...(pressed ? [{ field: 'node.conditions.MemoryPressure', value: 'True' }] : []),
    ],
  };
}

/** Words of the kubelet and of controllers in events. Sources: Kubernetes, "Disruptions", "Taints and Tolerations", "Liveness, Readiness, and Startup Probes". */
const wordsOfEvents: Readonly<Record<string, Omit<Behind, 'evidence'>>> = {
  Evicted: {
    ruleId: 'workload.evicted',
    what: 'The kubelet evicted the pod because the node ran short of something.',
  },
  TaintManagerEviction: {
    ruleId: 'workload.evicted',
    what: 'The pod was removed because its node got a taint that it does not tolerate.',
    notYourCode: true,
  },
  Preempted: {
    ruleId: 'workload.preempted',
    what: 'The scheduler took the place for a pod of higher priority.',
  },
  Preempting: { ruleId: 'workload.preempted', what: 'The kubelet took the place for a more important pod.' },
  NodeShutdown: { ruleId: 'workload.node-lost', what: 'The node was shut down.' },
  NodeNotReady: { ruleId: 'workload.node-lost', what: 'The node stopped answering while the pod was on it.' },
  DeadlineExceeded: {
    ruleId: 'workload.deadline',
    what: 'It ran longer than its activeDeadlineSeconds.',
    notYourCode: 'undecided',
  },
};

function eventBehind(facts: WorkloadFacts, { pod }: PodEnd): Behind | undefined {
  const { moment } = facts;
  const own = (facts.events ?? []).filter(
    ({ about, lastAt }) => (about.kind !== 'Pod' || about.name === pod.name) && isNear(lastAt, moment.at),
  );
  for (const event of own) {
    const word = Object.hasOwn(wordsOfEvents, event.reason) ? wordsOfEvents[event.reason] : undefined;
    if (word) return { ...word, evidence: [evidenceOf(event)] };
  }
  const node = facts.nodes.find(({ name }) => name === pod.node);
  if (node?.isGone)
    return {
      ruleId: 'workload.node-lost',
      what: 'The cluster has no such node any more.',
      evidence: [{ field: 'node', value: null }],
    };
  const ready = node?.node?.conditions.find(({ type }) => type === 'Ready');
  if (ready && ready.status !== 'True')
    return {
      ruleId: 'workload.node-lost',
      what: 'The node is not ready.',
      evidence: [{ field: 'node.conditions.Ready', value: ready.status, ...atOf(ready.lastTransitionAt) }],
    };
  const probe = own.find(
    ({ reason, message }) => reason === 'Unhealthy' && /^(?:Liveness|Startup) probe /.test(message),
  );
  if (probe)
    return {
      ruleId: 'workload.probe-failed',
      what: 'A liveness or startup probe failed, and the kubelet ends a container for that: it hung, or was too slow.',
      evidence: [evidenceOf(probe)],
    };
  return undefined;
}

/** `0/8 nodes are available: 8 Insufficient nvidia.com/gpu.` */
const insufficientDevice =
  /Insufficient (?:nvidia\.com|amd\.com|gpu\.intel\.com|habana\.ai|aws\.amazon\.com|google\.com)\//;

/** Pods that no node has yet. */
function reasonOfWaiting({ pods, events }: WorkloadFacts): ClusterReason | undefined {
  const waiting = (pods ?? []).filter(({ node, phase }) => node === null && phase === 'Pending');
  if (waiting.length === 0) return undefined;
  const names = new Set(waiting.map(({ name }) => name));
  const refusals = (events ?? []).filter(
    ({ about, reason }) => reason === 'FailedScheduling' && (about.kind !== 'Pod' || names.has(about.name)),
  );
  const short = refusals.find(({ message }) => insufficientDevice.test(message.slice(0, 2_000)));
  const [refusal = undefined] = short ? [short] : refusals;
  const isUnschedulable = waiting.some(({ conditions }) =>
    conditions.some(({ type, reason }) => type === 'PodScheduled' && reason === 'Unschedulable'),
  );
  if (!refusal && !isUnschedulable) return undefined;
  const ruleId: WorkloadRuleId = short ? 'workload.insufficient-gpus' : 'workload.unschedulable';
  const meaning = meanings[ruleId] ?? open;
  const count = waiting.length === 1 ? 'One pod waits' : `${waiting.length} pods wait`;
  return {
    ...meaning,
    ruleId,
    notYourCode: meaning.notYourCode ?? 'undecided',
    finding: workloadFinding(ruleId, {
      what: short
        ? `${count}: no node has enough free devices.`
        : `${count}: the scheduler finds no node that fits.`,
      evidence: refusal
        ? [evidenceOf(refusal)]
        : [{ field: 'pod.conditions.PodScheduled', value: 'Unschedulable' }],
      confidence: meaning.confidence,
    }),
  };
}
