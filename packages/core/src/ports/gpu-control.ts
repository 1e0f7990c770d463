import type { GpuRef } from '../domain/gpu.ts';

/** What a reset needs, and whether it is there. */
export interface ResetRequirement {
  /** `nvidia-smi`, `CAP_SYS_ADMIN`, `writable /sys`. */
  readonly name: string;
  /** Null when it could not be told. */
  readonly met: boolean | null;
  readonly detail: string;
}

export interface ResetReadiness {
  readonly requirements: readonly ResetRequirement[];
  /** Processes that have the device file of one of these GPUs open, or of the driver as a whole; null when that cannot be seen. */
  readonly holders: readonly { readonly pid: number; readonly path: string }[] | null;
}

export interface ResetOutcome {
  readonly succeeded: boolean;
  /** Of the vendor's tool; null when it was ended by a signal or never ran. */
  readonly exitCode: number | null;
  /** What the tool printed, capped. Untrusted. */
  readonly output: string;
}

/** The port that changes GPUs. It is bound in operator mode only. */
export interface GpuControl {
  /** Changes nothing. Rejects only with `GpuError`. */
  checkReset(gpus: readonly GpuRef[], signal: AbortSignal): Promise<ResetReadiness>;

  /**
   * Resets these GPUs together, through the vendor's own tool. Lets go of every handle of its own first. Not to be cut off once it has
   * begun: it takes no signal and has its own deadline.
   * @throws GpuError NO_PERMISSION, NOT_SUPPORTED, UNAVAILABLE, TIMEOUT
   */
  reset(gpus: readonly GpuRef[]): Promise<ResetOutcome>;
}
