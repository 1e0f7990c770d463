import type { GpuProcess } from '@k8s-gpu-mcp/core';
import { describe, expect, it } from 'vitest';
import { readSection } from './fake/read-section.ts';
import { noCompiler } from './fake/rig.ts';

const gpu = (values: Record<string, string | number | null>) => ({ gpus: [values] });
const gib = 1024 ** 3;
/** Microseconds of the year 2096: newer than anything that is asked for. */
const recently = 4_000_000_000_000_000;
const held = (processes: readonly GpuProcess[] | null) =>
  processes?.map(({ pid, memoryUsedBytes }) => [pid, memoryUsedBytes]);
const v3 = [
  'nvmlDeviceGetComputeRunningProcesses_v3',
  'nvmlDeviceGetGraphicsRunningProcesses_v3',
  'nvmlDeviceGetMPSComputeRunningProcesses_v3',
];
const v2 = v3.map((name) => name.replace('_v3', '_v2'));

describe.skipIf(noCompiler !== undefined)('running processes', () => {
  it('are none on an idle GPU, with no gap', async () => {
    const { reading, gaps } = await readSection('processes', gpu({}));
    expect(reading).toEqual({ running: [], accountingEnabled: false, accounted: [] });
    expect(gaps).toEqual([]);
  });

  it('are one entry each, whichever lists they are in', async () => {
    const { reading } = await readSection(
      'processes',
      gpu({
        'process.compute': `4242:${2 * gib},17:${gib}`,
        'process.graphics': `17:${gib},99:4096`,
        'process.mps': `4242:${2 * gib}`,
        'process.util': `17:${recently}:80:40:5:6`,
      }),
    );
    const unsampled = { smPercent: null, memoryPercent: null, encoderPercent: null, decoderPercent: null };
    const whole = { gpuInstanceId: null, computeInstanceId: null };
    expect(reading.running).toEqual([
      {
        pid: 17,
        kinds: ['compute', 'graphics'],
        memoryUsedBytes: gib,
        ...whole,
        smPercent: 80,
        memoryPercent: 40,
        encoderPercent: 5,
        decoderPercent: 6,
      },
      { pid: 99, kinds: ['graphics'], memoryUsedBytes: 4096, ...whole, ...unsampled },
      { pid: 4242, kinds: ['compute', 'mps'], memoryUsedBytes: 2 * gib, ...whole, ...unsampled },
    ]);
  });

  it('have null memory where the driver does not know, and one gap for all of them', async () => {
    const { reading, gaps } = await readSection('processes', gpu({ 'process.compute': '10:na,11:5,12:na' }));
    expect(held(reading.running)).toEqual([
      [10, null],
      [11, 5],
      [12, null],
    ]);
    expect(gaps.map(({ field, reason }) => [field, reason])).toEqual([
      ['processes.running.memoryUsedBytes', 'unsupported'],
      ['processes.running.gpuInstanceId', 'unsupported'],
      ['processes.running.computeInstanceId', 'unsupported'],
      ...['smPercent', 'memoryPercent', 'encoderPercent', 'decoderPercent'].map((member) => [
        `processes.running.${member}`,
        'not-observable',
      ]),
    ]);
    expect(gaps[0]?.detail).toMatch(/^process 10,12: nvmlDeviceGetComputeRunningProcesses_v3: /);
  });

  it.each([
    ['v3', 580, [], 'nvmlDeviceGetComputeRunningProcesses_v3'],
    ['v2', 470, [], 'nvmlDeviceGetComputeRunningProcesses_v2'],
    ['v1', 470, v2, 'nvmlDeviceGetComputeRunningProcesses'],
  ] as const)(
    'are read from the %s lists of a driver that has those',
    async (_, generation, without, call) => {
      const config = gpu({ 'process.compute': `1:${gib}:3:0,2:2048:4:1,3:3` });
      const { reading, calls } = await readSection('processes', config, { generation, without });
      expect(held(reading.running)).toEqual([
        [1, gib],
        [2, 2048],
        [3, 3],
      ]);
      // The first version of the struct ends before the instances.
      expect(reading.running?.map(({ gpuInstanceId }) => gpuInstanceId)).toEqual(
        without === v2 ? [null, null, null] : [3, 4, null],
      );
      expect(calls(call)).toBe(1);
    },
  );

  describe('in the longer entries of the early 535 drivers', () => {
    const config = { ...gpu({ 'process.compute': '1:100,2:200,3:300' }), sys: { 'process.stride': 32 } };
    const expected = [
      [1, 100],
      [2, 200],
      [3, 300],
    ];

    it('are found by what the driver exports', async () => {
      const without = ['nvmlDeviceGetRunningProcessDetailList'];
      const { reading } = await readSection('processes', config, { generation: 535, without });
      expect(held(reading.running)).toEqual(expected);
    });

    it('would be read wrongly at the usual stride (planted)', async () => {
      const { reading } = await readSection('processes', config, { generation: 535 });
      expect(held(reading.running)).not.toEqual(expected);
    });
  });

  describe('from the list with details, where a driver has no other', () => {
    const without = [...v3, ...v2, ...v3.map((name) => name.replace('_v3', ''))];

    it('are the same', async () => {
      const config = gpu({
        'process.compute': `17:${gib}:3:0`,
        'process.graphics': '99:4096',
        'process.mps': '4242:na',
      });
      const { reading } = await readSection('processes', config, { without });
      expect(
        reading.running?.map(({ pid, kinds, memoryUsedBytes, gpuInstanceId }) => [
          pid,
          kinds,
          memoryUsedBytes,
          gpuInstanceId,
        ]),
      ).toEqual([
        [17, ['compute'], gib, 3],
        [99, ['graphics'], 4096, null],
        [4242, ['mps'], null, null],
      ]);
    });

    it('are all read when there are more than expected, and when they grow meanwhile', async () => {
      const pids = Array.from({ length: 200 }, (_, position) => 1000 + position);
      const config = gpu({
        'process.compute': pids.map((pid) => `${pid}:4096`).join(','),
        'process.refusals': 2,
      });
      const { reading } = await readSection('processes', config, { without });
      expect(reading.running?.map(({ pid }) => pid)).toEqual(pids);
    });

    it('are a gap where that is not there either', async () => {
      const { reading, gaps } = await readSection('processes', gpu({ 'process.compute': '17:4096' }), {
        without: [...without, 'nvmlDeviceGetRunningProcessDetailList'],
      });
      expect(reading.running).toBeNull();
      expect(gaps).toContainEqual(
        expect.objectContaining({ field: 'processes.running', reason: 'unsupported' }),
      );
    });
  });

  it('are all read when there are more than expected, and when they grow meanwhile', async () => {
    const pids = Array.from({ length: 200 }, (_, position) => 1000 + position);
    const config = gpu({
      'process.compute': pids.map((pid) => `${pid}:4096`).join(','),
      'process.refusals': 2,
    });
    const { reading } = await readSection('processes', config);
    expect(reading.running?.map(({ pid }) => pid)).toEqual(pids);
  });

  it('are missing when the list never fits', async () => {
    const { reading, reason } = await readSection(
      'processes',
      gpu({ 'process.compute': '1:1', 'process.refusals': 99 }),
    );
    expect(reading.running).toBeNull();
    expect(reason('processes.running')).toBe('error');
  });

  it('are missing, and not fewer, when one of the lists cannot be read', async () => {
    const { reading, reason } = await readSection('processes', {
      ...gpu({ 'process.compute': '1:1' }),
      faults: ['rc nvmlDeviceGetGraphicsRunningProcesses_v3 0 999'],
    });
    expect(reading.running).toBeNull();
    expect(reason('processes.running')).toBe('error');
  });

  it('are those of the lists that the driver offers', async () => {
    const config = gpu({ 'process.compute': '1:1', 'process.graphics': null, 'process.mps': null });
    expect(held((await readSection('processes', config)).reading.running)).toEqual([[1, 1]]);
    const nothing = gpu({ 'process.compute': null });
    const { reading, reason } = await readSection('processes', nothing);
    expect(reading.running).toBeNull();
    expect(reason('processes.running')).toBe('unsupported');
  });
});

describe.skipIf(noCompiler !== undefined)('processes while MIG is enabled', () => {
  const migMode = { 'mig.current': 1, 'mig.max': 3, 'process.util': null };
  const instances = {
    '0.0': { uuid: 'MIG-0', gi: 1, ci: 0, 'process.compute': '7:1000:1:0,8:2000:1:0' },
    '0.2': { uuid: 'MIG-2', gi: 5, ci: 1, 'process.compute': '7:3000' },
  };
  const refused = v3.map((name) => `rc ${name} 0 4`);
  const places = (processes: readonly GpuProcess[] | null) =>
    processes?.map((process) => [
      process.pid,
      process.gpuInstanceId,
      process.computeInstanceId,
      process.memoryUsedBytes,
    ]);

  it('come from the GPU where it answers, one entry for each instance', async () => {
    const { reading, reason } = await readSection('processes', {
      gpus: [{ ...migMode, 'process.compute': '7:1000:1:0,7:3000:5:1' }],
      mig: instances,
    });
    expect(places(reading.running)).toEqual([
      [7, 1, 0, 1000],
      [7, 5, 1, 3000],
    ]);
    expect(reason('processes.running.smPercent')).toBe('unsupported');
  });

  it('come from the MIG devices where it refuses', async () => {
    const { reading } = await readSection('processes', { gpus: [migMode], mig: instances, faults: refused });
    expect(places(reading.running)).toEqual([
      [7, 1, 0, 1000],
      [7, 5, 1, 3000],
      [8, 1, 0, 2000],
    ]);
  });

  it('have a gap beside them when one MIG device does not tell', async () => {
    const { reading, reason, detail } = await readSection('processes', {
      gpus: [migMode],
      mig: instances,
      faults: [...refused, 'rc nvmlDeviceGetComputeRunningProcesses_v3 0.2 999'],
    });
    expect(places(reading.running)).toEqual([
      [7, 1, 0, 1000],
      [8, 1, 0, 2000],
    ]);
    expect(reason('processes.running')).toBe('error');
    expect(detail('processes.running')).toMatch(/^MIG device 2: /);
  });

  it('are missing when nobody tells', async () => {
    const { reading, reason } = await readSection('processes', {
      gpus: [migMode],
      mig: instances,
      faults: v3.map((name) => `rc ${name} * 4`),
    });
    expect(reading.running).toBeNull();
    expect(reason('processes.running')).toBe('no-permission');
  });

  it('are missing without permission on a GPU that is not divided', async () => {
    const { reading, reason } = await readSection('processes', { ...gpu({}), faults: refused });
    expect(reading.running).toBeNull();
    expect(reason('processes.running')).toBe('no-permission');
  });
});

describe.skipIf(noCompiler !== undefined)('utilisation of processes', () => {
  const busy = (samples: string | null) => gpu({ 'process.compute': '5:1', 'process.util': samples });

  it('is of the newest sample, of processes that are in the list', async () => {
    const { reading, gaps } = await readSection(
      'processes',
      busy(`5:${recently + 9}:70:30:0:0,5:${recently}:1:1:1:1,31337:${recently}:99:99:0:0`),
    );
    expect(reading.running).toMatchObject([{ pid: 5, smPercent: 70, memoryPercent: 30, encoderPercent: 0 }]);
    expect(gaps.filter(({ field }) => field.endsWith('Percent'))).toEqual([]);
  });

  it.each([
    ['there is no sample', 'none', 'not-observable'],
    ['the samples are old', '5:1:70:30:0:0', 'not-observable'],
    ['the driver does not sample', null, 'unsupported'],
    ['the number is no percentage', `5:${recently}:4000000:30:0:0`, 'error'],
  ])('is null when %s', async (_, samples, expected) => {
    const { reading, reason } = await readSection('processes', busy(samples));
    expect(reading.running?.[0]?.smPercent).toBeNull();
    expect(reason('processes.running.smPercent')).toBe(expected);
  });

  it('is not asked for when nobody runs', async () => {
    expect((await readSection('processes', gpu({}))).calls('nvmlDeviceGetProcessUtilization')).toBe(0);
    expect((await readSection('processes', busy('none'))).calls('nvmlDeviceGetProcessUtilization')).toBe(1);
  });
});

describe.skipIf(noCompiler !== undefined)('accounting', () => {
  const startedAt = '2026-01-02T03:04:05.678Z';
  const start = Date.parse(startedAt) * 1000;
  const on = {
    'accounting.mode': 1,
    'accounting.pids': '11,12,13',
    'accounting.11': `30 20 ${gib} 61000 ${start} 0`,
    'accounting.12': `0xffffffff 5 na 0 ${start + 1_000_000} 1`.replace('0xffffffff', '4294967295'),
  };

  it('lists the newest first; one whose place was given away is left out', async () => {
    const { reading, gaps } = await readSection('processes', gpu(on));
    expect(reading.accountingEnabled).toBe(true);
    expect(reading.accounted).toEqual([
      {
        pid: 12,
        running: true,
        gpuPercent: null,
        memoryPercent: 5,
        maxMemoryUsedBytes: null,
        startedAt: '2026-01-02T03:04:06.678Z',
        activeMilliseconds: null,
      },
      {
        pid: 11,
        running: false,
        gpuPercent: 30,
        memoryPercent: 20,
        maxMemoryUsedBytes: gib,
        startedAt,
        activeMilliseconds: 61_000,
      },
    ]);
    expect(gaps.map(({ field }) => field)).toEqual([
      'processes.accounted.gpuPercent',
      'processes.accounted.maxMemoryUsedBytes',
      'processes.accounted.activeMilliseconds',
    ]);
  });

  it('is a gap where the driver has none', async () => {
    const { reading, reason } = await readSection('processes', gpu({ 'accounting.mode': null }));
    expect(reading).toMatchObject({ accountingEnabled: null, accounted: null });
    expect(reason('processes.accounted')).toBe('unsupported');
  });

  it('says of whom it could not read', async () => {
    const { reading, reason, detail } = await readSection('processes', {
      ...gpu(on),
      faults: ['rc nvmlDeviceGetAccountingStats 0 999'],
    });
    expect(reading.accounted).toEqual([]);
    expect(reason('processes.accounted')).toBe('error');
    expect(detail('processes.accounted')).toMatch(/^process 11-13: /);
  });
});
