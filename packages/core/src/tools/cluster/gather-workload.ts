import { z } from 'zod';
import { deviceOfId, kindOfId, replicasOf } from '../../cluster/device-names.ts';
import { podDemand } from '../../cluster/pod-demand.ts';
import { endsOf, nodesInOrder } from '../../cluster/workload-failure-ends.ts';
import {
  afterMilliseconds,
  beforeMilliseconds,
  clockSkewMilliseconds,
  type PodEnd,
  timeOf,
  type WorkloadFacts,
  type WorkloadNodeFacts,
} from '../../cluster/workload-failure-facts.ts';
import { nearMilliseconds } from '../../diagnosis/explain/scope.ts';
import type { ClusterEvent, ClusterNode, ClusterObjectRef, ClusterPod } from '../../domain/cluster.ts';
import type { Gap } from '../../domain/gap.ts';
import type { ContainerDevices } from '../../ports/cluster.ts';
import type { Detail } from '../answer.ts';
import { hearFailure, hearPodResources, time } from './agent-answers.ts';
import { type AgentSaid, ask, type ClusterToolkit, readList, readObject } from './cluster-toolkit.ts';
import { type FoundWorkload, findWorkload, type WorkloadSubject } from './workload-subject.ts';

/** Nodes whose agents are asked. */
export const maximumNodesAsked = 8;
/** Pods whose events are read. */
const maximumPodsOfEvents = 3;
const maximumEvents = 200;
/** Clocks of nodes differ: an agent refuses a time that is in its future. */
const clockToleranceMilliseconds = 5_000;

export interface GatherOptions {
  /** ISO 8601: when it failed, for one who knows better than the cluster. */
  readonly at?: string | undefined;
  /** The flight recorder's timeline, too. */
  readonly withTimeline?: boolean;
  /** The agent's own report of that time, too. */
  readonly report?: { readonly detail: Detail; readonly redact: boolean };
}

/** What the agent of one node said, word for word. A raw answer is untrusted. */
export interface AgentAnswers {
  readonly explain_failure: AgentSaid;
  readonly analyze_xid_errors: AgentSaid;
  /** Undefined when it was not asked for. */
  readonly get_gpu_timeline?: AgentSaid;
  /** Undefined when it was not asked for. */
  readonly get_incident_report?: AgentSaid;
}

/** One node of a workload: the facts, and the answers that they come from. */
export interface WorkloadNodeEvidence extends WorkloadNodeFacts {
  readonly answers: AgentAnswers;
}

/** All that was read of a workload that failed: for its explanation, and for a report. */
export interface WorkloadEvidence extends WorkloadFacts, Pick<FoundWorkload, 'subject' | 'owner'> {
  /** Those that were asked, the most telling first; at most eight. */
  readonly nodes: readonly WorkloadNodeEvidence[];
  /** False when the workload has more pods than were read. */
  readonly isComplete: boolean;
  readonly gaps: readonly Gap[];
}

/**
 * Reads how a pod, or the pods of a job, ended, and what the nodes saw at that time: the cluster's events and conditions, and the agents of
 * the most telling nodes, all at once. What could not be had is a gap.
 * @throws GpuError INVALID_INPUT when there is no such workload.
 */
export async function gatherWorkload(
  toolkit: ClusterToolkit,
  subject: WorkloadSubject,
  signal: AbortSignal,
  { at, withTimeline = false, report }: GatherOptions = {},
): Promise<WorkloadEvidence> {
  const found = await findWorkload(toolkit, subject, signal);
  const { pods, owner } = found;
  const ends = endsOf(pods ?? [], at);
  const moment = momentOf(toolkit, ends, at);
  const order = nodesInOrder(pods ?? [], ends);
  // What has no time left would only make the answer late.
  const asked = signal.aborted ? [] : order.slice(0, maximumNodesAsked);
  const [events, nodes] = await Promise.all([
    readEvents(toolkit, found, ends, signal),
    Promise.all(
      asked.map((name) =>
        readNode(toolkit, name, { pods: pods ?? [], ends, moment, withTimeline, report }, signal),
      ),
    ),
  ]);
  const unasked = order.length - asked.length;
  return {
    kind: found.subject.kind,
    subject: found.subject,
    owner,
    pods,
    ends,
    moment,
    nodes: nodes.map(({ evidence }) => evidence),
    nodeCount: order.length,
    events: events.items,
    isComplete: found.isComplete,
    gaps: [
      ...found.gaps,
      ...events.gaps,
      ...mergedGaps(nodes.map(({ evidence, gaps }) => ({ node: evidence.name, gaps }))),
      ...(unasked > 0
        ? [
            {
              field: 'nodes',
              reason: 'not-observable' as const,
              detail: `${unasked} more nodes were not asked`,
            },
          ]
        : []),
    ],
  };
}

function momentOf(
  { clock }: ClusterToolkit,
  ends: readonly PodEnd[],
  at: string | undefined,
): WorkloadFacts['moment'] {
  const now = clock.now();
  if (at !== undefined) return { at, basis: 'asked' };
  const times = ends.flatMap(({ endedAt }) => timeOf(endedAt) ?? []);
  const [lead] = ends;
  if (times.length === 0) return { at: new Date(now).toISOString(), basis: 'now' };
  // An API server whose clock is ahead does not make the failure one of the future.
  const first = Math.min(now, ...times);
  return { at: new Date(first).toISOString(), basis: lead?.fact.container === null ? 'pod' : 'container' };
}

async function readEvents(
  toolkit: ClusterToolkit,
  { subject, owner, pods }: FoundWorkload,
  ends: readonly PodEnd[],
  signal: AbortSignal,
) {
  if (signal.aborted) {
    const late: Gap = { field: 'events', reason: 'timeout', detail: 'the deadline had passed' };
    return { items: null, gaps: [late] };
  }
  const { namespace } = subject;
  const chosen = new Map(
    [...ends.map(({ pod }) => pod), ...(pods ?? []).filter(({ node }) => node === null), ...(pods ?? [])].map(
      (pod) => [pod.name, pod] as const,
    ),
  );
  const abouts: ClusterObjectRef[] = [...chosen.values()]
    .slice(0, maximumPodsOfEvents)
    .map(({ name, uid }) => ({ kind: 'Pod', namespace, name, uid }));
  if (pods === null && subject.kind === 'pod')
    abouts.push({ kind: 'Pod', namespace, name: subject.name, uid: null });
  if (owner) abouts.push({ kind: owner.kind, namespace, name: owner.name, uid: owner.uid });
  const lists = await Promise.all(
    abouts.map((about) => readList(toolkit, 'events', signal, () => toolkit.cluster.events(about, signal))),
  );
  const items = lists.flatMap((list) => list.items ?? []);
  return {
    items: lists.some((list) => list.items !== null) ? newestFirst(items).slice(0, maximumEvents) : null,
    gaps: lists.flatMap(({ gaps }) => gaps),
  };
}

const newestFirst = (events: readonly ClusterEvent[]) =>
  events.toSorted((a, b) => (timeOf(b.lastAt) ?? 0) - (timeOf(a.lastAt) ?? 0));

interface Asked {
  readonly pods: readonly ClusterPod[];
  readonly ends: readonly PodEnd[];
  readonly moment: WorkloadFacts['moment'];
  readonly withTimeline: boolean;
  readonly report: GatherOptions['report'];
}

async function readNode(toolkit: ClusterToolkit, name: string, asked: Asked, signal: AbortSignal) {
  const { moment, withTimeline, report } = asked;
  const now = toolkit.clock.now();
  const end = Math.min(timeOf(moment.at) ?? now, now - clockToleranceMilliseconds);
  const iso = (milliseconds: number) => new Date(milliseconds).toISOString();
  const about = { kind: 'Node', namespace: null, name, uid: null };
  const isNow = moment.basis === 'now';
  // One signal each: a platform warns of one that many wait for.
  const apart = () => AbortSignal.any([signal]);
  const askFor = (tool: string, input: Readonly<Record<string, unknown>>) =>
    ask(toolkit, name, tool, input, apart());
  const readFrom = [apart(), apart()] as const;
  // An agent refuses a time that is in its future, as the present is for a clock that is behind.
  const askAt = async (tool: string, key: 'at' | 'around', more: Readonly<Record<string, unknown>> = {}) => {
    if (isNow) return askFor(tool, more);
    const said = await askFor(tool, { [key]: iso(end), ...more });
    const isRefused = said.content === null && said.reason === 'error';
    return isRefused && now - end < clockSkewMilliseconds
      ? askFor(tool, { [key]: iso(now - clockSkewMilliseconds), ...more })
      : said;
  };
  const own = asked.pods.filter((pod) => pod.node === name);
  const ownEnds = asked.ends.filter(({ pod }) => pod.node === name);
  const [firstOwn] = ownEnds
    .filter(({ endedAt }) => timeOf(endedAt) !== undefined)
    .toSorted((a, b) => (timeOf(a.endedAt) ?? 0) - (timeOf(b.endedAt) ?? 0));
  const until =
    Math.max(end + nearMilliseconds, timeOf(firstOwn?.endedAt ?? null) ?? end) + afterMilliseconds;
  const [object, events, explained, xidErrors, devices, timeline, ownReport] = await Promise.all([
    readObject(toolkit, 'node', readFrom[0], () => toolkit.cluster.node(name, readFrom[0])),
    readList(toolkit, 'events', readFrom[1], () => toolkit.cluster.events(about, readFrom[1])),
    askAt('explain_failure', 'at'),
    // Later errors, too, as far as the agent takes them for near: else its conclusion could not be told from one of what came after.
    askFor('analyze_xid_errors', {
      since: iso(end - beforeMilliseconds),
      ...(isNow ? {} : { until: iso(Math.min(until, now + clockSkewMilliseconds)) }),
      // What a boot has ended since counts for information now; at the time it was what it was.
      minimumSeverity: 'info',
      limit: 64,
    }),
    askFor('get_pod_gpu_allocation', { limit: 200 }),
    withTimeline ? askAt('get_gpu_timeline', 'around') : undefined,
    report ? askAt('get_incident_report', 'at', report) : undefined,
  ]);
  const heard = hearFailure(explained, xidErrors);
  const logBeginsAt = isNow
    ? null
    : beginningAfter(explained, xidErrors, Math.max(end, Date.parse(moment.at)));
  const held = gpusOn(object.object, own, asked.ends, hearPodResources(devices));
  const evidence: WorkloadNodeEvidence = {
    name,
    node: object.object,
    isGone: object.object === null && object.gaps.length === 0,
    diagnosis: heard.diagnosis && {
      ...heard.diagnosis,
      canReadLog: heard.diagnosis.canReadLog && logBeginsAt === null,
    },
    incidents:
      heard.incidents?.filter(({ severity, standing }) => severity !== 'info' || standing === 'recovered') ??
      null,
    events: events.items?.slice(0, maximumEvents) ?? null,
    gpus: held.gpus,
    areGpusShared: held.areShared,
    firstEndAt: firstOwn?.endedAt ?? null,
    firstStartAt: firstOwn?.fact.startedAt ?? null,
    logBeginsAt,
    podCount: own.length,
    answers: {
      explain_failure: explained,
      analyze_xid_errors: xidErrors,
      ...(timeline === undefined ? {} : { get_gpu_timeline: timeline }),
      ...(ownReport === undefined ? {} : { get_incident_report: ownReport }),
    },
  };
  const missing = Object.entries({
    get_gpu_timeline: timeline,
    get_incident_report: ownReport,
  }).flatMap(([tool, said]): readonly Gap[] =>
    said?.content === null ? [{ field: `agent.${tool}`, reason: said.reason, detail: said.detail }] : [],
  );
  const late: readonly Gap[] =
    logBeginsAt === null
      ? []
      : [{ field: 'kernelLog', reason: 'not-observable', detail: 'the kernel log begins after the failure' }];
  return { evidence, gaps: [...object.gaps, ...events.gaps, ...heard.gaps, ...missing, ...late] };
}

const logCoverage = z.object({ coverage: z.object({ kernelLog: z.object({ from: time }) }) });

/** Where the kernel log of an agent begins, when that is after a moment; null when it reaches back, or does not tell. */
function beginningAfter(explained: AgentSaid, xidErrors: AgentSaid, moment: number): string | null {
  const begins = [explained, xidErrors].map(
    ({ content }) => logCoverage.safeParse(content).data?.coverage.kernelLog.from ?? null,
  );
  // The one looks further back than the other, and a quiet log shows nothing at all in a short time.
  const [earliest = null] = begins.flatMap((at) => timeOf(at) ?? []).sort((a, b) => a - b);
  const isTold = earliest !== null && begins[0] !== null;
  return isTold && earliest > moment + afterMilliseconds ? new Date(earliest).toISOString() : null;
}

/** GPUs of the workload on a node: all when it asks for all; else those that the kubelet names, where it still does. */
function gpusOn(
  node: ClusterNode | null,
  own: readonly ClusterPod[],
  ends: readonly PodEnd[],
  devices: readonly ContainerDevices[] | null,
): { readonly gpus: WorkloadNodeFacts['gpus']; readonly areShared: boolean } {
  // Earlier runs held the same GPUs one after the other, and count once.
  const ofRun = new Set(ends.map(({ pod }) => pod.uid));
  const together = own.filter(({ uid, phase }) => ofRun.has(uid) || phase === 'Running');
  const demand = together.reduce((sum, pod) => sum + (podDemand(pod)['nvidia.com/gpu'] ?? 0), 0);
  const capacity = node?.capacity?.['nvidia.com/gpu'] ?? 0;
  if (capacity > 0 && demand >= capacity && isWholeNode(node)) return { gpus: 'all', areShared: false };
  const names = new Set(together.map(({ namespace, name }) => `${namespace}/${name}`));
  const ids = (devices ?? [])
    .filter(({ namespace, pod }) => names.has(`${namespace}/${pod}`))
    .flatMap((each) => each.devices.flatMap(({ deviceIds }) => deviceIds));
  const uuids = ids.map(deviceOfId);
  const replicas = node === null ? null : replicasOf(node.labels, 'nvidia.com/gpu');
  const areShared = (replicas ?? 1) > 1 || ids.some((id) => kindOfId(id) === 'shared');
  // A slice is known by a UUID of its own, which tells nothing of its GPU.
  if (uuids.length === 0 || uuids.some((id) => kindOfId(id) !== 'whole')) return { gpus: null, areShared };
  return { gpus: [...new Set(uuids)], areShared };
}

/** Whether `nvidia.com/gpu` counts every GPU of the node: none is cut into slices, or was left out when the plugin started. */
function isWholeNode(node: ClusterNode | null): boolean {
  const { capacity, labels } = node ?? {};
  const isCut = Object.entries(capacity ?? {}).some(
    ([resource, count]) => resource.startsWith('nvidia.com/mig-') && count > 0,
  );
  const labelled = Number(labels?.['nvidia.com/gpu.count'] ?? 0);
  return !isCut && !(labelled > (capacity?.['nvidia.com/gpu'] ?? 0));
}

/** The same gap of several nodes is one. */
function mergedGaps(
  nodes: readonly { readonly node: string; readonly gaps: readonly Gap[] }[],
): readonly Gap[] {
  const groups = new Map<string, { gap: Gap; nodes: string[] }>();
  for (const { node, gaps } of nodes) {
    for (const gap of gaps) {
      const key = JSON.stringify([gap.field, gap.reason]);
      const group = groups.get(key);
      if (group) group.nodes.push(node);
      else groups.set(key, { gap, nodes: [node] });
    }
  }
  return [...groups.values()].map(({ gap, nodes: names }) => ({
    ...gap,
    detail: `${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}: ${gap.detail}`,
  }));
}
