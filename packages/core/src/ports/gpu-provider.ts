import type { GpuRef, GpuSample, GpuSection, NodeDescription } from '../domain/gpu.ts';

/** What an adapter can do. Users read it (`doctor`), and the contract suite tests what it says. */
export interface ProviderManifest {
  /** Version of this contract. */
  readonly contractVersion: 1;
  /** Short lower-case name: `nvml`, `mock`, `rocm`. */
  readonly backend: string;
  readonly vendor: string;
  /** True only for an adapter that invents its readings. Answers say so. */
  readonly simulated: boolean;
  /** Sections that the adapter reads on at least some products. Others are answered with `unsupported` gaps. */
  readonly sections: readonly GpuSection[];
  readonly mig: boolean;
}

/**
 * The port to a GPU vendor. Read-only. An adapter translates; validation, deadlines, ordering and presentation are `GpuReader`'s.
 *
 * Every method may be called at any time and concurrently, opens what it needs on first use, and rejects only with `GpuError`.
 * When `signal` aborts, the promise rejects within 250 ms, whatever the driver does: with `GPU_HUNG` if the driver was busy with the
 * GPU asked for, else with `TIMEOUT`. The next call works or says why it cannot.
 */
export interface GpuProvider {
  readonly manifest: ProviderManifest;

  /**
   * Versions and the GPUs the driver counts, also those that cannot be opened.
   * @throws GpuError LIBRARY_NOT_FOUND, LIBRARY_INVALID, DRIVER_NOT_LOADED, DRIVER_MISMATCH, NO_PERMISSION, DRIVER_UNRESPONSIVE, TIMEOUT
   */
  describeNode(signal: AbortSignal): Promise<NodeDescription>;

  /**
   * The sections asked for, of one GPU. Each leaf that could not be read is null and has a gap `section.leaf` that says why.
   * @throws GpuError GPU_LOST, GPU_HUNG, GPU_NOT_FOUND, NO_PERMISSION, RESET_REQUIRED, ADAPTER_CRASHED, TIMEOUT
   */
  readGpu(gpu: GpuRef, sections: readonly GpuSection[], signal: AbortSignal): Promise<GpuSample>;

  /** Gives back everything (library, helper process). Calling it twice is fine, and a later call opens again. */
  close(): Promise<void>;
}
