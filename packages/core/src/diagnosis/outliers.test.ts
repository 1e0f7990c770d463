import { describe, expect, test } from 'vitest';
import { type Changes, h100Links, h100Reading, h100Ref } from '../../test/h100.ts';
import { seededRandom } from '../../test/random.ts';
import type { GpuReading } from '../domain/gpu.ts';
import { comparisonMetrics } from './comparison-metrics.ts';
import { compareGpus, type GpuSeries, median } from './outliers.ts';

/** At full work, as its siblings are. */
const busy: Changes = {
  utilization: { gpuPercent: 98, memoryPercent: 45 },
  power: { drawWatts: 610 },
  clocks: { smClockMegahertz: 1_980, eventReasons: [] },
  thermal: { temperatureCelsius: 61, memoryTemperatureCelsius: 78, marginCelsius: 26 },
};

function merge(base: Changes, more: Changes = {}): Changes {
  const sections = [...new Set([...Object.keys(base), ...Object.keys(more)])] as (keyof Changes)[];
  return Object.fromEntries(sections.map((section) => [section, { ...base[section], ...more[section] }]));
}

const node = (base: Changes, changed: Readonly<Record<number, Changes>> = {}, count = 8): GpuSeries[] =>
  Array.from({ length: count }, (_, index) => [h100Reading(merge(base, changed[index]), [], index)]);

const outliersOf = (series: readonly GpuSeries[]) =>
  compareGpus(series).outliers.map(({ gpu, metric }) => `${gpu} ${metric}`);

describe('median', () => {
  test.each<[number[], number | undefined]>([
    [[], undefined],
    [[3], 3],
    [[1, 10, 2], 2],
    [[4, 1, 3, 2], 2.5],
  ])('%j: %j', (values, expected) => {
    expect(median(values)).toBe(expected);
  });
});

describe('nothing stands out', () => {
  test('on an idle node, whose temperatures and clocks differ a little', () => {
    const { cohorts, outliers, notCompared, comparedCount } = compareGpus(
      node({}, { 2: { thermal: { temperatureCelsius: 38 }, clocks: { smClockMegahertz: 1_980 } } }),
    );
    expect(outliers).toEqual([]);
    expect(notCompared).toEqual([]);
    expect(comparedCount).toBe(8);
    expect(cohorts.map(({ load }) => load)).toEqual(['any', 'idle']);
  });

  test('31 beside 33 degrees, 1,980 beside 1,935 MHz, 610 beside 580 W', () => {
    const changed = {
      0: { thermal: { temperatureCelsius: 63 } },
      1: { clocks: { smClockMegahertz: 1_935 } },
      2: { power: { drawWatts: 580 } },
    };
    expect(outliersOf(node(busy, changed))).toEqual([]);
  });

  test('among natural spread: 500 busy nodes with noise on every gauge', () => {
    const random = seededRandom(0x0511);
    const noise = (width: number) => (random.next() + random.next() + random.next() - 1.5) * width;
    for (let round = 0; round < 500; round += 1) {
      const changed = Object.fromEntries(
        Array.from({ length: 8 }, (_, index) => [
          index,
          {
            thermal: {
              temperatureCelsius: 61 + noise(3),
              memoryTemperatureCelsius: 78 + noise(3),
              marginCelsius: 26 + noise(3),
            },
            power: { drawWatts: 610 + noise(40) },
            clocks: { smClockMegahertz: 1_950 + noise(40) },
          },
        ]),
      );
      expect(outliersOf(node(busy, changed))).toEqual([]);
    }
  });
});

describe('utilization', () => {
  const at = (gpuPercent: number, drawWatts: number) => ({
    utilization: { gpuPercent },
    power: { drawWatts },
  });
  const usual = at(70, 500);

  test.each([
    ['explains more power', at(92, 640), []],
    ['explains less power', at(50, 380), []],
    ['does not explain low power: a GPU that waits', at(92, 200), ['5 power.drawWatts']],
    ['does not explain more than its share', at(72, 690), ['5 power.drawWatts']],
  ])('%s', (_, odd, expected) => {
    const gpus = node(merge(busy, usual), { 5: odd });
    expect(outliersOf(gpus)).toEqual(expected);
  });

  test('that is lower for being held back does not hide why', () => {
    const held = {
      utilization: { gpuPercent: 40 },
      clocks: { eventReasons: ['hardware-thermal-slowdown'] },
    } as const;
    expect(outliersOf(node(busy, { 2: held }))).toEqual(['2 clocks.harmfulEventReasonCount']);
  });
});

describe('each metric finds its fault, on the bad side only', () => {
  test.each<[string, Changes, Changes | undefined]>([
    [
      'clocks.smClockMegahertz',
      { clocks: { smClockMegahertz: 1_200 } },
      { clocks: { smClockMegahertz: 2_400 } },
    ],
    [
      'clocks.harmfulEventReasonCount',
      { clocks: { eventReasons: ['hardware-power-brake'] } },
      { clocks: { eventReasons: ['software-power-cap'] } },
    ],
    ['power.drawWatts', { power: { drawWatts: 130 } }, undefined],
    [
      'power.enforcedLimitWatts',
      { power: { enforcedLimitWatts: 500 } },
      { power: { enforcedLimitWatts: 900 } },
    ],
    [
      'thermal.temperatureCelsius',
      { thermal: { temperatureCelsius: 84 } },
      { thermal: { temperatureCelsius: 40 } },
    ],
    [
      'thermal.memoryTemperatureCelsius',
      { thermal: { memoryTemperatureCelsius: 99 } },
      { thermal: { memoryTemperatureCelsius: 60 } },
    ],
    ['thermal.marginCelsius', { thermal: { marginCelsius: 4 } }, { thermal: { marginCelsius: 60 } }],
    [
      'pcie.currentLinkWidthLanes',
      { pcie: { currentLinkWidthLanes: 8 } },
      { pcie: { currentLinkWidthLanes: 32 } },
    ],
    ['pcie.currentGeneration', { pcie: { currentGeneration: 3 } }, { pcie: { currentGeneration: 6 } }],
    ['pcie.replayCount', { pcie: { replayCount: 4_000 } }, { pcie: { replayCount: 50 } }],
    ['nvlink.activeLinkCount', { nvlink: { links: h100Links({ 3: { active: false } }) } }, undefined],
    [
      'nvlink.errorCount',
      { nvlink: { links: h100Links({ 3: { replayErrorCount: 40 } }) } },
      { nvlink: { links: h100Links({ 3: { replayErrorCount: 4 } }) } },
    ],
    [
      'ecc.correctableVolatileCount',
      { ecc: { correctableVolatileCount: 17_700 } },
      { ecc: { correctableVolatileCount: 3 } },
    ],
    ['ecc.uncorrectableVolatileCount', { ecc: { uncorrectableVolatileCount: 1 } }, undefined],
    [
      'rowRemap.correctableRowCount',
      { rowRemap: { correctableRowCount: 8 } },
      { rowRemap: { correctableRowCount: 1 } },
    ],
    ['rowRemap.uncorrectableRowCount', { rowRemap: { uncorrectableRowCount: 1 } }, undefined],
  ])('%s', (metric, bad, good) => {
    const found = outliersOf(node(busy, { 5: bad }));
    expect(found).toEqual([`5 ${metric}`]);
    if (good) expect(outliersOf(node(busy, { 5: good }))).toEqual([]);
  });

  test('probeMilliseconds', () => {
    const slow = node(busy).map(
      ([reading], index): GpuSeries => [{ ...reading, probeMilliseconds: index === 5 ? 900 : 12 }],
    );
    expect(outliersOf(slow)).toEqual(['5 probeMilliseconds']);
  });

  test('the table above has them all', () => {
    expect(comparisonMetrics).toHaveLength(17);
    expect(new Set(comparisonMetrics.map(({ name }) => name)).size).toBe(17);
  });
});

test('an outlier tells value, median, deviation, score and whom it was compared with', () => {
  const { outliers } = compareGpus(
    node(busy, {
      0: { thermal: { temperatureCelsius: 60 } },
      1: { thermal: { temperatureCelsius: 62 } },
      2: { thermal: { temperatureCelsius: 59 } },
      3: { thermal: { temperatureCelsius: 63 } },
      6: { thermal: { temperatureCelsius: 81 } },
    }),
  );
  // 59 60 61 61 61 62 63 81: median 61, absolute deviations 0 0 0 1 1 2 2 20, their median 1; 0.6745 x 20 / 1 = 13.49.
  expect(outliers).toMatchObject([
    {
      gpu: 6,
      metric: 'thermal.temperatureCelsius',
      value: 81,
      median: 61,
      deviation: 20,
      modifiedZScore: 13.49,
      cohort: [0, 1, 2, 3, 4, 5, 6, 7],
      tool: 'get_gpu_health',
    },
  ]);
  const [alone] = compareGpus(node(busy, { 6: { pcie: { currentLinkWidthLanes: 8 } } })).outliers;
  expect(alone?.modifiedZScore).toBeNull();
});

describe('load', () => {
  const idle: Changes = {
    utilization: { gpuPercent: 0 },
    power: { drawWatts: 70 },
    clocks: { smClockMegahertz: 345, eventReasons: ['idle'] },
    thermal: { temperatureCelsius: 33, memoryTemperatureCelsius: 42, marginCelsius: 53 },
    pcie: { currentGeneration: 1 },
  };

  test('idle and busy GPUs are not compared with each other', () => {
    const { outliers, cohorts, notCompared } = compareGpus(
      node(busy, { 0: idle, 1: idle, 2: idle, 3: idle }),
    );
    expect(outliers).toEqual([]);
    expect(notCompared).toEqual([]);
    expect(cohorts).toMatchObject([
      { load: 'any', gpus: [0, 1, 2, 3, 4, 5, 6, 7] },
      {
        load: 'busy',
        gpus: [4, 5, 6, 7],
        utilizationPercent: { min: 98, max: 98 },
        powerDrawWatts: { min: 610, max: 610 },
      },
      { load: 'idle', gpus: [0, 1, 2, 3], utilizationPercent: { min: 0, max: 0 } },
    ]);
  });

  test('one idle among busy ones is not judged by load, and that is said', () => {
    const { outliers, notCompared } = compareGpus(node(busy, { 3: idle }));
    expect(outliers).toEqual([]);
    expect(notCompared).toEqual([
      { gpu: 3, scope: 'load-dependent', reason: 'no 3 siblings with like load (0 % utilization)' },
    ]);
    // What load does not change still is.
    expect(outliersOf(node(busy, { 3: merge(idle, { pcie: { currentLinkWidthLanes: 4 } }) }))).toEqual([
      '3 pcie.currentLinkWidthLanes',
    ]);
  });

  test('half the work is not like load; unknown work is not idle', () => {
    const half = { utilization: { gpuPercent: 40 }, clocks: { smClockMegahertz: 900 } };
    const unknown = { utilization: { gpuPercent: null }, clocks: { smClockMegahertz: 900 } };
    const { outliers, notCompared } = compareGpus(node(busy, { 1: half, 2: unknown }));
    expect(outliers).toEqual([]);
    expect(notCompared.map(({ gpu }) => gpu)).toEqual([1, 2]);
    expect(notCompared[1]?.reason).toContain('could not be read');
  });
});

describe('cohorts', () => {
  test('two GPUs have no majority', () => {
    const { cohorts, outliers, notCompared, comparedCount } = compareGpus(
      node(busy, { 1: { pcie: { currentLinkWidthLanes: 4 } } }, 2),
    );
    expect({ cohorts, outliers, comparedCount }).toEqual({ cohorts: [], outliers: [], comparedCount: 0 });
    expect(notCompared).toMatchObject([
      { gpu: 0, scope: 'all' },
      { gpu: 1, scope: 'all' },
    ]);
    expect(outliersOf(node(busy, { 1: { pcie: { currentLinkWidthLanes: 4 } } }, 3))).toEqual([
      '1 pcie.currentLinkWidthLanes',
    ]);
  });

  test('products and MIG modes are apart', () => {
    const series = node(busy, {}, 8).map(
      ([reading], index): GpuSeries => [
        index < 4
          ? reading
          : { ...reading, gpu: { ...h100Ref(index), name: 'NVIDIA L40S' }, nvlink: { links: [] } },
      ],
    );
    expect(outliersOf(series)).toEqual([]);
    expect(compareGpus(series).cohorts.map(({ product, gpus }) => [product, gpus])).toEqual(
      expect.arrayContaining([['NVIDIA L40S', [4, 5, 6, 7]]]),
    );
    const divided = compareGpus(node(busy, { 0: { mig: { enabled: true } } }));
    expect(divided.notCompared).toMatchObject([{ gpu: 0, scope: 'all' }]);
  });

  test('a GPU that did not answer is named, and compared with nobody', () => {
    const lost: GpuReading = { gpu: h100Ref(7), state: 'lost', observedAt: '', gaps: [] };
    const { notCompared, cohorts } = compareGpus([...node(busy, {}, 7), [lost]]);
    expect(notCompared).toEqual([{ gpu: 7, scope: 'all', reason: 'it is lost' }]);
    expect(cohorts[0]?.gpus).not.toContain(7);
  });

  test('what a GPU does not tell is not zero', () => {
    const series = node(busy, {
      2: { ecc: { uncorrectableVolatileCount: null }, pcie: { currentLinkWidthLanes: null } },
    });
    expect(outliersOf(series)).toEqual([]);
    const nobody = Object.fromEntries(
      Array.from({ length: 8 }, (_, index) => [index, { ecc: { uncorrectableVolatileCount: null } }]),
    );
    expect(compareGpus(node(busy, nobody)).cohorts[0]?.medians).not.toHaveProperty(
      'ecc.uncorrectableVolatileCount',
    );
  });

  test('two camps of equal size are no outliers: nobody can say which is odd', () => {
    const slow = { clocks: { smClockMegahertz: 1_200 } };
    expect(outliersOf(node(busy, { 0: slow, 1: slow, 2: slow, 3: slow }))).toEqual([]);
  });
});

test('over several readings one odd sample does not count, a lasting one does', () => {
  const slow = h100Reading(merge(busy, { clocks: { smClockMegahertz: 1_200 } }), [], 4);
  const spike = node(busy).map(
    ([reading], index): GpuSeries => (index === 4 ? [reading, slow, reading] : [reading, reading, reading]),
  );
  expect(outliersOf(spike)).toEqual([]);
  const lasting = node(busy).map(
    ([reading], index): GpuSeries => (index === 4 ? [slow, reading, slow] : [reading, reading, reading]),
  );
  expect(outliersOf(lasting)).toEqual(['4 clocks.smClockMegahertz']);
});

test('the worst deviation stands first', () => {
  const found = outliersOf(
    node(busy, {
      1: { clocks: { smClockMegahertz: 1_700 } },
      2: { ecc: { correctableVolatileCount: 9_000 } },
    }),
  );
  expect(found).toEqual(['2 ecc.correctableVolatileCount', '1 clocks.smClockMegahertz']);
});
