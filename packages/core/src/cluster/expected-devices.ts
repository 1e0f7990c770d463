import type { ClusterNode, DeviceCounts } from '../domain/cluster.ts';
import type { AgentInventory } from './agent-inventory.ts';
import { migStrategyOf, replicasOf } from './device-names.ts';

/**
 * What the NVIDIA device plugin should offer of this hardware, by its MIG strategy and its sharing as the labels tell. Null when that
 * cannot be said: no count, an unknown strategy beside MIG, or a layout that the strategy does not allow.
 * Source: NVIDIA/k8s-device-plugin, README (MIG strategies, shared access to GPUs).
 */
export function expectedDevices(
  { labels, capacity }: Pick<ClusterNode, 'labels' | 'capacity'>,
  { usableGpuCount, migGpuCount, migDevices }: AgentInventory,
): DeviceCounts | null {
  if (usableGpuCount === null) return null;
  const plain = unshared(migStrategyOf(labels), usableGpuCount, migGpuCount, migDevices);
  if (plain === null) return null;
  return Object.fromEntries(
    Object.entries(plain).map(([resource, count]) => {
      const replicas = Math.max(1, replicasOf(labels, resource) ?? 1);
      // Shared resources keep their name unless the plugin is told to rename them.
      const isRenamed = Object.hasOwn(capacity ?? {}, `${resource}.shared`);
      return [isRenamed ? `${resource}.shared` : resource, count * replicas];
    }),
  );
}

function unshared(
  strategy: ReturnType<typeof migStrategyOf>,
  gpuCount: number,
  migGpuCount: number | null,
  migDevices: AgentInventory['migDevices'],
): DeviceCounts | null {
  const gpu = 'nvidia.com/gpu';
  if (strategy === 'none' || migGpuCount === 0) return { [gpu]: gpuCount };
  if (strategy === null || migGpuCount === null || migDevices === null) return null;
  const profiles = Object.entries(migDevices);
  if (strategy === 'mixed') {
    const slices = profiles.map(([profile, count]) => [
      `nvidia.com/mig-${profile.replaceAll('+', '.')}`,
      count,
    ]);
    return { [gpu]: Math.max(0, gpuCount - migGpuCount), ...Object.fromEntries(slices) };
  }
  // The strategy `single` offers slices as GPUs, and wants all GPUs to be cut alike.
  const [only, another] = profiles;
  return migGpuCount === gpuCount && only && !another ? { [gpu]: only[1] } : null;
}
