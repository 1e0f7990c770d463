import type { GpuEventType } from '@k8s-gpu-mcp/core';

/** nvmlEventType* bits. Source: nvml.h of NVML 13.3.29. */
export const eventTypeBits: readonly (readonly [bigint, GpuEventType])[] = [
  [0x1n, 'single-bit-ecc'],
  [0x2n, 'double-bit-ecc'],
  [0x4n, 'performance-state'],
  [0x8n, 'xid'],
  [0x10n, 'clock'],
  [0x80n, 'power-source'],
  [0x100n, 'mig-configuration'],
  [0x200n, 'single-bit-ecc-storm'],
  [0x400n, 'dram-retirement'],
  [0x800n, 'dram-retirement-failure'],
  [0x1000n, 'non-fatal-poison'],
  [0x2000n, 'fatal-poison'],
  [0x4000n, 'gpu-unavailable'],
  [0x8000n, 'recovery-action'],
];

export const knownEventTypes: bigint = eventTypeBits.reduce((mask, [bit]) => mask | bit, 0n);
