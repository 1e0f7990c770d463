import type { ClockEventReason, GpuEcc, GpuPcie, GpuRowRemap, RecoveryAction } from '@k8s-gpu-mcp/core';
import type { GpuModelName } from '../models/gpu-models.ts';

/** What is different about one GPU of a scenario. An empty condition is a healthy GPU under load. */
export interface GpuCondition {
  /** How the driver fails for it instead of answering. `gsp-timeout`: its firmware processor is gone, the driver wants a reset. */
  readonly failure?: 'off-bus' | 'hung' | 'gsp-timeout';
  /** Nothing runs on it. */
  readonly idle?: boolean;
  /** Runs this many degrees beyond its highest operating temperature. */
  readonly celsiusBeyondLimit?: number;
  readonly heldBack?: { readonly reasons: readonly ClockEventReason[]; readonly smClockShare: number };
  readonly ecc?: Partial<GpuEcc>;
  readonly rowRemap?: Partial<GpuRowRemap>;
  readonly pcie?: Partial<GpuPcie>;
  readonly recoveryAction?: RecoveryAction;
  /** MIG is enabled and cut up like this. */
  readonly migDevices?: readonly MigCut[];
  /** How hard it works, as a share of what it can, where that must not differ between siblings. */
  readonly load?: number;
  /** NVLinks that are down. */
  readonly inactiveLinks?: readonly number[];
  /** Other firmware than its siblings. */
  readonly vbiosVersion?: string;
  /** Memory in use although no process holds the GPU. */
  readonly heldByNobodyMebibytes?: number;
  /** The pid of the process on it, where a message names it. */
  readonly pid?: number;
  /** Its process sleeps in a call into the kernel that does not come back; the GPU answers. */
  readonly holderStuck?: boolean;
}

/** One instance of a GPU that is cut up. */
export interface MigCut {
  readonly gpuInstanceId: number;
  /** A profile of the model. */
  readonly profile: string;
  readonly placementStart: number;
  readonly usedMebibytes: number;
}

/** What a log line needs to know of the GPU that it is about. */
export interface LoggedGpu {
  readonly index: number;
  /** `domain:bus:device`, as the driver logs it. */
  readonly pciDevice: string;
  readonly uuid: string;
  readonly serial: string;
}

export interface LoggedMessage {
  /** Before the clock's start. */
  readonly secondsAgo: number;
  /** The kernel's level: 3 error, 4 warning, 5 notice. */
  readonly level: 3 | 4 | 5;
  readonly text: string;
}

export interface Scenario {
  readonly description: string;
  readonly model: GpuModelName;
  readonly gpus: readonly GpuCondition[];
  /** The messages that go with the conditions, oldest first. Source of the forms: the driver's own print formats. */
  messages(gpu: (index: number) => LoggedGpu): readonly LoggedMessage[];
}
