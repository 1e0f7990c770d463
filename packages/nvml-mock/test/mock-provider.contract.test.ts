import {
  type GpuFault,
  runGpuEventSourceContract,
  runGpuProviderContract,
} from '@k8s-gpu-mcp/contract-tests';
import type { GpuSection } from '@k8s-gpu-mcp/core';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { describe, test } from 'vitest';
import { createMockProvider, type MockScenarioName, mockEventSource } from '../src/index.ts';

interface Rig {
  readonly gpuCount: number;
  readonly faultyGpus?: readonly { readonly index: number; readonly fault: GpuFault }[];
  readonly unseenSections?: readonly GpuSection[];
}

/**
 * What each scenario stages. Old drivers tell no recovery action, boards without NVLink switches no fabric, products before Hopper no
 * profiling, and with MIG some sections are silent.
 */
const rigs: Readonly<Record<MockScenarioName, Rig>> = {
  'healthy-8xh100': { gpuCount: 8 },
  'fallen-off-bus': { gpuCount: 8, faultyGpus: [{ index: 3, fault: 'lost' }] },
  'ecc-uncorrectable': { gpuCount: 8, unseenSections: ['recovery', 'fabric', 'profiling'] },
  'row-remap-failed': { gpuCount: 8 },
  'retired-pages': { gpuCount: 4, unseenSections: ['recovery', 'mig', 'fabric', 'profiling'] },
  'thermal-throttle': { gpuCount: 4, unseenSections: ['mig', 'fabric', 'profiling'] },
  'nvlink-down': { gpuCount: 8 },
  'gsp-timeout': { gpuCount: 8, faultyGpus: [{ index: 6, fault: 'unreadable' }] },
  'gsp-storm': { gpuCount: 8, faultyGpus: [{ index: 0, fault: 'unreadable' }] },
  'application-page-fault': { gpuCount: 8 },
  'power-brake': { gpuCount: 8 },
  'stuck-process': { gpuCount: 8 },
  'recovered-by-reset': { gpuCount: 8 },
  'hung-driver': { gpuCount: 8, faultyGpus: [{ index: 2, fault: 'hung' }] },
  mig: { gpuCount: 2, unseenSections: ['utilization', 'rowRemap', 'profiling'] },
  'vbios-drift': { gpuCount: 8 },
  'memory-held-by-nobody': { gpuCount: 4, unseenSections: ['mig', 'fabric', 'profiling'] },
  straggler: { gpuCount: 8 },
  'mixed-faults': { gpuCount: 8, faultyGpus: [{ index: 1, fault: 'lost' }] },
};

for (const [name, rig] of Object.entries(rigs) as [MockScenarioName, Rig][]) {
  describe(name, () => {
    runGpuProviderContract({
      test,
      stagedFaults: rig.faultyGpus?.map((gpu) => gpu.fault) ?? [],
      createFixture: () => {
        const clock = fixedClock();
        return {
          provider: createMockProvider({ scenario: name, clock }),
          expectedGpuCount: rig.gpuCount,
          // The read hangs at once: nothing to wait for.
          untilStuck: async () => {},
          passTime: async () => clock.advance(1_000),
          ...rig,
        };
      },
    });
  });
}

describe('the event source of a scenario with one Xid at a time', () => {
  runGpuEventSourceContract({
    test,
    staged: ['event'],
    createFixture: () => {
      const clock = fixedClock();
      return {
        source: mockEventSource({ scenario: 'gsp-timeout', clock }),
        untilWatching: async () => {},
        async report() {
          clock.advance(2_000);
          return { type: 'xid', value: 119 };
        },
      };
    },
  });
});
