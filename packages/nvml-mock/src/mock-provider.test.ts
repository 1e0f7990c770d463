import { type GpuSample, type GpuSection, gpuSections } from '@k8s-gpu-mcp/core';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, test } from 'vitest';
import { createMockProvider, isMockScenario, type MockScenarioName, mockScenarios } from './index.ts';

const signal = new AbortController().signal;
const refOf = (index: number) => ({ index, uuid: null, pciAddress: null, name: null });

async function readGpu(
  scenario: MockScenarioName,
  index: number,
  clock = fixedClock(),
  seed = 1,
): Promise<GpuSample> {
  return createMockProvider({ scenario, clock, seed }).readGpu(refOf(index), gpuSections, signal);
}

const gapFields = (sample: GpuSample, section: GpuSection) =>
  sample.gaps.map((gap) => gap.field).filter((field) => field.startsWith(`${section}.`));
const reasonsOf = (sample: GpuSample, section: GpuSection) =>
  new Set(sample.gaps.filter(({ field }) => field.startsWith(`${section}.`)).map(({ reason }) => reason));

describe('seed and clock decide the readings', () => {
  test('same seed and same clock: same node, same readings', async () => {
    expect(await readGpu('healthy-8xh100', 2)).toEqual(await readGpu('healthy-8xh100', 2));
    const nodes = await Promise.all(
      [7, 7, 8].map((seed) =>
        createMockProvider({ scenario: 'healthy-8xh100', clock: fixedClock(), seed }).describeNode(signal),
      ),
    );
    expect(nodes[0]).toEqual(nodes[1]);
    expect(nodes[2]?.gpus[0]?.uuid).not.toBe(nodes[0]?.gpus[0]?.uuid);
  });

  test('another seed gives other identifiers and another load', async () => {
    const [one, other] = await Promise.all(
      [1, 2].map((seed) => readGpu('healthy-8xh100', 0, fixedClock(), seed)),
    );
    expect(one?.identity?.serial).not.toBe(other?.identity?.serial);
    expect(one?.power?.drawWatts).not.toBe(other?.power?.drawWatts);
  });

  test('readings move smoothly, and energy is the integral of power', async () => {
    const clock = fixedClock();
    const provider = createMockProvider({ scenario: 'healthy-8xh100', clock });
    const read = async () =>
      (await provider.readGpu(refOf(0), ['power', 'thermal'], signal)) as Required<GpuSample>;
    let before = await read();
    const drawn = new Set<number | null>();
    for (let second = 0; second < 120; second += 1) {
      clock.advance(1000);
      const now = await read();
      drawn.add(now.power.drawWatts);
      const [draw = 0, drawBefore = 0] = [now.power.drawWatts ?? 0, before.power.drawWatts ?? 0];
      // The load swings by 8 % of 630 W within 540 s: at most 2 pi / 540 s * 50.4 W = 0.59 W in a second.
      expect(Math.abs(draw - drawBefore)).toBeLessThan(0.7);
      const used = (now.power.energyJoules ?? 0) - (before.power.energyJoules ?? 0);
      expect(used).toBeGreaterThan(0);
      expect(Math.abs(used - (draw + drawBefore) / 2)).toBeLessThan(0.05);
      before = now;
    }
    expect(drawn.size).toBeGreaterThan(60);
  });

  test('identifiers are visibly invented', async () => {
    const { gpus } = await createMockProvider({
      scenario: 'healthy-8xh100',
      clock: fixedClock(),
    }).describeNode(signal);
    for (const gpu of gpus) expect(gpu.uuid).toMatch(/^GPU-5eed[0-9a-f]{4}-fa4e-4000-8000-[0-9a-f]{12}$/);
  });
});

describe('gaps are those of real boards', () => {
  test('a passive SXM board has no fan speed, and T.Limit in place of thresholds', async () => {
    const sample = await readGpu('healthy-8xh100', 0);
    expect(gapFields(sample, 'thermal')).toEqual([
      'thermal.slowdownThresholdCelsius',
      'thermal.shutdownThresholdCelsius',
      'thermal.maxOperatingThresholdCelsius',
      'thermal.memoryMaxThresholdCelsius',
      'thermal.fanSpeedPercent',
    ]);
    expect(sample.thermal?.fans).toEqual([]);
    expect(gapFields(sample, 'rowRemap')).toEqual([
      'rowRemap.retiredPagesPending',
      'rowRemap.retiredPageCount',
      'rowRemap.singleBitRetiredPageCount',
      'rowRemap.doubleBitRetiredPageCount',
    ]);
    for (const section of gpuSections.filter((name) => name !== 'profiling'))
      expect([...reasonsOf(sample, section)].filter((reason) => reason !== 'unsupported')).toEqual([]);
  });

  test('a T4 retires pages, and has neither row remapping nor T.Limit, memory temperature or MIG', async () => {
    const sample = await readGpu('retired-pages', 0);
    expect(sample.rowRemap).toMatchObject({
      correctableRowCount: null,
      uncorrectableRowCount: null,
      pending: null,
      failureOccurred: null,
      histogram: null,
      retiredPagesPending: false,
      retiredPageCount: 0,
    });
    expect((await readGpu('retired-pages', 1)).rowRemap).toMatchObject({
      retiredPageCount: 1,
      singleBitRetiredPageCount: 0,
      doubleBitRetiredPageCount: 1,
    });
    expect(sample.thermal).toMatchObject({ marginCelsius: null, memoryTemperatureCelsius: null });
    expect(sample.thermal?.slowdownThresholdCelsius).toBe(93);
    expect(Object.values(sample.mig ?? {})).toEqual([null, null, null, null, null]);
    expect(sample.nvlink).toEqual({ links: [] });
  });

  test('an A100 has no T.Limit, and its driver 535.54 tells no recovery action', async () => {
    const sample = await readGpu('ecc-uncorrectable', 0);
    expect(sample.thermal).toMatchObject({ marginCelsius: null, slowdownThresholdCelsius: 89 });
    expect(sample.recovery).toEqual({ action: null });
  });
});

describe('what happens between two readings', () => {
  const hold = async (scenario: MockScenarioName, index: number) => {
    const clock = fixedClock();
    const provider = createMockProvider({ scenario, clock });
    const read = () => provider.readGpu(refOf(index), ['violations', 'profiling'], signal);
    const first = await read();
    clock.advance(10_000);
    return { first, second: await read() };
  };

  test('violation counters grow with the time in which clocks are held back, by cause', async () => {
    const throttled = await hold('thermal-throttle', 1);
    const grown = (sample: typeof throttled, counter: 'thermalMicroseconds' | 'powerMicroseconds') =>
      (sample.second.violations?.[counter] ?? 0) - (sample.first.violations?.[counter] ?? 0);
    expect(grown(throttled, 'thermalMicroseconds')).toBe(10_000_000);
    expect(grown(throttled, 'powerMicroseconds')).toBe(0);
    expect(grown(await hold('straggler', 5), 'powerMicroseconds')).toBe(10_000_000);
    const healthy = await hold('healthy-8xh100', 0);
    expect(healthy.second.violations).toEqual(healthy.first.violations);
  });

  test('the engines are told at the second reading, over the time between', async () => {
    const { first, second } = await hold('healthy-8xh100', 0);
    expect(new Set(Object.values(first.profiling ?? {}))).toEqual(new Set([null]));
    expect(reasonsOf(first, 'profiling')).toEqual(new Set(['not-observable']));
    expect(second.profiling?.intervalMilliseconds).toBe(10_000);
    expect(second.profiling?.tensorActivePercent).toBeGreaterThan(20);
    expect(reasonsOf(second, 'profiling').size).toBe(0);
    const idle = await hold('healthy-8xh100', 7);
    expect(idle.second.profiling).toMatchObject({ smActivePercent: 0, nvlinkTransmitMegabytesPerSecond: 0 });
  });

  test('two readings at the same moment have nothing between them', async () => {
    const provider = createMockProvider({ scenario: 'healthy-8xh100', clock: fixedClock() });
    const read = () => provider.readGpu(refOf(0), ['profiling'], signal);
    await read();
    expect(reasonsOf(await read(), 'profiling')).toEqual(new Set(['not-observable']));
  });
});

describe('topology', () => {
  test('two sockets of four GPUs: near within a socket, across the system between them', async () => {
    const matrix = await Promise.all(
      Array.from({ length: 8 }, async (_, index) => (await readGpu('healthy-8xh100', index)).topology),
    );
    matrix.forEach((topology, index) => {
      expect(topology?.numaAffinity).toBe(index < 4 ? '0' : '1');
      expect(topology?.cpuAffinity).toBe(index < 4 ? '0-63,128-191' : '64-127,192-255');
      const ancestors = topology?.peers?.map(({ index: other, commonAncestor }) => [other, commonAncestor]);
      expect(ancestors).toEqual(
        [0, 1, 2, 3, 4, 5, 6, 7]
          .filter((other) => other !== index)
          .map((other) => [other, other < 4 === index < 4 ? 'numa-node' : 'system']),
      );
      expect(topology?.peers?.every(({ nvlink }) => nvlink === 'ok')).toBe(true);
    });
  });

  test('a GPU that cannot be opened is nobody’s peer; boards without NVLink reach each other over PCIe', async () => {
    const { topology } = await readGpu('fallen-off-bus', 0);
    expect(topology?.peers?.map(({ index }) => index)).toEqual([1, 2, 4, 5, 6, 7]);
    const l40s = (await readGpu('thermal-throttle', 0)).topology?.peers?.[0];
    expect(l40s).toMatchObject({ read: 'ok', pcie: 'ok', nvlink: 'not-supported' });
  });
});

describe('faults show in the readings', () => {
  test('ecc-uncorrectable: an error and a pending remap', async () => {
    const sample = await readGpu('ecc-uncorrectable', 2);
    expect(sample.ecc).toMatchObject({ uncorrectableVolatileCount: 1, uncorrectableAggregateCount: 1 });
    expect(sample.rowRemap).toMatchObject({ pending: true, failureOccurred: false });
    // 640 banks: the one with the bad row has fewer spare rows than the others.
    expect(sample.rowRemap?.histogram).toMatchObject({
      maxBankCount: 639,
      highBankCount: 1,
      noneBankCount: 0,
    });
    expect(
      sample.ecc?.locations?.map(({ location, uncorrectableVolatileCount: count }) => [location, count]),
    ).toEqual([
      ['dram', 1],
      ['sram', 0],
    ]);
  });

  test('row-remap-failed: the failure flag and the recovery action', async () => {
    const sample = await readGpu('row-remap-failed', 5);
    expect(sample.rowRemap).toMatchObject({ failureOccurred: true, pending: false });
    expect(sample.rowRemap?.histogram).toMatchObject({ maxBankCount: 3071, noneBankCount: 1 });
    expect(sample.recovery).toEqual({ action: 'drain-and-reset' });
  });

  test('thermal-throttle: beyond the slowdown margin, short of the shutdown margin, held back by heat', async () => {
    const clock = fixedClock();
    const provider = createMockProvider({ scenario: 'thermal-throttle', clock });
    for (let step = 0; step < 60; step += 1) {
      clock.advance(7000);
      const { thermal, clocks } = await provider.readGpu(refOf(1), ['thermal', 'clocks'], signal);
      expect(thermal?.marginCelsius).toBeLessThan(-2);
      expect(thermal?.marginCelsius).toBeGreaterThan(-5);
      expect(clocks?.eventReasons).toContain('hardware-thermal-slowdown');
      expect(clocks?.smClockMegahertz).toBeLessThan(2520 / 2);
    }
  });

  test('nvlink-down: one link of 18 is down, and tells nothing of its other end', async () => {
    const sample = await readGpu('nvlink-down', 4);
    const links = sample.nvlink?.links ?? [];
    expect(links).toHaveLength(18);
    expect(links.filter(({ active }) => !active).map(({ link }) => link)).toEqual([6]);
    expect(links[6]).toMatchObject({ speedMegabytesPerSecond: null, remotePciAddress: null });
    expect(links[6]?.crcFlitErrorCount).toBeGreaterThan(0);
    expect(new Set(links.flatMap(({ remotePciAddress }) => remotePciAddress ?? [])).size).toBe(4);
    expect(gapFields(sample, 'nvlink')).toContain('nvlink.links.speedMegabytesPerSecond');
    expect(sample.recovery).toEqual({ action: 'none' });
    expect(sample.clocks?.eventReasons).toEqual([]);
    const sibling = await readGpu('nvlink-down', 3);
    expect(sibling.nvlink?.links?.every(({ active }) => active)).toBe(true);
  });

  test('a B200 has NVLink 5 with bit error rates, and a fabric that says it is healthy', async () => {
    const { nvlink, fabric } = await readGpu('hung-driver', 0);
    expect(nvlink?.links).toHaveLength(18);
    for (const link of nvlink?.links ?? []) {
      expect(link).toMatchObject({ version: '5', crcFlitErrorCount: null, effectiveBitErrorRate: 0 });
      expect(link.symbolBitErrorRate).toBeGreaterThan(0);
      // Source: IBTA, a link is good below 10^-12 after error correction; before it these are far below.
      expect(link.symbolBitErrorRate).toBeLessThan(1e-12);
    }
    expect(fabric).toMatchObject({ state: 'completed', healthSummary: 'healthy' });
  });

  test('vbios-drift: one GPU differs from seven equal siblings', async () => {
    const versions = await Promise.all(
      Array.from(
        { length: 8 },
        async (_, index) => (await readGpu('vbios-drift', index)).identity?.vbiosVersion,
      ),
    );
    expect(new Set(versions.filter((_, index) => index !== 6)).size).toBe(1);
    expect(versions[6]).not.toBe(versions[0]);
  });

  test('memory-held-by-nobody: memory in use, no process, no load', async () => {
    const { memory, processes, utilization } = await readGpu('memory-held-by-nobody', 1);
    expect((memory?.usedBytes ?? 0) / (memory?.totalBytes ?? 1)).toBeGreaterThan(0.8);
    expect(processes?.running).toEqual([]);
    expect(utilization?.gpuPercent).toBe(0);
    const busy = await readGpu('memory-held-by-nobody', 0);
    const held = busy.processes?.running?.reduce(
      (sum, { memoryUsedBytes }) => sum + (memoryUsedBytes ?? 0),
      0,
    );
    expect((busy.memory?.usedBytes ?? 0) - (held ?? 0)).toBe(20 * 1024 * 1024);
  });

  test('straggler: equal load, and one GPU slower and cooler on power than all others', async () => {
    const samples = await Promise.all(Array.from({ length: 8 }, (_, index) => readGpu('straggler', index)));
    expect(new Set(samples.map(({ utilization }) => utilization?.gpuPercent)).size).toBe(1);
    const clocks = samples.map((sample) => sample.clocks?.smClockMegahertz ?? 0);
    const watts = samples.map((sample) => sample.power?.drawWatts ?? 0);
    for (const values of [clocks, watts]) {
      const others = values.filter((_, index) => index !== 5);
      expect(new Set(others).size).toBe(1);
      expect(values[5]).toBeLessThan(0.8 * (others[0] ?? 0));
    }
  });

  test('mig: instances with their own UUIDs; no utilization, no row remapping', async () => {
    const sample = await readGpu('mig', 0);
    expect(sample.mig?.devices?.map((device) => [device.gpuInstanceId, device.profile])).toEqual([
      [2, '3g.40gb'],
      [3, '2g.20gb'],
      [9, '1g.10gb'],
      [10, '1g.10gb'],
    ]);
    const uuids = sample.mig?.devices?.map((device) => device.uuid) ?? [];
    expect(new Set(uuids).size).toBe(4);
    for (const uuid of uuids) expect(uuid).toMatch(/^MIG-5eed/);
    const values = [sample.utilization, sample.rowRemap, sample.profiling].flatMap((section) =>
      Object.values(section ?? {}),
    );
    expect(values.filter((value) => value !== null)).toEqual([]);
    expect(reasonsOf(sample, 'profiling')).toEqual(new Set(['unsupported']));
  });

  test('mig: what is left fits beside what is there', async () => {
    const left = async (index: number) =>
      Object.fromEntries(
        ((await readGpu('mig', index)).mig?.profiles ?? []).map(({ name, remainingInstanceCount: count }) => [
          name,
          count,
        ]),
      );
    // 3g at memory slices 4 to 7, 2g at 0 and 1, two 1g at 2 and 3: all eight slices are taken.
    expect(new Set(Object.values(await left(0)))).toEqual(new Set([0]));
    // Seven 1g leave memory slice 7, and no compute slice.
    expect(new Set(Object.values(await left(1)))).toEqual(new Set([0]));
    expect(new Set(Object.values(await left(1))).has(7)).toBe(false);
  });

  test('mig: each process belongs to an instance, and reports no utilization', async () => {
    const { processes, mig } = await readGpu('mig', 0);
    // The instance with 9 MiB in use has no process.
    expect(processes?.running?.map(({ gpuInstanceId }) => gpuInstanceId)).toEqual([2, 3, 10]);
    expect(mig?.devices?.map(({ placementStart, placementSize }) => [placementStart, placementSize])).toEqual(
      [
        [4, 4],
        [0, 2],
        [2, 1],
        [3, 1],
      ],
    );
    for (const process of processes?.running ?? []) expect(process.smPercent).toBeNull();
  });

  test('mixed-faults: one lost, one pending, one power-braked, one narrow, four healthy', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) => readGpu('mixed-faults', index)),
    );
    const seen = outcomes.map((outcome) => {
      if (outcome.status === 'rejected') return String(outcome.reason.code);
      const { rowRemap, clocks, pcie } = outcome.value;
      if (rowRemap?.pending) return 'pending';
      if (clocks?.eventReasons?.includes('hardware-power-brake')) return 'braked';
      return pcie?.currentLinkWidthLanes === pcie?.maxLinkWidthLanes ? 'healthy' : 'narrow';
    });
    expect(seen).toEqual([
      'healthy',
      'GPU_LOST',
      'healthy',
      'pending',
      'healthy',
      'braked',
      'narrow',
      'healthy',
    ]);
  });
});

describe('scenario names', () => {
  test('each is listed once with one line of description', () => {
    expect(mockScenarios.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'healthy-8xh100',
        'fallen-off-bus',
        'gsp-timeout',
        'hung-driver',
        'mixed-faults',
      ]),
    );
    for (const { description } of mockScenarios) expect(description).toMatch(/^[^\n]{20,160}\.$/);
  });

  test.each(['', 'healthy', 'toString', '__proto__'])('%j is none', (name) => {
    expect(isMockScenario(name)).toBe(false);
  });

  test('an unknown one is refused by name', () => {
    const scenario = 'no-such' as MockScenarioName;
    expect(() => createMockProvider({ scenario, clock: fixedClock() })).toThrow(/no-such.*healthy-8xh100/);
  });
});
