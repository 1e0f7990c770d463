import { type GpuRef, gpuSectionLeaves, gpuSections } from '@k8s-gpu-mcp/core';
import { describe, expect, it } from 'vitest';
import { everyLink, everyMigDevice } from './fake/every-link.ts';
import { createReader, deadline, oneGpu } from './fake/reader.ts';
import { noCompiler } from './fake/rig.ts';

const { rig, open, read } = createReader();

describe.skipIf(noCompiler !== undefined)('describeNode', () => {
  it('gives versions and GPUs, PCI addresses as sysfs spells them', async () => {
    const node = await open({ gpus: [{}, { bus: '00010000:9D:00.0' }] }).describeNode(deadline());
    expect(node).toEqual({
      driverVersion: '580.95.05',
      libraryVersion: '13.580.95.05',
      computeApiVersion: '13.0',
      driverBranch: 'r580_00',
      confidentialComputingEnabled: false,
      gaps: [],
      gpus: [
        {
          index: 0,
          uuid: 'GPU-00000000-1111-2222-3333-000000000000',
          pciAddress: '0000:1b:00.0',
          name: 'NVIDIA H100 80GB HBM3',
        },
        {
          index: 1,
          uuid: 'GPU-00000000-1111-2222-3333-000000000001',
          pciAddress: '10000:9d:00.0',
          name: 'NVIDIA H100 80GB HBM3',
        },
      ],
    });
  });

  it('lists a GPU that cannot be opened by its index, with the reason', async () => {
    const node = await open({
      gpus: [{}, {}, {}],
      faults: ['rc nvmlDeviceGetHandleByIndex_v2 1 15'],
    }).describeNode(deadline());
    expect(node.gpus.map(({ index, uuid }) => [index, uuid === null])).toEqual([
      [0, false],
      [1, true],
      [2, false],
    ]);
    expect(node.gaps).toEqual([
      {
        gpu: 1,
        field: 'identity',
        reason: 'gpu-lost',
        detail: expect.stringContaining('NVML_ERROR_GPU_IS_LOST (15)'),
      },
    ]);
  });

  it('has a gap for each version that is missing', async () => {
    const node = await open({
      sys: { nvml: null, cuda: null, branch: null, cc: null },
    }).describeNode(deadline());
    expect(node.gaps.map(({ field, reason }) => [field, reason])).toEqual([
      ['libraryVersion', 'unsupported'],
      ['computeApiVersion', 'unsupported'],
      ['driverBranch', 'unsupported'],
      ['confidentialComputingEnabled', 'unsupported'],
    ]);
  });

  it('sees a node without GPUs, and one that has got another since', async () => {
    const provider = open({ gpus: [] });
    expect((await provider.describeNode(deadline())).gpus).toEqual([]);
    // The count is the library's; a new device shows after a handle lookup or a new start has read the file again.
    await provider.close();
    rig().configure({ gpus: [{}] });
    expect((await provider.describeNode(deadline())).gpus).toHaveLength(1);
  });

  it('never calls an unversioned symbol whose ABI is the old one', async () => {
    const node = await open({ gpus: [{}, {}] }).describeNode(deadline());
    expect(node.gpus).toHaveLength(2); // the fake's nvmlDeviceGetCount says 99
  });
});

describe.skipIf(noCompiler !== undefined)('readGpu', () => {
  it('reads nothing but what was asked for', async () => {
    const { sample } = await read(oneGpu({}), ['pcie']);
    expect(gpuSections.filter((section) => sample[section] !== undefined)).toEqual(['pcie']);
    expect(rig().calls('nvmlDeviceGetTemperatureV')).toBe(0);
  });

  it('follows the UUID when indexes have moved, and says when the GPU is gone', async () => {
    const provider = open({ gpus: [{}, {}] });
    const { gpus } = await provider.describeNode(deadline());
    const [first, second] = gpus as [GpuRef, GpuRef];
    rig().configure({
      gpus: [
        { uuid: second.uuid, 'temp.0': 77 },
        { uuid: first.uuid, 'temp.0': 33 },
      ],
    });
    const sample = await provider.readGpu(first, ['thermal'], deadline());
    expect(sample.thermal?.temperatureCelsius).toBe(33);
    rig().configure({ gpus: [{ uuid: 'GPU-other' }, {}] });
    await expect(provider.readGpu(first, ['thermal'], deadline())).rejects.toMatchObject({
      code: 'GPU_NOT_FOUND',
      gpuId: first.uuid,
    });
  });

  it.each([2, 99, -1, 1.5, Number.NaN, 2 ** 40])('index %d is GPU_NOT_FOUND', async (index) => {
    const ref = { index, uuid: null, pciAddress: null, name: null };
    await expect(open({ gpus: [{}, {}] }).readGpu(ref, ['memory'], deadline())).rejects.toMatchObject({
      code: 'GPU_NOT_FOUND',
    });
  });

  it('without the right to see MIG devices has no list, which is not an empty one', async () => {
    const { sample, reasons } = await read(
      oneGpu(everyLink, {
        mig: everyMigDevice,
        faults: ['rc nvmlDeviceGetMigDeviceHandleByIndex * 4'],
      }),
      ['mig'],
    );
    expect(sample.mig?.devices).toBeNull();
    expect(reasons['mig.devices']).toBe('no-permission');
  });
});

describe.skipIf(noCompiler !== undefined)('the stand-in', () => {
  it('takes as long for each call as it is told to', async () => {
    const provider = open(oneGpu({}, { faults: ['latency 5000'] }));
    const gpu = { index: 0, uuid: null, pciAddress: null, name: null };
    await provider.describeNode(deadline());
    const start = performance.now();
    await provider.readGpu(gpu, ['clocks'], deadline());
    // 13 clocks, the performance state and 2 masks: 16 calls of 5 ms each.
    expect(performance.now() - start).toBeGreaterThan(16 * 5);
  });
});

describe.skipIf(noCompiler !== undefined)('older drivers', () => {
  it.each([535, 470] as const)('%i: falls back symbol by symbol', async (generation) => {
    const { sample, reasons } = await read(oneGpu({}), gpuSections, generation);
    expect(sample.thermal?.temperatureCelsius).toBe(31);
    expect(reasons['thermal.marginCelsius']).toBe('unsupported');
    expect(sample.clocks?.eventReasons).toEqual(['idle']);
    expect(sample.ecc?.sramUncorrectableAggregateCount).toBe(2);
    expect(sample.memory?.totalBytes).toBe(85_520_809_984);
    expect(rig().calls('nvmlDeviceGetTemperature')).toBe(1);
    if (generation === 535) {
      expect(sample.memory?.reservedBytes).toBe(639_631_360);
      expect(sample.ecc?.sramThresholdExceeded).toBe(false);
    } else {
      // v1 counts reserved memory as used, and says nothing about the SRAM threshold.
      expect(sample.memory).toMatchObject({ usedBytes: 1_048_576 + 639_631_360, reservedBytes: null });
      expect(reasons['memory.reservedBytes']).toBe('unsupported');
      expect(reasons['ecc.sramThresholdExceeded']).toBe('unsupported');
      expect(rig().calls('nvmlDeviceGetCurrentClocksThrottleReasons')).toBe(1);
    }
  });

  it('steps down when a newer symbol refuses the struct version (25)', async () => {
    const { sample } = await read(
      oneGpu({}, { faults: ['rc nvmlDeviceGetMemoryInfo_v2 * 25', 'rc nvmlDeviceGetTemperatureV * 25'] }),
      ['memory', 'thermal'],
    );
    expect(sample.memory).toMatchObject({ totalBytes: 85_520_809_984, reservedBytes: null });
    expect(sample.thermal?.temperatureCelsius).toBe(31);
  });

  it('reads SRAM counts without root, where the status call wants it', async () => {
    const { sample, reasons } = await read(
      oneGpu({}, { faults: ['rc nvmlDeviceGetSramEccErrorStatus * 4'] }),
      ['ecc'],
    );
    expect(sample.ecc).toMatchObject({ sramUncorrectableAggregateCount: 2, sramThresholdExceeded: null });
    const sources = ['L2', 'Sm', 'Pcie', 'Microcontroller', 'Other'];
    expect(reasons).toEqual({
      'ecc.sramThresholdExceeded': 'no-permission',
      ...Object.fromEntries(
        sources.map((source) => [`ecc.sramUncorrectable${source}AggregateCount`, 'no-permission']),
      ),
    });
  });
});

describe.skipIf(noCompiler !== undefined)('return codes', () => {
  const codes = [3, 4, 6, 9, 13, 15, 16, 17, 18, 25, 27, 999];
  const atLookup: Record<number, string> = {
    3: 'NOT_SUPPORTED',
    4: 'NO_PERMISSION',
    6: 'GPU_NOT_FOUND',
    9: 'DRIVER_NOT_LOADED',
    13: 'NOT_SUPPORTED',
    15: 'GPU_LOST',
    16: 'RESET_REQUIRED',
    17: 'UNAVAILABLE',
    18: 'DRIVER_MISMATCH',
    25: 'UNAVAILABLE',
    27: 'UNAVAILABLE',
    999: 'UNAVAILABLE',
  };

  it.each(codes)('%i at the handle lookup of one GPU: its error, its siblings answered', async (code) => {
    const provider = open({ gpus: [{}, {}, {}], faults: [`rc nvmlDeviceGetHandleByIndex_v2 1 ${code}`] });
    const { gpus } = await provider.describeNode(deadline());
    expect(gpus).toHaveLength(3);
    const results = await Promise.allSettled(
      gpus.map((gpu) => provider.readGpu(gpu, ['memory'], deadline())),
    );
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(results[1]).toMatchObject({
      reason: { code: atLookup[code], gpuId: '1', message: expect.stringContaining(`(${code})`) },
    });
  });

  it.each(codes)('%i from every call of a read: gaps with the code, or GPU_LOST', async (code) => {
    const provider = open({ gpus: [{}, {}] }, 610);
    const { gpus } = await provider.describeNode(deadline());
    // "*" would also fail the lookup; a rule for the lookup goes before it.
    rig().configure({
      gpus: [{ 'mig.current': 1 }, {}],
      faults: ['rc nvmlDeviceGetHandleByIndex_v2 0 0', `rc * 0 ${code}`],
    });
    const reading = provider.readGpu({ ...gpus[0], uuid: null } as GpuRef, gpuSections, deadline());
    if (code === 15) {
      await expect(reading).rejects.toMatchObject({ code: 'GPU_LOST' });
    } else {
      const sample = await reading;
      const leaves = gpuSections.flatMap((section) =>
        Object.entries(sample[section] ?? {}).map(([leaf, value]) => [`${section}.${leaf}`, value] as const),
      );
      expect(leaves).toHaveLength(Object.values(gpuSectionLeaves).flat().length);
      // The advice to reset is what this code says; nothing else is known.
      const known = code === 16 ? ['recovery.action'] : [];
      // A peer is listed because it could be opened; what it has in common with this GPU is not known either.
      const [peer] = sample.topology?.peers ?? [];
      expect(Object.values(peer ?? {}).filter((value) => value !== null)).toEqual([1]);
      const values = leaves.filter(([, value]) => value !== null).map(([path]) => path);
      expect(values).toEqual(['topology.peers', ...known]);
      expect(sample.recovery?.action).toBe(code === 16 ? 'reset' : null);
      const fields = sample.gaps
        .map(({ field }) => field)
        .filter((field) => !field.startsWith('topology.peers.'));
      expect(fields.sort()).toEqual(
        leaves
          .filter(([, value]) => value === null)
          .map(([path]) => path)
          .sort(),
      );
      const reason = code === 3 || code === 13 ? 'unsupported' : code === 4 ? 'no-permission' : 'error';
      expect(sample.gaps.filter((gap) => gap.reason !== reason)).toEqual([]);
      expect(sample.gaps.every(({ detail }) => detail.includes(`(${code})`))).toBe(true);
    }
    await provider.readGpu(gpus[1] as GpuRef, ['memory'], deadline());
  });

  it.each([
    [4, 'NO_PERMISSION'],
    [9, 'DRIVER_NOT_LOADED'],
    [18, 'DRIVER_MISMATCH'],
    [999, 'UNAVAILABLE'],
  ])('%i from nvmlInit: %s with a hint, and the next call finds a mended driver', async (code, expected) => {
    const provider = open({ faults: [`rc nvmlInit_v2 sys ${code}`] });
    await expect(provider.describeNode(deadline())).rejects.toMatchObject({
      code: expected,
      message: expect.stringContaining(`(${code})`),
      hint: expect.stringMatching(/\w{4}/),
    });
    rig().configure({});
    expect((await provider.describeNode(deadline())).gpus).toHaveLength(2);
  });

  it('an error of the count is an error, not a node without GPUs', async () => {
    await expect(
      open({ faults: ['rc nvmlDeviceGetCount_v2 sys 999'] }).describeNode(deadline()),
    ).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
