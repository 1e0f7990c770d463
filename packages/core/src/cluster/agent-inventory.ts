import type { Gap } from '../domain/gap.ts';
import type { Action, Verdict } from '../domain/verdict.ts';

/** An Xid that the agent of a node found in its kernel log, and judged. */
export interface AgentXid {
  /** Index of the GPU; null when the log does not tell. */
  readonly gpu: number | null;
  readonly xid: number;
  readonly verdict: Verdict;
  readonly action: Action;
  /** ISO 8601. */
  readonly lastAt: string | null;
}

/** What the agent of a node sees of its hardware, as far as it was heard. Null is not known, never zero. */
export interface AgentInventory {
  /** GPUs of the vendor on the PCI bus. */
  readonly pciGpuCount: number | null;
  /** Of those, bound to the vendor's kernel driver. */
  readonly driverGpuCount: number | null;
  /** That the vendor's library (NVML) counts. */
  readonly libraryGpuCount: number | null;
  /** Of those, that answer. */
  readonly usableGpuCount: number | null;
  /** `/dev/nvidiaN`. */
  readonly deviceNodeCount: number | null;
  readonly migGpuCount: number | null;
  /** By profile, `1g.10gb`. */
  readonly migDevices: Readonly<Record<string, number>> | null;
  /** Of the agent's own rules, those that found something. */
  readonly faults: readonly { readonly ruleId: string; readonly verdict: Verdict; readonly action: Action }[];
  /** Newest day, those that count by themselves; null when the kernel log was not read. */
  readonly xids: readonly AgentXid[] | null;
  readonly gaps: readonly Gap[];
}

/**
 * Xids on which the NVIDIA device plugin does not mark a device unhealthy, since applications cause them.
 * Source: NVIDIA/k8s-device-plugin, internal/rm/health.go. A cluster may set others (DP_DISABLE_HEALTHCHECKS).
 */
const xidsOfApplications: ReadonlySet<number> = new Set([13, 31, 43, 45, 68, 109]);

export const marksUnhealthy = (xid: number) => !xidsOfApplications.has(xid);
