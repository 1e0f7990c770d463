import type { GpuReading } from '../domain/gpu.ts';
import { pciDeviceKey } from '../domain/pci-address.ts';
import type { NvLink, NvLinkRemoteDeviceType } from '../domain/readings/nvlink.ts';
import type { CommonAncestor, GpuPeer, PeerAccessStatus } from '../domain/readings/topology.ts';

/** What the way over PCIe has to pass, in the words of `nvidia-smi topo -m`. */
export type PciePath = 'PIX' | 'PXB' | 'PHB' | 'NODE' | 'SYS';

/** `X`: the same GPU. `NVn`: n bonded NVLinks. Else the way over PCIe; null when neither could be told. */
export type Connection = 'X' | `NV${number}` | PciePath | null;

const paths: Readonly<Record<CommonAncestor, PciePath>> = {
  // Two GPUs of one board sit behind the bridge of that board.
  'same-board': 'PIX',
  'single-switch': 'PIX',
  'multiple-switches': 'PXB',
  'host-bridge': 'PHB',
  'numa-node': 'NODE',
  system: 'SYS',
};

const peerOf = (from: GpuReading, to: GpuReading): GpuPeer | undefined =>
  from.topology?.peers?.find((peer) => peer.index === to.gpu.index);

const activeLinks = ({ nvlink }: GpuReading): readonly NvLink[] | undefined =>
  nvlink?.links?.filter((link) => link.active === true);

/** The lowest count of those sides that could be read: a link works when both ends do. */
const lowest = (counts: readonly (number | undefined)[]): number => {
  const known = counts.filter((count) => count !== undefined);
  return known.length > 0 ? Math.min(...known) : 0;
};

function directLinkCount(one: GpuReading, other: GpuReading): number {
  const towards = (from: GpuReading, to: GpuReading) => {
    const key = pciDeviceKey(to.gpu.pciAddress);
    if (key === undefined) return undefined;
    return activeLinks(from)?.filter((link) => pciDeviceKey(link.remotePciAddress) === key).length;
  };
  return lowest([towards(one, other), towards(other, one)]);
}

/** Links by which both reach a switch. Where both tell which switches, one must be the same. */
function switchLinkCount(one: GpuReading, other: GpuReading): number {
  const [near, far] = [one, other].map((reading) =>
    activeLinks(reading)?.filter((link) => link.remoteDeviceType === 'switch'),
  );
  const nearSwitches = switchesOf(near);
  const farSwitches = switchesOf(far);
  const shared = [...nearSwitches].some((address) => farSwitches.has(address));
  if (nearSwitches.size > 0 && farSwitches.size > 0 && !shared) return 0;
  return lowest([near?.length, far?.length]);
}

const switchesOf = (links: readonly NvLink[] = []) =>
  new Set(links.flatMap((link) => pciDeviceKey(link.remotePciAddress) ?? []));

/** What the driver says of this pair, from whichever side; without what it does not know. */
function accessStatuses(
  one: GpuReading,
  other: GpuReading,
  kinds: readonly ('nvlink' | 'read' | 'write')[],
): readonly PeerAccessStatus[] {
  return [peerOf(one, other), peerOf(other, one)]
    .flatMap((peer) => kinds.map((kind) => peer?.[kind] ?? 'unknown'))
    .filter((status) => status !== 'unknown');
}

/** Links to a common switch carry nothing before the fabric is set up; the driver's word on the pair outranks the state of each GPU. */
function isSwitchedPathOpen(one: GpuReading, other: GpuReading): boolean {
  const statuses = accessStatuses(one, other, ['nvlink']);
  if (statuses.length > 0) return statuses.every((status) => status === 'ok');
  return [one, other].every(({ fabric }) => fabric?.state === 'completed');
}

/** The NVLinks between two GPUs, whether or not the driver lets them be used. */
export function sharedLinkCount(one: GpuReading, other: GpuReading): number {
  return directLinkCount(one, other) || switchLinkCount(one, other);
}

/** How two GPUs of a node are connected, as `nvidia-smi topo -m` would say it. */
export function connectionBetween(one: GpuReading, other: GpuReading): Connection {
  if (one.gpu.index === other.gpu.index) return 'X';
  const direct = directLinkCount(one, other);
  if (direct > 0) return `NV${direct}`;
  const switched = switchLinkCount(one, other);
  if (switched > 0 && isSwitchedPathOpen(one, other)) return `NV${switched}`;
  return pciePathBetween(one, other);
}

/** The way over PCIe, which NVLink hides in the matrix. */
export function pciePathBetween(one: GpuReading, other: GpuReading): PciePath | null {
  const ancestor = peerOf(one, other)?.commonAncestor ?? peerOf(other, one)?.commonAncestor;
  return ancestor ? paths[ancestor] : null;
}

/** Refusals of peer access between two GPUs, each once; empty when all is well or nothing is known. */
export function refusedAccess(one: GpuReading, other: GpuReading): readonly PeerAccessStatus[] {
  const refused = accessStatuses(one, other, ['nvlink', 'read', 'write']).filter((status) => status !== 'ok');
  return [...new Set(refused)];
}

const countersOfLink = [
  'replayErrorCount',
  'recoveryErrorCount',
  'crcFlitErrorCount',
  'crcDataErrorCount',
  'eccDataErrorCount',
  'receiveErrorCount',
  'malformedPacketErrorCount',
  'bufferOverrunErrorCount',
  'linkIntegrityErrorCount',
  'linkRecoverySuccessCount',
  'linkRecoveryFailureCount',
  'effectiveErrorCount',
  'symbolErrorCount',
] as const satisfies readonly (keyof NvLink)[];
export type NvLinkCounter = (typeof countersOfLink)[number];

export interface NvLinkSummary {
  readonly linkCount: number;
  readonly activeCount: number;
  readonly inactiveLinks: readonly number[];
  /** Links whose state could not be read. */
  readonly unknownLinks: readonly number[];
  /** Of the active links; null when they differ or do not tell. */
  readonly version: string | null;
  /** Of the slowest active link, in one direction. */
  readonly speedMegabytesPerSecond: number | null;
  /** What the active links lead to. */
  readonly remotes: Readonly<Partial<Record<NvLinkRemoteDeviceType, number>>>;
  /** Sums over all links, without those that are zero or that no link tells. */
  readonly errorCounts: Readonly<Partial<Record<NvLinkCounter, number>>>;
}

/** Undefined when the links could not be read. */
export function summariseLinks({ nvlink }: GpuReading): NvLinkSummary | undefined {
  const links = nvlink?.links;
  if (!links) return undefined;
  const active = links.filter((link) => link.active === true);
  const versions = new Set(active.map((link) => link.version));
  const [version = null] = versions;
  const speeds = active.flatMap((link) => link.speedMegabytesPerSecond ?? []);
  const remotes: Partial<Record<NvLinkRemoteDeviceType, number>> = {};
  for (const { remoteDeviceType } of active) {
    const kind = remoteDeviceType ?? 'unknown';
    remotes[kind] = (remotes[kind] ?? 0) + 1;
  }
  const sums = countersOfLink.map(
    (counter) => [counter, links.reduce((sum, link) => sum + (link[counter] ?? 0), 0)] as const,
  );
  return {
    linkCount: links.length,
    activeCount: active.length,
    inactiveLinks: links.filter((link) => link.active === false).map(({ link }) => link),
    unknownLinks: links.filter((link) => link.active === null).map(({ link }) => link),
    version: versions.size === 1 ? version : null,
    speedMegabytesPerSecond: speeds.length > 0 ? Math.min(...speeds) : null,
    remotes,
    errorCounts: Object.fromEntries(sums.filter(([, sum]) => sum > 0)),
  };
}
