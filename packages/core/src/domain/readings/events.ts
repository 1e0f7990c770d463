/** What a driver can report the moment it happens. Source: nvml.h, nvmlEventType*. */
export const gpuEventTypes = [
  'single-bit-ecc',
  'double-bit-ecc',
  'performance-state',
  'xid',
  'clock',
  'power-source',
  'mig-configuration',
  'single-bit-ecc-storm',
  'dram-retirement',
  'dram-retirement-failure',
  'non-fatal-poison',
  'fatal-poison',
  'gpu-unavailable',
  'recovery-action',
] as const;
export type GpuEventType = (typeof gpuEventTypes)[number];

export interface GpuEvents {
  /** What this GPU can report; nothing is reported of the time before somebody listened. */
  readonly supportedTypes: readonly GpuEventType[] | null;
}
