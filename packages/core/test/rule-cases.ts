import type { Gap } from '../src/domain/gap.ts';
import type { GpuReading } from '../src/domain/gpu.ts';
import type { NvLink } from '../src/domain/readings/nvlink.ts';
import type { RuleFinding } from '../src/health/rule.ts';
import { type Changes, h100Link, h100Links, h100Reading, unsupported } from './h100.ts';

// For every health rule: readings that must raise it, and readings just short of it, or with a known false alarm, that must not.

export interface RuleCase {
  readonly name: string;
  readonly reading: GpuReading;
  readonly siblings?: readonly GpuReading[];
  readonly baseline?: GpuReading;
  /** Of the finding; only for what raises. */
  readonly finding?: Partial<RuleFinding>;
}

export interface RuleCases {
  readonly raises: readonly RuleCase[];
  readonly passes: readonly RuleCase[];
}

export const at = (observedAt: string, reading: GpuReading): GpuReading => ({ ...reading, observedAt });
/** An H100 ten minutes before the others. */
export const earlier = (changes: Changes = {}): GpuReading =>
  at('2025-12-31T23:50:00.000Z', h100Reading(changes));
export const named = (name: string, changes: Changes = {}, gaps?: readonly Gap[]): GpuReading => {
  const reading = h100Reading(changes, gaps);
  return { ...reading, gpu: { ...reading.gpu, name } };
};
/** The other GPUs of the node, all with the same changes. */
export const others = (changes: Changes = {}, count = 7): GpuReading[] =>
  Array.from({ length: count }, (_, index) => h100Reading(changes, undefined, index + 1));

/** An H100 at work: no idle bit, full clocks, most of its power. */
export const atWork: Changes = {
  utilization: { gpuPercent: 99 },
  power: { drawWatts: 640 },
  clocks: { smClockMegahertz: 1_980, graphicsClockMegahertz: 1_980, eventReasons: [] },
};
export const working = (changes: Changes = {}): GpuReading => h100Reading({ ...atWork, ...changes });

const raises = (name: string, reading: GpuReading, finding?: Partial<RuleFinding>): RuleCase => ({
  name,
  reading,
  ...(finding ? { finding } : {}),
});
const passes = (name: string, reading: GpuReading): RuleCase => ({ name, reading });
/** From an earlier reading to a later one. */
const from = (name: string, before: Changes, now: Changes, finding?: Partial<RuleFinding>): RuleCase => ({
  name,
  baseline: earlier(before),
  reading: h100Reading(now),
  ...(finding ? { finding } : {}),
});
const links = (...changed: Partial<NvLink>[]): Changes => ({
  nvlink: { links: changed.map((each, link) => h100Link(link, each)) },
});
const state = (changes: Partial<GpuReading>): GpuReading => ({ ...h100Reading(), ...changes });

/** As a list of links prints them that does not say what they lead to. */
const unnamed = (active: boolean) => h100Links().map((link) => ({ ...link, active, remoteDeviceType: null }));

/** Before Ada: absolute thresholds, no margins. Values of an A100. */
const absolute = (changes: Partial<GpuReading['thermal']>): Changes => ({
  thermal: {
    marginCelsius: null,
    slowdownMarginCelsius: null,
    maxOperatingMarginCelsius: null,
    memoryMaxMarginCelsius: null,
    slowdownThresholdCelsius: 92,
    maxOperatingThresholdCelsius: 85,
    ...changes,
  },
});
const hours = (count: number) => count * 3.6e9;
const held = (leaf: 'thermal' | 'boardLimit' | 'reliability' | 'baseClocks', seconds: number): Changes => ({
  violations: { [`${leaf}Microseconds`]: seconds * 1e6 },
});
const histogram = (lowBankCount: number, noneBankCount = 0, partialBankCount = 2) => ({
  rowRemap: {
    histogram: { maxBankCount: 600, highBankCount: 4, partialBankCount, lowBankCount, noneBankCount },
  },
});
const fan = (speedPercent: number, revolutions: number | null = null) => [
  { index: 0, speedPercent, targetSpeedPercent: 60, speedRevolutionsPerMinute: revolutions },
];

export const ruleCases: Readonly<Record<string, RuleCases>> = {
  'gpu.lost': {
    raises: [raises('state', state({ state: 'lost' }), { verdict: 'critical', action: 'reboot-node' })],
    passes: [passes('answers', h100Reading())],
  },
  'gpu.hung': {
    raises: [raises('state', state({ state: 'hung' }), { actionAlone: 'monitor' })],
    passes: [passes('answers', h100Reading())],
  },
  'gpu.reset-required': {
    raises: [raises('state', state({ state: 'reset-required' }), { action: 'reset-gpu' })],
    passes: [passes('answers', h100Reading())],
  },
  'gpu.unreadable': {
    raises: [raises('state', state({ state: 'unreadable' }), { verdict: 'unknown' })],
    passes: [passes('answers', h100Reading())],
  },
  'gpu.missing-handle': {
    raises: [
      raises('not to be opened', state({ state: 'unreadable', errorCode: 'GPU_NOT_FOUND' }), {
        verdict: 'critical',
        action: 'reboot-node',
        actionAlone: 'monitor',
      }),
    ],
    passes: [
      passes('not permitted', state({ state: 'unreadable', errorCode: 'NO_PERMISSION' })),
      passes('not read', state({ state: 'unreadable', errorCode: 'UNAVAILABLE' })),
    ],
  },
  'driver.library-crashed': {
    raises: [raises('error code', state({ state: 'unreadable', errorCode: 'ADAPTER_CRASHED' }))],
    passes: [passes('another error', state({ state: 'unreadable', errorCode: 'NO_PERMISSION' }))],
  },
  'driver.slow': {
    raises: [
      raises('over 10 s', state({ probeMilliseconds: 10_001 }), { confidence: 'low' }),
      {
        name: 'beside faster siblings',
        reading: state({ probeMilliseconds: 2_001 }),
        siblings: others(),
        finding: { confidence: 'medium' },
      },
    ],
    passes: [passes('10 s', state({ probeMilliseconds: 10_000 }))],
  },
  'recovery.action': {
    raises: [
      raises('reboot', h100Reading({ recovery: { action: 'reboot' } }), {
        verdict: 'critical',
        action: 'reboot-node',
      }),
    ],
    passes: [passes('none', h100Reading())],
  },
  'ecc.uncorrectable-volatile': {
    raises: [raises('one', h100Reading({ ecc: { uncorrectableVolatileCount: 1 } }), { verdict: 'critical' })],
    passes: [passes('lifetime count', h100Reading({ ecc: { uncorrectableAggregateCount: 9 } }))],
  },
  'ecc.uncorrectable-new': {
    raises: [
      from(
        'one more',
        { ecc: { uncorrectableAggregateCount: 8 } },
        { ecc: { uncorrectableAggregateCount: 9 } },
        {
          verdict: 'critical',
          action: 'reset-gpu',
          actionAlone: 'restart-app',
          what: '1 new uncorrectable ECC error within 10 min.',
        },
      ),
    ],
    passes: [
      from(
        'a lifetime count that stays',
        { ecc: { uncorrectableAggregateCount: 9 } },
        {
          ecc: { uncorrectableAggregateCount: 9 },
        },
      ),
      from(
        'already told by the volatile count',
        {},
        {
          ecc: { uncorrectableAggregateCount: 1, uncorrectableVolatileCount: 1 },
        },
      ),
    ],
  },
  'ecc.correctable-storm': {
    raises: [
      // NVIDIA/DCGM#313: 17,700 a second.
      from(
        '17,700 a second',
        {},
        { ecc: { correctableVolatileCount: 17_700 * 600 } },
        {
          verdict: 'critical',
          action: 'drain-node',
          actionAlone: 'monitor',
        },
      ),
      from('10 a second', {}, { ecc: { correctableVolatileCount: 6_000 } }, { verdict: 'warning' }),
    ],
    passes: [
      from('fewer than 10 a second', {}, { ecc: { correctableVolatileCount: 5_999 } }),
      from(
        'millions, all of them old',
        { ecc: { correctableVolatileCount: 9e6 } },
        {
          ecc: { correctableVolatileCount: 9e6 },
        },
      ),
    ],
  },
  'ecc.dram-correctable': {
    raises: [
      raises('20,000,001', h100Reading({ ecc: { locations: null, correctableVolatileCount: 20_000_001 } }), {
        verdict: 'warning',
      }),
      raises('50,000,001', h100Reading({ ecc: { locations: null, correctableVolatileCount: 50_000_001 } }), {
        verdict: 'critical',
        action: 'contact-support',
        actionAlone: 'monitor',
      }),
    ],
    passes: [
      passes('20,000,000', h100Reading({ ecc: { locations: null, correctableVolatileCount: 20_000_000 } })),
      passes('over the life of the board', h100Reading({ ecc: { correctableAggregateCount: 9e9 } })),
    ],
  },
  'ecc.sram-correctable': {
    raises: [raises('10,001', h100Reading({ ecc: { sramCorrectableVolatileCount: 10_001 } }))],
    passes: [
      passes('10,000', h100Reading({ ecc: { sramCorrectableVolatileCount: 10_000 } })),
      passes('over the life of the board', h100Reading({ ecc: { sramCorrectableAggregateCount: 90_000 } })),
    ],
  },
  'ecc.sram-uncorrectable': {
    raises: [
      raises('one', h100Reading({ ecc: { sramUncorrectableVolatileCount: 1 } }), {
        verdict: 'critical',
        action: 'run-field-diagnostic',
        actionAlone: 'restart-app',
      }),
    ],
    passes: [
      passes('over the life of the board', h100Reading({ ecc: { sramUncorrectableAggregateCount: 4 } })),
    ],
  },
  'ecc.sram-source': {
    raises: [
      from(
        'one more in the L2 cache',
        { ecc: { sramUncorrectableL2AggregateCount: 2 } },
        { ecc: { sramUncorrectableL2AggregateCount: 3 } },
        { verdict: 'critical', what: 'New uncorrectable SRAM errors in the L2 cache within 10 min.' },
      ),
    ],
    passes: [
      from(
        'a lifetime count that stays',
        { ecc: { sramUncorrectableSmAggregateCount: 3 } },
        {
          ecc: { sramUncorrectableSmAggregateCount: 3 },
        },
      ),
    ],
  },
  'ecc.sram-threshold': {
    raises: [raises('flag', h100Reading({ ecc: { sramThresholdExceeded: true } }), { authoritative: true })],
    passes: [passes('no flag', h100Reading({ ecc: { sramUncorrectableAggregateCount: 9 } }))],
  },
  'ecc.disabled': {
    raises: [raises('off on an H100', h100Reading({ ecc: { enabled: false } }), { verdict: 'warning' })],
    passes: [
      passes(
        'off on a GeForce, as it is sold',
        named('NVIDIA GeForce RTX 4090', { ecc: { enabled: false } }),
      ),
      passes('off on a workstation card', named('NVIDIA RTX A6000', { ecc: { enabled: false } })),
      passes('on', h100Reading()),
    ],
  },
  'ecc.mode-pending': {
    raises: [
      raises('to be switched off', h100Reading({ ecc: { pendingEnabled: false } }), { verdict: 'ok' }),
    ],
    passes: [passes('off now and then', h100Reading({ ecc: { enabled: false, pendingEnabled: false } }))],
  },
  'remap.failed': {
    raises: [raises('flag', h100Reading({ rowRemap: { failureOccurred: true } }))],
    passes: [passes('remapped well', h100Reading({ rowRemap: { uncorrectableRowCount: 3 } }))],
  },
  'remap.unrepairable': {
    raises: [raises('flag', h100Reading({ rowRemap: { memoryUnrepairable: true } }))],
    passes: [passes('no flag', h100Reading())],
  },
  'remap.uncorrectable-rows': {
    raises: [raises('512', h100Reading({ rowRemap: { uncorrectableRowCount: 512 } }))],
    passes: [passes('511', h100Reading({ rowRemap: { uncorrectableRowCount: 511 } }))],
  },
  'remap.bank-exhausted': {
    raises: [raises('one bank', h100Reading(histogram(0, 1)))],
    passes: [passes('none', h100Reading(histogram(3, 0)))],
  },
  'remap.pending': {
    raises: [raises('flag', h100Reading({ rowRemap: { pending: true } }), { actionAlone: 'monitor' })],
    passes: [passes('no flag', h100Reading())],
  },
  'remap.pages-pending': {
    raises: [raises('flag', h100Reading({ rowRemap: { retiredPagesPending: true } }))],
    passes: [passes('none', h100Reading({ rowRemap: { retiredPagesPending: false } }))],
  },
  'remap.repair-pending': {
    raises: [raises('of a TPC', h100Reading({ rowRemap: { tpcRepairPending: true } }))],
    passes: [passes('none', h100Reading())],
  },
  'remap.retired-pages': {
    raises: [
      raises('63', h100Reading({ rowRemap: { retiredPageCount: 63, retiredPagesPending: false } }), {
        verdict: 'critical',
        action: 'contact-support',
      }),
    ],
    passes: [passes('10', h100Reading({ rowRemap: { retiredPageCount: 10, retiredPagesPending: true } }))],
  },
  'remap.bank-low': {
    raises: [raises('one bank', h100Reading(histogram(1)), { confidence: 'low', action: 'monitor' })],
    passes: [passes('partial availability is a repair that worked', h100Reading(histogram(0, 0, 9)))],
  },
  'remap.rows-new': {
    raises: [
      from(
        'one more',
        { rowRemap: { uncorrectableRowCount: 1 } },
        { rowRemap: { uncorrectableRowCount: 2 } },
        {
          verdict: 'warning',
          action: 'reset-gpu',
          actionAlone: 'monitor',
        },
      ),
    ],
    passes: [
      from(
        'rows of long ago',
        { rowRemap: { uncorrectableRowCount: 8 } },
        { rowRemap: { uncorrectableRowCount: 8 } },
      ),
    ],
  },
  'remap.pages-new': {
    raises: [
      from(
        'one more of 16',
        { rowRemap: { retiredPageCount: 15, doubleBitRetiredPageCount: 15 } },
        { rowRemap: { retiredPageCount: 16, doubleBitRetiredPageCount: 16 } },
        { verdict: 'critical', action: 'contact-support' },
      ),
      from(
        'one more of few',
        { rowRemap: { retiredPageCount: 1, doubleBitRetiredPageCount: 0 } },
        { rowRemap: { retiredPageCount: 2, doubleBitRetiredPageCount: 0 } },
        { verdict: 'warning' },
      ),
    ],
    passes: [
      from(
        'many, all of them old',
        { rowRemap: { retiredPageCount: 20, doubleBitRetiredPageCount: 20 } },
        { rowRemap: { retiredPageCount: 20, doubleBitRetiredPageCount: 20 } },
      ),
    ],
  },
  'thermal.margin': {
    raises: [raises('at the slowdown margin', h100Reading({ thermal: { marginCelsius: -2 } }))],
    passes: [passes('short of it', h100Reading({ thermal: { marginCelsius: -1 } }))],
  },
  'thermal.memory': {
    raises: [
      raises(
        'one degree over',
        h100Reading({ thermal: { memoryTemperatureCelsius: 96, memoryMaxThresholdCelsius: 95 } }),
      ),
    ],
    passes: [
      passes(
        'at it',
        h100Reading({ thermal: { memoryTemperatureCelsius: 95, memoryMaxThresholdCelsius: 95 } }),
      ),
    ],
  },
  'thermal.max-operating': {
    raises: [
      raises('margin below zero', h100Reading({ thermal: { marginCelsius: -1 } }), {
        verdict: 'warning',
        action: 'check-mechanicals',
        actionAlone: 'monitor',
      }),
      raises('an A100 at 86 C of 85', h100Reading(absolute({ temperatureCelsius: 86 }))),
    ],
    passes: [
      passes('margin zero', h100Reading({ thermal: { marginCelsius: 0 } })),
      passes('past the slowdown point, which is told', h100Reading({ thermal: { marginCelsius: -2 } })),
      passes(
        'warm at work, 93 C of 93',
        h100Reading(
          absolute({
            temperatureCelsius: 93,
            maxOperatingThresholdCelsius: 93,
            slowdownThresholdCelsius: 96,
          }),
        ),
      ),
    ],
  },
  'thermal.memory-margin': {
    raises: [
      raises(
        'beyond a limit of its own',
        h100Reading({ thermal: { marginCelsius: 4, memoryMaxMarginCelsius: 5 } }),
      ),
    ],
    passes: [
      passes('at it', h100Reading({ thermal: { marginCelsius: 5, memoryMaxMarginCelsius: 5 } })),
      passes('the limit of the GPU itself', h100Reading({ thermal: { marginCelsius: -1 } })),
    ],
  },
  'thermal.hot-neighbour': {
    raises: [
      {
        name: '15 C above siblings that draw as much',
        reading: working({ thermal: { temperatureCelsius: 75 } }),
        siblings: others({ ...atWork, thermal: { temperatureCelsius: 60 } }),
        finding: { verdict: 'warning', action: 'check-mechanicals', actionAlone: 'monitor' },
      },
      {
        name: 'though heat makes it draw less',
        reading: working({ thermal: { temperatureCelsius: 86 }, power: { drawWatts: 380 } }),
        siblings: others({ ...atWork, thermal: { temperatureCelsius: 62 } }),
      },
    ],
    passes: [
      {
        name: '14 C, as the rear row of a chassis has',
        reading: working({ thermal: { temperatureCelsius: 74 } }),
        siblings: others({ ...atWork, thermal: { temperatureCelsius: 60 } }),
      },
      {
        name: 'at work beside idle siblings',
        reading: working({ thermal: { temperatureCelsius: 75 } }),
        siblings: others(),
      },
      {
        name: 'cool, whatever the siblings are',
        reading: h100Reading({ thermal: { temperatureCelsius: 53 } }),
        siblings: others({ thermal: { temperatureCelsius: 30 } }),
      },
    ],
  },
  'thermal.fan': {
    raises: [
      raises(
        '0 % at 70 C',
        h100Reading({ thermal: { fans: fan(0), fanSpeedPercent: 0, temperatureCelsius: 70 } }),
        {
          verdict: 'warning',
          actionAlone: 'monitor',
        },
      ),
      raises(
        'no turns though 60 % is believed',
        h100Reading({ thermal: { fans: fan(60, 0), fanSpeedPercent: 60, temperatureCelsius: 82 } }),
      ),
    ],
    passes: [
      passes(
        'at rest while cool, as many cards do',
        h100Reading({ thermal: { fans: fan(0), fanSpeedPercent: 0, temperatureCelsius: 45 } }),
      ),
      passes(
        'turning',
        h100Reading({ thermal: { fans: fan(60, 2_100), fanSpeedPercent: 60, temperatureCelsius: 82 } }),
      ),
      passes(
        'cooled by its chassis',
        h100Reading({ thermal: { fans: [], fanSpeedPercent: null, temperatureCelsius: 82 } }),
      ),
    ],
  },
  'clocks.thermal-slowdown': {
    raises: [raises('0x40', h100Reading({ clocks: { eventReasons: ['hardware-thermal-slowdown'] } }))],
    passes: [passes('0x20', h100Reading({ clocks: { eventReasons: ['software-thermal-slowdown'] } }))],
  },
  'clocks.software-thermal': {
    raises: [
      raises('0x20', h100Reading({ clocks: { eventReasons: ['software-thermal-slowdown'] } }), {
        verdict: 'warning',
        actionAlone: 'monitor',
      }),
    ],
    passes: [
      passes(
        '0x20 with 0x40, which is told',
        h100Reading({ clocks: { eventReasons: ['software-thermal-slowdown', 'hardware-thermal-slowdown'] } }),
      ),
      passes('idle', h100Reading()),
    ],
  },
  'power.brake': {
    raises: [raises('0x80', h100Reading({ clocks: { eventReasons: ['hardware-power-brake'] } }))],
    passes: [
      passes('the power cap under load', working({ clocks: { eventReasons: ['software-power-cap'] } })),
    ],
  },
  'clocks.hardware-slowdown': {
    raises: [raises('0x08 alone', h100Reading({ clocks: { eventReasons: ['hardware-slowdown'] } }))],
    passes: [
      passes(
        '0x08 with 0x80',
        h100Reading({ clocks: { eventReasons: ['hardware-slowdown', 'hardware-power-brake'] } }),
      ),
    ],
  },
  'clocks.thermal-duty': {
    raises: [
      from('30 s of 10 min', held('thermal', 0), held('thermal', 30), {
        verdict: 'warning',
        what: 'Heat held the clocks back for 5 % of the last 10 min.',
      }),
    ],
    passes: [
      from('29 s of 10 min', held('thermal', 0), held('thermal', 29)),
      from(
        'hours, all of them old',
        { violations: { thermalMicroseconds: hours(40) } },
        {
          violations: { thermalMicroseconds: hours(40) },
        },
      ),
    ],
  },
  'clocks.board-limit-duty': {
    raises: [
      from('half of the time', held('boardLimit', 0), held('boardLimit', 300), { verdict: 'warning' }),
    ],
    passes: [
      from('a moment', held('boardLimit', 0), held('boardLimit', 1)),
      from('the power cap all the time', {}, { violations: { powerMicroseconds: 6e8 } }),
    ],
  },
  'clocks.reliability-duty': {
    raises: [
      from(
        'half of the time, below the base clock',
        {},
        { violations: { reliabilityMicroseconds: 3e8, baseClocksMicroseconds: 3e8 } },
        { confidence: 'low' },
      ),
    ],
    passes: [from('all the time at the top of the boost', {}, held('reliability', 600))],
  },
  'clocks.low-under-load': {
    raises: [
      raises('345 MHz at work, no reason', working({ clocks: { smClockMegahertz: 345, eventReasons: [] } }), {
        confidence: 'low',
        action: 'monitor',
      }),
    ],
    passes: [
      passes(
        'low clocks at idle',
        h100Reading({ clocks: { smClockMegahertz: 345, eventReasons: ['idle'] } }),
      ),
      passes(
        'the power cap',
        working({ clocks: { smClockMegahertz: 1_000, eventReasons: ['software-power-cap'] } }),
      ),
      passes(
        'a T4 at its application clock',
        named('Tesla T4', {
          ...atWork,
          clocks: {
            smClockMegahertz: 585,
            applicationGraphicsClockMegahertz: 585,
            maxSmClockMegahertz: 1_590,
            maxBoostGraphicsClockMegahertz: null,
            eventReasons: [],
          },
        }),
      ),
    ],
  },
  'clocks.application-below-default': {
    raises: [
      raises('76 MHz below', h100Reading({ clocks: { applicationGraphicsClockMegahertz: 1_904 } }), {
        verdict: 'warning',
      }),
    ],
    passes: [
      passes('75 MHz below', h100Reading({ clocks: { applicationGraphicsClockMegahertz: 1_905 } })),
      passes(
        'on a workstation',
        named('Quadro RTX 8000', { clocks: { applicationGraphicsClockMegahertz: 600 } }),
      ),
    ],
  },
  'clocks.performance-state': {
    raises: [
      raises('P8 at work', working({ clocks: { performanceState: 'P8', eventReasons: [] } }), {
        confidence: 'low',
      }),
    ],
    passes: [
      passes('P8 at idle', h100Reading({ clocks: { performanceState: 'P8' } })),
      passes(
        'P2, where consumer cards compute',
        working({ clocks: { performanceState: 'P2', eventReasons: [] } }),
      ),
    ],
  },
  'power.limit-imposed': {
    raises: [
      raises('600 W of 700', h100Reading({ power: { enforcedLimitWatts: 600 } }), { actionAlone: 'monitor' }),
    ],
    passes: [
      passes(
        'set by an administrator',
        h100Reading({ power: { enforcedLimitWatts: 400, requestedLimitWatts: 400 } }),
      ),
      passes('650 W of 700', h100Reading({ power: { enforcedLimitWatts: 650 } })),
    ],
  },
  'power.limit-reduced': {
    raises: [
      raises('349 W of 700', h100Reading({ power: { enforcedLimitWatts: 349, requestedLimitWatts: 349 } }), {
        verdict: 'warning',
        action: 'monitor',
      }),
      // A real card: 200 W of 350.
      raises(
        'a quiet workstation',
        h100Reading({ power: { enforcedLimitWatts: 200, defaultLimitWatts: 350, minLimitWatts: 100 } }),
        {
          verdict: 'ok',
          action: 'none',
        },
      ),
    ],
    passes: [
      passes('the default', h100Reading()),
      passes('above it', h100Reading({ power: { enforcedLimitWatts: 336, defaultLimitWatts: 320 } })),
    ],
  },
  'power.draw-implausible': {
    raises: [
      raises('40 W and 99 % busy', working({ power: { drawWatts: 40 } }), { confidence: 'low' }),
      raises('1,100 W of 700', working({ power: { drawWatts: 1_100 } })),
    ],
    passes: [
      passes('42 W at idle', h100Reading({ power: { drawWatts: 42 } })),
      passes('a peak at work', working({ power: { drawWatts: 742 } })),
      passes(
        'the driver waking up: 100 % in P8',
        working({ power: { drawWatts: 42 }, clocks: { performanceState: 'P8', eventReasons: [] } }),
      ),
    ],
  },
  'pcie.width': {
    raises: [
      raises('x8 on a baseboard', h100Reading({ pcie: { currentLinkWidthLanes: 8 } }), {
        verdict: 'warning',
        actionAlone: 'monitor',
        confidence: 'high',
      }),
      raises(
        'x8 of an L40S at work',
        named('NVIDIA L40S', { ...atWork, pcie: { currentLinkWidthLanes: 8 } }),
        {
          verdict: 'warning',
        },
      ),
      raises(
        'a T4 at rest in a cloud machine: told',
        named('Tesla T4', { pcie: { currentLinkWidthLanes: 8 } }),
        {
          verdict: 'ok',
          action: 'none',
        },
      ),
    ],
    passes: [
      passes('all lanes', h100Reading()),
      passes('a slot of eight', h100Reading({ pcie: { currentLinkWidthLanes: 8, maxLinkWidthLanes: 8 } })),
    ],
  },
  'pcie.generation': {
    raises: [
      raises('generation 2 at work', working({ pcie: { currentGeneration: 2 } }), {
        verdict: 'warning',
        action: 'check-mechanicals',
        actionAlone: 'monitor',
      }),
    ],
    passes: [
      passes('generation 1 at idle', h100Reading({ pcie: { currentGeneration: 1 } })),
      passes(
        'generation 1, load not known',
        h100Reading({
          pcie: { currentGeneration: 1 },
          utilization: { gpuPercent: null },
          profiling: { graphicsActivePercent: null },
          clocks: { eventReasons: [] },
        }),
      ),
      passes(
        'generation 1 in P8, 100 % by the driver waking up',
        working({ pcie: { currentGeneration: 1 }, clocks: { performanceState: 'P8', eventReasons: [] } }),
      ),
    ],
  },
  'pcie.slot-generation': {
    raises: [
      raises('a slot of generation 4', h100Reading({ pcie: { maxGeneration: 4 } }), { verdict: 'ok' }),
    ],
    passes: [passes('the same', h100Reading())],
  },
  'pcie.replay-rate': {
    raises: [
      // Generation 5, 16 lanes: ceil(1.92 x 16) = 31 a minute, 310 in ten.
      from(
        '311 in 10 min',
        {},
        { pcie: { replayCount: 311 } },
        { verdict: 'warning', actionAlone: 'monitor' },
      ),
    ],
    passes: [
      from('310 in 10 min', {}, { pcie: { replayCount: 310 } }),
      from('many, all of them old', { pcie: { replayCount: 90_000 } }, { pcie: { replayCount: 90_000 } }),
      {
        name: '31 in a second: judged as in a minute',
        baseline: at('2025-12-31T23:59:59.000Z', h100Reading()),
        reading: h100Reading({ pcie: { replayCount: 31 } }),
      },
    ],
  },
  'pcie.link-errors': {
    raises: [
      from(
        '311 of two kinds',
        {},
        { pcie: { badTlpCount: 200, lcrcErrorCount: 111 } },
        {
          evidence: [
            { field: 'pcie.badTlpCount', value: 200, threshold: 310 },
            { field: 'pcie.lcrcErrorCount', value: 111, threshold: 310 },
          ],
        },
      ),
    ],
    passes: [from('a few', {}, { pcie: { badTlpCount: 12, receiverErrorCount: 3 } })],
  },
  'pcie.correctable-errors': {
    raises: [from('3,101 in 10 min', {}, { pcie: { correctableErrorCount: 3_101 } })],
    passes: [
      from('3,100 in 10 min', {}, { pcie: { correctableErrorCount: 3_100 } }),
      from(
        'many, all of them old',
        { pcie: { correctableErrorCount: 9e6 } },
        { pcie: { correctableErrorCount: 9e6 } },
      ),
    ],
  },
  'pcie.replay-rollover': {
    raises: [from('one', {}, { pcie: { replayRolloverCount: 1 } }, { actionAlone: 'monitor' })],
    passes: [from('an old one', { pcie: { replayRolloverCount: 4 } }, { pcie: { replayRolloverCount: 4 } })],
  },
  'pcie.link-recovery': {
    raises: [
      {
        name: '60 a minute, busy to busy',
        baseline: at('2025-12-31T23:50:00.000Z', working()),
        reading: working({ pcie: { linkRecoveryCount: 600 } }),
        finding: { confidence: 'low' },
      },
    ],
    passes: [
      {
        name: '59 a minute',
        baseline: at('2025-12-31T23:50:00.000Z', working()),
        reading: working({ pcie: { linkRecoveryCount: 599 } }),
      },
      // A link that goes up and down with the load: over a thousand in two minutes.
      {
        name: 'from idle to work',
        baseline: earlier(),
        reading: working({ pcie: { linkRecoveryCount: 7_000 } }),
      },
    ],
  },
  'pcie.non-fatal-errors': {
    raises: [from('one', {}, { pcie: { nonFatalErrorCount: 1 } })],
    passes: [from('old ones', { pcie: { nonFatalErrorCount: 5 } }, { pcie: { nonFatalErrorCount: 5 } })],
  },
  'pcie.fatal-errors': {
    raises: [raises('one', h100Reading({ pcie: { fatalErrorCount: 1 } }))],
    passes: [passes('none', h100Reading({ pcie: { nonFatalErrorCount: 9 } }))],
  },
  'nvlink.inactive-links': {
    raises: [
      raises('one of 18', h100Reading({ nvlink: { links: h100Links({ 7: { active: false } }) } }), {
        verdict: 'critical',
        action: 'reset-gpu',
      }),
      raises(
        'one of 18 that do not say what they lead to',
        h100Reading({
          nvlink: { links: unnamed(true).map((link) => ({ ...link, active: link.link !== 4 })) },
        }),
        { verdict: 'critical' },
      ),
    ],
    passes: [passes('all up', h100Reading())],
  },
  'nvlink.sibling-links': {
    raises: [
      {
        name: 'none, of a module whose siblings have all, told by nvidia-smi nvlink -s',
        reading: h100Reading({ nvlink: { links: unnamed(false) } }),
        siblings: others({ nvlink: { links: unnamed(true) } }),
        finding: { verdict: 'critical', actionAlone: 'monitor' },
      },
      {
        name: 'none, where siblings have 18 to the switches',
        reading: h100Reading({
          nvlink: { links: h100Links().map((link) => ({ ...link, active: false, remoteDeviceType: null })) },
        }),
        siblings: others(),
        finding: {
          verdict: 'critical',
          action: 'reset-gpu',
          actionAlone: 'monitor',
          what: '0 NVLinks active, where a sibling has 18.',
        },
      },
      {
        name: 'two not even listed',
        reading: h100Reading({ nvlink: { links: h100Links().slice(0, 16) } }),
        siblings: others(),
      },
    ],
    passes: [
      { name: 'as many', reading: h100Reading(), siblings: others() },
      {
        name: 'a card without a bridge beside a pair with one',
        reading: h100Reading({ nvlink: { links: h100Links().map((link) => ({ ...link, active: false })) } }),
        siblings: others({
          nvlink: { links: h100Links().map((link) => ({ ...link, remoteDeviceType: 'gpu' })) },
        }),
      },
      {
        name: 'divided by MIG',
        reading: h100Reading({ mig: { enabled: true }, nvlink: { links: [] } }),
        siblings: others(),
      },
    ],
  },
  'nvlink.speed': {
    raises: [
      raises(
        'one link at half speed',
        h100Reading({ nvlink: { links: h100Links({ 4: { speedMegabytesPerSecond: 13_281 } }) } }),
        {
          verdict: 'warning',
          actionAlone: 'monitor',
        },
      ),
      {
        name: 'all links, beside siblings',
        reading: h100Reading({
          nvlink: { links: h100Links().map((link) => ({ ...link, speedMegabytesPerSecond: 20_000 })) },
        }),
        siblings: others(),
      },
    ],
    passes: [passes('all alike', h100Reading())],
  },
  'nvlink.replay-errors': {
    raises: [
      from('one', links({}), links({ replayErrorCount: 1 }), { what: '1 replay on NVLink 0 within 10 min.' }),
    ],
    passes: [from('old ones', links({ replayErrorCount: 40 }), links({ replayErrorCount: 40 }))],
  },
  'nvlink.recovery-errors': {
    raises: [
      from('two', links({}), links({ recoveryErrorCount: 2 }), {
        what: '2 recoveries on NVLink 0 within 10 min.',
      }),
      from('NVLink 5', links({ linkRecoverySuccessCount: 0 }), links({ linkRecoverySuccessCount: 1 })),
    ],
    passes: [from('old ones', links({ recoveryErrorCount: 4 }), links({ recoveryErrorCount: 4 }))],
  },
  'nvlink.recovery-failed': {
    raises: [
      from('one', links({ linkRecoveryFailureCount: 0 }), links({ linkRecoveryFailureCount: 1 }), {
        verdict: 'critical',
      }),
    ],
    passes: [
      from('old ones', links({ linkRecoveryFailureCount: 4 }), links({ linkRecoveryFailureCount: 4 })),
      from('NVLink 4 does not count them', {}, {}),
    ],
  },
  'nvlink.crc-errors': {
    raises: [
      from('one', links({}, {}), links({}, { crcFlitErrorCount: 1 }), {
        verdict: 'warning',
        what: '1 checksum error on NVLink 1 within 10 min.',
      }),
      from('100 a second', links({}), links({ crcDataErrorCount: 60_000 }), { verdict: 'critical' }),
    ],
    passes: [from('old ones', links({ crcFlitErrorCount: 90_000 }), links({ crcFlitErrorCount: 90_000 }))],
  },
  'nvlink.ecc-errors': {
    raises: [from('one', links({ eccDataErrorCount: 0 }), links({ eccDataErrorCount: 1 }))],
    passes: [from('old ones', links({ eccDataErrorCount: 3 }), links({ eccDataErrorCount: 3 }))],
  },
  'nvlink.link-errors': {
    raises: [from('one', links({ malformedPacketErrorCount: 0 }), links({ malformedPacketErrorCount: 1 }))],
    passes: [from('old ones', links({ receiveErrorCount: 7 }), links({ receiveErrorCount: 7 }))],
  },
  'nvlink.bit-error-rate': {
    raises: [raises('2e-6', h100Reading(links({ effectiveBitErrorRate: 2e-6 })), { actionAlone: 'monitor' })],
    passes: [
      passes('1e-6', h100Reading(links({ effectiveBitErrorRate: 1e-6 }))),
      passes('before correction', h100Reading(links({ effectiveBitErrorRate: 0, symbolBitErrorRate: 1e-4 }))),
    ],
  },
  'fabric.state': {
    raises: [
      raises('not begun', h100Reading({ fabric: { state: 'not-started', status: null } }), {
        action: 'restart-service',
      }),
      raises('ended with an error', h100Reading({ fabric: { status: 'NVML_ERROR_UNKNOWN' } }), {
        action: 'reboot-node',
        actionAlone: 'restart-service',
      }),
    ],
    passes: [
      passes('completed', h100Reading()),
      passes(
        'a PCIe card',
        named('NVIDIA H100 PCIe', { fabric: { state: 'not-started', status: null }, nvlink: { links: [] } }),
      ),
      passes(
        'a GH200 by itself',
        named('NVIDIA GH200 480GB', {
          fabric: { state: 'not-started', status: null },
          nvlink: { links: [] },
        }),
      ),
    ],
  },
  'fabric.health': {
    raises: [raises('a route', h100Reading({ fabric: { routeUnhealthy: true } }))],
    passes: [passes('healthy', h100Reading({ fabric: { healthSummary: 'healthy' } }))],
  },
  'fabric.clique': {
    raises: [
      {
        name: 'another clique',
        reading: h100Reading({ fabric: { cliqueId: 3 } }),
        siblings: others(),
        finding: { action: 'restart-service' },
      },
    ],
    passes: [
      { name: 'the same', reading: h100Reading(), siblings: others() },
      {
        name: 'a node that is divided in two',
        reading: h100Reading({ fabric: { cliqueId: 3 } }),
        siblings: [...others({}, 3), ...others({ fabric: { cliqueId: 3 } }, 3)],
      },
    ],
  },
  'inforom.corrupt': {
    raises: [
      raises(
        'return code 14',
        h100Reading({ identity: { inforomVersion: null } }, [
          {
            gpu: 0,
            field: 'identity.inforomVersion',
            reason: 'error',
            detail: 'NVML_ERROR_CORRUPTED_INFOROM (14)',
          },
        ]),
        { verdict: 'critical', action: 'contact-support', authoritative: true },
      ),
    ],
    passes: [
      passes('readable', h100Reading()),
      passes(
        'a product without one',
        named(
          'NVIDIA GeForce GTX 1070 Ti',
          { identity: { inforomVersion: null, inforomOemVersion: null, inforomEccVersion: null } },
          [unsupported(0, 'identity')],
        ),
      ),
      passes(
        'no permission',
        h100Reading({ identity: { inforomVersion: null } }, [
          {
            gpu: 0,
            field: 'identity.inforomVersion',
            reason: 'no-permission',
            detail: 'NVML_ERROR_NO_PERMISSION (4)',
          },
        ]),
      ),
    ],
  },
  'inforom.missing': {
    raises: [
      {
        name: 'siblings have one',
        reading: h100Reading({ identity: { inforomVersion: null } }),
        siblings: others(),
        finding: { actionAlone: 'monitor' },
      },
    ],
    passes: [
      { name: 'there', reading: h100Reading(), siblings: others() },
      {
        name: 'nobody has one',
        reading: h100Reading({ identity: { inforomVersion: null } }, [unsupported(0, 'identity')]),
        siblings: others({ identity: { inforomVersion: null } }),
      },
    ],
  },
  'firmware.gsp-version': {
    raises: [
      {
        name: 'older than that of siblings',
        reading: h100Reading({ identity: { gspFirmwareVersion: '570.86.15' } }),
        siblings: others(),
        finding: { action: 'update-software' },
      },
    ],
    passes: [{ name: 'the same', reading: h100Reading(), siblings: others() }],
  },
  'firmware.gsp-disabled': {
    raises: [
      raises('off: told', h100Reading({ identity: { gspFirmwareEnabled: false } }), { verdict: 'ok' }),
    ],
    passes: [
      passes('on', h100Reading()),
      passes(
        'off on a GeForce',
        named('NVIDIA GeForce RTX 4090', { identity: { gspFirmwareEnabled: false } }),
      ),
    ],
  },
  'platform.persistence-mode': {
    raises: [
      raises('off: told', h100Reading({ identity: { persistenceModeEnabled: false } }), { verdict: 'ok' }),
    ],
    passes: [
      passes(
        'off on a workstation',
        named('NVIDIA GeForce RTX 2080 SUPER', { identity: { persistenceModeEnabled: false } }),
      ),
    ],
  },
  'platform.compute-mode': {
    raises: [
      raises('prohibited', h100Reading({ identity: { computeMode: 'prohibited' } }), { verdict: 'warning' }),
    ],
    passes: [passes('exclusive', h100Reading({ identity: { computeMode: 'exclusive-process' } }))],
  },
  'platform.addressing-mode': {
    raises: [
      raises('a GH200 without ATS', named('NVIDIA GH200 480GB', { identity: { addressingMode: 'none' } })),
    ],
    passes: [
      passes('a GH200 with it', named('NVIDIA GH200 480GB', { identity: { addressingMode: 'ats' } })),
      passes('an H200, which is no GH200', named('NVIDIA H200', { identity: { addressingMode: 'none' } })),
    ],
  },
  'memory.total-differs': {
    raises: [
      {
        name: '97 %',
        reading: h100Reading({ memory: { totalBytes: 82_900_000_000 } }),
        siblings: others(),
        finding: { actionAlone: 'monitor' },
      },
    ],
    passes: [
      { name: 'the same', reading: h100Reading(), siblings: others() },
      {
        name: 'ECC is on where siblings have it off',
        reading: h100Reading({ memory: { totalBytes: 80e9 } }),
        siblings: others({ ecc: { enabled: false } }),
      },
    ],
  },
  'memory.bar1-exhausted': {
    raises: [
      raises('96 % of 128 GiB', h100Reading({ memory: { bar1UsedBytes: 131_900_000_000 } }), {
        action: 'check-app',
      }),
    ],
    passes: [
      passes('as much as the memory', h100Reading({ memory: { bar1UsedBytes: 85_000_000_000 } })),
      passes(
        'a small window',
        h100Reading({ memory: { bar1TotalBytes: 268_435_456, bar1UsedBytes: 266_000_000 } }),
      ),
      passes(
        'a window as large as the memory, all of it mapped',
        h100Reading({ memory: { bar1TotalBytes: 86_000_000_000, bar1UsedBytes: 85_500_000_000 } }),
      ),
    ],
  },
  'mig.mode-pending': {
    raises: [
      raises('to be switched on', h100Reading({ mig: { pendingEnabled: true } }), { verdict: 'warning' }),
    ],
    passes: [passes('on now and then', h100Reading({ mig: { enabled: true, pendingEnabled: true } }))],
  },
  'mig.no-instances': {
    raises: [
      raises('on and empty', h100Reading({ mig: { enabled: true, devices: [] } }), { verdict: 'warning' }),
    ],
    passes: [passes('off', h100Reading())],
  },
};
