import type { GpuRef } from '../domain/gpu.ts';
import { pciDeviceKey } from '../domain/pci-address.ts';
import type { Group } from './group.ts';

export interface Attribution {
  /** The GPU of the inventory that a group is about. */
  gpuOf(group: Group): GpuRef | undefined;
  /** Whether the inventory has addresses, and the group's is not among them. */
  isMissing(group: Group): boolean;
}

/**
 * An identity line names the GPU better than an address, which another GPU may have by now; the address serves where there is none. A GPU
 * that fell off its bus is still counted but no longer tells its address: when it is the only one, and the log has a single lost address
 * that belongs to no other GPU, that is its address.
 */
export function attribution(gpus: readonly GpuRef[], groups: readonly Group[]): Attribution {
  const byUuid = new Map<string, GpuRef>();
  const byAddress = new Map<string, GpuRef>();
  for (const gpu of gpus) {
    if (gpu.uuid) byUuid.set(gpu.uuid, gpu);
    const key = pciDeviceKey(gpu.pciAddress);
    if (key) byAddress.set(key, gpu);
  }
  const unplaced = gpus.filter((gpu) => gpu.pciAddress === null);
  const lostAddresses = new Set(
    groups
      .filter(
        ({ subject, trusted }) => trusted !== false && (subject.xid === 79 || subject.kind === 'bus-loss'),
      )
      .flatMap(({ subject }) => subject.pciAddress ?? [])
      .filter((address) => !byAddress.has(address)),
  );
  const [lostGpu] = unplaced;
  const [lostAddress] = lostAddresses;
  if (lostGpu && lostAddress && unplaced.length === 1 && lostAddresses.size === 1)
    byAddress.set(lostAddress, lostGpu);
  return {
    gpuOf({ subject, uuid }) {
      const named = uuid === undefined ? undefined : byUuid.get(uuid);
      if (named) return named;
      const there = subject.pciAddress ? byAddress.get(subject.pciAddress) : undefined;
      const isReplaced = uuid !== undefined && there?.uuid !== null && there?.uuid !== uuid;
      return isReplaced ? undefined : there;
    },
    isMissing: ({ subject }) =>
      byAddress.size > 0 && subject.pciAddress !== null && !byAddress.has(subject.pciAddress),
  };
}
