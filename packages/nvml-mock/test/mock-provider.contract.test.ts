import { type GpuFault, runGpuProviderContract } from '@k8s-gpu-mcp/contract-tests';
import type { GpuSection } from '@k8s-gpu-mcp/core';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { describe, test } from 'vitest';
import { createMockProvider, type MockScenarioName } from '../src/index.ts';

interface Rig {
  readonly gpuCount: number;
  readonly faultyGpus?: readonly { readonly index: number; readonly fault: GpuFault }[];
  readonly unseenSections?: readonly GpuSection[];
}

/** What each scenario stages. Old drivers tell no recovery action, and with MIG some sections are silent. */
const rigs: Readonly<Record<MockScenarioName, Rig>> = {
  'healthy-8xh100': { gpuCount: 8 },
  'fallen-off-bus': { gpuCount: 8, faultyGpus: [{ index: 3, fault: 'lost' }] },
  'ecc-uncorrectable': { gpuCount: 8, unseenSections: ['recovery'] },
  'row-remap-failed': { gpuCount: 8 },
  'retired-pages': { gpuCount: 4, unseenSections: ['recovery', 'mig'] },
  'thermal-throttle': { gpuCount: 4, unseenSections: ['mig'] },
  'nvlink-down': { gpuCount: 8 },
  'gsp-timeout': { gpuCount: 8, faultyGpus: [{ index: 6, fault: 'unreadable' }] },
  'hung-driver': { gpuCount: 8, faultyGpus: [{ index: 2, fault: 'hung' }] },
  mig: { gpuCount: 2, unseenSections: ['utilization', 'rowRemap'] },
  'mixed-faults': { gpuCount: 8, faultyGpus: [{ index: 1, fault: 'lost' }] },
};

for (const [name, rig] of Object.entries(rigs) as [MockScenarioName, Rig][]) {
  describe(name, () => {
    runGpuProviderContract({
      test,
      stagedFaults: rig.faultyGpus?.map((gpu) => gpu.fault) ?? [],
      createFixture: () => ({
        provider: createMockProvider({ scenario: name, clock: fixedClock() }),
        expectedGpuCount: rig.gpuCount,
        // The read hangs at once: nothing to wait for.
        untilStuck: async () => {},
        ...rig,
      }),
    });
  });
}
