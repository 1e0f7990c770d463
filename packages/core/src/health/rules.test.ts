import { describe, expect, test } from 'vitest';
import { type Changes, h100Gaps, h100Links, h100Reading, unsupported } from '../../test/h100.ts';
import { ruleCases } from '../../test/rule-cases.ts';
import type { Gap } from '../domain/gap.ts';
import { type GpuReading, gpuSections } from '../domain/gpu.ts';
import { clockEventReasons } from '../domain/readings/clocks.ts';
import type { MigDevice } from '../domain/readings/mig.ts';
import { recoveryActions } from '../domain/readings/recovery.ts';
import { isDisruptive } from '../domain/verdict.ts';
import { gpuSectionLeaves } from '../sample.ts';
import { productOf } from './applicability.ts';
import type { HealthRule, ReadingPath, RuleContext, RuleFinding } from './rule.ts';
import { healthRules } from './rules.ts';
import { defaultThreshold } from './thresholds.ts';

const contextOf = (siblings: readonly GpuReading[] = [], baseline?: GpuReading): RuleContext => ({
  siblings,
  baseline,
  threshold: (ruleId, name) => defaultThreshold(ruleId, name) ?? Number.NaN,
});

function evaluate(id: string, reading: GpuReading) {
  const rule = healthRules.find((each) => each.id === id);
  if (!rule) throw new Error(`no rule ${id}`);
  return outcomeOf(rule, reading);
}

const outcomeOf = (rule: HealthRule, reading: GpuReading, context = contextOf()) =>
  rule.applies?.(productOf(reading), reading) === false ? 'not-applicable' : rule.evaluate(reading, context);

function findingOf(id: string, reading: GpuReading): RuleFinding {
  const outcome = evaluate(id, reading);
  if (typeof outcome === 'string' || !('finding' in outcome)) {
    throw new Error(`${id} gave ${JSON.stringify(outcome)}`);
  }
  return outcome.finding;
}

/** Pre-Hopper: absolute thresholds, no margins. */
const a100Thermal = { marginCelsius: null, slowdownMarginCelsius: null, slowdownThresholdCelsius: 92 };
const a100 = (temperatureCelsius: number) =>
  h100Reading({ thermal: { ...a100Thermal, temperatureCelsius } }, [
    { gpu: 0, field: 'thermal.marginCelsius', reason: 'unsupported', detail: 'x' },
    { gpu: 0, field: 'thermal.slowdownMarginCelsius', reason: 'unsupported', detail: 'x' },
  ]);

const banks = (noneBankCount: number) => ({
  maxBankCount: 600,
  highBankCount: 4,
  partialBankCount: 2,
  lowBankCount: 1,
  noneBankCount,
});
const migDevice: MigDevice = {
  index: 0,
  uuid: null,
  gpuInstanceId: 1,
  computeInstanceId: 0,
  profile: '1g.10gb',
  memoryTotalBytes: null,
  memoryUsedBytes: null,
  multiprocessorCount: null,
  gpuSliceCount: 1,
  computeSliceCount: 1,
  placementStart: 0,
  placementSize: 1,
};
/** Before Ampere: pages are retired. */
const retired = (retiredPageCount: number | null, retiredPagesPending: boolean | null, gaps?: Gap[]) =>
  h100Reading({ rowRemap: { retiredPageCount, retiredPagesPending } }, gaps);

describe('a row fires on its threshold', () => {
  test.each<[string, string, GpuReading, Partial<RuleFinding>]>([
    [
      'ecc.uncorrectable-volatile',
      'one error',
      h100Reading({ ecc: { uncorrectableVolatileCount: 1 } }),
      { verdict: 'critical', action: 'reset-gpu', actionAlone: 'restart-app' },
    ],
    [
      'ecc.sram-threshold',
      'flag',
      h100Reading({ ecc: { sramThresholdExceeded: true } }),
      { verdict: 'critical', action: 'run-field-diagnostic', authoritative: true },
    ],
    [
      'remap.failed',
      'flag',
      h100Reading({ rowRemap: { failureOccurred: true } }),
      { verdict: 'critical', action: 'run-field-diagnostic', authoritative: true },
    ],
    [
      'remap.pending',
      'flag',
      h100Reading({ rowRemap: { pending: true } }),
      { verdict: 'warning', action: 'reset-gpu', actionAlone: 'monitor' },
    ],
    [
      'remap.pages-pending',
      'flag',
      h100Reading({ rowRemap: { retiredPagesPending: true } }),
      { verdict: 'warning', action: 'reset-gpu', actionAlone: 'monitor' },
    ],
    [
      'thermal.margin',
      'margin at the slowdown margin',
      h100Reading({ thermal: { marginCelsius: -2 } }),
      { verdict: 'critical', actionAlone: 'monitor' },
    ],
    [
      'thermal.margin',
      'margin beyond it',
      h100Reading({ thermal: { marginCelsius: -7 } }),
      { verdict: 'critical' },
    ],
    ['thermal.margin', 'temperature at the threshold', a100(92), { verdict: 'critical' }],
    [
      'clocks.thermal-slowdown',
      '0x40',
      h100Reading({ clocks: { eventReasons: ['hardware-slowdown', 'hardware-thermal-slowdown'] } }),
      { verdict: 'critical' },
    ],
    [
      'power.brake',
      '0x80',
      h100Reading({ clocks: { eventReasons: ['hardware-slowdown', 'hardware-power-brake'] } }),
      { verdict: 'critical' },
    ],
    [
      'clocks.hardware-slowdown',
      '0x08 alone',
      h100Reading({ clocks: { eventReasons: ['hardware-slowdown'] } }),
      { verdict: 'warning', action: 'monitor', confidence: 'low' },
    ],
    [
      'pcie.width',
      'x8 of x16',
      h100Reading({ pcie: { currentLinkWidthLanes: 8 } }),
      { verdict: 'warning', actionAlone: 'monitor' },
    ],
    [
      'remap.unrepairable',
      'flag',
      h100Reading({ rowRemap: { memoryUnrepairable: true } }),
      { verdict: 'critical', action: 'contact-support', authoritative: true },
    ],
    [
      'remap.uncorrectable-rows',
      '512 rows',
      h100Reading({ rowRemap: { uncorrectableRowCount: 512 } }),
      { verdict: 'critical', action: 'contact-support', authoritative: true },
    ],
    [
      'remap.bank-exhausted',
      'one bank without spare rows',
      h100Reading({ rowRemap: { histogram: banks(1) } }),
      { verdict: 'warning', action: 'contact-support', actionAlone: 'monitor' },
    ],
    [
      'remap.repair-pending',
      'of a channel',
      h100Reading({ rowRemap: { channelRepairPending: true } }),
      { verdict: 'warning', action: 'reset-gpu', actionAlone: 'monitor' },
    ],
    [
      'remap.repair-pending',
      'of a TPC, though the channel was not read',
      h100Reading({ rowRemap: { channelRepairPending: null, tpcRepairPending: true } }, []),
      { verdict: 'warning', what: expect.stringContaining('(TPC)') },
    ],
    ['remap.retired-pages', '11 pages', retired(11, false), { verdict: 'warning', actionAlone: 'monitor' }],
    ['remap.retired-pages', '62 pages', retired(62, false), { verdict: 'warning' }],
    ['remap.retired-pages', '62 pages and more pending', retired(62, true), { verdict: 'critical' }],
    [
      'remap.retired-pages',
      '63 pages',
      retired(63, false),
      { verdict: 'critical', action: 'contact-support' },
    ],
    [
      'thermal.memory',
      'one degree over the maximum',
      h100Reading({ thermal: { memoryTemperatureCelsius: 96, memoryMaxThresholdCelsius: 95 } }),
      { verdict: 'warning', actionAlone: 'monitor' },
    ],
    [
      'pcie.fatal-errors',
      'one',
      h100Reading({ pcie: { fatalErrorCount: 1 } }),
      { verdict: 'warning', actionAlone: 'monitor' },
    ],
    [
      'nvlink.inactive-links',
      'one of 18 to the switches',
      h100Reading({ nvlink: { links: h100Links({ 7: { active: false } }) } }),
      { verdict: 'critical', action: 'reset-gpu', actionAlone: 'monitor', confidence: 'high' },
    ],
    [
      'nvlink.inactive-links',
      'some of a bridge between cards',
      h100Reading({
        nvlink: {
          links: h100Links().map((link) => ({ ...link, remoteDeviceType: 'gpu', active: link.link < 12 })),
        },
      }),
      { verdict: 'warning', confidence: 'low' },
    ],
    [
      'nvlink.inactive-links',
      'one, beside one that could not be read',
      h100Reading({ nvlink: { links: h100Links({ 0: { active: null }, 1: { active: false } }) } }),
      { verdict: 'critical' },
    ],
    [
      'fabric.state',
      'not started',
      h100Reading({ fabric: { state: 'not-started', status: null } }),
      { verdict: 'critical', action: 'restart-service', confidence: 'high' },
    ],
    [
      'fabric.state',
      'in progress',
      h100Reading({ fabric: { state: 'in-progress', status: null } }),
      { verdict: 'critical', action: 'restart-service', confidence: 'medium' },
    ],
    [
      'fabric.state',
      'completed with an error',
      h100Reading({ fabric: { status: 'NVML_ERROR_UNKNOWN' } }),
      { verdict: 'critical', action: 'reboot-node', actionAlone: 'restart-service' },
    ],
    [
      'fabric.health',
      'configured wrongly',
      h100Reading({ fabric: { misconfiguration: 'insufficient-nvlinks' } }),
      { verdict: 'critical', action: 'contact-support', actionAlone: 'monitor' },
    ],
    [
      'fabric.health',
      'limited capacity',
      h100Reading({ fabric: { healthSummary: 'limited-capacity' } }),
      { verdict: 'warning' },
    ],
    [
      'fabric.health',
      'a summary alone',
      h100Reading({ fabric: { healthSummary: 'unhealthy' } }),
      { verdict: 'critical' },
    ],
    [
      'driver.library-crashed',
      'error code',
      { ...h100Reading(), state: 'unreadable', errorCode: 'ADAPTER_CRASHED', stateDetail: 'SIGSEGV' },
      { verdict: 'warning', actionAlone: 'monitor', evidence: [{ field: 'state', value: 'SIGSEGV' }] },
    ],
    [
      'driver.slow',
      'over 10 s alone',
      { ...h100Reading(), probeMilliseconds: 10_001 },
      { verdict: 'warning', action: 'monitor', confidence: 'low' },
    ],
    ['gpu.lost', 'state', { ...h100Reading(), state: 'lost' }, { verdict: 'critical', authoritative: true }],
    [
      'gpu.hung',
      'state',
      { ...h100Reading(), state: 'hung' },
      { verdict: 'critical', actionAlone: 'monitor' },
    ],
    [
      'gpu.reset-required',
      'state',
      { ...h100Reading(), state: 'reset-required' },
      { verdict: 'critical', action: 'reset-gpu', authoritative: true },
    ],
    [
      'gpu.unreadable',
      'state',
      { ...h100Reading(), state: 'unreadable' },
      { verdict: 'unknown', action: 'none' },
    ],
  ])('%s: %s', (id, _, reading, expected) => {
    expect(findingOf(id, reading)).toMatchObject(expected);
  });

  test.each([
    ['reset', 'critical', 'reset-gpu'],
    ['reboot', 'critical', 'reboot-node'],
    ['drain-p2p', 'warning', 'drain-node'],
    ['drain-and-reset', 'critical', 'reset-gpu'],
    ['recover-imex-domain', 'warning', 'restart-service'],
  ] as const)('recovery.action: the driver asks for %s', (action, verdict, mapped) => {
    const finding = findingOf('recovery.action', h100Reading({ recovery: { action } }));
    expect(finding).toMatchObject({ verdict, action: mapped, authoritative: true });
    expect(finding.what).toContain(`"${action}"`);
  });

  test('every recovery action has its line above', () => {
    expect(recoveryActions.filter((action) => action !== 'none')).toHaveLength(5);
  });
});

describe('a row does not fire below it', () => {
  test.each<[string, Changes]>([
    ['ecc.uncorrectable-volatile', {}],
    ['ecc.sram-threshold', {}],
    ['remap.failed', {}],
    ['remap.pending', {}],
    ['recovery.action', {}],
    ['thermal.margin', { thermal: { marginCelsius: -1 } }],
    ['thermal.margin', { thermal: { marginCelsius: 0 } }],
    ['clocks.thermal-slowdown', { clocks: { eventReasons: ['software-thermal-slowdown'] } }],
    ['power.brake', { clocks: { eventReasons: ['hardware-slowdown'] } }],
    [
      'clocks.hardware-slowdown',
      { clocks: { eventReasons: ['hardware-slowdown', 'hardware-thermal-slowdown'] } },
    ],
    ['clocks.hardware-slowdown', { clocks: { eventReasons: ['hardware-slowdown', 'hardware-power-brake'] } }],
    ['clocks.hardware-slowdown', { clocks: { eventReasons: [] } }],
    ['pcie.width', {}],
    ['pcie.width', { pcie: { currentLinkWidthLanes: 16, maxLinkWidthLanes: 8 } }],
    ['remap.unrepairable', {}],
    ['remap.uncorrectable-rows', { rowRemap: { uncorrectableRowCount: 511 } }],
    ['remap.bank-exhausted', { rowRemap: { histogram: banks(0) } }],
    ['remap.repair-pending', {}],
    ['remap.retired-pages', { rowRemap: { retiredPageCount: 10, retiredPagesPending: true } }],
    ['remap.retired-pages', { rowRemap: { retiredPageCount: 0, retiredPagesPending: false } }],
    ['thermal.memory', { thermal: { memoryTemperatureCelsius: 95, memoryMaxThresholdCelsius: 95 } }],
    ['pcie.fatal-errors', {}],
    ['nvlink.inactive-links', {}],
    ['fabric.state', {}],
    ['fabric.health', {}],
    ['fabric.health', { fabric: { healthSummary: 'healthy' } }],
    ['gpu.lost', {}],
    ['gpu.hung', {}],
    ['gpu.reset-required', {}],
    ['gpu.unreadable', {}],
    ['driver.library-crashed', {}],
    ['driver.slow', {}],
  ])('%s %j', (id, changes) => {
    expect(evaluate(id, h100Reading(changes))).toBe('pass');
  });

  test('thermal.margin: one degree below the threshold of an older product', () => {
    expect(evaluate('thermal.margin', a100(91))).toBe('pass');
  });
});

describe('each part of the fabric health mask', () => {
  test.each(['degradedBandwidth', 'routeRecovery', 'routeUnhealthy', 'accessTimeoutRecovery'] as const)(
    '%s is critical, and false is not',
    (leaf) => {
      const finding = findingOf('fabric.health', h100Reading({ fabric: { [leaf]: true } }));
      expect(finding).toMatchObject({
        verdict: 'critical',
        evidence: [{ field: `fabric.${leaf}`, value: true }],
      });
      expect(evaluate('fabric.health', h100Reading({ fabric: { [leaf]: false } }))).toBe('pass');
    },
  );

  test('what a product does not report is not judged; what could not be read is unknown', () => {
    const none = { degradedBandwidth: null, routeRecovery: null, routeUnhealthy: null } as const;
    const rest = { accessTimeoutRecovery: null, misconfiguration: null, healthSummary: null } as const;
    const evaluated = (fabric: Changes['fabric'], gaps: Gap[]) =>
      evaluate('fabric.health', h100Reading({ fabric: { ...fabric } }, gaps));
    expect(evaluated({ ...none, ...rest }, [unsupported(0, 'fabric')])).toBe('not-applicable');
    expect(evaluated({ ...none }, [unsupported(0, 'fabric')])).toBe('pass');
    const denied: Gap = { gpu: 0, field: 'fabric.routeRecovery', reason: 'no-permission', detail: 'why' };
    expect(evaluated({ ...none }, [denied, unsupported(0, 'fabric')])).toMatchObject({
      unknown: { field: 'fabric.routeRecovery', reason: 'no-permission' },
    });
  });
});

describe('products without a fabric or links', () => {
  test('a PCIe card says that fabrics are not supported', () => {
    expect(evaluate('fabric.state', h100Reading({ fabric: { state: 'not-supported' } }))).toBe(
      'not-applicable',
    );
  });

  test('completed, but how could not be read: unknown', () => {
    const outcome = evaluate('fabric.state', h100Reading({ fabric: { status: null } }, []));
    expect(outcome).toMatchObject({ unknown: { field: 'fabric.status' } });
  });

  test('no links, or a card without a bridge: nothing to judge', () => {
    const all = (active: boolean | null) => h100Links().map((link) => ({ ...link, active }));
    const linked = (links: ReturnType<typeof all>, gaps?: Gap[]) =>
      evaluate('nvlink.inactive-links', h100Reading({ nvlink: { links } }, gaps));
    expect(linked([])).toBe('not-applicable');
    expect(linked(all(false))).toBe('not-applicable');
    expect(linked(all(null), [unsupported(0, 'nvlink.links.active')])).toBe('not-applicable');
    const denied: Gap = { gpu: 0, field: 'nvlink.links.active', reason: 'no-permission', detail: 'why' };
    expect(linked(all(null), [denied])).toEqual({
      unknown: { field: 'nvlink.links.active', reason: 'no-permission', detail: 'why' },
    });
    expect(linked(all(null))).toMatchObject({ unknown: { reason: 'error' } });
  });
});

describe('a driver that is slow for one GPU', () => {
  const taking = (probeMilliseconds: number) => ({ ...h100Reading(), probeMilliseconds });
  const slowness = (own: number, siblings: readonly number[]) =>
    healthRules
      .find(({ id }) => id === 'driver.slow')
      ?.evaluate(taking(own), contextOf(siblings.map(taking)));

  test.each([
    ['10 times the median, over 2 s', 2_001, [200.1, 200.1, 200.1], true],
    ['10 times the median, but 2 s', 2_000, [20, 20, 20], false],
    ['over 2 s, but not 10 times the median', 2_001, [201, 201, 201], false],
    ['siblings that answer at once', 2_001, [0, 0], true],
    ['one slow sibling does not hide it', 3_000, [20, 20, 9_000], true],
    ['all are slow', 9_000, [9_000, 9_000], false],
    ['over 10 s, as all are', 10_001, [10_001, 10_001], true],
    ['10 s alone', 10_000, [], false],
  ])('%s', (_, own, siblings, slow) => {
    const outcome = slowness(own, siblings);
    if (!slow) return expect(outcome).toBe('pass');
    expect(outcome).toMatchObject({
      finding: { verdict: 'warning', evidence: [{ value: Math.round(own) }] },
    });
  });

  test('one that did not answer has no time to judge', () => {
    const { probeMilliseconds: _, ...untimed } = h100Reading();
    expect(evaluate('driver.slow', untimed)).toBe('not-applicable');
  });
});

describe('false alarms others raised', () => {
  const allPass = (reading: GpuReading) =>
    healthRules
      .map((rule) => [rule.id, outcomeOf(rule, reading)] as const)
      .filter(([, outcome]) => typeof outcome === 'object' && 'finding' in outcome);

  test.each<[string, Changes]>([
    ['an idle GPU has the idle bit', { clocks: { eventReasons: ['idle'] } }],
    [
      'a busy GPU runs into its software power cap',
      {
        clocks: { eventReasons: ['software-power-cap'], smClockMegahertz: 1_410 },
        power: { drawWatts: 699.8 },
        utilization: { gpuPercent: 100 },
      },
    ],
    [
      'clocks set by an administrator, sync boost, a display',
      { clocks: { eventReasons: ['application-clocks', 'sync-boost', 'display-clocks'] } },
    ],
    [
      'errors of years ago stay in the aggregate counts',
      {
        ecc: {
          uncorrectableAggregateCount: 3,
          sramUncorrectableAggregateCount: 2,
          correctableAggregateCount: 90_000,
        },
      },
    ],
    ['errors that were corrected', { ecc: { correctableVolatileCount: 12 } }],
    ['rows that were remapped well', { rowRemap: { correctableRowCount: 2, uncorrectableRowCount: 1 } }],
    ['the link rests at Gen1 while idle', { pcie: { currentGeneration: 1 } }],
    ['a few replays since the driver was loaded', { pcie: { replayCount: 7 } }],
    [
      'links that counted errors over their life',
      { nvlink: { links: h100Links({ 3: { replayErrorCount: 40, crcFlitErrorCount: 90_000 } }) } },
    ],
    ['PCIe errors that were corrected', { pcie: { correctableErrorCount: 9_000, badTlpCount: 12 } }],
    ['low power at idle', { power: { drawWatts: 42 } }],
    [
      'MIG has no utilization',
      {
        utilization: { gpuPercent: null },
        mig: { enabled: true, pendingEnabled: true, devices: [migDevice] },
      },
    ],
    [
      'a healthy GPU under full load: 95 % of its memory, power cap, warm',
      {
        memory: { usedBytes: 81_200_000_000, bar1UsedBytes: 81_300_000_000 },
        utilization: { gpuPercent: 100 },
        power: { drawWatts: 698 },
        clocks: { eventReasons: ['software-power-cap'], smClockMegahertz: 1_200 },
        thermal: { temperatureCelsius: 79, marginCelsius: 6 },
        pcie: { replayCount: 9 },
        violations: { powerMicroseconds: 4.2e12 },
      },
    ],
  ])('%s: nothing is found', (_, changes) => {
    expect(allPass(h100Reading(changes))).toEqual([]);
  });

  test('the check sees a row that would raise one', () => {
    expect(allPass(h100Reading({ pcie: { currentLinkWidthLanes: 4 } })).map(([id]) => id)).toEqual([
      'pcie.width',
    ]);
  });
});

const leafOf: Partial<Record<string, ReadingPath>> = {
  'ecc.uncorrectable-volatile': 'ecc.uncorrectableVolatileCount',
  'ecc.sram-threshold': 'ecc.sramThresholdExceeded',
  'remap.failed': 'rowRemap.failureOccurred',
  'remap.pending': 'rowRemap.pending',
  'remap.pages-pending': 'rowRemap.retiredPagesPending',
  'remap.unrepairable': 'rowRemap.memoryUnrepairable',
  'remap.uncorrectable-rows': 'rowRemap.uncorrectableRowCount',
  'remap.bank-exhausted': 'rowRemap.histogram',
  'remap.retired-pages': 'rowRemap.retiredPageCount',
  'pcie.fatal-errors': 'pcie.fatalErrorCount',
  'nvlink.inactive-links': 'nvlink.links',
  'fabric.state': 'fabric.state',
  'recovery.action': 'recovery.action',
  'clocks.thermal-slowdown': 'clocks.eventReasons',
  'power.brake': 'clocks.eventReasons',
  'clocks.hardware-slowdown': 'clocks.eventReasons',
  'pcie.width': 'pcie.currentLinkWidthLanes',
};
const without = (path: ReadingPath, gaps: readonly Gap[]): GpuReading => {
  const [section, key] = path.split('.') as [keyof Changes, string];
  return h100Reading({ [section]: { [key]: null } }, gaps);
};

describe('a reading that is missing', () => {
  const onReadings = healthRules.filter((rule) => rule.sections.length > 0);
  const bare = (reason?: Gap['reason']): GpuReading => {
    const { gpu, state, observedAt } = h100Reading();
    const gaps = gpuSections.map(
      (field): Gap => ({ gpu: 0, field, reason: reason ?? 'error', detail: 'why' }),
    );
    return { gpu, state, observedAt, gaps: reason ? gaps : [] };
  };

  test.each(onReadings.map((rule) => [rule.id, rule] as const))('%s never passes on nothing', (_, rule) => {
    const context = contextOf([], { ...h100Reading(), observedAt: '2025-12-31T23:00:00.000Z' });
    for (const reason of [undefined, 'no-permission', 'timeout', 'not-observable'] as const) {
      const outcome = outcomeOf(rule, bare(reason), context);
      if (outcome !== 'not-applicable') expect(outcome, reason).toMatchObject({ unknown: {} });
    }
    expect(outcomeOf(rule, bare('unsupported'), context)).toBe('not-applicable');
  });

  test('with MIG on, row remapping is hidden, and that is not the same as not there', () => {
    const hidden = h100Reading({ mig: { enabled: true }, rowRemap: { pending: null } }, [
      unsupported(0, 'rowRemap.pending'),
    ]);
    expect(evaluate('remap.pending', hidden)).toMatchObject({ unknown: { reason: 'not-observable' } });
    expect(evaluate('remap.pages-pending', h100Reading({ mig: { enabled: true } }))).toBe('not-applicable');
  });

  describe.each(Object.entries(leafOf) as [string, ReadingPath][])('%s', (id, path) => {
    const gap = (field: string, reason: Gap['reason']): Gap => ({ gpu: 0, field, reason, detail: 'why' });

    test('unsupported: not applicable', () => {
      expect(evaluate(id, without(path, [gap(path, 'unsupported')]))).toBe('not-applicable');
    });

    test.each(['no-permission', 'timeout', 'gpu-lost', 'not-observable', 'error'] as const)(
      '%s: unknown',
      (reason) => {
        expect(evaluate(id, without(path, [gap(path, reason)]))).toEqual({
          unknown: { field: path, reason, detail: 'why' },
        });
      },
    );

    test('a gap of the whole section counts, the one of the leaf first', () => {
      const section = path.split('.')[0] ?? '';
      expect(evaluate(id, without(path, [gap(section, 'unsupported')]))).toBe('not-applicable');
      expect(evaluate(id, without(path, [gap(section, 'unsupported'), gap(path, 'timeout')]))).toMatchObject({
        unknown: { reason: 'timeout' },
      });
    });

    test('null without any gap is unknown, never zero', () => {
      expect(evaluate(id, without(path, []))).toMatchObject({ unknown: { reason: 'error' } });
    });

    test('a section that is not there at all is unknown', () => {
      const section = path.split('.')[0] ?? '';
      const { [section as 'ecc']: _, ...rest } = h100Reading({}, []);
      expect(evaluate(id, rest)).toMatchObject({ unknown: { field: path } });
    });
  });
});

test('repair pending: unknown while one of the two was not read, not applicable where there is neither', () => {
  const none = { channelRepairPending: null, tpcRepairPending: null };
  const repair = (rowRemap: Changes['rowRemap'], gaps: Gap[]) =>
    evaluate('remap.repair-pending', h100Reading({ rowRemap: { ...rowRemap } }, gaps));
  expect(repair(none, [unsupported(0, 'rowRemap')])).toBe('not-applicable');
  expect(repair({ tpcRepairPending: null }, [])).toMatchObject({
    unknown: { field: 'rowRemap.tpcRepairPending' },
  });
});

test('memory temperature: nothing to judge without a maximum, unknown when it was not read', () => {
  const memory = (gaps: Gap[]) =>
    evaluate('thermal.memory', h100Reading({ thermal: { memoryTemperatureCelsius: null } }, gaps));
  expect(evaluate('thermal.memory', h100Reading())).toBe('not-applicable');
  expect(memory(h100Gaps())).toMatchObject({ unknown: { field: 'thermal.memoryTemperatureCelsius' } });
  expect(memory([unsupported(0, 'thermal')])).toBe('not-applicable');
});

describe('thermal.margin with parts missing', () => {
  const gap = (leaf: string, reason: Gap['reason']): Gap => ({
    gpu: 0,
    field: `thermal.${leaf}`,
    reason,
    detail: 'x',
  });
  const noMargin = { marginCelsius: null, slowdownThresholdCelsius: null } as const;

  test('a GPU that has neither margin nor threshold: not applicable', () => {
    const gaps = [gap('marginCelsius', 'unsupported'), gap('slowdownThresholdCelsius', 'unsupported')];
    expect(evaluate('thermal.margin', h100Reading({ thermal: noMargin }, gaps))).toBe('not-applicable');
  });

  test('a margin that was not read is unknown, though the product has no absolute threshold', () => {
    const gaps = [gap('marginCelsius', 'timeout'), gap('slowdownThresholdCelsius', 'unsupported')];
    expect(evaluate('thermal.margin', h100Reading({ thermal: noMargin }, gaps))).toMatchObject({
      unknown: { field: 'thermal.marginCelsius', reason: 'timeout' },
    });
  });

  test('the absolute threshold steps in for a margin that was not read', () => {
    const thermal = { marginCelsius: null, slowdownThresholdCelsius: 90, temperatureCelsius: 60 };
    expect(evaluate('thermal.margin', h100Reading({ thermal }, [gap('marginCelsius', 'error')]))).toBe(
      'pass',
    );
  });

  test('neither temperature nor margin: unknown', () => {
    const thermal = { marginCelsius: null, temperatureCelsius: null };
    const gaps = [gap('marginCelsius', 'unsupported'), gap('temperatureCelsius', 'no-permission')];
    expect(evaluate('thermal.margin', h100Reading({ thermal }, gaps))).toMatchObject({
      unknown: { field: 'thermal.temperatureCelsius', reason: 'no-permission' },
    });
  });
});

/** What the published table promises of every row; returns what is wrong. */
function faultsOf(rules: readonly HealthRule[]): string[] {
  const faults: string[] = [];
  if (new Set(rules.map((rule) => rule.id)).size !== rules.length) faults.push('an id is there twice');
  const worstReadings: GpuReading[] = [
    h100Reading({
      ecc: { uncorrectableVolatileCount: 5, sramThresholdExceeded: true },
      rowRemap: {
        failureOccurred: true,
        pending: true,
        retiredPagesPending: true,
        retiredPageCount: 64,
        histogram: banks(3),
        uncorrectableRowCount: 600,
        channelRepairPending: true,
        tpcRepairPending: true,
        memoryUnrepairable: true,
      },
      thermal: { marginCelsius: -20, memoryTemperatureCelsius: 120, memoryMaxThresholdCelsius: 95 },
      clocks: { eventReasons: clockEventReasons },
      pcie: { currentLinkWidthLanes: 1, fatalErrorCount: 4 },
      nvlink: { links: h100Links({ 1: { active: false }, 2: { active: false } }) },
      fabric: { state: 'in-progress', routeUnhealthy: true, healthSummary: 'unhealthy' },
    }),
    h100Reading({ rowRemap: { retiredPageCount: 20, histogram: banks(1), channelRepairPending: true } }),
    h100Reading({ fabric: { status: 'NVML_ERROR_UNKNOWN', healthSummary: 'limited-capacity' } }),
    { ...h100Reading(), probeMilliseconds: 60_000 },
    { ...h100Reading(), state: 'unreadable', errorCode: 'ADAPTER_CRASHED' },
    { ...h100Reading(), state: 'unreadable', errorCode: 'GPU_NOT_FOUND' },
    h100Reading({ clocks: { eventReasons: ['hardware-slowdown'] } }),
    ...recoveryActions.map((action) => h100Reading({ recovery: { action } })),
    ...(['lost', 'hung', 'reset-required', 'unreadable'] as const).map((state) => ({
      ...h100Reading(),
      state,
    })),
  ];
  for (const rule of rules) {
    if (!/^[a-z]+\.[a-z0-9-]+$/.test(rule.id)) faults.push(`${rule.id}: not family.name`);
    for (const key of ['title', 'threshold', 'source'] as const) {
      if (rule[key].trim().length < 4) faults.push(`${rule.id}: no ${key}`);
    }
    const cases = ruleCases[rule.id]?.raises ?? [];
    const findings = [...worstReadings.map((reading) => ({ reading })), ...cases].flatMap((each) => {
      const { siblings, baseline } = { siblings: undefined, baseline: undefined, ...each };
      const outcome = outcomeOf(rule, each.reading, contextOf(siblings, baseline));
      return typeof outcome === 'object' && 'finding' in outcome ? [outcome.finding] : [];
    });
    if (findings.length === 0) faults.push(`${rule.id}: never fires`);
    for (const finding of findings) {
      const alone = finding.actionAlone ?? finding.action;
      if (isDisruptive(alone) && !finding.authoritative) faults.push(`${rule.id}: ${alone} on one signal`);
      if (!/^[A-Z0-9].*\.$/s.test(finding.what)) faults.push(`${rule.id}: "${finding.what}" is no sentence`);
      if (finding.verdict === 'ok' && finding.action !== 'none')
        faults.push(`${rule.id}: ok, but ${finding.action}`);
      if (finding.evidence.length === 0) faults.push(`${rule.id}: no evidence`);
      for (const { field } of finding.evidence) {
        const [section = '', leaf = ''] = field.split('.');
        const leaves = gpuSectionLeaves as Readonly<Record<string, readonly string[]>>;
        const known = field === 'state' || field === 'probeMilliseconds' || leaves[section]?.includes(leaf);
        if (!known) faults.push(`${rule.id}: ${field} is no reading`);
      }
    }
  }
  return faults;
}

describe('the table as published', () => {
  test('every row keeps its promises', () => {
    expect(faultsOf(healthRules)).toEqual([]);
  });

  test('the check finds planted faults', () => {
    const [first] = healthRules;
    if (!first) throw new Error('no rules');
    const reset: HealthRule = {
      ...first,
      id: 'BAD id',
      source: '',
      evaluate: () => ({
        finding: { verdict: 'critical', what: 'bad', evidence: [], action: 'reset-gpu', confidence: 'low' },
      }),
    };
    const faults = faultsOf([reset, reset, { ...first, id: 'never.fires', evaluate: () => 'pass' }]).join(
      '\n',
    );
    for (const fault of [
      'twice',
      'not family.name',
      'no source',
      'reset-gpu on one signal',
      'no sentence',
      'no evidence',
      'never fires',
    ]) {
      expect(faults).toContain(fault);
    }
  });
});
