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

/** A link as another reading of the same GPU has it: mostly in the same place of its list. */
export function sameLink(links: readonly NvLink[], { link }: NvLink, position: number): NvLink | undefined {
  const there = links[position];
  return there?.link === link ? there : links.find((each) => each.link === link);
}

const peerOf = (from: GpuReading, to: GpuReading): GpuPeer | undefined =>
  from.topology?.peers?.find((peer) => peer.index === to.gpu.index);

/** A GPU and where its active NVLinks lead: taken from its reading once, as every pair of GPUs turns on it. */
export interface LinkedGpu {
  readonly reading: GpuReading;
  /** Its own place on the bus. */
  readonly device: string | undefined;
  /** Active links by the device at their other end; undefined when the links could not be read. */
  readonly countByDevice: ReadonlyMap<string, number> | undefined;
  /** Active links that lead to a switch, and to which, as far as they tell. */
  readonly switchLinkCount: number | undefined;
  readonly switches: ReadonlySet<string>;
}

export function linkedGpu(reading: GpuReading): LinkedGpu {
  const device = pciDeviceKey(reading.gpu.pciAddress);
  const links = reading.nvlink?.links;
  const countByDevice = new Map<string, number>();
  const switches = new Set<string>();
  let switchLinkCount = 0;
  for (const { active, remotePciAddress, remoteDeviceType } of links ?? []) {
    if (active !== true) continue;
    const remote = pciDeviceKey(remotePciAddress);
    if (remote !== undefined) countByDevice.set(remote, (countByDevice.get(remote) ?? 0) + 1);
    if (remoteDeviceType !== 'switch') continue;
    switchLinkCount += 1;
    if (remote !== undefined) switches.add(remote);
  }
  const isRead = links !== undefined && links !== null;
  return {
    reading,
    device,
    countByDevice: isRead ? countByDevice : undefined,
    switchLinkCount: isRead ? switchLinkCount : undefined,
    switches,
  };
}

/** The lowest count of those sides that could be read: a link works when both ends do. */
const lowest = (counts: readonly (number | undefined)[]): number => {
  const known = counts.filter((count) => count !== undefined);
  return known.length > 0 ? Math.min(...known) : 0;
};

function directLinkCount(one: LinkedGpu, other: LinkedGpu): number {
  const towards = ({ countByDevice }: LinkedGpu, { device }: LinkedGpu) =>
    device === undefined || countByDevice === undefined ? undefined : (countByDevice.get(device) ?? 0);
  return lowest([towards(one, other), towards(other, one)]);
}

/** Links by which both reach a switch. Where both tell which switches, one must be the same. */
function switchedLinkCount(one: LinkedGpu, other: LinkedGpu): number {
  const shared = [...one.switches].some((device) => other.switches.has(device));
  if (one.switches.size > 0 && other.switches.size > 0 && !shared) return 0;
  return lowest([one.switchLinkCount, other.switchLinkCount]);
}

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
export function sharedLinkCount(one: LinkedGpu, other: LinkedGpu): number {
  return directLinkCount(one, other) || switchedLinkCount(one, other);
}

/** How two GPUs of a node are connected, as `nvidia-smi topo -m` would say it. */
export function connectionBetween(one: LinkedGpu, other: LinkedGpu): Connection {
  if (one.reading.gpu.index === other.reading.gpu.index) return 'X';
  const direct = directLinkCount(one, other);
  if (direct > 0) return `NV${direct}`;
  const switched = switchedLinkCount(one, other);
  if (switched > 0 && isSwitchedPathOpen(one.reading, other.reading)) return `NV${switched}`;
  return pciePathBetween(one.reading, other.reading);
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

export type NvLinkCounter = Extract<keyof NvLink, `${string}Count`>;

/** Every counter of a link: leaving one out does not compile. */
export const nvlinkCounters = Object.keys({
  replayErrorCount: true,
  recoveryErrorCount: true,
  crcFlitErrorCount: true,
  crcDataErrorCount: true,
  eccDataErrorCount: true,
  receiveErrorCount: true,
  malformedPacketErrorCount: true,
  bufferOverrunErrorCount: true,
  linkIntegrityErrorCount: true,
  linkRecoverySuccessCount: true,
  linkRecoveryFailureCount: true,
  effectiveErrorCount: true,
  symbolErrorCount: true,
} satisfies Record<NvLinkCounter, true>) as readonly NvLinkCounter[];

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
  const sums = nvlinkCounters.map(
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
