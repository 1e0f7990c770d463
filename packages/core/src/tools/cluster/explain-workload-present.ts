import { z } from 'zod';
import { type TerminationFact, terminationCause } from '../../cluster/termination.ts';
import {
  isHeard,
  type WorkloadExplanation,
  type WorkloadHypothesis,
} from '../../cluster/workload-failure.ts';
import { isNear } from '../../cluster/workload-failure-facts.ts';
import type { HardwareSign } from '../../cluster/workload-failure-hardware.ts';
import type { WorkloadRuleId } from '../../cluster/workload-failure-rules.ts';
import type { ClusterPod } from '../../domain/cluster.ts';
import type { Evidence, Finding } from '../../domain/verdict.ts';
import type { Detail } from '../answer.ts';
import type { StructuredContent } from '../tool.ts';
import { quarantine } from '../untrusted-text.ts';
import type { WorkloadEvidence, WorkloadNodeEvidence } from './gather-workload.ts';
import { clean, presentEvent } from './present-cluster.ts';

/** How much of each list an answer shows. */
export interface WorkloadCaps {
  readonly ways: number;
  readonly terminations: number;
  readonly events: number;
  readonly nodes: number;
  readonly incidents: number;
  readonly hypotheses: number;
  readonly findings: number;
}

const capsOfDetail: Readonly<Record<Detail, WorkloadCaps>> = {
  summary: { ways: 4, terminations: 4, events: 3, nodes: 4, incidents: 2, hypotheses: 3, findings: 4 },
  full: { ways: 16, terminations: 64, events: 24, nodes: 8, incidents: 16, hypotheses: 8, findings: 16 },
};
/** Four bytes are a token: 2,500 and 10,000 of them, less what surrounds the lists. */
const budgetBytes: Readonly<Record<Detail, number>> = { summary: 9_600, full: 38_000 };

/** The answer with as much of its lists as fits: all are shortened alike until it does. */
export function fitting(detail: Detail, build: (caps: WorkloadCaps) => StructuredContent): StructuredContent {
  let caps = capsOfDetail[detail];
  for (;;) {
    const answer = build(caps);
    if (bytesOf(answer) <= budgetBytes[detail] || caps.terminations <= 1) return answer;
    const { ways, terminations, events, nodes, incidents, hypotheses, findings } = caps;
    const less = (count: number) => Math.max(1, Math.floor(count * 0.7));
    caps = {
      ways: less(ways),
      terminations: less(terminations),
      events: less(events),
      nodes: less(nodes),
      incidents: less(incidents),
      hypotheses: less(hypotheses),
      findings: less(findings),
    };
  }
}

const bytesOf = (answer: StructuredContent) => new TextEncoder().encode(JSON.stringify(answer)).length;

export function presentSubject({ subject, owner, pods, nodeCount, isComplete }: WorkloadEvidence) {
  const { kind, namespace, name } = subject;
  return {
    kind,
    namespace,
    ...(kind === 'pod' ? { pod: name } : { job: { kind: subject.jobKind && clean(subject.jobKind), name } }),
    ...(kind === 'pod' && owner ? { owner: { kind: clean(owner.kind), name: clean(owner.name) } } : {}),
    podCount: pods?.length ?? null,
    ...(isComplete ? {} : { isComplete }),
    nodeCount,
    ...(kind === 'pod' && pods?.[0] ? { phase: pods[0].phase } : {}),
  };
}

/** In how many ways the pods ended, the first first. */
export function presentWays({ ends }: WorkloadEvidence, { ways }: WorkloadCaps) {
  const groups = new Map<string, { fact: TerminationFact; count: number; nodes: Set<string> }>();
  for (const { fact, pod } of ends) {
    const key = JSON.stringify([fact.kind, fact.reason, fact.exitCode]);
    const group = groups.get(key) ?? { fact, count: 0, nodes: new Set<string>() };
    group.count += 1;
    if (pod.node !== null) group.nodes.add(pod.node);
    groups.set(key, group);
  }
  return [...groups.values()].slice(0, ways).map(({ fact, count, nodes }) => ({
    kind: fact.kind,
    reason: fact.reason === null ? null : quarantine(fact.reason, 64),
    exitCode: fact.exitCode,
    podCount: count,
    nodeCount: nodes.size,
    meaning: fact.statement,
  }));
}

/** Of a pod, each of its containers; of a job, the end of each pod, the first first. */
export function presentTerminations(evidence: WorkloadEvidence, { terminations }: WorkloadCaps) {
  const [only] = evidence.pods ?? [];
  if (evidence.kind === 'pod')
    return only
      ? terminationCause(only)
          .facts.slice(0, terminations * 2)
          .map((fact) => presentFact(fact, only))
      : [];
  return evidence.ends.slice(0, terminations).map(({ pod, fact }) => presentFact(fact, pod));
}

function presentFact(fact: TerminationFact, { name, node }: ClusterPod) {
  const { kind, container, containerKind, which, reason, exitCode, signal, finishedAt, restartCount } = fact;
  return {
    pod: clean(name),
    node: node === null ? null : clean(node),
    ...(container === null ? {} : { container: clean(container) }),
    ...(containerKind === null || containerKind === 'main' ? {} : { containerKind }),
    ...(which === 'current' ? {} : { which }),
    kind,
    reason: reason === null ? null : quarantine(reason, 64),
    exitCode,
    ...(signal === null ? {} : { signal }),
    finishedAt,
    ...(restartCount > 0 ? { restartCount } : {}),
  };
}

/** Warnings near the failure, of its pods and owner, then of its nodes. */
export function presentEvents(evidence: WorkloadEvidence, { events }: WorkloadCaps, detail: Detail) {
  const { moment, nodes } = evidence;
  const all = [...(evidence.events ?? []), ...nodes.flatMap((node) => node.events ?? [])].filter(
    ({ type, reason, lastAt }) =>
      (detail === 'full' || type === 'Warning' || reason === 'Killing' || reason === 'Preempted') &&
      isNear(lastAt, moment.at),
  );
  return {
    events: all.slice(0, events).map((event) => ({
      about: { kind: quarantine(event.about.kind, 32), name: clean(event.about.name) },
      ...presentEvent(event),
    })),
    eventCount: evidence.events === null ? null : all.length,
  };
}

export function presentNodes(
  { nodes, moment }: WorkloadEvidence,
  hardware: readonly HardwareSign[],
  { nodes: maximum, incidents }: WorkloadCaps,
) {
  const guilty = new Map(hardware.toReversed().map(({ node }, place) => [node, place + 1]));
  return nodes
    .toSorted((a, b) => (guilty.get(b.name) ?? 0) - (guilty.get(a.name) ?? 0))
    .slice(0, maximum)
    .map((node) => presentNode(node, incidents, moment.basis !== 'now'));
}

/** Of an agent that tells no cause. It was asked about then and not about now: a fault of now is not denied by it. */
function noteOf({ diagnosis, incidents, logBeginsAt }: WorkloadNodeEvidence): string | undefined {
  if (diagnosis?.verdict !== 'unknown' || incidents?.length !== 0) return undefined;
  if (typeof logBeginsAt === 'string') return 'its kernel log begins after that time';
  return diagnosis.canReadLog ? 'no GPU error near that time' : undefined;
}

function presentNode(node: WorkloadNodeEvidence, maximumIncidents: number, isOfThen: boolean) {
  const { name, diagnosis, incidents, gpus, podCount, isGone, answers } = node;
  const ready = node.node?.conditions.find(({ type }) => type === 'Ready')?.status;
  const said = answers.explain_failure;
  const note = isOfThen ? noteOf(node) : undefined;
  return {
    node: clean(name),
    podCount,
    ready: isGone ? 'gone' : (ready ?? null),
    gpusHeld: gpus === null || gpus === 'all' ? gpus : gpus.slice(0, 8).map((id) => quarantine(id, 48)),
    // Null: its agent was not heard.
    verdict: diagnosis?.verdict ?? null,
    ...(diagnosis
      ? {
          notYourCode: diagnosis.notYourCode,
          cause: diagnosis.cause,
          ...(diagnosis.gpu === null ? {} : { gpu: diagnosis.gpu }),
          ...(note === undefined ? {} : { note }),
        }
      : { because: said.content === null ? said.reason : 'error' }),
    ...(isHeard(node) || diagnosis === null
      ? {}
      : { readable: { gpus: diagnosis.canReadGpus, kernelLog: diagnosis.canReadLog } }),
    incidents:
      incidents
        ?.slice(0, maximumIncidents)
        .map(({ id, kind, xid, sxid, gpu, firstAt, count, verdict, standing }) => ({
          id,
          ...(xid === undefined ? (sxid === undefined ? { kind } : { sxid }) : { xid }),
          ...(gpu ? { gpu: gpu.index } : {}),
          at: firstAt,
          ...(count > 1 ? { count } : {}),
          verdict,
          ...(standing === 'primary' ? {} : { standing }),
        })) ?? null,
    ...(incidents && incidents.length > maximumIncidents ? { incidentCount: incidents.length } : {}),
  };
}

/** A value may be a word of the kubelet. */
const presentEvidence = (evidence: readonly Evidence[]) =>
  evidence.slice(0, 3).map(({ value, ...rest }) => ({
    ...rest,
    value: typeof value === 'string' ? quarantine(value, 64) : value,
  }));

const simulatedCoverage = z.object({
  coverage: z.object({ gpuBackend: z.object({ simulated: z.literal(true) }) }),
});

/** Nodes whose agents say of themselves that their GPUs are simulated. */
export const simulatedNodeCountOf = ({ nodes }: Pick<WorkloadEvidence, 'nodes'>): number =>
  nodes.filter(({ answers }) =>
    Object.values(answers).some((said) => simulatedCoverage.safeParse(said?.content).success),
  ).length;

export const withSimulated = (summary: string, simulatedNodeCount: number): string =>
  simulatedNodeCount === 0 ? summary : `${summary} Simulated GPUs.`;

/** Of the first step: what the conclusion says at length stands in the summary. */
export function reasonOfAction(
  { what, cause, notYourCode }: WorkloadHypothesis,
  ruleId: WorkloadRuleId | undefined,
): string {
  if (notYourCode === true) return what;
  if (ruleId === 'workload.own-error' && cause === 'unknown') return "Read the first pod's last log lines.";
  if (ruleId === 'workload.host-memory' && cause === 'host-memory')
    return 'Raise the memory limit, or use less main memory.';
  if (ruleId === 'workload.node-memory' && cause === 'host-memory')
    return 'See what used up the main memory of the node.';
  return what;
}

export const presentHypothesis = ({ node, gpu, supports, ...rest }: WorkloadHypothesis) => ({
  ...rest,
  ...(node === null ? {} : { node: clean(node) }),
  ...(gpu === null ? {} : { gpu }),
  supports: presentEvidence(supports),
});

/** Fewer of them, each with what tells most. */
export const presentFindings = ({ findings }: WorkloadExplanation, caps: WorkloadCaps): readonly Finding[] =>
  findings.slice(0, caps.findings).map((finding) => ({ ...finding, evidence: finding.evidence.slice(0, 2) }));
