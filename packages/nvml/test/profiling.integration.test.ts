import { type GpuRef, gpuSectionLeaves } from '@k8s-gpu-mcp/core';
import { describe, expect, it } from 'vitest';
import { createReader, deadline } from './fake/reader.ts';
import { noCompiler, type Values } from './fake/rig.ts';

const { rig, open } = createReader();
const profilingLeaves = gpuSectionLeaves.profiling;

describe.skipIf(noCompiler !== undefined)('profiling', () => {
  const metrics = Object.fromEntries([1, 2, 3, 4, 5, 10, 11, 12, 13].map((id) => [`gpm.${id}`, id + 0.5]));
  const traffic = { 'gpm.20': 1000, 'gpm.21': 2000, 'gpm.60': 3000, 'gpm.61': 4000 };

  async function readTwice(values: Values, faults: readonly string[] = []) {
    const provider = open({ gpus: [values], faults });
    const { gpus } = await provider.describeNode(deadline());
    const once = () => provider.readGpu(gpus[0] as GpuRef, ['profiling'], deadline());
    return { first: await once(), second: await once(), once };
  }

  it('compares with the previous reading, which the first one has not got', async () => {
    const { first, second } = await readTwice({ ...metrics, ...traffic });
    expect(first.gaps.map(({ field }) => field)).toEqual(profilingLeaves.map((leaf) => `profiling.${leaf}`));
    expect(new Set(first.gaps.map(({ reason }) => reason))).toEqual(new Set(['not-observable']));
    expect(second.gaps).toEqual([]);
    expect(second.profiling).toEqual({
      intervalMilliseconds: expect.any(Number),
      graphicsActivePercent: 1.5,
      smActivePercent: 2.5,
      smOccupancyPercent: 3.5,
      integerActivePercent: 4.5,
      tensorActivePercent: 5.5,
      memoryBandwidthPercent: 10.5,
      fp64ActivePercent: 11.5,
      fp32ActivePercent: 12.5,
      fp16ActivePercent: 13.5,
      // From mebibytes.
      pcieTransmitMegabytesPerSecond: 1048.576,
      pcieReceiveMegabytesPerSecond: 2097.152,
      nvlinkReceiveMegabytesPerSecond: 3145.728,
      nvlinkTransmitMegabytesPerSecond: 4194.304,
    });
  });

  it('keeps one sample, however often it reads', async () => {
    const { once } = await readTwice(metrics);
    for (let round = 0; round < 10; round += 1) await once();
    const [taken, freed] = [rig().calls('nvmlGpmSampleAlloc'), rig().calls('nvmlGpmSampleFree')];
    expect([taken, freed]).toEqual([12, 11]);
  });

  it('does not compare with the GPU that had this index before', async () => {
    const provider = open({ gpus: [metrics, metrics] });
    const { gpus } = await provider.describeNode(deadline());
    const [first, second] = gpus as [GpuRef, GpuRef];
    await provider.readGpu(first, ['profiling'], deadline());
    rig().configure({
      gpus: [
        { ...metrics, uuid: second.uuid },
        { ...metrics, uuid: first.uuid },
      ],
    });
    const moved = await provider.readGpu(first, ['profiling'], deadline());
    expect(new Set(moved.gaps.map(({ reason }) => reason))).toEqual(new Set(['not-observable']));
    const again = await provider.readGpu(first, ['profiling'], deadline());
    expect(again.profiling?.smActivePercent).toBe(2.5);
    expect(rig().calls('nvmlGpmSampleFree')).toBe(2);
  });

  it('gives back the sample that it could not fill', async () => {
    const { second } = await readTwice(metrics, ['rc nvmlGpmSampleGet * 4']);
    expect(new Set(second.gaps.map(({ reason }) => reason))).toEqual(new Set(['no-permission']));
    expect(rig().calls('nvmlGpmSampleAlloc')).toBe(2);
    expect(rig().calls('nvmlGpmSampleFree')).toBe(2);
  });

  it('keeps the other metrics when one fails or has no number', async () => {
    const { second } = await readTwice({ ...metrics, 'gpm.2': 'nan', 'gpm.5': 'rc 4', 'gpm.11': null });
    expect(second.profiling).toMatchObject({ graphicsActivePercent: 1.5, smActivePercent: null });
    expect(second.gaps.map(({ field, reason }) => [field, reason])).toEqual([
      ['profiling.smActivePercent', 'not-observable'],
      ['profiling.tensorActivePercent', 'no-permission'],
      ['profiling.fp64ActivePercent', 'unsupported'],
    ]);
  });

  it('says that a GPU has no counters, without taking samples of it', async () => {
    const { second } = await readTwice({ ...metrics, gpm: 0 });
    expect(new Set(second.gaps.map(({ reason }) => reason))).toEqual(new Set(['unsupported']));
    expect(rig().calls('nvmlGpmSampleAlloc')).toBe(0);
  });
});
