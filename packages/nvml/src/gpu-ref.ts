import { formatPciAddress, type Gap, type GpuRef, parsePciAddress } from '@k8s-gpu-mcp/core';
import type { IdentifyResult } from './protocol/protocol.ts';

export function unknownGpu(index: number): GpuRef {
  return { index, uuid: null, pciAddress: null, name: null };
}

/** What the driver calls a GPU, in the core's spelling. */
export function toGpuRef(
  index: number,
  { uuid, busId, name, gaps }: IdentifyResult,
): { readonly gpu: GpuRef; readonly gaps: readonly Gap[] } {
  const address = busId === null ? undefined : parsePciAddress(busId);
  const pciAddress = address === undefined ? null : formatPciAddress(address);
  const gpu: GpuRef = { index, uuid, pciAddress, name };
  if (busId === null || address !== undefined) return { gpu, gaps };
  const detail = `nvmlDeviceGetPciInfo_v3: ${JSON.stringify(busId)} is not a PCI address`;
  return { gpu, gaps: [...gaps, { gpu: index, field: 'pciAddress', reason: 'error', detail }] };
}
