import { runGpuProviderContract } from '@k8s-gpu-mcp/contract-tests';
import type { GpuProvider, GpuSample } from '@k8s-gpu-mcp/core';
import { describe, expect, test } from 'vitest';
import { createReplayProvider } from '../src/captures/replay-provider.ts';
import { fixtureOf, openTexts, unaborted } from './rig.ts';

/** An XML of eight B200 and the matrix of eight GPUs of another node; both print no UUIDs of their own. */
const files = {
  'smi.xml': fixtureOf('nvidia-smi/qx/nvidia__qx-b200.xml'),
  'topo.txt': fixtureOf('topology/nvsentinel-8gpu-cols.txt'),
};

/** The suite knows the parts of a sample that every adapter has. Where a reading stands in a file, only this one tells. */
const withoutCitations = (provider: GpuProvider): GpuProvider => ({
  manifest: provider.manifest,
  describeNode: (signal) => provider.describeNode(signal),
  async readGpu(gpu, sections, signal): Promise<GpuSample> {
    const { citations: _, ...sample } = await provider.readGpu(gpu, sections, signal);
    return sample;
  },
  close: () => provider.close(),
});

const lost =
  'Unable to determine the device handle for GPU 0000:AB:00.0: GPU is lost.  Reboot the system to recover this GPU';

describe('captures of a whole node', () => {
  runGpuProviderContract({
    test,
    createFixture: async () => ({
      provider: withoutCitations((await openTexts(files)).gpuProvider),
      expectedGpuCount: 8,
      // The links have a command of their own.
      unseenSections: ['nvlink'],
      untilStuck: async () => {},
      passTime: async () => {},
    }),
  });
});

describe('a table and a GPU that is lost', () => {
  runGpuProviderContract({
    test,
    stagedFaults: ['lost'],
    createFixture: async () => {
      const text = `${fixtureOf('nvidia-smi/q/linux-x86_64__nvidia-h200__590.48.01__idle.txt')}\n${lost}\n`;
      return {
        provider: withoutCitations((await openTexts({ 'smi.txt': text })).gpuProvider),
        expectedGpuCount: 2,
        faultyGpus: [{ index: 1, fault: 'lost' }],
        unseenSections: ['nvlink', 'topology', 'recovery'],
        untilStuck: async () => {},
        passTime: async () => {},
      };
    },
  });
});

describe('citations', () => {
  test('speak only of the sections that were asked for', async () => {
    const { gpuProvider } = await openTexts(files);
    const { gpus } = await gpuProvider.describeNode(unaborted());
    const [gpu] = gpus;
    expect(gpu).toBeDefined();
    if (!gpu) return;
    const { citations = {} } = await gpuProvider.readGpu(gpu, ['memory', 'topology'], unaborted());
    expect(Object.keys(citations).map((field) => field.split('.')[0])).toContain('topology');
    expect(new Set(Object.keys(citations).map((field) => field.split('.')[0]))).toEqual(
      new Set(['memory', 'topology']),
    );
    const { citations: none } = await gpuProvider.readGpu(gpu, [], unaborted());
    expect(none).toBeUndefined();
  });
});

describe('the check itself', () => {
  test('would see a provider that lets a leaf vanish', async () => {
    const names: string[] = [];
    const failures: string[] = [];
    const broken = createReplayProvider(
      { gpus: [], driverVersion: null, computeApiVersion: null, unshownCount: 0, notes: [] },
      [],
    );
    const running: Promise<void>[] = [];
    runGpuProviderContract({
      test: (name: string, run: () => unknown) => {
        names.push(name);
        running.push(
          (async () => {
            try {
              await run();
            } catch {
              failures.push(name);
            }
          })(),
        );
      },
      createFixture: async () => ({ provider: broken, expectedGpuCount: 8 }),
    });
    await Promise.all(running);
    expect(names.length).toBeGreaterThan(30);
    expect(failures.length).toBeGreaterThan(10);
  });
});
