import { describe, expect, it } from 'vitest';
import { readSection } from './fake/read-section.ts';
import { noCompiler } from './fake/rig.ts';

const mebibyte = 1024 ** 2;
const divided = { 'mig.current': 1, 'mig.pending': 1, 'mig.max': 7 };
/** Two instances with a hole between, as after one in the middle was destroyed. */
const mig = {
  '0.0': {
    uuid: 'MIG-aaaa',
    name: 'NVIDIA H100 80GB HBM3 MIG 3g.40gb',
    gi: 2,
    ci: 0,
    sms: 60,
    'slices.gpu': 3,
    'slices.compute': 3,
    'slices.memory': 40_448,
    'mem.total': 40_448 * mebibyte,
    'mem.used': 12 * mebibyte,
    'mem.free': 40_436 * mebibyte,
    'mem.reserved': 0,
  },
  '0.5': {
    uuid: 'MIG-bbbb',
    gi: 9,
    ci: 1,
    sms: 16,
    'slices.gpu': 1,
    'slices.compute': 1,
    'slices.memory': 9984,
    'mem.total': 9984 * mebibyte,
    'mem.used': 0,
    'mem.free': 9984 * mebibyte,
    'mem.reserved': 0,
  },
};
const asRoot = { 'instances.visible': 1, 'instance.2': '9 4 4', 'instance.9': '19 3 1' };

describe.skipIf(noCompiler !== undefined)('MIG', () => {
  it('reads sparse devices, their slices and where they lie', async () => {
    const { reading, gaps } = await readSection('mig', { gpus: [{ ...divided, ...asRoot }], mig });
    expect(reading).toMatchObject({ enabled: true, pendingEnabled: true, maxDeviceCount: 7 });
    expect(reading.devices).toEqual([
      {
        index: 0,
        uuid: 'MIG-aaaa',
        gpuInstanceId: 2,
        computeInstanceId: 0,
        profile: '3g.40gb',
        memoryTotalBytes: 40_448 * mebibyte,
        memoryUsedBytes: 12 * mebibyte,
        multiprocessorCount: 60,
        gpuSliceCount: 3,
        computeSliceCount: 3,
        placementStart: 4,
        placementSize: 4,
      },
      {
        index: 5,
        uuid: 'MIG-bbbb',
        gpuInstanceId: 9,
        computeInstanceId: 1,
        profile: '1g.10gb',
        memoryTotalBytes: 9984 * mebibyte,
        memoryUsedBytes: 0,
        multiprocessorCount: 16,
        gpuSliceCount: 1,
        computeSliceCount: 1,
        placementStart: 3,
        placementSize: 1,
      },
    ]);
    expect(gaps).toEqual([]);
  });

  it('has one gap for all devices when only root may see where they lie', async () => {
    const { reading, gaps } = await readSection('mig', { gpus: [divided], mig });
    expect(reading.devices?.map(({ placementStart }) => placementStart)).toEqual([null, null]);
    const detail = 'MIG device 0,5: nvmlDeviceGetGpuInstances: NVML_ERROR_NO_PERMISSION (4)';
    expect(gaps).toEqual([
      { gpu: 0, field: 'mig.devices.placementStart', reason: 'no-permission', detail },
      { gpu: 0, field: 'mig.devices.placementSize', reason: 'no-permission', detail },
    ]);
  });

  it('does not take an instance that is not listed for one at slice 0', async () => {
    const { reading, detail } = await readSection('mig', {
      gpus: [{ ...divided, ...asRoot, 'instance.9': null }],
      mig,
    });
    expect(reading.devices?.map(({ placementStart }) => placementStart)).toEqual([4, null]);
    expect(detail('mig.devices.placementStart')).toMatch(/^MIG device 5: /);
  });

  it('lists a device that cannot be opened by its index alone', async () => {
    const { reading, reason } = await readSection('mig', {
      gpus: [{ ...divided, ...asRoot, 'mig.rc.3': 4 }],
      mig,
    });
    expect(reading.devices?.map(({ index, uuid }) => [index, uuid])).toEqual([
      [0, 'MIG-aaaa'],
      [3, null],
      [5, 'MIG-bbbb'],
    ]);
    expect(reason('mig.devices')).toBe('no-permission');
  });

  it('lists the profiles of an H100 80GB', async () => {
    const { reading } = await readSection('mig', { gpus: [{ ...divided, 'profile.remaining.9': 1 }], mig });
    const { profiles } = reading;
    expect(profiles?.map(({ id, name, maxInstanceCount }) => [id, name, maxInstanceCount])).toEqual([
      [19, '1g.10gb', 7],
      [14, '2g.20gb', 3],
      [9, '3g.40gb', 2],
      [5, '4g.40gb', 1],
      [0, '7g.80gb', 1],
      [20, '1g.10gb+me', 1],
      [15, '1g.20gb', 4],
    ]);
    expect(profiles?.[2]).toEqual({
      id: 9,
      name: '3g.40gb',
      gpuSliceCount: 3,
      memoryTotalBytes: 40_448 * mebibyte,
      multiprocessorCount: 60,
      maxInstanceCount: 2,
      remainingInstanceCount: 1,
      placementStarts: [0, 4],
    });
  });

  it('works the names out for a driver that does not spell them', async () => {
    const { reading } = await readSection('mig', { gpus: [divided], mig }, { generation: 470 });
    expect(reading.profiles?.map(({ name }) => name)).toEqual([
      '1g.10gb',
      '2g.20gb',
      '3g.40gb',
      '4g.40gb',
      '7g.80gb',
      '1g.10gb+me',
      '1g.20gb',
    ]);
  });

  it('has one gap for all profiles when only root may see what fits', async () => {
    const hidden = Object.fromEntries(
      [19, 20, 15, 14, 9, 5, 0].flatMap((id) => [
        [`profile.remaining.${id}`, null],
        [`profile.placements.${id}`, null],
      ]),
    );
    const { reading, gaps } = await readSection('mig', { gpus: [hidden] });
    expect(reading.profiles?.every(({ placementStarts }) => placementStarts === null)).toBe(true);
    expect(gaps.map(({ field, reason }) => [field, reason])).toEqual([
      ['mig.profiles.remainingInstanceCount', 'no-permission'],
      ['mig.profiles.placementStarts', 'no-permission'],
    ]);
    expect(gaps[0]?.detail).toMatch(/^profile 0,5,9,14-15,19-20: /);
  });

  it('is a gap each on a GPU without MIG', async () => {
    const none = { 'mig.current': null, 'mig.pending': null, 'mig.max': null };
    const { reading, gaps } = await readSection('mig', { gpus: [none] });
    expect(Object.values(reading)).toEqual([null, null, null, null, null]);
    expect(gaps.map(({ reason }) => reason)).toEqual(Array(5).fill('unsupported'));
  });

  it('says that profiles are refused, and not that there are none', async () => {
    const { reading, reason } = await readSection('mig', {
      gpus: [{}],
      faults: ['rc nvmlDeviceGetGpuInstanceProfileInfoV 0 4'],
    });
    expect(reading).toMatchObject({ enabled: false, devices: [], profiles: null });
    expect(reason('mig.profiles')).toBe('no-permission');
  });
});
