import type { GpuSample } from '@k8s-gpu-mcp/core';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, test } from 'vitest';
import { createMockProvider, isMockScenario, type MockScenarioName, mockScenarios } from './index.ts';

const signal = new AbortController().signal;
const sections = [
  'identity',
  'memory',
  'thermal',
  'power',
  'clocks',
  'utilization',
  'ecc',
  'rowRemap',
  'pcie',
  'mig',
  'recovery',
] as const;

const refOf = (index: number) => ({ index, uuid: null, pciAddress: null, name: null });

async function readGpu(
  scenario: MockScenarioName,
  index: number,
  clock = fixedClock(),
  seed = 1,
): Promise<GpuSample> {
  return createMockProvider({ scenario, clock, seed }).readGpu(refOf(index), sections, signal);
}

const gapFields = (sample: GpuSample) => sample.gaps.map((gap) => gap.field);

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
    expect(gapFields(sample)).toEqual([
      'thermal.slowdownThresholdCelsius',
      'thermal.shutdownThresholdCelsius',
      'thermal.maxOperatingThresholdCelsius',
      'thermal.memoryMaxThresholdCelsius',
      'thermal.fanSpeedPercent',
      'rowRemap.retiredPagesPending',
      'rowRemap.retiredPageCount',
    ]);
    expect(new Set(sample.gaps.map((gap) => gap.reason))).toEqual(new Set(['unsupported']));
  });

  test('a T4 retires pages, and has neither row remapping nor T.Limit, memory temperature or MIG', async () => {
    const sample = await readGpu('retired-pages', 0);
    expect(sample.rowRemap).toEqual({
      correctableRowCount: null,
      uncorrectableRowCount: null,
      pending: null,
      failureOccurred: null,
      retiredPagesPending: false,
      retiredPageCount: 0,
    });
    expect(sample.thermal).toMatchObject({ marginCelsius: null, memoryTemperatureCelsius: null });
    expect(sample.thermal?.slowdownThresholdCelsius).toBe(93);
    expect(sample.mig).toEqual({ enabled: null, pendingEnabled: null, devices: null });
  });

  test('an A100 has no T.Limit, and its driver 535.54 tells no recovery action', async () => {
    const sample = await readGpu('ecc-uncorrectable', 0);
    expect(sample.thermal).toMatchObject({ marginCelsius: null, slowdownThresholdCelsius: 89 });
    expect(sample.recovery).toEqual({ action: null });
  });
});

describe('faults show in the readings', () => {
  test('ecc-uncorrectable: an error and a pending remap', async () => {
    const sample = await readGpu('ecc-uncorrectable', 2);
    expect(sample.ecc).toMatchObject({ uncorrectableVolatileCount: 1, uncorrectableAggregateCount: 1 });
    expect(sample.rowRemap).toMatchObject({ pending: true, failureOccurred: false });
  });

  test('row-remap-failed: the failure flag and the recovery action', async () => {
    const sample = await readGpu('row-remap-failed', 5);
    expect(sample.rowRemap).toMatchObject({ failureOccurred: true, pending: false });
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

  test('nvlink-down: readings like those of its healthy siblings', async () => {
    const sample = await readGpu('nvlink-down', 4);
    expect(sample.recovery).toEqual({ action: 'none' });
    expect(sample.clocks?.eventReasons).toEqual([]);
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
    expect(Object.values(sample.utilization ?? {})).toEqual([null, null, null, null]);
    expect(Object.values(sample.rowRemap ?? {})).toEqual([null, null, null, null, null, null]);
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
