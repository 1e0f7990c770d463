import { type Gap, type GpuSample, gpuSections, isGpuError } from '@k8s-gpu-mcp/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { functions } from '../src/abi/functions.ts';
import { createRig, noCompiler, type Rig } from './fake/rig.ts';

/** Every return code a failing GPU or driver is known to answer with. Source: nvml.h, nvmlReturn_t. */
const codes = [3, 4, 6, 9, 13, 15, 16, 17, 18, 25, 27, 999] as const;

const deadline = () => AbortSignal.timeout(20_000);
const lookups = ['nvmlDeviceGetHandleByIndex_v2', 'nvmlDeviceGetHandleByUUID'];
const readFunctions = Object.entries(functions)
  .filter(([name, { parameters }]) => name.startsWith('nvmlDevice') && parameters[0] === ('handle' as string))
  .map(([name]) => name)
  .filter((name) => !lookups.includes(name));

/** Answers that differ without a gap, and are right. */
const rightAnswers: readonly string[] = [
  // NVLink that is not supported is a GPU without links.
  'nvmlDeviceGetNvLinkState 3: nvlink.links: [] without a gap',
  // Without the second version of the function the first is asked, which counts reserved memory as used: 1,048,576 + 639,631,360 bytes.
  'nvmlDeviceGetMemoryInfo_v2 13: memory.usedBytes: 640679936 without a gap',
  'nvmlDeviceGetMemoryInfo_v2 25: memory.usedBytes: 640679936 without a gap',
  // A driver that refuses until there is a reset has said what is to be done.
  'nvmlDeviceGetFieldValues 16: recovery.action: "reset" without a gap',
];

let rig: Rig;
const setUp = (faults: readonly string[] = []) => rig.configure({ gpus: [{}, {}], faults });
const gpu = (index: number) => ({ index, uuid: null, pciAddress: null, name: null });
const read = (index: number) => rig.provider.readGpu(gpu(index), gpuSections, deadline());

/** A sample, or the code of the error. */
async function attempt(index: number): Promise<GpuSample | string> {
  try {
    return await read(index);
  } catch (error) {
    if (isGpuError(error)) return error.code;
    throw error;
  }
}

const leavesOf = (sample: GpuSample) =>
  new Map(
    gpuSections.flatMap((section) =>
      Object.entries(sample[section] ?? {}).map(([leaf, value]) => [`${section}.${leaf}`, value] as const),
    ),
  );

/**
 * Leaves that say something else than when all is well, without a gap that says why: what looks healthy and was not read. `steady` are the
 * leaves that do not change by themselves.
 */
function findFalseReadings(well: GpuSample, now: GpuSample, steady: ReadonlySet<string>): string[] {
  const before = leavesOf(well);
  const known = new Set(well.gaps.map((gap) => JSON.stringify(gap)));
  const isNew = (gap: Gap) => !known.has(JSON.stringify(gap));
  return [...leavesOf(now)].flatMap(([leaf, value]) => {
    if (!steady.has(leaf) || JSON.stringify(value) === JSON.stringify(before.get(leaf))) return [];
    const isTold = now.gaps.some(
      (gap) => isNew(gap) && (gap.field === leaf || gap.field.startsWith(`${leaf}.`)),
    );
    return isTold ? [] : [`${leaf}: ${JSON.stringify(value)} without a gap`];
  });
}

describe.skipIf(noCompiler !== undefined)('whatever a call returns, nothing unread looks healthy', () => {
  let well: GpuSample;
  let steady: ReadonlySet<string>;
  beforeAll(async () => {
    rig = createRig({ gpus: [{}, {}] });
    await rig.provider.describeNode(deadline());
    await read(0);
    const first = leavesOf(await read(0));
    well = await read(0);
    steady = new Set(
      [...leavesOf(well)].flatMap(([leaf, value]) =>
        JSON.stringify(value) === JSON.stringify(first.get(leaf)) ? [leaf] : [],
      ),
    );
    expect(steady.size).toBeGreaterThan(100);
  });
  afterAll(() => rig.dispose());

  it.each(codes)('%i at initialisation: no call has an answer, and all do once it is gone', async (code) => {
    await rig.provider.close();
    setUp([`rc nvmlInit_v2 * ${code}`]);
    await expect(rig.provider.describeNode(deadline())).rejects.toSatisfy(isGpuError);
    expect(await attempt(0)).toEqual(expect.any(String));
    setUp();
    expect((await rig.provider.describeNode(deadline())).gpus).toHaveLength(2);
  });

  it.each(codes)(
    '%i when the GPUs are counted: the node has no answer, and has one afterwards',
    async (code) => {
      setUp([`rc nvmlDeviceGetCount_v2 * ${code}`]);
      // The fake reads its configuration with the next lookup.
      await attempt(0);
      await expect(rig.provider.describeNode(deadline())).rejects.toSatisfy(isGpuError);
      setUp();
      await attempt(0);
      expect((await rig.provider.describeNode(deadline())).gpus).toHaveLength(2);
    },
  );

  it.each(codes)(
    '%i at the lookup of a GPU: it has an error, is listed with a gap, its sibling is whole',
    async (code) => {
      setUp([`rc nvmlDeviceGetHandleByIndex_v2 0 ${code}`]);
      expect(await attempt(0)).toEqual(expect.any(String));
      const sibling = await read(1);
      expect(sibling.memory?.totalBytes).toBe(well.memory?.totalBytes);
      expect(sibling.gaps).toContainEqual(expect.objectContaining({ field: 'topology.peers' }));
      setUp();
      expect(findFalseReadings(well, await read(0), steady)).toEqual([]);
    },
  );

  it.each(codes)('%i from every function of one GPU: an error, and its sibling is whole', async (code) => {
    setUp([`rc * 0 ${code}`]);
    expect(await attempt(0)).toEqual(expect.any(String));
    expect((await read(1)).memory?.totalBytes).toBe(well.memory?.totalBytes);
    setUp();
    expect(findFalseReadings(well, await read(0), steady)).toEqual([]);
  });

  it.each(codes)(
    '%i from any one function while a GPU is read: each leaf is right, or missing with a gap',
    async (code) => {
      const problems: string[] = [];
      let lost = 0;
      for (const name of readFunctions) {
        setUp([`rc ${name} 0 ${code}`]);
        const now = await attempt(0);
        if (typeof now === 'string') lost += 1;
        else
          problems.push(
            ...findFalseReadings(well, now, steady).map((problem) => `${name} ${code}: ${problem}`),
          );
      }
      setUp();
      expect(problems.filter((problem) => !rightAnswers.includes(problem))).toEqual([]);
      // "Lost" is said of a GPU, not of a reading.
      if (code === 15) expect(lost).toBeGreaterThan(40);
      else expect(lost).toBe(0);
    },
  );

  it('planted fault: a reading that turns into zero without a gap is found', () => {
    const broken = { ...well, thermal: { ...well.thermal, temperatureCelsius: 0 } } as GpuSample;
    expect(findFalseReadings(well, broken, steady)).toEqual(['thermal.temperatureCelsius: 0 without a gap']);
  });
});
