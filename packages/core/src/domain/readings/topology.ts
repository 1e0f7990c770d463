/** What two GPUs have in common on the way to each other, nearest first. `nvidia-smi topo` spells them PIX, PXB, PHB, NODE and SYS. */
export const commonAncestors = [
  'same-board',
  'single-switch',
  'multiple-switches',
  'host-bridge',
  'numa-node',
  'system',
] as const;
export type CommonAncestor = (typeof commonAncestors)[number];

export const peerAccessStatuses = [
  'ok',
  'chipset-not-supported',
  'gpu-not-supported',
  'topology-not-supported',
  'disabled-by-regkey',
  'not-supported',
  'unknown',
] as const;
export type PeerAccessStatus = (typeof peerAccessStatuses)[number];

/** How this GPU reaches another one of the node. */
export interface GpuPeer {
  readonly index: number;
  readonly commonAncestor: CommonAncestor | null;
  readonly read: PeerAccessStatus | null;
  readonly write: PeerAccessStatus | null;
  readonly nvlink: PeerAccessStatus | null;
  readonly atomics: PeerAccessStatus | null;
  readonly pcie: PeerAccessStatus | null;
}

export interface GpuTopology {
  /** Of the GPU's own memory where it is a NUMA node (Grace), else null. */
  readonly memoryNumaNode: number | null;
  /** CPUs nearest to the GPU, as ranges: `0-31,64-95`. */
  readonly cpuAffinity: string | null;
  /** NUMA nodes nearest to the GPU, as ranges: `0`. */
  readonly numaAffinity: string | null;
  /** Every other GPU of the node that could be opened. */
  readonly peers: readonly GpuPeer[] | null;
}
