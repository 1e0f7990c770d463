import type { NotYourCode } from '../domain/diagnosis.ts';
import type { Confidence, Evidence } from '../domain/verdict.ts';
import { isNear, isOfMoment, type PodEnd, timeOf, type WorkloadFacts } from './workload-failure-facts.ts';
import { atOf, type ClusterReason, evidenceOf, meanings, open } from './workload-failure-reason.ts';
import { type WorkloadRuleId, workloadFinding } from './workload-failure-rules.ts';
import { reasonOfRunning } from './workload-failure-waiting.ts';

/** The end of the first pod that failed, or what keeps the workload from starting; undefined where nothing has gone wrong. Pure. */
export function clusterReason(facts: WorkloadFacts): ClusterReason | undefined {
  const [lead] = isOfMoment(facts) ? facts.ends : [];
  return lead ? reasonOfEnd(facts, lead) : reasonOfRunning(facts);
}

/** Why the kubelet itself evicts: the node runs short of something that is not its GPUs. */
const wordsOfKubelet: ReadonlySet<string> = new Set(['Evicted', 'TerminationByKubelet']);

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
  const isByKubelet =
    ruleId === 'workload.evicted' && (explained?.isByKubelet ?? wordsOfKubelet.has(fact.reason ?? ''));
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
    canBeHardware: meaning.canBeHardware && !isConfigured && !isByKubelet && fact.notYourCode !== false,
    confidence:
      isConfigured || fact.notYourCode === false ? 'high' : (explained?.confidence ?? meaning.confidence),
    notYourCode: explained?.notYourCode ?? meaning.notYourCode ?? fact.notYourCode,
    finding: workloadFinding(ruleId, {
      // What an event explains needs no guess beside it.
      what: [explained?.what, explained && vague.has(fact.kind) ? undefined : sentenceOf(fact.statement)]
        .filter((each) => each !== undefined)
        .join(' '),
      evidence:
        evidence.length > 0 ? evidence : [{ field: 'pod.phase', value: lead.pod.phase, ...atOf(endedAt) }],
      confidence: explained?.confidence ?? meaning.confidence,
    }),
  };
}

/** A finding stands alone, so it names what ended. */
const sentenceOf = (statement: string) => statement.replace(/^It ended itself /, 'The program ended itself ');

interface Behind {
  readonly ruleId: WorkloadRuleId;
  readonly what: string;
  readonly evidence: readonly Evidence[];
  readonly notYourCode?: NotYourCode;
  readonly confidence?: Confidence;
  /** Whether the kubelet evicted it for want of something. */
  readonly isByKubelet?: boolean;
}

/** Whether the whole node was short of memory, or the container alone at its limit. */
function memoryOfNode({ nodes, moment }: WorkloadFacts, { pod }: PodEnd): Behind | undefined {
  const own = nodes.find(({ name }) => name === pod.node);
  const event = own?.events?.find(
    ({ reason, lastAt }) => (reason === 'SystemOOM' || reason === 'OOMKilling') && isNear(lastAt, moment.at),
  );
  const pressed = own?.node?.conditions.find(
    ({ type, status, lastTransitionAt }) =>
      type === 'MemoryPressure' && status === 'True' && isNearEnd(lastTransitionAt, moment.at),
  );
  // The problem detector tells the kills of containers at their limit by the same word.
  if (!pressed && event?.reason !== 'SystemOOM') return undefined;
  return {
    ruleId: 'workload.node-memory',
    // Seen on a real 1.20 kubelet whose kernel words its lines in another way: the limit of one container was told as SystemOOM.
    ...(pressed
      ? { what: 'The node as a whole ran out of main memory, so another process may have used it up.' }
      : {
          what: 'The kubelet tells that the node as a whole ran out of main memory; some kubelets tell so, too, when one container reached its own limit.',
          confidence: 'medium',
        }),
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
    isByKubelet: true,
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

/** A node's state of now was there at the end, unless it is known to have begun later. */
function isNearEnd(since: string | null, end: string | null): boolean {
  const began = timeOf(since);
  const ended = timeOf(end);
  return began === undefined || ended === undefined || began <= ended + 5 * 60_000;
}

function eventBehind(facts: WorkloadFacts, { pod, endedAt, fact }: PodEnd): Behind | undefined {
  const { moment } = facts;
  const own = (facts.events ?? []).filter(
    ({ about, lastAt }) =>
      (about.kind !== 'Pod' || (about.name === pod.name && (about.uid === null || about.uid === pod.uid))) &&
      isNear(lastAt, moment.at),
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
      // A kubelet that told how it ended was there then.
      confidence: fact.kind === 'status-lost' ? 'high' : 'medium',
    };
  const ready = node?.node?.conditions.find(({ type }) => type === 'Ready');
  if (ready && ready.status !== 'True' && isNearEnd(ready.lastTransitionAt, endedAt))
    return {
      ruleId: 'workload.node-lost',
      what: 'The node is not ready.',
      evidence: [{ field: 'node.conditions.Ready', value: ready.status, ...atOf(ready.lastTransitionAt) }],
    };
  const boot = node?.events?.find(({ reason, lastAt }) => reason === 'Rebooted' && isNear(lastAt, moment.at));
  if (boot)
    return {
      ruleId: 'workload.node-lost',
      what: 'The node was booted while the pod was on it.',
      evidence: [evidenceOf(boot)],
      notYourCode: 'undecided',
      confidence: 'medium',
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
