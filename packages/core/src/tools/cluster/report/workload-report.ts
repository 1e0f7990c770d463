import type { WorkloadExplanation } from '../../../cluster/workload-failure.ts';
import type { ClusterEvent } from '../../../domain/cluster.ts';
import type { Gap } from '../../../domain/gap.ts';
import type { Finding } from '../../../domain/verdict.ts';
import { canonicalJson, contentId } from '../../report/content-id.ts';
import { redacted } from '../../report/redact-text.ts';
import { type ReportedGpu, shortGpu } from '../../report/reported-gpu.ts';
import { quarantine } from '../../untrusted-text.ts';
import {
  presentNodes,
  presentSubject,
  presentTerminations,
  presentWays,
  type WorkloadCaps,
} from '../explain-workload-present.ts';
import type { WorkloadNodeEvidence } from '../gather-workload.ts';
import { clean, presentNode } from '../present-cluster.ts';
import type { CitedIncident, CitedReport } from './agent-report.ts';
import type { WorkloadRedaction } from './workload-redaction.ts';
import { type Course, isOfFailure, type TimelineRow, timelineOf } from './workload-timeline.ts';

/** How much of each list a report shows. */
export interface ReportCaps extends WorkloadCaps {
  readonly timeline: number;
  /** Of each node that can be behind the failure, and of each other one. */
  readonly gpus: number;
  readonly otherGpus: number;
  /** Of each GPU. */
  readonly counters: number;
  /** Of each incident. */
  readonly rawLines: number;
}

type ExplainedNode = Omit<ReturnType<typeof presentNodes>[number], 'incidents' | 'incidentCount'> &
  Partial<Pick<ReturnType<typeof presentNodes>[number], 'incidents' | 'incidentCount'>>;

export type ReportedNode = ExplainedNode & {
  readonly cluster: ReturnType<typeof clusterStateOf>;
  /** Under which the agent of the node gives its whole report out; null when it gave none. */
  readonly reportId: string | null;
  readonly driverVersion: string | null;
  readonly computeApiVersion: string | null;
  readonly gpus: readonly ReportedGpu[];
  readonly errors: readonly ReturnType<typeof errorRow>[];
};

/** The evidence of a failed workload. Plain data; texts of others stand in `raw` and names. */
export interface WorkloadReport {
  readonly ownerChain: readonly { readonly kind: string; readonly name: string }[];
  readonly ways: ReturnType<typeof presentWays>;
  readonly terminations: ReturnType<typeof presentTerminations>;
  readonly timeline: readonly TimelineRow[];
  /** Those that were asked, the guilty first. */
  readonly nodes: readonly ReportedNode[];
  /** How many each list leaves out; a list that is whole is not named. */
  readonly omitted: Readonly<Record<string, number>>;
}

export interface ReportSources {
  readonly redaction: WorkloadRedaction;
  readonly explained: WorkloadExplanation;
  /** By the name that the evidence has for the node. */
  readonly reports: ReadonlyMap<string, CitedReport>;
  readonly course: Course;
}

/** As much of the evidence as the caps let through. */
export function assembleWorkloadReport(sources: ReportSources, caps: ReportCaps): WorkloadReport {
  const { redaction, explained, reports, course } = sources;
  const { evidence } = redaction;
  const timeline = timelineOf(course, redaction, caps.timeline);
  const nodes = presentNodes(evidence, explained.hardware, caps).flatMap((row): ReportedNode[] => {
    const node = evidence.nodes.find(({ name }) => clean(name) === row.node);
    if (!node) return [];
    const report = reports.get(node.name);
    const parts = partsOfNode(node, report, sources, caps);
    if (!report) return [{ ...row, ...parts }];
    // The report has the same errors, with their lines.
    const { incidents: _, incidentCount: __, ...rest } = row;
    return [{ ...rest, ...parts }];
  });
  const ways = presentWays(evidence, caps);
  const terminations = presentTerminations(evidence, caps);
  const counts = {
    timeline: timeline.rowCount - timeline.rows.length,
    terminations: evidence.kind === 'job' ? evidence.ends.length - terminations.length : 0,
    nodes: evidence.nodeCount - nodes.length,
  };
  return {
    ownerChain: ownerChainOf(redaction),
    ways,
    terminations,
    timeline: timeline.rows,
    nodes,
    omitted: Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0)),
  };
}

const maximumChain = 8;

/** From the pod's own controller up to the root. */
function ownerChainOf({ evidence: { owner, pods, ends } }: WorkloadRedaction) {
  const pod = ends[0]?.pod ?? pods?.[0];
  const chain = pod?.owner?.chain ?? (owner ? [owner] : []);
  return chain.slice(0, maximumChain).map(({ kind, name }) => ({ kind: clean(kind), name: clean(name) }));
}

function partsOfNode(
  node: WorkloadNodeEvidence,
  report: CitedReport | undefined,
  { redaction, explained }: ReportSources,
  caps: ReportCaps,
) {
  const errors = report?.incidents ?? [];
  const gpus = gpusInvolved(node, report?.gpus ?? [], explained);
  const shown = gpus.slice(0, isConcerned(node, explained) ? caps.gpus : caps.otherGpus);
  return {
    cluster: clusterStateOf(node),
    reportId: report?.reportId ?? null,
    driverVersion: report?.driverVersion ?? null,
    computeApiVersion: report?.computeApiVersion ?? null,
    gpus: shown.map((gpu) => withFewCounters(gpu, caps.counters)),
    ...(gpus.length > shown.length ? { gpuCount: gpus.length } : {}),
    errors: errors.slice(0, caps.incidents).map((incident) => errorRow(incident, redaction, caps)),
    ...(errors.length > caps.incidents ? { errorCount: errors.length } : {}),
  };
}

/** Whether something in the hardware of this node can be behind the failure, or its GPUs are known by name. */
const isConcerned = ({ name, gpus }: WorkloadNodeEvidence, { hardware }: WorkloadExplanation) =>
  hardware.some(({ node }) => node === name) || Array.isArray(gpus);

/** Those that the workload held, where that is known, and those with an error. */
function gpusInvolved(
  { name, gpus }: WorkloadNodeEvidence,
  reported: readonly ReportedGpu[],
  { hardware }: WorkloadExplanation,
): readonly ReportedGpu[] {
  if (gpus === null || gpus === 'all') return reported;
  const held = new Set(gpus.map((uuid) => uuid.toLowerCase()));
  const failing = new Set(hardware.flatMap(({ node, gpu }) => (node === name && gpu !== null ? [gpu] : [])));
  return reported.filter(({ index, uuid }) => failing.has(index) || held.has(uuid?.toLowerCase() ?? ''));
}

/** What the cluster says of a node now; null when it does not know it. */
function clusterStateOf({ node }: WorkloadNodeEvidence) {
  if (!node) return null;
  const { isUnschedulable, conditions, taints, kernelVersion, kubeletVersion } = presentNode(node, 'summary');
  return {
    isUnschedulable,
    conditions,
    taints,
    kernelVersion,
    kubeletVersion,
    ...(node.bootId === null ? {} : { bootId: quarantine(node.bootId, 64) }),
  };
}

function withFewCounters(gpu: ReportedGpu, maximum: number): ReportedGpu {
  const short = shortGpu(gpu);
  const omitted = Math.max(0, short.counters.length - maximum) + (short.omittedCounterCount ?? 0);
  return {
    ...short,
    counters: short.counters.slice(0, maximum),
    ...(omitted > 0 ? { omittedCounterCount: omitted } : {}),
  };
}

function errorRow(incident: CitedIncident, { text, isRedacted }: WorkloadRedaction, caps: ReportCaps) {
  const { id, error, title, gpu, pciAddress, count, firstAt, lastAt, verdict, action, standing, trusted } =
    incident;
  const citations = incident.citations.slice(0, caps.rawLines);
  return {
    id,
    error,
    title,
    gpu,
    pciAddress: pciAddress ?? null,
    count,
    firstAt: firstAt ?? null,
    lastAt: lastAt ?? null,
    verdict,
    action,
    standing,
    trusted,
    raw: incident.raw.slice(0, caps.rawLines).map((line) => quarantine(text(line), 400)),
    ...(citations.length > 0
      ? { citations: citations.map(({ file, line }) => ({ file: isRedacted ? redacted : file, line })) }
      : {}),
  };
}

const maximumEndsNamed = 1_000;
const factOfEvent =
  ({ message }: WorkloadRedaction) =>
  ({ about, type, reason, count, firstAt, lastAt, message: text }: ClusterEvent) => ({
    about: [about.kind, about.name],
    type,
    reason,
    count,
    firstAt,
    lastAt,
    message: message(text),
  });

/**
 * A name for the facts: ends, events, state of the nodes, the reports of their agents and the conclusion. The same in whatever form and
 * detail they are told, and whenever they are read; of what is redacted, made of what is left.
 */
export function workloadReportId({ redaction, explained, reports }: ReportSources): string {
  const { subject, owner, ends, events, nodes, moment, nodeCount, pods } = redaction.evidence;
  const { verdict, notYourCode, cause, confidence, action, findings } = explained;
  const factsOf = factOfEvent(redaction);
  const isAt = isOfFailure(redaction.evidence);
  const near = (list: readonly ClusterEvent[] | null) =>
    list?.filter(({ lastAt }) => isAt(lastAt)).map(factsOf) ?? null;
  return contentId(
    canonicalJson({
      subject,
      owner: owner && { kind: owner.kind, name: owner.name },
      failedAt: moment.basis === 'now' ? null : moment.at,
      podCount: pods?.length ?? null,
      nodeCount,
      endCount: ends.length,
      ends: ends.slice(0, maximumEndsNamed).map(({ pod, fact, endedAt }) => ({
        pod: pod.name,
        node: pod.node,
        endedAt,
        fact,
      })),
      events: near(events),
      nodes: nodes.map((node) => ({
        name: node.name,
        cluster: clusterStateOf(node),
        isGone: node.isGone,
        gpus: node.gpus,
        diagnosis: node.diagnosis,
        incidents: node.incidents,
        events: near(node.events),
        reportId: reports.get(node.name)?.reportId ?? null,
      })),
      concluded: {
        verdict,
        notYourCode,
        cause,
        confidence,
        action,
        rules: findings.map(({ ruleId }) => ruleId),
      },
    }),
  );
}

export const redactedGaps = (gaps: readonly Gap[], { text }: WorkloadRedaction): readonly Gap[] =>
  gaps.map((gap) => ({ ...gap, detail: text(gap.detail) }));

export const redactedFindings = (
  findings: readonly Finding[],
  { text }: WorkloadRedaction,
): readonly Finding[] =>
  findings.map((finding) => ({
    ...finding,
    evidence: finding.evidence.map(({ value, ...rest }) => ({
      ...rest,
      value: typeof value === 'string' ? text(value) : value,
    })),
  }));

/** What is said of a subject, for JSON and Markdown alike. */
export const subjectOfReport = ({ evidence }: WorkloadRedaction) => presentSubject(evidence);
