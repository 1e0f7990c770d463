import { type Gap, quarantine, type StructuredContent } from '@k8s-gpu-mcp/core';
import type { JoinedPod, KnownPods, PodJoin, ProcessPlace } from '../domain/pod-join.ts';
import { byText, field, fieldsOf, textOf, timeOf } from './untrusted-content.ts';
import { isNodeName, plural } from './words.ts';

/** Where an agent says that a process runs; null for a process of which it tells no such facts. */
export function placeOf(row: StructuredContent): ProcessPlace | null {
  const container = fieldsOf(field(row, 'container'));
  const id = textOf(field(container, 'id'), 80);
  const podUid = textOf(field(row, 'podUid'), 64);
  const isSeen = textOf(field(row, 'name'), 32) !== null || podUid !== null || id !== null;
  if (!isSeen) return null;
  return {
    podUid,
    container: id === null ? null : { id, runtime: textOf(field(container, 'runtime'), 16) },
    startedAt: timeOf(field(row, 'startedAt')),
  };
}

/** Pod, container and owner as an answer shows them, or why there are none. The API server checks names of pods, but not of owners. */
export function presentJoined(joined: JoinedPod | null): StructuredContent {
  if (joined === null) return { podBecause: 'process-not-visible' };
  if (joined.pod === null) return { podBecause: joined.because };
  const { pod, container, owner } = joined;
  return {
    pod: { namespace: quarantine(pod.namespace, 63), name: quarantine(pod.name, 253) },
    container: { name: quarantine(container, 63) },
    ...(owner ? { owner: { kind: quarantine(owner.kind, 63), name: quarantine(owner.name, 253) } } : {}),
  };
}

/** Whether an agent tells of a cgroup at all. */
export const hasFacts = (place: ProcessPlace | null): place is ProcessPlace =>
  place !== null && (place.podUid !== null || place.container !== null);

/** What only the gateway says of a process. An agent that says it is not believed. */
const fieldsOfGateway: ReadonlySet<string> = new Set(['pod', 'owner', 'podBecause']);

/** Adds pods and owners to one node's own answer of `get_gpu_processes` or `analyze_xid_errors`; all else stays as the agent told it. */
export function withPods(
  node: string,
  content: StructuredContent,
  { join, gaps }: KnownPods,
): StructuredContent {
  if (!isRecord(content)) return content;
  const rows = (list: unknown, isAll: boolean): unknown =>
    Array.isArray(list) ? list.map((row) => withPod(node, row, join, isAll)) : list;
  const processes = field(content, 'processes');
  const incidents = field(content, 'incidents');
  const own = field(content, 'gaps');
  return {
    ...content,
    ...(processes === undefined ? {} : { processes: rows(processes, true) }),
    ...(Array.isArray(incidents)
      ? {
          incidents: incidents.map((incident) =>
            isRecord(incident) && Object.hasOwn(incident, 'processes')
              ? { ...incident, processes: rows(incident['processes'], false) }
              : incident,
          ),
        }
      : {}),
    ...(gaps.length === 0 ? {} : { gaps: [...(Array.isArray(own) ? own : []), ...gaps.map(shownGap)] }),
  };
}

export const shownGap = ({ field: name, reason, detail }: Gap) => ({
  field: name,
  reason,
  detail: quarantine(detail, 200),
});

const isRecord = (value: unknown): value is StructuredContent =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `isAll`: also a process without any facts is told why it has no pod. */
function withPod(node: string, row: unknown, join: PodJoin | null, isAll: boolean): unknown {
  if (!isRecord(row)) return row;
  const told = Object.fromEntries(Object.entries(row).filter(([name]) => !fieldsOfGateway.has(name)));
  const container = field(told, 'container');
  if (isRecord(container) && Object.hasOwn(container, 'name')) {
    const { name: _, ...own } = container;
    told['container'] = own;
  }
  if (join === null) return told;
  const place = placeOf(row);
  // A line of the kernel log names a process that may be long gone: then the agent tells no facts of it.
  if (!isAll && !hasFacts(place)) return told;
  const joined = presentJoined(place && join(node, place));
  const named = fieldsOf(joined['container']);
  return {
    ...told,
    ...joined,
    ...(Object.hasOwn(joined, 'container')
      ? { container: { ...fieldsOf(told['container']), ...named } }
      : {}),
  };
}

/** A job, or a pod that nobody manages, and what its processes have. */
export interface GpuOwner {
  readonly namespace: string;
  readonly kind: string;
  readonly name: string;
  readonly gpuCount: number;
  readonly nodeCount: number;
  readonly podCount: number;
  readonly processCount: number;
  /** Null when one of its processes does not tell. */
  readonly memoryUsedBytes: number | null;
}

export interface JoinedHolder {
  readonly node: string;
  readonly gpus: readonly number[];
  readonly memoryUsedBytes: number | null;
  readonly joined: JoinedPod | null;
}

/** Who the holders of GPUs belong to: most GPUs first, then by name. */
export function gpuOwners(holders: readonly JoinedHolder[]): readonly GpuOwner[] {
  const groups = new Map<string, { first: OwnerName; holders: JoinedHolder[]; pods: Set<string> }>();
  for (const holder of holders) {
    const { joined } = holder;
    const name = joined && ownerName(joined);
    if (!joined?.pod || !name) continue;
    const key = JSON.stringify([name.namespace, name.kind, name.name]);
    const group = groups.get(key) ?? { first: name, holders: [], pods: new Set() };
    group.holders.push(holder);
    group.pods.add(joined.pod.uid);
    groups.set(key, group);
  }
  return [...groups.values()]
    .map(({ first, holders: own, pods }) => ({
      ...first,
      gpuCount: new Set(own.flatMap(({ node, gpus }) => gpus.map((gpu) => `${gpu} ${node}`))).size,
      nodeCount: new Set(own.map(({ node }) => node)).size,
      podCount: pods.size,
      processCount: own.length,
      memoryUsedBytes: own.reduce<number | null>(
        (sum, { memoryUsedBytes: bytes }) => (sum === null || bytes === null ? null : sum + bytes),
        0,
      ),
    }))
    .sort(
      (a, b) =>
        b.gpuCount - a.gpuCount ||
        b.nodeCount - a.nodeCount ||
        byText(a.namespace, b.namespace) ||
        byText(a.kind, b.kind) ||
        byText(a.name, b.name),
    );
}

export type OwnerName = Pick<GpuOwner, 'namespace' | 'kind' | 'name'>;

/** A pod that nobody manages is its own owner. */
export function ownerName(joined: JoinedPod): OwnerName | null {
  if (joined.pod === null) return null;
  const { pod, owner } = joined;
  return {
    namespace: quarantine(pod.namespace, 63),
    kind: quarantine(owner?.kind ?? 'Pod', 63),
    name: quarantine(owner?.name ?? pod.name, 253),
  };
}

/** For a sentence; null for what is no name in Kubernetes. */
export function sayOwner({ namespace, kind, name }: OwnerName): string | null {
  const isName = isNodeName(namespace) && isNodeName(name) && /^[A-Za-z][A-Za-z0-9]{0,62}$/.test(kind);
  return isName ? `${kind} ${namespace}/${name}` : null;
}

/** `2 jobs and pods hold GPUs, the most PyTorchJob ml/llama: 64 GPUs on 8 nodes.` */
export function sayOwners(owners: readonly GpuOwner[]): readonly string[] {
  const [first] = owners;
  const name = first && sayOwner(first);
  if (!first || !name) return [];
  const most = `${name}: ${plural(first.gpuCount, 'GPU')} on ${plural(first.nodeCount, 'node')}`;
  return [owners.length === 1 ? `Held by ${most}.` : `Held by ${owners.length} jobs, the most by ${most}.`];
}
