import { type GpuProvider, type GpuRef, type GpuSection, gpuSections } from '@k8s-gpu-mcp/core';
import { afterEach, describe, expect, it } from 'vitest';
import { createRig, type Generation, type NodeConfig, noCompiler, type Rig } from './fake/rig.ts';

let rig: Rig | undefined;
afterEach(async () => {
  await rig?.dispose();
  rig = undefined;
});

const deadline = () => AbortSignal.timeout(20_000);
function open(config: NodeConfig, generation?: Generation): GpuProvider {
  rig = createRig(config, {}, generation);
  return rig.provider;
}
async function read(config: NodeConfig, sections: readonly GpuSection[], generation?: Generation) {
  const provider = open(config, generation);
  const { gpus } = await provider.describeNode(deadline());
  const sample = await provider.readGpu(gpus[0] as GpuRef, sections, deadline());
  const reasons = Object.fromEntries(sample.gaps.map(({ field, reason }) => [field, reason]));
  return { sample, reasons, gaps: sample.gaps };
}
const oneGpu = (values: Record<string, string | number | null>, rest: NodeConfig = {}): NodeConfig => ({
  ...rest,
  gpus: [values],
});

describe.skipIf(noCompiler !== undefined)('describeNode', () => {
  it('gives versions and GPUs, PCI addresses as sysfs spells them', async () => {
    const node = await open({ gpus: [{}, { bus: '00010000:9D:00.0' }] }).describeNode(deadline());
    expect(node).toEqual({
      driverVersion: '580.95.05',
      libraryVersion: '13.580.95.05',
      computeApiVersion: '13.0',
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
    const node = await open({ sys: { nvml: null, cuda: null } }).describeNode(deadline());
    expect(node.gaps.map(({ field, reason }) => [field, reason])).toEqual([
      ['libraryVersion', 'unsupported'],
      ['computeApiVersion', 'unsupported'],
    ]);
  });

  it('sees a node without GPUs, and one that has got another since', async () => {
    const provider = open({ gpus: [] });
    expect((await provider.describeNode(deadline())).gpus).toEqual([]);
    // The count is the library's; a new device shows after a handle lookup or a new start has read the file again.
    await provider.close();
    rig?.configure({ gpus: [{}] });
    expect((await provider.describeNode(deadline())).gpus).toHaveLength(1);
  });

  it('never calls an unversioned symbol whose ABI is the old one', async () => {
    const node = await open({ gpus: [{}, {}] }).describeNode(deadline());
    expect(node.gpus).toHaveLength(2); // the fake's nvmlDeviceGetCount says 99
  });
});

describe.skipIf(noCompiler !== undefined)('readGpu', () => {
  it('reads every section in its units', async () => {
    const { sample, reasons } = await read(oneGpu({}), gpuSections);
    expect(sample).toMatchObject({
      identity: {
        name: 'NVIDIA H100 80GB HBM3',
        serial: '1654123000000',
        boardPartNumber: '692-2G520-0200-000',
        vbiosVersion: '96.00.74.00.01',
        inforomVersion: 'G520.0200.00.05',
        architecture: 'hopper',
        computeCapability: '9.0',
        minorNumber: 0,
        persistenceModeEnabled: true,
      },
      memory: {
        totalBytes: 85_520_809_984,
        usedBytes: 1_048_576,
        freeBytes: 84_880_130_048,
        reservedBytes: 639_631_360,
      },
      thermal: {
        temperatureCelsius: 31,
        memoryTemperatureCelsius: 43,
        slowdownThresholdCelsius: 92,
        shutdownThresholdCelsius: 95,
        maxOperatingThresholdCelsius: 87,
        memoryMaxThresholdCelsius: 95,
        marginCelsius: 56,
        slowdownMarginCelsius: -2,
        shutdownMarginCelsius: -8,
        fanSpeedPercent: null,
      },
      power: {
        drawWatts: 70.5,
        instantDrawWatts: 71.25,
        enforcedLimitWatts: 700,
        defaultLimitWatts: 700,
        minLimitWatts: 200,
        maxLimitWatts: 700,
        energyJoules: 123_456.789,
      },
      clocks: {
        smClockMegahertz: 345,
        memoryClockMegahertz: 2619,
        maxSmClockMegahertz: 1980,
        maxMemoryClockMegahertz: 2619,
        performanceState: 'P0',
        eventReasons: ['idle'],
      },
      utilization: { gpuPercent: 0, memoryPercent: 0, encoderPercent: 0, decoderPercent: 0 },
      ecc: {
        enabled: true,
        pendingEnabled: true,
        correctableVolatileCount: 0,
        uncorrectableVolatileCount: 0,
        correctableAggregateCount: 3,
        uncorrectableAggregateCount: 0,
        sramUncorrectableVolatileCount: 0,
        sramUncorrectableAggregateCount: 2,
        sramThresholdExceeded: false,
      },
      rowRemap: { correctableRowCount: 0, uncorrectableRowCount: 1, pending: false, failureOccurred: false },
      pcie: {
        currentGeneration: 5,
        maxGeneration: 5,
        currentLinkWidthLanes: 16,
        maxLinkWidthLanes: 16,
        replayCount: 0,
      },
      mig: { enabled: false, pendingEnabled: false, devices: [] },
      recovery: { action: 'none' },
    });
    expect(reasons).toEqual({
      'thermal.fanSpeedPercent': 'unsupported',
      'rowRemap.retiredPagesPending': 'unsupported',
      'rowRemap.retiredPageCount': 'unsupported',
    });
  });

  it('reads nothing but what was asked for', async () => {
    const { sample } = await read(oneGpu({}), ['pcie']);
    expect(Object.keys(sample).sort()).toEqual(['gaps', 'pcie']);
    expect(rig?.calls('nvmlDeviceGetTemperatureV')).toBe(0);
  });

  it('on a GeForce without ECC, remapping or recovery action says unsupported, never 0', async () => {
    const bare = Object.fromEntries(
      ['ecc.current', 'ecc.total.0.0', 'ecc.total.1.0', 'ecc.total.0.1', 'ecc.total.1.1', 'ecc.at.1.0.7']
        .concat('ecc.at.1.1.7', 'sram.vol.parity', 'rows.corr', 'mig.current', 'field.230', 'field.82')
        .map((key) => [key, null]),
    );
    const { sample, gaps } = await read(oneGpu({ ...bare, 'fan.0': 30 }), [
      'ecc',
      'rowRemap',
      'mig',
      'recovery',
      'thermal',
    ]);
    expect(Object.values(sample.ecc ?? {}).every((value) => value === null)).toBe(true);
    expect(Object.values(sample.rowRemap ?? {}).every((value) => value === null)).toBe(true);
    expect(sample.mig).toEqual({ enabled: null, pendingEnabled: null, devices: null });
    expect(sample.recovery).toEqual({ action: null });
    expect(sample.thermal?.fanSpeedPercent).toBe(30);
    expect(gaps).toHaveLength(9 + 6 + 3 + 1 + 1);
    expect(gaps.every(({ reason, gpu }) => reason === 'unsupported' && gpu === 0)).toBe(true);
  });

  it('counts retired pages of both causes, more than fit the first buffer', async () => {
    const { sample } = await read(oneGpu({ 'retired.0': 70, 'retired.1': 3, 'retired.pending': 1 }), [
      'rowRemap',
    ]);
    expect(sample.rowRemap).toMatchObject({ retiredPageCount: 73, retiredPagesPending: true });
  });

  it('decodes every type of field value, and signed T.Limits of drivers that call them unsigned', async () => {
    const { sample } = await read(
      oneGpu({
        'field.193': 'uint -8',
        'field.194': 'sll -2',
        'field.82': 'ushort 44',
        'field.186': 'ull 90000',
      }),
      ['thermal', 'power'],
    );
    expect(sample.thermal).toMatchObject({
      shutdownMarginCelsius: -8,
      slowdownMarginCelsius: -2,
      memoryTemperatureCelsius: 44,
    });
    expect(sample.power?.instantDrawWatts).toBe(90);
  });

  it('keeps the other fields when one has an error of its own', async () => {
    const { sample, reasons } = await read(oneGpu({ 'field.194': 'rc 4' }), ['thermal']);
    expect(sample.thermal).toMatchObject({ shutdownMarginCelsius: -8, slowdownMarginCelsius: null });
    expect(reasons['thermal.slowdownMarginCelsius']).toBe('no-permission');
  });

  it('a negative margin stays negative', async () => {
    const { sample } = await read(oneGpu({ margin: -3 }), ['thermal']);
    expect(sample.thermal?.marginCelsius).toBe(-3);
  });

  it('follows the UUID when indexes have moved, and says when the GPU is gone', async () => {
    const provider = open({ gpus: [{}, {}] });
    const { gpus } = await provider.describeNode(deadline());
    const [first, second] = gpus as [GpuRef, GpuRef];
    rig?.configure({
      gpus: [
        { uuid: second.uuid, 'temp.0': 77 },
        { uuid: first.uuid, 'temp.0': 33 },
      ],
    });
    const sample = await provider.readGpu(first, ['thermal'], deadline());
    expect(sample.thermal?.temperatureCelsius).toBe(33);
    rig?.configure({ gpus: [{ uuid: 'GPU-other' }, {}] });
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
});

describe.skipIf(noCompiler !== undefined)('older drivers', () => {
  it.each([535, 470] as const)('%i: falls back symbol by symbol', async (generation) => {
    const { sample, reasons } = await read(oneGpu({}), gpuSections, generation);
    expect(sample.thermal?.temperatureCelsius).toBe(31);
    expect(reasons['thermal.marginCelsius']).toBe('unsupported');
    expect(sample.clocks?.eventReasons).toEqual(['idle']);
    expect(sample.ecc?.sramUncorrectableAggregateCount).toBe(2);
    expect(sample.memory?.totalBytes).toBe(85_520_809_984);
    expect(rig?.calls('nvmlDeviceGetTemperature')).toBe(1);
    if (generation === 535) {
      expect(sample.memory?.reservedBytes).toBe(639_631_360);
      expect(sample.ecc?.sramThresholdExceeded).toBe(false);
    } else {
      // v1 counts reserved memory as used, and says nothing about the SRAM threshold.
      expect(sample.memory).toMatchObject({ usedBytes: 1_048_576 + 639_631_360, reservedBytes: null });
      expect(reasons['memory.reservedBytes']).toBe('unsupported');
      expect(reasons['ecc.sramThresholdExceeded']).toBe('unsupported');
      expect(rig?.calls('nvmlDeviceGetCurrentClocksThrottleReasons')).toBe(1);
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
    expect(reasons).toEqual({ 'ecc.sramThresholdExceeded': 'no-permission' });
  });
});

describe.skipIf(noCompiler !== undefined)('MIG', () => {
  const instance = (values: Record<string, string | number | null> = {}) => ({
    uuid: 'MIG-1',
    name: 'NVIDIA H100 80GB HBM3',
    gi: 7,
    ci: 0,
    'slices.gpu': 1,
    'slices.compute': 1,
    'slices.memory': 9_984,
    'mem.total': 10_468_982_784,
    'mem.used': 15_728_640,
    'mem.free': 10_453_254_144,
    'mem.reserved': 0,
    ...values,
  });
  const migOn = { 'mig.current': 1, 'mig.pending': 1 };

  it('walks over holes and reads each device', async () => {
    const { sample, gaps } = await read(
      oneGpu(migOn, { mig: { '0.2': instance(), '0.5': instance({ uuid: 'MIG-2', gi: 0xffff_ffff }) } }),
      ['mig'],
    );
    expect(sample.mig).toEqual({
      enabled: true,
      pendingEnabled: true,
      devices: [
        {
          index: 2,
          uuid: 'MIG-1',
          gpuInstanceId: 7,
          computeInstanceId: 0,
          profile: '1g.10gb',
          memoryTotalBytes: 10_468_982_784,
          memoryUsedBytes: 15_728_640,
        },
        expect.objectContaining({ index: 5, uuid: 'MIG-2', gpuInstanceId: null }),
      ],
    });
    expect(gaps.map(({ field, reason }) => [field, reason])).toEqual([
      ['mig.devices.gpuInstanceId', 'unsupported'],
    ]);
  });

  it('without the right to see MIG devices has no list, which is not an empty one', async () => {
    const { sample, reasons } = await read(
      oneGpu(migOn, {
        mig: { '0.0': instance() },
        faults: ['rc nvmlDeviceGetMigDeviceHandleByIndex * 4'],
      }),
      ['mig'],
    );
    expect(sample.mig?.devices).toBeNull();
    expect(reasons['mig.devices']).toBe('no-permission');
  });

  it('lists a device that cannot be opened beside those that can', async () => {
    const { sample, reasons } = await read(
      oneGpu({ ...migOn, 'mig.rc.1': 999 }, { mig: { '0.0': instance() } }),
      ['mig'],
    );
    expect(sample.mig?.devices?.map(({ index, uuid }) => [index, uuid])).toEqual([
      [0, 'MIG-1'],
      [1, null],
    ]);
    expect(reasons['mig.devices']).toBe('error');
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
    const provider = open({ gpus: [{ ...{} }, {}] });
    const { gpus } = await provider.describeNode(deadline());
    // "*" would also fail the lookup; a rule for the lookup goes before it.
    rig?.configure({
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
      expect(leaves).toHaveLength(10 + 4 + 10 + 7 + 6 + 4 + 9 + 6 + 5 + 3 + 1);
      expect(leaves.filter(([, value]) => value !== null)).toEqual([]);
      expect(sample.gaps.map(({ field }) => field).sort()).toEqual(leaves.map(([path]) => path).sort());
      const reason = code === 3 || code === 13 ? 'unsupported' : code === 4 ? 'no-permission' : 'error';
      expect(new Set(sample.gaps.map((gap) => gap.reason))).toEqual(new Set([reason]));
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
    rig?.configure({});
    expect((await provider.describeNode(deadline())).gpus).toHaveLength(2);
  });

  it('an error of the count is an error, not a node without GPUs', async () => {
    await expect(
      open({ faults: ['rc nvmlDeviceGetCount_v2 sys 999'] }).describeNode(deadline()),
    ).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
