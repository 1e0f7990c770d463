import { describe, expect, test } from 'vitest';
import { type Changes, h100Reading } from '../../test/h100.ts';
import type { Gap } from '../domain/gap.ts';
import { clockEventReasons, type GpuReading, recoveryActions } from '../domain/gpu.ts';
import { isDisruptive } from '../domain/verdict.ts';
import { type HealthRule, type ReadingPath, type RuleFinding, readingOf } from './rule.ts';
import { healthRules } from './rules.ts';

function evaluate(id: string, reading: GpuReading) {
  const rule = healthRules.find((each) => each.id === id);
  if (!rule) throw new Error(`no rule ${id}`);
  return rule.evaluate(reading);
}

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
  ])('%s %j', (id, changes) => {
    expect(evaluate(id, h100Reading(changes))).toBe('pass');
  });

  test('thermal.margin: one degree below the threshold of an older product', () => {
    expect(evaluate('thermal.margin', a100(91))).toBe('pass');
  });
});

describe('false alarms others raised', () => {
  const allPass = (reading: GpuReading) =>
    healthRules
      .map((rule) => [rule.id, rule.evaluate(reading)] as const)
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
    ['low power at idle', { power: { drawWatts: 42 } }],
    ['MIG has no utilization', { utilization: { gpuPercent: null }, mig: { enabled: true } }],
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
  test('every rule on a reading has its leaf here', () => {
    const onReadings = healthRules.filter((rule) => rule.sections.length > 0 && rule.id !== 'thermal.margin');
    expect(onReadings.map((rule) => rule.id)).toEqual(expect.arrayContaining(Object.keys(leafOf)));
    expect(onReadings).toHaveLength(Object.keys(leafOf).length);
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
      rowRemap: { failureOccurred: true, pending: true, retiredPagesPending: true },
      thermal: { marginCelsius: -20 },
      clocks: { eventReasons: clockEventReasons },
      pcie: { currentLinkWidthLanes: 1 },
    }),
    h100Reading({ clocks: { eventReasons: ['hardware-slowdown'] } }),
    ...recoveryActions.map((action) => h100Reading({ recovery: { action } })),
    ...(['lost', 'hung', 'reset-required', 'unreadable'] as const).map((state) => ({
      ...h100Reading(),
      state,
    })),
  ];
  for (const rule of rules) {
    if (!/^[a-z]+\.[a-z-]+$/.test(rule.id)) faults.push(`${rule.id}: not family.name`);
    for (const key of ['title', 'threshold', 'source'] as const) {
      if (rule[key].trim().length < 4) faults.push(`${rule.id}: no ${key}`);
    }
    const findings = worstReadings.flatMap((reading) => {
      const outcome = rule.evaluate(reading);
      return typeof outcome === 'object' && 'finding' in outcome ? [outcome.finding] : [];
    });
    if (findings.length === 0) faults.push(`${rule.id}: never fires`);
    for (const finding of findings) {
      const alone = finding.actionAlone ?? finding.action;
      if (isDisruptive(alone) && !finding.authoritative) faults.push(`${rule.id}: ${alone} on one signal`);
      if (!/^[A-Z0-9].*\.$/s.test(finding.what)) faults.push(`${rule.id}: "${finding.what}" is no sentence`);
      if (finding.evidence.length === 0) faults.push(`${rule.id}: no evidence`);
      for (const { field } of finding.evidence) {
        const known = field === 'state' || readingOf(h100Reading(), field as ReadingPath) !== undefined;
        if (!known && field !== 'rowRemap.retiredPagesPending')
          faults.push(`${rule.id}: ${field} is no reading`);
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
