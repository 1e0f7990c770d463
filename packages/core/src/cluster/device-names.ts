import type { ClusterNode } from '../domain/cluster.ts';

/**
 * What one unit of a device resource is. `shared`: a share of a GPU in time (time-slicing, MPS), of which several are on one GPU.
 * `other`: a device of the vendor that is no GPU, or one whose nature is not known.
 */
export type DeviceKind = 'whole' | 'mig' | 'shared' | 'other';

const wholeResources = new Set(['nvidia.com/gpu', 'amd.com/gpu', 'gpu.intel.com/i915', 'gpu.intel.com/xe']);
const migName = /^nvidia\.com\/mig-[a-z0-9.+-]{1,48}?(\.shared)?$/;

/** `nvidia.com/gpu` and `nvidia.com/mig-...`, `.shared` or not: what counts GPUs of NVIDIA, or parts of them. */
export const isNvidiaGpuResource = (resource: string) =>
  resource === 'nvidia.com/gpu' || resource === 'nvidia.com/gpu.shared' || migName.test(resource);

/** Whether a unit of it is a GPU or a part of one. */
export const isGpuResource = (resource: string) =>
  wholeResources.has(resource) || isNvidiaGpuResource(resource) || resource === 'amd.com/gpu.shared';

type Labels = ClusterNode['labels'];

const labelOf = (labels: Labels, key: string) => (Object.hasOwn(labels, key) ? labels[key] : undefined);

/** MIG strategy of the device plugin, as GPU feature discovery labels it; null when no label tells. */
export function migStrategyOf(labels: Labels): 'none' | 'single' | 'mixed' | null {
  const value = labelOf(labels, 'nvidia.com/mig.strategy');
  return value === 'none' || value === 'single' || value === 'mixed' ? value : null;
}

/**
 * How many units of a resource one device is offered as: `nvidia.com/gpu.replicas`, or `nvidia.com/mig-1g.5gb.replicas` for a slice. Null
 * when no label tells. Source: GPU feature discovery, generated labels.
 */
export function replicasOf(labels: Labels, resource: string): number | null {
  const base = resource.replace(/\.shared$/, '');
  const text = labelOf(labels, `${base}.replicas`);
  return text !== undefined && /^\d{1,5}$/.test(text) ? Number(text) : null;
}

/** What a unit of the resource is on a node with these labels; without labels, by its name. */
export function kindOfResource(resource: string, labels: Labels = {}): DeviceKind {
  if (resource.endsWith('.shared')) return isGpuResource(resource) ? 'shared' : 'other';
  if ((replicasOf(labels, resource) ?? 1) > 1) return 'shared';
  if (migName.test(resource)) return 'mig';
  if (!wholeResources.has(resource)) return 'other';
  const isMigOnly =
    migStrategyOf(labels) === 'single' && /-MIG-/.test(labelOf(labels, 'nvidia.com/gpu.product') ?? '');
  return isMigOnly ? 'mig' : 'whole';
}

/** The device behind an id of the kubelet: time-sliced devices are called `GPU-...::3`. */
export const deviceOfId = (deviceId: string) => deviceId.replace(/::\d{1,6}$/, '');

/** What the id itself shows, which no label can contradict. */
export function kindOfId(deviceId: string): DeviceKind | null {
  if (deviceId !== deviceOfId(deviceId)) return 'shared';
  if (deviceId.startsWith('MIG-')) return 'mig';
  return deviceId.startsWith('GPU-') ? 'whole' : null;
}
