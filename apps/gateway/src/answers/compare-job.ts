import {
  type ClusterPod,
  deviceOfId,
  type Gap,
  kindOfResource,
  podDemand,
  type StructuredContent,
} from '@k8s-gpu-mcp/core';
import type { FanOutResult } from '../domain/node-outcome.ts';
import { createPodJoin } from '../domain/pod-join.ts';
import type { AgentNode } from '../ports/node-directory.ts';
import { gpuRowsOf } from './node-report.ts';
import { type OwnerName, placeOf, sayOwner } from './processes-pods.ts';
import { countOf, field, fieldsOf, gpuIndexOf, rowsOf, textOf } from './untrusted-content.ts';
import { plural } from './words.ts';

const maximumProcesses = 200;
const maximumContainers = 200;
const maximumDevices = 16;
const maximumIds = 128;

/** What tells which GPUs of a node a job has. `unknown`: all of the node's GPUs are compared. */
export const shareBases = ['device-ids', 'all-requested', 'processes', 'unknown'] as const;
export type ShareBasis = (typeof shareBases)[number];

/** The GPUs of one node that a job has. */
export interface NodeShare {
  readonly basis: ShareBasis;
  /** Null for all of the node. */
  readonly gpus: ReadonlySet<number> | null;
}

export const allGpus: NodeShare = { basis: 'unknown', gpus: null };

/** A job and where it runs, or ran. */
export interface JobOnNodes {
  readonly name: OwnerName;
  /** Those with a node that have, or had, GPUs; by namespace and name. */
  readonly pods: readonly ClusterPod[];
  /** Nodes of these pods that have an agent. */
  readonly nodes: readonly AgentNode[];
  readonly gaps: readonly Gap[];
}

/** What the agents of these nodes said to what a job's GPUs can be told from. */
export interface JobAnswers {
  readonly inventory: FanOutResult;
  readonly processes: FanOutResult;
  /** Of `get_pod_gpu_allocation`; agents that cannot see the kubelet's socket do not have it. */
  readonly allocation: FanOutResult;
}

/** A job and which GPUs it has. */
export interface JobShares extends JobOnNodes {
  readonly shares: ReadonlyMap<string, NodeShare>;
}

/**
 * Which GPUs of each node a job has: by the device ids that the kubelet gave to its pods; else all, where its pods ask for all; else those on
 * which its processes are, as long as they are as many as its pods ask for. An agent tells of its own node only.
 */
export function sharesOf(job: JobOnNodes, answers: JobAnswers): JobShares {
  const said = {
    inventory: contentsOf(answers.inventory),
    processes: contentsOf(answers.processes),
    allocation: contentsOf(answers.allocation),
  };
  const join = createPodJoin(job.pods);
  const podsOf = podsByNode(job.pods);
  const shares = new Map<string, NodeShare>();
  for (const { name, labels } of job.nodes) {
    const pods = podsOf.get(name) ?? [];
    const rows = gpuRowsOf(said.inventory.get(name) ?? {}) ?? [];
    const wanted = gpusWanted(pods, rows, labels);
    const given = givenTo(pods, rows, said.allocation.get(name));
    if (given) shares.set(name, { basis: 'device-ids', gpus: given });
    else if (wanted !== null && rows.length > 0 && wanted >= rows.length)
      shares.set(name, { basis: 'all-requested', gpus: null });
    else {
      const held = heldBy(name, join, said.processes.get(name));
      const isTold = held.size > 0 && held.size >= (wanted ?? Number.POSITIVE_INFINITY);
      shares.set(name, isTold ? { basis: 'processes', gpus: held } : allGpus);
    }
  }
  return { ...job, shares, gaps: [...job.gaps, ...gapsOf(shares)] };
}

function podsByNode(pods: readonly ClusterPod[]): ReadonlyMap<string, readonly ClusterPod[]> {
  const known = new Map<string, ClusterPod[]>();
  for (const pod of pods) {
    if (pod.node === null) continue;
    const others = known.get(pod.node);
    if (others) others.push(pod);
    else known.set(pod.node, [pod]);
  }
  return known;
}

function contentsOf({ outcomes }: FanOutResult): ReadonlyMap<string, StructuredContent> {
  return new Map(
    outcomes.flatMap((outcome) =>
      outcome.status === 'ok' ? [[outcome.node, fieldsOf(outcome.content)] as const] : [],
    ),
  );
}

/** Whole GPUs that the pods ask for; null where a unit may be a part of a GPU, or a claim stands for it. */
function gpusWanted(
  pods: readonly ClusterPod[],
  rows: readonly StructuredContent[],
  labels: AgentNode['labels'],
): number | null {
  if (rows.some((row) => field(row, 'migEnabled') === true)) return null;
  let sum = 0;
  for (const pod of pods) {
    if (pod.claims.length > 0) return null;
    for (const [resource, count] of Object.entries(podDemand(pod))) {
      const kind = kindOfResource(resource, labels);
      if (kind === 'whole') sum += count;
      else if (kind !== 'other') return null;
    }
  }
  return sum;
}

/** By device ids of every one of the pods that asks for a device; undefined where one is not told, or is no GPU of the node. */
function givenTo(
  pods: readonly ClusterPod[],
  rows: readonly StructuredContent[],
  allocation: StructuredContent | undefined,
): ReadonlySet<number> | undefined {
  if (allocation === undefined) return undefined;
  const indexOf = indexOfDevice(rows);
  const wanting = pods.filter((pod) => pod.claims.length > 0 || Object.keys(podDemand(pod)).length > 0);
  const open = new Set(wanting.map(({ namespace, name }) => `${namespace}/${name}`));
  const ours = new Set(open);
  const gpus = new Set<number>();
  for (const row of rowsOf(field(allocation, 'containers'), maximumContainers)) {
    const key = `${textOf(field(row, 'namespace'), 63) ?? ''}/${textOf(field(row, 'pod'), 253) ?? ''}`;
    if (!ours.has(key)) continue;
    if (rowsOf(field(row, 'claims'), 1).length > 0) return undefined;
    for (const { id, resource } of idsOf(row)) {
      if (kindOfResource(resource) === 'other') continue;
      const index = indexOf.get(deviceOfId(id));
      if (index === undefined) return undefined;
      gpus.add(index);
      open.delete(key);
    }
  }
  return open.size === 0 && gpus.size > 0 ? gpus : undefined;
}

function idsOf(row: StructuredContent): readonly { readonly id: string; readonly resource: string }[] {
  return rowsOf(field(row, 'devices'), maximumDevices).flatMap((device) => {
    const resource = textOf(field(device, 'resourceName'), 128) ?? '';
    const ids = field(device, 'deviceIds');
    return (Array.isArray(ids) ? ids.slice(0, maximumIds) : []).map((id) => ({
      id: textOf(id, 96) ?? '',
      resource,
    }));
  });
}

/** The GPU behind a UUID, of a MIG slice too. */
function indexOfDevice(rows: readonly StructuredContent[]): ReadonlyMap<string, number> {
  const known = new Map<string, number>();
  for (const row of rows) {
    const index = gpuIndexOf(field(row, 'index'));
    if (index === null) continue;
    for (const device of [row, ...rowsOf(field(row, 'migDevices'), 16)]) {
      const uuid = textOf(field(device, 'uuid'), 96);
      if (uuid !== null) known.set(uuid, index);
    }
  }
  return known;
}

function heldBy(
  node: string,
  join: ReturnType<typeof createPodJoin>,
  content: StructuredContent | undefined,
): ReadonlySet<number> {
  const gpus = new Set<number>();
  for (const row of rowsOf(field(content ?? {}, 'processes'), maximumProcesses)) {
    const place = placeOf(row);
    if (place === null || join(node, place).pod === null) continue;
    for (const share of rowsOf(field(row, 'gpus'), maximumIds)) {
      const index = gpuIndexOf(field(share, 'index'));
      if (index !== null && (countOf(field(share, 'memoryUsedBytes')) ?? 1) > 0) gpus.add(index);
    }
  }
  return gpus;
}

function gapsOf(shares: ReadonlyMap<string, NodeShare>): readonly Gap[] {
  const count = [...shares.values()].filter(({ basis }) => basis === 'unknown').length;
  if (count === 0) return [];
  const detail = `which GPUs are the job's is not known on ${plural(count, 'node')}, so all GPUs there are compared`;
  return [{ field: 'job.gpus', reason: 'not-observable', detail }];
}

export function presentJob({ name, pods, shares }: JobShares): StructuredContent {
  const bases = [...shares.values()].map(({ basis }) => basis);
  const counts = shareBases.map((basis) => [basis, bases.filter((each) => each === basis).length] as const);
  return {
    ...name,
    podCount: pods.length,
    nodeCount: new Set(pods.map(({ node }) => node)).size,
    gpusKnownBy: Object.fromEntries(counts.filter(([, count]) => count > 0)),
  };
}

export function sayJob({ name, pods, shares }: JobShares): string {
  const nodeCount = new Set(pods.map(({ node }) => node)).size;
  const unknown = [...shares.values()].filter(({ basis }) => basis === 'unknown').length;
  const note =
    unknown > 0 ? ` On ${plural(unknown, 'node')} all GPUs, as it is not known which are its own.` : '';
  return `${sayOwner(name) ?? 'The job'}: ${plural(pods.length, 'pod')} on ${plural(nodeCount, 'node')}.${note}`;
}
