import type { ClusterContainer, ClusterPod, DeviceCounts } from '../domain/cluster.ts';

/** A pod that has ended holds nothing, whatever it asked for. One that is being deleted holds its devices until it has ended. */
export const hasEnded = ({ phase }: Pick<ClusterPod, 'phase'>) => phase === 'Succeeded' || phase === 'Failed';

/** What a container asks for. A limit alone is a request, too: for extended resources they must be equal. */
export function demandOf({ requests, limits }: ClusterContainer): DeviceCounts {
  return { ...limits, ...requests };
}

/**
 * Devices that a pod takes, as the scheduler counts: the larger of what runs together (containers and sidecars) and of what the hungriest
 * init container needs beside the sidecars before it. Ephemeral containers can ask for nothing.
 * Source: Kubernetes, "Init containers" and "Sidecar containers" (resource sharing within containers).
 */
export function podDemand({ containers }: Pick<ClusterPod, 'containers'>): DeviceCounts {
  const together = new Map<string, number>();
  const sidecars = new Map<string, number>();
  const peak = new Map<string, number>();
  const add = (sum: Map<string, number>, resource: string, count: number) =>
    sum.set(resource, (sum.get(resource) ?? 0) + count);
  for (const container of containers) {
    if (container.kind === 'ephemeral') continue;
    for (const [resource, count] of Object.entries(demandOf(container))) {
      if (!(count > 0)) continue;
      if (container.kind === 'init') {
        const needed = count + (sidecars.get(resource) ?? 0);
        peak.set(resource, Math.max(peak.get(resource) ?? 0, needed));
        continue;
      }
      if (container.kind === 'sidecar') add(sidecars, resource, count);
      add(together, resource, count);
    }
  }
  const resources = new Set([...together.keys(), ...peak.keys()]);
  return Object.fromEntries(
    [...resources]
      .sort()
      .map((resource) => [resource, Math.max(together.get(resource) ?? 0, peak.get(resource) ?? 0)]),
  );
}
