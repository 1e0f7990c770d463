import { describe, expect, test } from 'vitest';
import { type Changes, h100Gaps, h100Links, h100Reading } from '../../test/h100.ts';
import type { Gap } from '../domain/gap.ts';
import { type GpuReading, gpuSections } from '../domain/gpu.ts';
import { gpuSectionLeaves } from '../sample.ts';
import { keyOf, leafKind, windowOf } from './window.ts';

/** The same GPU, read every second. */
const series = (...changes: readonly (Changes | 'hung')[]): GpuReading[] =>
  changes.map((each, second) => {
    const observedAt = new Date(Date.parse('2026-01-01T00:00:00Z') + second * 1_000).toISOString();
    if (each !== 'hung') return { ...h100Reading(each), observedAt };
    const gap: Gap = { gpu: 0, field: 'power', reason: 'timeout', detail: 'no answer' };
    const { gpu } = h100Reading();
    return { gpu, state: 'hung', errorCode: 'GPU_HUNG', observedAt, gaps: [gap] };
  });
const gapsOf = (readings: readonly GpuReading[], field: string) =>
  windowOf(readings).gaps.filter((gap) => gap.field === field);

describe('every leaf has a kind', () => {
  const leavesOf = (kind: string) =>
    gpuSections.flatMap((section) =>
      gpuSectionLeaves[section]
        .filter((leaf) => leafKind(section, leaf) === kind)
        .map((leaf) => `${section}.${leaf}`),
    );

  test('counters are what the driver says only grows', () => {
    expect(leavesOf('counter')).toEqual([
      'power.energyJoules',
      ...['correctable', 'uncorrectable'].map((kind) => `ecc.${kind}VolatileCount`),
      ...['correctable', 'uncorrectable'].map((kind) => `ecc.${kind}AggregateCount`),
      'ecc.sramCorrectableVolatileCount',
      'ecc.sramCorrectableAggregateCount',
      'ecc.sramUncorrectableVolatileCount',
      'ecc.sramUncorrectableAggregateCount',
      ...['L2', 'Sm', 'Pcie', 'Microcontroller', 'Other'].map(
        (source) => `ecc.sramUncorrectable${source}AggregateCount`,
      ),
      'rowRemap.correctableRowCount',
      'rowRemap.uncorrectableRowCount',
      'rowRemap.retiredPageCount',
      'rowRemap.singleBitRetiredPageCount',
      'rowRemap.doubleBitRetiredPageCount',
      'pcie.replayCount',
      'pcie.replayRolloverCount',
      'pcie.linkRecoveryCount',
      'pcie.correctableErrorCount',
      'pcie.nonFatalErrorCount',
      'pcie.fatalErrorCount',
      'pcie.unsupportedRequestCount',
      'pcie.badTlpCount',
      'pcie.badDllpCount',
      'pcie.lcrcErrorCount',
      'pcie.laneErrorCount',
      'pcie.receiverErrorCount',
      'pcie.naksSentCount',
      'pcie.naksReceivedCount',
    ]);
    expect(leafKind('nvlink', 'replayErrorCount')).toBe('counter');
    expect(leafKind('mig', 'maxDeviceCount')).toBe('last');
    expect(leafKind('identity', 'coreCount')).toBe('last');
  });

  test('violations are duty cycles, event reasons are shares', () => {
    expect(leavesOf('duty-cycle')).toEqual(gpuSectionLeaves.violations.map((leaf) => `violations.${leaf}`));
    expect(leavesOf('shares')).toEqual(['clocks.eventReasons']);
    expect(keyOf('violations', 'boardLimitMicroseconds')).toBe('boardLimitPercent');
    expect(keyOf('clocks', 'eventReasons')).toBe('eventReasonsPercent');
  });

  test.each([
    ['thermal', 'temperatureCelsius', 'gauge'],
    ['thermal', 'marginCelsius', 'gauge'],
    ['thermal', 'slowdownMarginCelsius', 'last'],
    ['thermal', 'memoryMaxThresholdCelsius', 'last'],
    ['power', 'drawWatts', 'gauge'],
    ['power', 'enforcedLimitWatts', 'last'],
    ['clocks', 'smClockMegahertz', 'gauge'],
    ['clocks', 'maxSmClockMegahertz', 'last'],
    ['clocks', 'applicationGraphicsClockMegahertz', 'last'],
    ['memory', 'usedBytes', 'gauge'],
    ['memory', 'totalBytes', 'last'],
    ['memory', 'bar1TotalBytes', 'last'],
    ['pcie', 'currentGeneration', 'gauge'],
    ['pcie', 'deviceMaxGeneration', 'last'],
    ['profiling', 'smActivePercent', 'gauge'],
    ['identity', 'minorNumber', 'last'],
  ] as const)('%s.%s is told as %s', (section, leaf, kind) => {
    expect(leafKind(section, leaf)).toBe(kind);
  });
});

describe('a window', () => {
  test('tells how many samples and how long', () => {
    expect(windowOf(series({}, {}, {}))).toMatchObject({ sampleCount: 3, elapsedMilliseconds: 2_000 });
  });

  test('gauges: min, mean, max, last; settings: what they were at the end', () => {
    const { power } = windowOf(
      series({ power: { drawWatts: 100 } }, { power: { drawWatts: 400, enforcedLimitWatts: 500 } }),
    ).sections;
    expect(power?.['drawWatts']).toEqual({ min: 100, mean: 250, max: 400, last: 400 });
    expect(power?.['enforcedLimitWatts']).toBe(500);
  });

  test('counters: what came on top, not what they stood at', () => {
    const { pcie, power } = windowOf(
      series(
        { pcie: { replayCount: 900 }, power: { energyJoules: 5_000 } },
        { pcie: { replayCount: 900 }, power: { energyJoules: 5_300 } },
        { pcie: { replayCount: 906 }, power: { energyJoules: 5_700 } },
      ),
    ).sections;
    expect(pcie?.['replayCount']).toEqual({ increase: 6, perSecond: 3 });
    expect(power?.['energyJoules']).toEqual({ increase: 700, perSecond: 350 });
  });

  test('violations: percent of the window, at most 100', () => {
    const { violations } = windowOf(
      series(
        { violations: { powerMicroseconds: 7_000_000, thermalMicroseconds: 0 } },
        { violations: { powerMicroseconds: 7_250_000, thermalMicroseconds: 1_003_000 } },
      ),
    ).sections;
    expect(violations).toMatchObject({ powerPercent: 25, thermalPercent: 100, reliabilityPercent: 0 });
    expect(violations).not.toHaveProperty('powerMicroseconds');
  });

  test('event reasons: share of the samples', () => {
    const { clocks } = windowOf(
      series(
        { clocks: { eventReasons: ['software-power-cap'] } },
        { clocks: { eventReasons: [] } },
        { clocks: { eventReasons: ['software-power-cap', 'hardware-slowdown'] } },
        { clocks: { eventReasons: ['software-power-cap'] } },
      ),
    ).sections;
    expect(clocks?.['eventReasonsPercent']).toEqual({ 'software-power-cap': 75, 'hardware-slowdown': 25 });
  });

  test('a counter that went back is null with a gap, never negative', () => {
    const readings = series(
      { ecc: { correctableVolatileCount: 50 } },
      { ecc: { correctableVolatileCount: 2 } },
    );
    expect(windowOf(readings).sections.ecc?.['correctableVolatileCount']).toBeNull();
    expect(gapsOf(readings, 'ecc.correctableVolatileCount')).toMatchObject([
      { gpu: 0, reason: 'not-observable', detail: expect.stringContaining('went back') },
    ]);
  });

  test('one sample: gauges have it, growth is not known and says so', () => {
    const readings = series({});
    const { sections } = windowOf(readings);
    expect(sections.power).toMatchObject({ drawWatts: { min: 71.42, last: 71.42 }, energyJoules: null });
    expect(sections.violations?.['powerPercent']).toBeNull();
    expect(gapsOf(readings, 'violations.powerMicroseconds')).toHaveLength(1);
  });

  test('profiling has nothing in its first reading and values from the second', () => {
    const first: Gap = {
      gpu: 0,
      field: 'profiling.smActivePercent',
      reason: 'not-observable',
      detail: 'first',
    };
    const [before, after] = series(
      { profiling: { smActivePercent: null } },
      { profiling: { smActivePercent: 80 } },
    );
    const readings = [{ ...before!, gaps: [...h100Gaps(), first] }, after!];
    expect(windowOf(readings).sections.profiling?.['smActivePercent']).toEqual({
      min: 80,
      mean: 80,
      max: 80,
      last: 80,
    });
    expect(gapsOf(readings, first.field)).toEqual([]);
    expect(gapsOf(readings.slice(0, 1), first.field)).toEqual([first]);
  });

  test('a GPU that fails keeps what was read, and its gaps', () => {
    const readings = series({ power: { drawWatts: 100 } }, { power: { drawWatts: 200 } }, 'hung');
    const told = windowOf(readings);
    expect(told).toMatchObject({ sampleCount: 2, elapsedMilliseconds: 1_000 });
    expect(told.sections.power?.['drawWatts']).toMatchObject({ max: 200 });
    expect(told.gaps).toEqual([{ gpu: 0, field: 'power', reason: 'timeout', detail: 'no answer' }]);
  });

  test('a GPU that was never read has nothing but its gaps', () => {
    expect(windowOf(series('hung'))).toMatchObject({ sections: {}, sampleCount: 0, elapsedMilliseconds: 0 });
    expect(windowOf([])).toEqual({ sections: {}, gaps: [], sampleCount: 0, elapsedMilliseconds: 0 });
  });

  test('links are told one by one, matched by their number', () => {
    const [first, second] = [
      h100Links({ 3: { replayErrorCount: 4 } }),
      h100Links({ 3: { replayErrorCount: 9 } }),
    ];
    const told = windowOf(series({ nvlink: { links: first } }, { nvlink: { links: second.toReversed() } }));
    const links = told.sections.nvlink?.['links'] as Record<string, unknown>[];
    expect(links).toHaveLength(18);
    expect(links.find((each) => each['link'] === 3)).toMatchObject({
      active: true,
      speedMegabytesPerSecond: 26_562,
      replayErrorCount: { increase: 5, perSecond: 5 },
      receiveErrorCount: null,
    });
    expect(links.find((each) => each['link'] === 4)).toMatchObject({ replayErrorCount: { increase: 0 } });
  });
});
