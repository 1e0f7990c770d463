import './answer-cases.ts';
import './behaviour-cases.ts';
import { gpuProviderSuite } from './case-kit.ts';
import type { ContractOptions } from './contract-suite.ts';
import type { GpuFault } from './requirements.ts';
import type { GpuProviderFixture } from './rig.ts';

export interface GpuProviderContractOptions
  extends Omit<ContractOptions<GpuFault, GpuProviderFixture>, 'staged'> {
  /** Faults that the rig can stage. Requirements about others are reported as skipped. */
  readonly stagedFaults?: readonly GpuFault[];
}

/** Registers one test per requirement with the given runner, and one that every requirement has a test. */
export function runGpuProviderContract({ stagedFaults = [], ...options }: GpuProviderContractOptions): void {
  gpuProviderSuite.register({ ...options, staged: stagedFaults });
}
