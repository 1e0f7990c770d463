import type { GpuReading } from '../domain/gpu.ts';
import type { GpuFabric } from '../domain/readings/nvlink.ts';
import type { Finding } from '../domain/verdict.ts';
import { linkedGpu, refusedAccess, sharedLinkCount, summariseLinks } from './interconnect.ts';

const siblings = 'comparison with the GPUs of the same product on this node';
const fabricSource = 'NVML, nvmlGpuFabricInfo: CUDA starts on the GPU once registration has completed';

/** What is wrong with the ways between GPUs. Pure; readings of all GPUs of a node. */
export function interconnectFindings(readings: readonly GpuReading[]): readonly Finding[] {
  return [
    ...readings.flatMap(fabricFindings),
    ...inactiveLinkFindings(readings),
    ...peerAccessFindings(readings),
    ...affinityFindings(readings),
  ];
}

/** A GPU divided by MIG does without its peers, so nothing is wrong when they are not reached. */
const isWhole = ({ mig }: GpuReading) => mig?.enabled !== true;

const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;

function inactiveLinkFindings(readings: readonly GpuReading[]): Finding[] {
  const counted = readings.filter(isWhole).flatMap((reading) => {
    const links = summariseLinks(reading);
    return links ? [{ reading, links }] : [];
  });
  return counted.flatMap(({ reading: { gpu }, links }) => {
    const peers = counted.filter(({ reading }) => reading.gpu.name === gpu.name);
    const most = Math.max(...peers.map((peer) => peer.links.activeCount));
    // A link whose state is not known might be active.
    if (links.activeCount + links.unknownLinks.length >= most) return [];
    // With bridges between pairs of boards, one without a bridge has no active link and nothing is wrong with it.
    const isSwitched = peers.some((peer) => peer.links.remotes.switch !== undefined);
    if (links.activeCount === 0 && !isSwitched) return [];
    const which = links.inactiveLinks.length > 0 ? ` (link ${links.inactiveLinks.join(', ')} inactive)` : '';
    return [
      {
        ruleId: 'topology.nvlink-inactive',
        // As health judges it: on a switch every link is wired.
        verdict: isSwitched ? 'critical' : 'warning',
        gpu: gpu.index,
        what: `${plural(links.activeCount, 'NVLink')} active of ${links.linkCount}${which}; a sibling has ${most}.`,
        evidence: [{ field: 'nvlink.links', value: links.activeCount, threshold: most }],
        action: 'monitor',
        source: siblings,
        confidence: isSwitched ? 'high' : 'medium',
      },
    ];
  });
}

function fabricFindings({ gpu, fabric }: GpuReading): Finding[] {
  if (!fabric) return [];
  const about = { gpu: gpu.index, source: fabricSource } as const;
  if (fabric.state === 'not-started' || fabric.state === 'in-progress') {
    return [
      {
        ...about,
        ruleId: 'topology.fabric-not-completed',
        verdict: 'critical',
        what: `Registration with the NVLink fabric is ${fabric.state}: CUDA does not start on this GPU until it has completed. Check that Fabric Manager runs.`,
        evidence: [{ field: 'fabric.state', value: fabric.state, threshold: 'completed' }],
        action: 'restart-service',
        // Registration takes a while after a start, and one look cannot tell a slow one from a stuck one.
        confidence: fabric.state === 'in-progress' ? 'medium' : 'high',
      },
    ];
  }
  if (fabric.state !== 'completed') return [];
  if (fabric.status !== null && !/success$/i.test(fabric.status)) {
    return [
      {
        ...about,
        ruleId: 'topology.fabric-failed',
        verdict: 'critical',
        what: 'Registration with the NVLink fabric ended with an error: see fabric.status.',
        evidence: [{ field: 'fabric.status', value: fabric.status, threshold: 'NVML_SUCCESS' }],
        action: 'restart-service',
        confidence: 'high',
      },
    ];
  }
  const troubles = fabricTroubles(fabric);
  if (troubles.length === 0) return [];
  return [
    {
      ...about,
      ruleId: 'topology.fabric-degraded',
      verdict: troubles.every(([, value]) => value === 'limited-capacity') ? 'warning' : 'critical',
      what: `The NVLink fabric reports ${troubles.map(([field, value]) => `${field} = ${value}`).join(', ')}.`,
      evidence: troubles.map(([field, value]) => ({ field: `fabric.${field}`, value })),
      action: 'monitor',
      confidence: 'high',
    },
  ];
}

function fabricTroubles(fabric: GpuFabric): [field: keyof GpuFabric, value: string | boolean][] {
  const flags = ['degradedBandwidth', 'routeRecovery', 'routeUnhealthy', 'accessTimeoutRecovery'] as const;
  const troubles: [keyof GpuFabric, string | boolean][] = flags.flatMap((flag) =>
    fabric[flag] === true ? [[flag, true]] : [],
  );
  const { misconfiguration, healthSummary } = fabric;
  if (misconfiguration !== null && misconfiguration !== 'none')
    troubles.push(['misconfiguration', misconfiguration]);
  if (healthSummary === 'unhealthy' || healthSummary === 'limited-capacity')
    troubles.push(['healthSummary', healthSummary]);
  return troubles;
}

interface RefusedPair {
  readonly ends: readonly [number, number];
  readonly statuses: readonly string[];
}

/** Refused pairs, told of the GPU that most of them have in common, so that one broken GPU is one finding and not seven. */
function peerAccessFindings(readings: readonly GpuReading[]): Finding[] {
  // Without a completed fabric every access is refused, and that is told already.
  const usable = readings
    .filter(
      (reading) =>
        isWhole(reading) &&
        reading.fabric?.state !== 'not-started' &&
        reading.fabric?.state !== 'in-progress',
    )
    .map(linkedGpu);
  let pairs: RefusedPair[] = usable.flatMap((one, position) =>
    usable.slice(position + 1).flatMap((other) => {
      const statuses = sharedLinkCount(one, other) > 0 ? refusedAccess(one.reading, other.reading) : [];
      const ends = [one.reading.gpu.index, other.reading.gpu.index] as const;
      return statuses.length > 0 ? [{ ends, statuses }] : [];
    }),
  );
  const findings: Finding[] = [];
  while (pairs.length > 0) {
    const gpu = mostCommonEnd(pairs);
    const own = pairs.filter(({ ends }) => ends.includes(gpu));
    const others = own.map(({ ends }) => (ends[0] === gpu ? ends[1] : ends[0]));
    const statuses = [...new Set(own.flatMap((pair) => pair.statuses))].join(', ');
    findings.push({
      ruleId: 'topology.peer-access',
      verdict: 'warning',
      gpu,
      what: `Shares active NVLinks with GPU ${others.join(', ')}, but the driver refuses peer access (${statuses}).`,
      evidence: others.map((other) => ({ field: 'topology.peers', value: other, threshold: 'ok' })),
      action: 'monitor',
      source: 'NVML, nvmlDeviceGetP2PStatus',
      confidence: 'high',
    });
    pairs = pairs.filter((pair) => !own.includes(pair));
  }
  return findings;
}

function mostCommonEnd(pairs: readonly RefusedPair[]): number {
  const counts = new Map<number, number>();
  for (const end of pairs.flatMap(({ ends }) => ends)) counts.set(end, (counts.get(end) ?? 0) + 1);
  const [[gpu] = [Number.NaN]] = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  return gpu;
}

/** An empty CPU set is the driver's answer; a missing one only stands out where siblings have theirs. */
function affinityFindings(readings: readonly GpuReading[]): Finding[] {
  return readings.flatMap(({ gpu, topology }) => {
    if (!topology || topology.cpuAffinity) return [];
    const isEmpty = topology.cpuAffinity === '';
    const siblingHas = readings.some(
      (other) => other.gpu.name === gpu.name && Boolean(other.topology?.cpuAffinity),
    );
    if (!isEmpty && !siblingHas) return [];
    return [
      {
        ruleId: 'topology.no-cpu-affinity',
        verdict: isEmpty ? 'warning' : 'unknown',
        gpu: gpu.index,
        what: isEmpty
          ? 'The driver names no CPU near this GPU, so its processes may run on the far socket.'
          : 'The CPUs near this GPU could not be read, although those of its siblings could.',
        evidence: [{ field: 'topology.cpuAffinity', value: topology.cpuAffinity }],
        action: 'monitor',
        source: 'NVML, nvmlDeviceGetCpuAffinity',
        confidence: 'medium',
      },
    ];
  });
}
