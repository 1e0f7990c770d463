import { deviceOfId, kindOfId } from '../../cluster/device-names.ts';
import { podDemand } from '../../cluster/pod-demand.ts';
import { endsOf, nodesInOrder } from '../../cluster/workload-failure-ends.ts';
import {
  afterMilliseconds,
  beforeMilliseconds,
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
import { hearFailure, hearPodResources } from './agent-answers.ts';
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
  const [object, events, explained, xidErrors, devices, timeline, ownReport] = await Promise.all([
    readObject(toolkit, 'node', readFrom[0], () => toolkit.cluster.node(name, readFrom[0])),
    readList(toolkit, 'events', readFrom[1], () => toolkit.cluster.events(about, readFrom[1])),
    askFor('explain_failure', isNow ? {} : { at: iso(end) }),
    // Later errors, too, as far as the agent takes them for near: else its conclusion could not be told from one of what came after.
    askFor('analyze_xid_errors', {
      since: iso(end - beforeMilliseconds),
      ...(isNow ? {} : { until: iso(Math.min(end + nearMilliseconds + afterMilliseconds, now)) }),
      minimumSeverity: 'warning',
      limit: 50,
    }),
    askFor('get_pod_gpu_allocation', { limit: 200 }),
    withTimeline ? askFor('get_gpu_timeline', isNow ? {} : { around: iso(end) }) : undefined,
    report ? askFor('get_incident_report', { ...(isNow ? {} : { at: iso(end) }), ...report }) : undefined,
  ]);
  const heard = hearFailure(explained, xidErrors);
  const own = asked.pods.filter((pod) => pod.node === name);
  const evidence: WorkloadNodeEvidence = {
    name,
    node: object.object,
    isGone: object.object === null && object.gaps.length === 0,
    diagnosis: heard.diagnosis,
    incidents: heard.incidents,
    events: events.items?.slice(0, maximumEvents) ?? null,
    gpus: gpusOn(object.object, own, asked.ends, hearPodResources(devices)),
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
  return { evidence, gaps: [...object.gaps, ...events.gaps, ...heard.gaps, ...missing] };
}

/** GPUs of the workload on a node: all when it asks for all; else those that the kubelet names, where it still does. */
function gpusOn(
  node: ClusterNode | null,
  own: readonly ClusterPod[],
  ends: readonly PodEnd[],
  devices: readonly ContainerDevices[] | null,
): WorkloadNodeFacts['gpus'] {
  // Earlier runs held the same GPUs one after the other, and count once.
  const ofRun = new Set(ends.map(({ pod }) => pod.uid));
  const together = own.filter(({ uid, phase }) => ofRun.has(uid) || phase === 'Running');
  const demand = together.reduce((sum, pod) => sum + (podDemand(pod)['nvidia.com/gpu'] ?? 0), 0);
  const capacity = node?.capacity?.['nvidia.com/gpu'] ?? 0;
  if (capacity > 0 && demand >= capacity) return 'all';
  const names = new Set(together.map(({ namespace, name }) => `${namespace}/${name}`));
  const ids = (devices ?? [])
    .filter(({ namespace, pod }) => names.has(`${namespace}/${pod}`))
    .flatMap((each) => each.devices.flatMap(({ deviceIds }) => deviceIds));
  const uuids = ids.map(deviceOfId);
  // A slice is known by a UUID of its own, which tells nothing of its GPU.
  if (uuids.length === 0 || uuids.some((id) => kindOfId(id) !== 'whole')) return null;
  return [...new Set(uuids)];
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
