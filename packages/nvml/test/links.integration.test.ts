import type { NvLink } from '@k8s-gpu-mcp/core';
import { describe, expect, it } from 'vitest';
import { readSection } from './fake/read-section.ts';
import { noCompiler } from './fake/rig.ts';

const gpu = (values: Record<string, string | number | null>) => ({ gpus: [values] });
const linkNumbers = (links: readonly NvLink[] | null) => links?.map(({ link }) => link);
const numbered = (count: number) => Array.from({ length: count }, (_, link) => link);

describe.skipIf(noCompiler !== undefined)('NVLink', () => {
  it('reads the 18 links of an HGX H100 to its switches', async () => {
    const { reading } = await readSection('nvlink', { gpus: [{}, {}] }, { gpu: 1 });
    expect(linkNumbers(reading.links)).toEqual(numbered(18));
    expect(reading.links?.[9]).toEqual({
      link: 9,
      active: true,
      version: '4',
      speedMegabytesPerSecond: 26_562,
      remoteDeviceType: 'switch',
      remotePciAddress: '0000:07:00.0',
      remoteLink: 9,
      replayErrorCount: 0,
      recoveryErrorCount: 0,
      crcFlitErrorCount: 0,
      crcDataErrorCount: 0,
      eccDataErrorCount: null,
      receiveErrorCount: null,
      malformedPacketErrorCount: null,
      bufferOverrunErrorCount: null,
      linkIntegrityErrorCount: null,
      linkRecoverySuccessCount: null,
      linkRecoveryFailureCount: null,
      effectiveErrorCount: null,
      effectiveBitErrorRate: null,
      symbolErrorCount: null,
      symbolBitErrorRate: null,
    });
  });

  it('says once what all links lack, and of which links', async () => {
    const { gaps } = await readSection('nvlink', gpu({}));
    const receive = gaps.filter(({ field }) => field === 'nvlink.links.receiveErrorCount');
    expect(receive).toEqual([
      {
        gpu: 0,
        field: 'nvlink.links.receiveErrorCount',
        reason: 'unsupported',
        detail: 'link 0-17: nvmlDeviceGetFieldValues(208): NVML_ERROR_NOT_SUPPORTED (3)',
      },
    ]);
  });

  it('reads a direct link between two GPUs, and a broken one beside it', async () => {
    const { reading, gaps } = await readSection(
      'nvlink',
      gpu({
        'nvlink.count': 2,
        'nvlink.all.remote.type': 0,
        'nvlink.0.remote.bus': '00010000:9D:00.0',
        'nvlink.all.version': 4,
        'nvlink.all.errors.0': 7,
        'nvlink.1.state': 0,
        'nvlink.1.version': 0,
        'nvlink.1.remote.bus': null,
        'nvlink.1.errors.0': 12,
      }),
    );
    expect(reading.links).toMatchObject([
      {
        active: true,
        version: '3',
        remoteDeviceType: 'gpu',
        remotePciAddress: '10000:9d:00.0',
        replayErrorCount: 7,
      },
      { active: false, version: null, remotePciAddress: null, replayErrorCount: 12 },
    ]);
    expect(
      gaps.filter(({ field }) => /version|remotePci/.test(field)).map(({ field, reason }) => [field, reason]),
    ).toEqual([
      ['nvlink.links.version', 'not-observable'],
      ['nvlink.links.remotePciAddress', 'unsupported'],
    ]);
  });

  it('finds 36 links where there are so many, and asks for no more', async () => {
    const { reading, calls } = await readSection('nvlink', gpu({ 'nvlink.count': 40 }));
    expect(linkNumbers(reading.links)).toEqual(numbered(36));
    expect(calls('nvmlDeviceGetNvLinkState')).toBe(36);
  });

  it('leaves out links that the product has not got, wherever they are', async () => {
    const { reading } = await readSection(
      'nvlink',
      gpu({ 'nvlink.count': 6, 'nvlink.0.rc': 3, 'nvlink.3.rc': 3 }),
    );
    expect(linkNumbers(reading.links)).toEqual([1, 2, 4, 5]);
  });

  it('lists a link whose state could not be read, without calling it down', async () => {
    const { reading, detail, reason } = await readSection(
      'nvlink',
      gpu({ 'nvlink.count': 3, 'nvlink.1.rc': 999 }),
    );
    expect(reading.links?.map(({ active }) => active)).toEqual([true, null, true]);
    expect(reason('nvlink.links.active')).toBe('error');
    expect(detail('nvlink.links.active')).toBe('link 1: nvmlDeviceGetNvLinkState: NVML_ERROR_UNKNOWN (999)');
  });

  it('tells "no NVLink" from "not supported"', async () => {
    const none = await readSection('nvlink', gpu({ 'nvlink.count': null, 'field.91': 'uint 0' }));
    expect(none.reading.links).toEqual([]);
    const silent = await readSection('nvlink', gpu({ 'nvlink.count': null, 'field.91': null }));
    expect(silent.reading.links).toBeNull();
    expect(silent.reason('nvlink.links')).toBe('unsupported');
    expect(silent.calls('nvmlDeviceGetNvLinkState')).toBe(1);
  });

  it('does not take links of which nothing is told for none', async () => {
    const { reading, reason } = await readSection('nvlink', {
      ...gpu({}),
      faults: ['rc nvmlDeviceGetNvLinkState * 3'],
    });
    expect(reading.links).toBeNull();
    expect(reason('nvlink.links')).toBe('unsupported');
  });

  it('is missing as a whole where no link told its state', async () => {
    const refused = { ...gpu({ 'nvlink.count': 18 }), faults: ['rc nvmlDeviceGetNvLinkState * 4'] };
    const { reading, gaps } = await readSection('nvlink', refused);
    expect(reading.links).toBeNull();
    expect(gaps.map(({ field, reason }) => [field, reason])).toEqual([['nvlink.links', 'no-permission']]);
  });

  it('takes the older sources where there are no others', async () => {
    const { reading } = await readSection(
      'nvlink',
      gpu({
        'nvlink.count': 13,
        ...Object.fromEntries(numbered(18).map((link) => [`field.164.${link}`, null])),
        'field.84': 'uint 25781',
        'field.137': 'uint 25000',
        'nvlink.all.errors.0': null,
        'field.161.1': 'ull 5',
      }),
    );
    expect([0, 11, 12].map((link) => reading.links?.[link]?.speedMegabytesPerSecond)).toEqual([
      25_781,
      25_000,
      null,
    ]);
    expect([0, 1].map((link) => reading.links?.[link]?.replayErrorCount)).toEqual([null, 5]);
  });

  it('reads what NVLink 5 counts, each link its own', async () => {
    const { reading } = await readSection(
      'nvlink',
      gpu({
        'nvlink.count': 2,
        'nvlink.all.version': 7,
        'field.206.1': 'ull 1',
        'field.207.1': 'ull 2',
        'field.208.1': 'ull 3',
        'field.211.1': 'ull 4',
        'field.213.1': 'ull 5',
        'field.214.1': 'ull 6',
        'field.219.1': 'ull 7',
        'field.220.1': `ull ${(15 << 8) | 255}`,
        'field.221.1': 'ull 8',
        'field.222.1': `ull ${(3 << 8) | 12}`,
      }),
    );
    expect(reading.links?.[0]?.receiveErrorCount).toBeNull();
    expect(reading.links?.[1]).toMatchObject({
      version: '5',
      malformedPacketErrorCount: 1,
      bufferOverrunErrorCount: 2,
      receiveErrorCount: 3,
      linkIntegrityErrorCount: 4,
      linkRecoverySuccessCount: 5,
      linkRecoveryFailureCount: 6,
      effectiveErrorCount: 7,
      effectiveBitErrorRate: 0,
      symbolErrorCount: 8,
      symbolBitErrorRate: 3e-12,
    });
  });
});

describe.skipIf(noCompiler !== undefined)('fabric', () => {
  const uuid = '0123456789abcdeffedcba9876543210';
  const joined = gpu({
    'fabric.uuid': uuid,
    'fabric.clique': 5,
    'fabric.mask': 0b0100_01_10_01_10,
    'fabric.summary': 2,
  });
  const identity = {
    state: 'completed',
    status: 'NVML_SUCCESS',
    clusterUuid: '01234567-89ab-cdef-fedc-ba9876543210',
    cliqueId: 5,
  };
  const health = {
    degradedBandwidth: false,
    routeRecovery: true,
    routeUnhealthy: false,
    accessTimeoutRecovery: true,
    misconfiguration: 'no-partition',
  };
  const nothingOfHealth = Object.fromEntries(Object.keys(health).map((part) => [part, null]));

  it('reads the newest struct', async () => {
    const { reading, gaps } = await readSection('fabric', joined);
    expect(reading).toEqual({ ...identity, ...health, healthSummary: 'unhealthy' });
    expect(gaps).toEqual([]);
  });

  it('steps the struct down for a driver that knows the second', async () => {
    const older = gpu({ ...joined.gpus[0], 'fabric.revision': 2 });
    const { reading, reason } = await readSection('fabric', older);
    expect(reading).toEqual({ ...identity, ...health, healthSummary: null });
    expect(reason('fabric.healthSummary')).toBe('unsupported');
  });

  it.each([
    ['whose versioned function takes neither', { 'fabric.revision': 1 }, 550],
    ['without the versioned function', {}, 535],
  ] as const)('takes the unversioned one of a driver %s', async (_, values, generation) => {
    const { reading, gaps } = await readSection('fabric', gpu({ ...joined.gpus[0], ...values }), {
      generation,
    });
    expect(reading).toEqual({ ...identity, ...nothingOfHealth, healthSummary: null });
    expect(gaps).toHaveLength(6);
    expect(new Set(gaps.map(({ reason }) => reason))).toEqual(new Set(['unsupported']));
  });

  it('is a gap each on a driver without any', async () => {
    const { reading, gaps } = await readSection('fabric', joined, { generation: 470 });
    expect(Object.values(reading).every((value) => value === null)).toBe(true);
    expect(gaps).toHaveLength(Object.keys(reading).length);
    expect(gaps[0]?.detail).toBe('nvmlDeviceGetGpuFabricInfoV: NVML_ERROR_FUNCTION_NOT_FOUND (13)');
  });

  it('believes nothing of a registration that is not done', async () => {
    const { reading, reason } = await readSection(
      'fabric',
      gpu({ ...joined.gpus[0], 'fabric.state': 2, 'fabric.status': 999, 'fabric.mask': 0 }),
    );
    expect(reading).toMatchObject({ state: 'in-progress', status: null, clusterUuid: null, cliqueId: null });
    expect(reason('fabric.status')).toBe('not-observable');
    expect(reason('fabric.degradedBandwidth')).toBe('unsupported');
  });

  it('names how registration failed', async () => {
    const { reading } = await readSection('fabric', gpu({ ...joined.gpus[0], 'fabric.status': 999 }));
    expect(reading).toMatchObject({ state: 'completed', status: 'NVML_ERROR_UNKNOWN' });
  });
});

describe.skipIf(noCompiler !== undefined)('event types', () => {
  it('names what the GPU reports', async () => {
    const { reading } = await readSection('events', gpu({ 'events.supported': 0x1 | 0x8 | 0x8000 }));
    expect(reading.supportedTypes).toEqual(['single-bit-ecc', 'xid', 'recovery-action']);
  });

  it('is a gap where the GPU reports none', async () => {
    const { reading, reason } = await readSection('events', gpu({ 'events.supported': null }));
    expect(reading.supportedTypes).toBeNull();
    expect(reason('events.supportedTypes')).toBe('unsupported');
  });
});
