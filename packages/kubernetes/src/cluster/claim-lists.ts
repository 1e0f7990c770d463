import type { Clock, ClusterClaim, Gap, ListReading } from '@k8s-gpu-mcp/core';
import { KubernetesError } from '../kubernetes-api.ts';
import type { ClusterReader } from './cluster-reader.ts';
import { byNamespaceAndName } from './fields.ts';
import { readClaim } from './read-claim.ts';

/** The newest first. Source: Kubernetes, "Dynamic Resource Allocation": v1 since 1.34, v1beta2 since 1.33, v1beta1 since 1.32. */
const versions = ['v1', 'v1beta2', 'v1beta1'] as const;
type Version = (typeof versions)[number];

/** How long a cluster is believed to serve the version that it served. An upgrade changes it. */
const VERSION_MILLISECONDS = 60_000;
const PARALLEL = 4;
const MAXIMUM_NAMESPACES = 256;

export interface ClaimLists {
  read(namespaces: readonly string[], signal: AbortSignal): Promise<ListReading<ClusterClaim>>;
}

/** Lists of resource claims in whichever version of the API the cluster has. */
export function createClaimLists(reader: ClusterReader, clock: Clock, maximum: number): ClaimLists {
  let served: { readonly version: Version | null; readonly until: number } | undefined;

  async function inVersion(version: Version, namespace: string, signal: AbortSignal) {
    const question = {
      verb: 'list' as const,
      resource: 'resourceclaims.resource.k8s.io',
      where: `in namespace ${namespace}`,
      field: 'claims',
      query: { path: `/apis/resource.k8s.io/${version}/namespaces/${namespace}/resourceclaims` },
      maximum,
      read: readClaim,
    };
    try {
      return await reader.list(question, signal);
    } catch (error) {
      if (error instanceof KubernetesError && error.reason === 'not-found') return null;
      throw error;
    }
  }

  async function inNamespace(namespace: string, signal: AbortSignal): Promise<ListReading<ClusterClaim>> {
    const known = served !== undefined && clock.now() < served.until ? served.version : undefined;
    if (known === null) return { items: [], isComplete: true, gaps: [] };
    for (const version of known === undefined ? versions : new Set([known, ...versions])) {
      const read = await inVersion(version, namespace, signal);
      if (read === null) continue;
      if (read.items !== null) served = { version, until: clock.now() + VERSION_MILLISECONDS };
      return read;
    }
    served = { version: null, until: clock.now() + VERSION_MILLISECONDS };
    return { items: [], isComplete: true, gaps: [] };
  }

  return {
    async read(namespaces, signal) {
      const unique = [...new Set(namespaces)];
      const readings: ListReading<ClusterClaim>[] = [];
      const [first, ...rest] = unique.slice(0, MAXIMUM_NAMESPACES);
      // The first one finds the version, so that the others need not.
      if (first !== undefined) readings.push(await inNamespace(first, signal));
      const queue = rest.values();
      const worker = async () => {
        for (const namespace of queue) readings.push(await inNamespace(namespace, signal));
      };
      await Promise.all(Array.from({ length: PARALLEL }, worker));
      return merge(readings, unique.length, maximum);
    },
  };
}

function merge(
  readings: readonly ListReading<ClusterClaim>[],
  wanted: number,
  maximum: number,
): ListReading<ClusterClaim> {
  const gaps: Gap[] = readings.flatMap((each) => each.gaps).slice(0, 8);
  const read = readings.flatMap(({ items }) => (items === null ? [] : [items]));
  if (readings.length > 0 && read.length === 0) return { items: null, isComplete: false, gaps };
  const all = read.flat().sort(byNamespaceAndName);
  const cut = (detail: string) => gaps.push({ field: 'claims', reason: 'not-observable', detail });
  if (wanted > readings.length) cut(`the claims of ${wanted - readings.length} namespaces were not read`);
  if (all.length > maximum) cut(`there are more than ${maximum} claims: only so many were told`);
  const isComplete = gaps.length === 0 && readings.every((each) => each.isComplete);
  return { items: all.slice(0, maximum), isComplete, gaps };
}
