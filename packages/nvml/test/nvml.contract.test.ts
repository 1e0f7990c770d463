import { type GpuFault, gpuFaults, runGpuProviderContract } from '@k8s-gpu-mcp/contract-tests';
import type { GpuSection } from '@k8s-gpu-mcp/core';
import { describe, test } from 'vitest';
import { createRig, type Generation, type NodeConfig, noCompiler, until, type Values } from './fake/rig.ts';

const lookup = 'nvmlDeviceGetHandleByIndex_v2';
// Exported by every generation, called for every read of all sections.
const reading = 'nvmlDeviceGetTemperatureThreshold';
const faulty = 1;

/** The same four faults, met when the GPU is opened and met while it is read. */
const faultLines: Readonly<Record<'opening' | 'reading', Readonly<Record<GpuFault, string>>>> = {
  opening: {
    lost: `rc ${lookup} ${faulty} 15`,
    hung: `mode ${lookup} ${faulty} hang`,
    unreadable: `rc ${lookup} ${faulty} 4`,
    crashing: `mode ${lookup} ${faulty} segfault`,
  },
  reading: {
    lost: `rc ${reading} ${faulty} 15`,
    hung: `mode ${reading} ${faulty} lock`,
    unreadable: `rc ${lookup} ${faulty} 16`,
    crashing: `mode ${reading} ${faulty} abort`,
  },
};

const migGpu: Values = { 'mig.current': 1, 'mig.pending': 1, 'util.gpu': null, 'util.enc': null };
const migDevice: Values = {
  uuid: 'MIG-00000000-0000-0000-0000-000000000001',
  name: 'NVIDIA H100 80GB HBM3 MIG 1g.10gb',
  gi: 7,
  ci: 0,
  'slices.gpu': 1,
  'slices.compute': 1,
  'slices.memory': 9_984,
  'mem.total': 10_468_982_784,
  'mem.used': 15_728_640,
  'mem.free': 10_453_254_144,
  'mem.reserved': 0,
};

describe.each([
  { generation: 580, when: 'reading' },
  { generation: 580, when: 'opening' },
  { generation: 535, when: 'reading' },
  { generation: 470, when: 'reading' },
] as const)('NVML $generation, faults while $when', ({ generation, when }) => {
  const stagedFaults = noCompiler === undefined ? gpuFaults : [];
  runGpuProviderContract({
    test: noCompiler === undefined ? test : test.skip,
    stagedFaults,
    createFixture: (fault) => createFixture(generation, when, fault),
  });
});

/** What a driver of that time has no functions for. */
function unseenSections(generation: Generation): readonly GpuSection[] {
  if (generation < 500) return ['recovery', 'profiling', 'fabric'];
  return generation < 570 ? ['recovery'] : [];
}

function createFixture(generation: Generation, when: keyof typeof faultLines, fault: GpuFault | undefined) {
  // No driver of that time knows field 230 (recovery action).
  const old: Values = generation < 570 ? { 'field.230': null, margin: null } : {};
  const config: NodeConfig = {
    gpus: [old, old, { ...old, ...migGpu }],
    mig: { '2.0': migDevice, '2.3': { ...migDevice, uuid: 'MIG-2', gi: 0xffff_ffff } },
    faults: fault === undefined ? [] : [faultLines[when][fault]],
  };
  // At the lookup a GPU already hangs while the node is described, which gives it up after twice the stall.
  const rig = createRig(config, { stallMilliseconds: 400, hungAfterMilliseconds: 0 }, generation);
  const { provider, calls } = rig;
  const stuckIn = when === 'opening' ? lookup : reading;
  return {
    provider,
    expectedGpuCount: 3,
    faultyGpus: fault === undefined ? [] : [{ index: faulty, fault }],
    unseenSections: unseenSections(generation),
    untilStuck: () => until(() => calls(stuckIn) > 0),
    dispose: rig.dispose,
  };
}
