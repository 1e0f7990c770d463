import type { GpuProvider, GpuSection } from '@k8s-gpu-mcp/core';
import type { GpuFault } from './requirements.ts';

/** One isolated provider, made anew for each test. The suite closes the provider, then disposes of the fixture. */
export interface GpuProviderFixture {
  readonly provider: GpuProvider;
  /** How many GPUs the driver of this rig counts, broken ones included. */
  readonly expectedGpuCount?: number;
  /** GPUs of this fixture that are broken on purpose. Tests that want readings leave them out. */
  readonly faultyGpus?: readonly { readonly index: number; readonly fault: GpuFault }[];
  /** Sections that the adapter claims, but that this rig has nothing to show for (an old driver, a small product). */
  readonly unseenSections?: readonly GpuSection[];
  /** Resolves when the driver is stuck in the read of the hung GPU. Without it the suite waits 300 ms. */
  untilStuck?(): Promise<void>;
  /** Lets enough time pass for a reading of what happened since the one before. Without it the suite waits 300 ms. */
  passTime?(): Promise<void>;
  dispose?(): Promise<void>;
}
