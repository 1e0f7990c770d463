import type { GpuPeer } from '@k8s-gpu-mcp/core';
import { allocate } from '../abi/codec.ts';
import { rc } from '../abi/constants.ts';
import { affinityScopeNode, peerCapabilities } from '../abi/link-constants.ts';
import { decodeAffinity, decodeCommonAncestor, decodePeerStatus } from '../decode/links.ts';
import { missingFrom, type Reading } from '../decode/values.ts';
import { type Device, GpuLostDuringRead, type ReadContext, type SectionResult } from '../device/device.ts';
import { ListGaps } from '../device/list-gaps.ts';

/** Linux is built for at most 8192 CPUs and 1024 NUMA nodes. The functions take the room in 64-bit words. */
const cpuWords = 8192 / 64;
const nodeWords = 1024 / 64;

export function readTopology(device: Device, context: ReadContext): SectionResult<'topology'> {
  // Its own first: a hang while it is asked about another is the other's.
  const own = {
    memoryNumaNode: device.u32('nvmlDeviceGetNumaNodeId'),
    cpuAffinity: readCpuAffinity(device),
    numaAffinity: readNumaAffinity(device),
  };
  const gaps = new ListGaps('topology.peers', 'GPU');
  const peers = context.peers.flatMap((index) => readPeer(device, index, context, gaps) ?? []);
  if (context.peers.length > 0) context.onStage('topology read');
  return { leaves: { ...own, peers: { value: peers } }, gaps: gaps.all() };
}

function readCpuAffinity(device: Device): Reading<string> {
  const call = 'nvmlDeviceGetCpuAffinity';
  const mask = allocate(cpuWords * 8);
  const code = device.call(call, cpuWords, mask);
  if (code !== rc.success) return missingFrom(call, code);
  return decodeAffinity(call, mask.subarray(0, cpuWords * 8));
}

function readNumaAffinity(device: Device): Reading<string> {
  const call = 'nvmlDeviceGetMemoryAffinity';
  const mask = allocate(nodeWords * 8);
  const code = device.call(call, nodeWords, mask, affinityScopeNode);
  if (code !== rc.success) return missingFrom(call, code);
  return decodeAffinity(call, mask.subarray(0, nodeWords * 8));
}

function readPeer(
  device: Device,
  index: number,
  { onStage }: ReadContext,
  gaps: ListGaps,
): GpuPeer | undefined {
  onStage(`relation to GPU ${index}`);
  const opening = 'nvmlDeviceGetHandleByIndex_v2';
  const found = allocate(8);
  const code = device.library.call(opening, index, found);
  if (code !== rc.success) {
    gaps.noteIncomplete(index, missingFrom(opening, code));
    return undefined;
  }
  const other = found.readBigUInt64LE(0);
  const take = gaps.taker(index);
  const relation = <T>(
    leaf: string,
    name: string,
    call: (out: Buffer) => number,
    decode: (call: string, value: number) => Reading<T>,
  ): T | null => {
    const out = allocate(4);
    const answer = codeOfPair(() => call(out));
    return take(leaf, answer === rc.success ? decode(name, out.readUInt32LE(0)) : missingFrom(name, answer));
  };
  const status = (leaf: keyof typeof peerCapabilities) => {
    const capability = peerCapabilities[leaf];
    return relation(
      leaf,
      `nvmlDeviceGetP2PStatus(${capability})`,
      (out) => device.call('nvmlDeviceGetP2PStatus', other, capability, out),
      decodePeerStatus,
    );
  };
  const ancestor = 'nvmlDeviceGetTopologyCommonAncestor';
  return {
    index,
    commonAncestor: relation(
      'commonAncestor',
      ancestor,
      (out) => device.call(ancestor, other, out),
      decodeCommonAncestor,
    ),
    read: status('read'),
    write: status('write'),
    nvlink: status('nvlink'),
    atomics: status('atomics'),
    pcie: status('pcie'),
  };
}

/** With two GPUs in one call "lost" may speak of the other one, and a lost neighbour must not cost this GPU its readings. */
function codeOfPair(call: () => number): number {
  try {
    return call();
  } catch (error) {
    if (error instanceof GpuLostDuringRead) return rc.gpuIsLost;
    throw error;
  }
}
