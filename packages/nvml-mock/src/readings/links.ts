import type {
  GpuFabric,
  GpuNvLinks,
  GpuPeer,
  GpuTopology,
  NvLink,
  PeerAccessStatus,
} from '@k8s-gpu-mcp/core';
import type { NvLinkFacts } from '../models/gpu-model.ts';
import { unitNoise } from '../noise.ts';
import type { SimulatedGpu, SimulatedNode } from '../simulated-node.ts';
import { only } from './workload.ts';

export function nvlinksOf(node: SimulatedNode, gpu: SimulatedGpu): GpuNvLinks {
  const { nvlink } = gpu.model;
  const links = Array.from({ length: nvlink?.linkCount ?? 0 }, (_, link) => link);
  return { links: nvlink ? links.map((link) => linkOf(node, gpu, nvlink, link)) : [] };
}

/** Links go round the switches one by one. A link that is down tells its state and its counters, and nothing of the other end. */
function linkOf(node: SimulatedNode, gpu: SimulatedGpu, facts: NvLinkFacts, link: number): NvLink {
  const active = !gpu.condition.inactiveLinks?.includes(link);
  const onSwitch = Math.floor(link / facts.switchCount);
  const linksPerGpu = Math.ceil(facts.linkCount / facts.switchCount);
  const older = only(!facts.countsBitErrors, 0);
  const newer = only(facts.countsBitErrors, 0);
  return {
    link,
    active,
    version: only(active, facts.version),
    speedMegabytesPerSecond: only(active, facts.speedMegabytesPerSecond),
    remoteDeviceType: only(active, 'switch'),
    // Switches of NVLink 5 are not on the PCI bus of the host.
    remotePciAddress: active && !facts.countsBitErrors ? switchAddress(link % facts.switchCount) : null,
    remoteLink: only(active, gpu.index * linksPerGpu + onSwitch),
    replayErrorCount: older === null ? null : active ? 0 : 3,
    recoveryErrorCount: older === null ? null : active ? 0 : 1,
    crcFlitErrorCount: older === null ? null : active ? 0 : 112,
    crcDataErrorCount: older,
    eccDataErrorCount: older,
    receiveErrorCount: newer,
    malformedPacketErrorCount: newer,
    bufferOverrunErrorCount: newer,
    linkIntegrityErrorCount: newer,
    linkRecoverySuccessCount: newer,
    linkRecoveryFailureCount: newer,
    effectiveErrorCount: newer,
    effectiveBitErrorRate: newer,
    symbolErrorCount: newer,
    // Before error correction no link is free of errors: a few in 10^16.
    symbolBitErrorRate: facts.countsBitErrors
      ? Math.ceil(unitNoise(node.seed, gpu.index, link, 'ber') * 9) * 1e-16
      : null,
  };
}

const switchAddress = (index: number) => `0000:${(5 + index).toString(16).padStart(2, '0')}:00.0`;

export function fabricOf({ model }: SimulatedGpu): GpuFabric {
  const { fabric } = model;
  return {
    state: fabric ? 'completed' : null,
    status: fabric ? 'NVML_SUCCESS' : null,
    // A single machine is no cluster: the driver gives all zeros.
    clusterUuid: fabric ? '00000000-0000-0000-0000-000000000000' : null,
    cliqueId: fabric ? 0 : null,
    degradedBandwidth: null,
    routeRecovery: null,
    routeUnhealthy: null,
    accessTimeoutRecovery: fabric?.accessTimeoutRecovery ?? null,
    misconfiguration: null,
    healthSummary: fabric?.healthSummary ?? null,
  };
}

/**
 * CPUs by socket. Source for eight H100: `nvidia-smi topo -m` of such a machine with driver 570.211.01; for A100: the listing in
 * github.com/stas00/ml-engineering. The others stand for two sockets of 32 cores.
 */
const cpus = {
  hopper: ['0-63,128-191', '64-127,192-255'],
  blackwell: ['0-63,128-191', '64-127,192-255'],
  ampere: ['0-23', '24-47'],
  ada: ['0-31,64-95', '32-63,96-127'],
  turing: ['0-31,64-95', '32-63,96-127'],
} as const;

/** Peers of one socket meet at its host bridges, those of two across the sockets; the driver names none that it cannot open. */
export function topologyOf(node: SimulatedNode, gpu: SimulatedGpu): GpuTopology {
  const others = node.gpus.filter(({ index, ref }) => index !== gpu.index && ref.uuid !== null);
  const isCut = ({ condition }: SimulatedGpu) => condition.migDevices !== undefined;
  return {
    memoryNumaNode: null,
    cpuAffinity: cpus[gpu.model.architecture][gpu.numaNode] ?? null,
    numaAffinity: String(gpu.numaNode),
    peers: others.map((other): GpuPeer => {
      // Instances of a divided GPU reach no peers.
      const reached: PeerAccessStatus = isCut(gpu) || isCut(other) ? 'not-supported' : 'ok';
      const overLinks = gpu.model.nvlink ? reached : 'not-supported';
      return {
        index: other.index,
        commonAncestor: other.numaNode === gpu.numaNode ? 'numa-node' : 'system',
        read: reached,
        write: reached,
        nvlink: overLinks,
        atomics: overLinks,
        pcie: reached,
      };
    }),
  };
}
