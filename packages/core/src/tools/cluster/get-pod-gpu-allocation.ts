import { z } from 'zod';
import { allocatableFinding } from '../../cluster/allocatable-rules.ts';
import { type Allocation, allocationOf, type PodAllocation } from '../../cluster/allocation.ts';
import type { ClusterNode, ClusterPod } from '../../domain/cluster.ts';
import type { Gap } from '../../domain/gap.ts';
import { type Finding, type Verdict, worstVerdict } from '../../domain/verdict.ts';
import { GpuError } from '../../errors.ts';
import type { ContainerDevices, ListReading } from '../../ports/cluster.ts';
import { type Detail, findingsSchema, type NextStep } from '../answer.ts';
import { detailArgument } from '../arguments.ts';
import { cursorArgument, limitArgument, pageOf, parseCursor } from '../paging.ts';
import { defineTool } from '../tool.ts';
import { hearPodResources } from './agent-answers.ts';
import { clusterAnswerSchema, makeClusterAnswer, objectNameArgument } from './cluster-answer.ts';
import { ask, type ClusterToolkit, readList, readObject, tracedBy } from './cluster-toolkit.ts';
import { presentPod } from './present-cluster.ts';

/** Agents asked for the ids of one page. */
const maximumNodes = 8;
const maximumTotals = 24;
/** Ids of one share; a page of many pods names fewer. */
const idsOf = (detail: Detail) => (detail === 'full' ? 64 : 8);

interface Question {
  readonly namespace?: string | undefined;
  readonly pod?: string | undefined;
  readonly node?: string | undefined;
}

/** Who has which GPU, by what the cluster and the kubelets know. */
export function getPodGpuAllocation(shared: ClusterToolkit) {
  return defineTool({
    name: 'get_pod_gpu_allocation',
    title: 'GPU allocation of pods',
    description:
      'Which pod has which device: whole GPU, MIG slice, time-sliced share, or DRA claim; requests against allocatable per node; pods that wait for a device. Device ids come from the kubelet where the agent can read its pod-resources socket.',
    inputSchema: z.strictObject({
      namespace: objectNameArgument.describe('Default: all namespaces.').optional(),
      pod: objectNameArgument.describe('One pod; needs namespace.').optional(),
      node: objectNameArgument.describe('Only pods on this node.').optional(),
      limit: limitArgument('Pods', 10),
      cursor: cursorArgument,
      detail: detailArgument,
    }),
    outputSchema: clusterAnswerSchema({
      pods: z.array(z.looseObject({ namespace: z.string(), pod: z.string() })),
      pendingCount: z.number().nullable(),
      totals: z.array(z.looseObject({ resource: z.string() })),
      findings: findingsSchema,
      total: z.number().optional(),
      nextCursor: z.string().optional(),
    }),
    async handle({ limit, cursor, detail, ...question }, signal, _progress, context) {
      const toolkit = tracedBy(shared, context);
      const offset = parseCursor(cursor);
      const pods = await podsOf(toolkit, question, signal);
      const items = pods.items ?? [];
      const [claims, nodes] = await Promise.all([
        claimsOf(toolkit, items, signal),
        nodesOf(toolkit, question, items, signal),
      ]);
      const options = { nodes: nodes.byName, claims: claims.items };
      const known = allocationOf(items, null, options);
      const { items: shown, page } = pageOf([...known.pending, ...known.pods], offset, limit);
      const ids = await deviceIds(toolkit, shown, items, signal);
      const wanted = new Set(shown.map(({ podUid }) => podUid));
      const asked = ids.nodes;
      const withIds = allocationOf(
        items.filter(({ uid, node }) => wanted.has(uid) || (node !== null && asked.has(node))),
        ids.containers,
        options,
      );
      const byUid = new Map([...withIds.pending, ...withIds.pods].map((each) => [each.podUid, each]));
      const findings = findingsOf(known, withIds);
      const isRead = pods.items !== null;
      return makeClusterAnswer(toolkit.clock, detail, {
        node: question.node ?? null,
        verdict: verdictOf(isRead && pods.isComplete, findings),
        summary: summarise(isRead, known, findings, ids.containers !== null),
        payload: {
          pods: shown.map((each) => presentPod(byUid.get(each.podUid) ?? each, detail, idsOf(detail))),
          podCount: isRead ? known.pods.length : null,
          pendingCount: isRead ? known.pending.length : null,
          totals: isRead ? known.totals.slice(0, maximumTotals) : [],
          claimedDeviceCount: isRead ? known.claimedDeviceCount : null,
        },
        findings,
        gaps: [...pods.gaps, ...claims.gaps, ...nodes.gaps, ...ids.gaps],
        coverage: {
          node: nodes.wasAsked ? nodes.byName.size > 0 : null,
          pods: isRead,
          claims: claims.wasAsked ? claims.items !== null : null,
          events: null,
          agent: null,
          podResources: ids.containers !== null,
        },
        nextSteps: nextSteps(known, findings),
        page,
      });
    },
  });
}

/** @throws GpuError INVALID_INPUT for a pod without a namespace, or one that does not exist. */
async function podsOf(
  toolkit: ClusterToolkit,
  { namespace, pod, node }: Question,
  signal: AbortSignal,
): Promise<ListReading<ClusterPod>> {
  const { cluster } = toolkit;
  if (pod === undefined) {
    const read = await readList(toolkit, 'pods', signal, () =>
      node === undefined ? cluster.pods(namespace ?? null, signal) : cluster.podsOnNode(node, signal),
    );
    const items =
      read.items?.filter((each) => namespace === undefined || each.namespace === namespace) ?? null;
    return { ...read, items };
  }
  if (namespace === undefined)
    throw new GpuError('INVALID_INPUT', `pod = ${JSON.stringify(pod)} needs a namespace.`, {
      hint: 'Give namespace, too; without pod the tool lists all that hold devices.',
    });
  const { object, gaps } = await readObject(toolkit, 'pod', signal, () =>
    cluster.pod(namespace, pod, signal),
  );
  if (object === null && gaps.length === 0)
    throw new GpuError('INVALID_INPUT', `The cluster has no pod ${JSON.stringify(`${namespace}/${pod}`)}.`, {
      hint: 'Call get_pod_gpu_allocation with the namespace alone for the pods that hold devices.',
    });
  if (object !== null && node !== undefined && object.node !== node)
    throw new GpuError('INVALID_INPUT', `The pod is not on node ${JSON.stringify(node)}.`, {
      hint: 'Leave node out.',
    });
  return { items: object && [object], isComplete: object !== null, gaps };
}

/** Only of namespaces with a pod that uses one. */
async function claimsOf(toolkit: ClusterToolkit, pods: readonly ClusterPod[], signal: AbortSignal) {
  const namespaces = [
    ...new Set(pods.filter(({ claims }) => claims.length > 0).map(({ namespace }) => namespace)),
  ];
  if (namespaces.length === 0) return { items: [], gaps: [], wasAsked: false };
  const read = await readList(toolkit, 'claims', signal, () =>
    toolkit.cluster.claims(namespaces.sort(), signal),
  );
  return { ...read, wasAsked: true };
}

/** For totals: the node that was asked about, or the node of the pod. A thousand nodes are not read for one question. */
async function nodesOf(
  toolkit: ClusterToolkit,
  { node, pod, namespace }: Question,
  pods: readonly ClusterPod[],
  signal: AbortSignal,
) {
  const name = node ?? (pod === undefined ? null : (pods[0]?.node ?? null));
  const byName = new Map<string, ClusterNode>();
  if (name === null) return { byName, gaps: [], wasAsked: false };
  const { object, gaps } = await readObject(toolkit, 'node', signal, () =>
    toolkit.cluster.node(name, signal),
  );
  if (object === null && gaps.length === 0 && node !== undefined)
    throw new GpuError('INVALID_INPUT', `node = ${JSON.stringify(node)}: the cluster has no such node.`, {
      hint: 'Call get_gpu_inventory for the GPU nodes of the cluster.',
    });
  // The requests of one pod, or of one namespace, are not those of the node: set beside what it has they would look like free devices.
  const isWhole = pod === undefined && namespace === undefined;
  if (object !== null) byName.set(name, isWhole ? object : { ...object, capacity: null, allocatable: null });
  return { byName, gaps, wasAsked: true };
}

/** What the kubelets of a page's nodes gave to whom. */
async function deviceIds(
  toolkit: ClusterToolkit,
  shown: readonly PodAllocation[],
  pods: readonly ClusterPod[],
  signal: AbortSignal,
) {
  const all = [
    ...new Set(
      shown.flatMap(({ node, takes }) => (node === null || Object.keys(takes).length === 0 ? [] : [node])),
    ),
  ];
  const nodes = all.slice(0, maximumNodes);
  const said = await Promise.all(
    nodes.map((node) => ask(toolkit, node, 'get_pod_gpu_allocation', { limit: 200 }, signal)),
  );
  const heard = said.map(hearPodResources);
  // An agent is heard on the pods of its own node only.
  const nodeOf = new Map(pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod.node]));
  const containers = heard.flatMap((each, index) =>
    (each ?? []).filter(({ namespace, pod }) => nodeOf.get(`${namespace}/${pod}`) === nodes[index]),
  );
  const missed = heard.filter((each) => each === null).length;
  const gaps: Gap[] = [];
  const field = 'pods.shares.deviceIds';
  if (missed > 0) {
    const [reason] = said.flatMap((each) => (each.content === null ? [each.reason] : []));
    gaps.push({
      field,
      reason: reason ?? 'not-observable',
      detail: `which device it is was not told on ${missed} of ${nodes.length} nodes: the agent was not heard, or the kubelet's pod-resources socket is not mounted there`,
    });
  }
  if (all.length > nodes.length)
    gaps.push({
      field,
      reason: 'not-observable',
      detail: `${all.length - nodes.length} nodes of this page were not asked: ask for one node, or a smaller page`,
    });
  return {
    containers: heard.some((each) => each !== null)
      ? (containers satisfies readonly ContainerDevices[])
      : null,
    nodes: new Set(nodes),
    gaps,
  };
}

function findingsOf({ totals }: Allocation, { doubleBooked }: Allocation): readonly Finding[] {
  const over = totals
    .filter(({ free }) => free !== null && free < 0)
    .slice(0, 4)
    .map(({ resource, requested, allocatable }) =>
      allocatableFinding('cluster.requested-above-allocatable', {
        what: `Pods hold ${requested} ${resource}, of which the node gives out only ${allocatable}: devices went away under them.`,
        evidence: [
          { field: `requested.${resource}`, value: requested },
          { field: `allocatable.${resource}`, value: allocatable },
        ],
      }),
    );
  const [first] = doubleBooked;
  if (!first) return over;
  const twice = allocatableFinding('cluster.device-double-booked', {
    what: `${doubleBooked.length} device${doubleBooked.length === 1 ? ' is' : 's are'} given whole to more than one pod that has not ended.`,
    evidence: doubleBooked
      .slice(0, 4)
      .map(({ pods }) => ({ field: 'pods of one device', value: pods.length })),
  });
  return [twice, ...over];
}

const verdictOf = (isRead: boolean, findings: readonly Finding[]): Verdict =>
  worstVerdict([isRead ? 'ok' : 'unknown', ...findings.map(({ verdict }) => verdict)]);

const plural = (count: number, one: string) => `${count} ${one}${count === 1 ? '' : 's'}`;

/** How many devices they wait for; what a claim asks for is not counted in `takes`. */
function awaited(pending: readonly PodAllocation[]): string {
  const isKnown = pending.every(({ shares }) => shares.every(({ kind }) => kind !== 'claim'));
  const count = pending.reduce(
    (sum, { takes }) => sum + Object.values(takes).reduce((own, each) => own + each, 0),
    0,
  );
  return isKnown && count > 0 ? plural(count, 'device') : 'devices';
}

function summarise(
  isRead: boolean,
  { pods, pending, totals }: Allocation,
  findings: readonly Finding[],
  hasIds: boolean,
): string {
  if (!isRead) return 'The pods could not be read, so who holds which device is not known.';
  const parts = [`${plural(pods.length, 'pod')} hold${pods.length === 1 ? 's' : ''} devices.`];
  if (pending.length > 0)
    parts.push(
      `${plural(pending.length, 'pod')} wait${pending.length === 1 ? 's' : ''} for ${awaited(pending)}.`,
    );
  for (const { resource, requested, allocatable } of totals.slice(0, 3)) {
    if (allocatable !== null) parts.push(`${requested} of ${allocatable} ${resource} requested.`);
  }
  if (pods.length > 0 && !hasIds) parts.push('Which device each one has is not known.');
  if (findings[0]) parts.push(findings[0].what);
  return parts.join(' ');
}

function nextSteps({ pending }: Allocation, findings: readonly Finding[]): NextStep[] {
  const steps: NextStep[] = findings.slice(0, 1).map(({ action, what }) => ({ action, reason: what }));
  if (pending.length > 0)
    steps.push({
      action: 'none',
      reason: 'See why a node gives out fewer devices than it has.',
      tool: 'describe_gpu_node',
    });
  return steps;
}
