import { describe, expect, test } from 'vitest';
import { type Changes, h100Gaps, h100Links, h100Reading, unsupported } from '../../test/h100.ts';
import { incident } from '../../test/incident.ts';
import { seededRandom } from '../../test/random.ts';
import { type GpuReading, gpuSections } from '../domain/gpu.ts';
import { clockEventReasons } from '../domain/readings/clocks.ts';
import { recoveryActions } from '../domain/readings/recovery.ts';
import { type Finding, isDisruptive, verdicts, worstVerdict } from '../domain/verdict.ts';
import { assessGpu, assessNode, scoreOf } from './assess.ts';
import type { Candidate, HealthRule } from './rule.ts';
import { healthRules } from './rules.ts';

const down = (state: 'lost' | 'hung' | 'reset-required' | 'unreadable'): GpuReading => {
  const { gpu, observedAt } = h100Reading();
  return { gpu, state, stateDetail: 'why', observedAt, gaps: [] };
};
const actionOf = (findings: readonly Finding[], ruleId: string) =>
  findings.find((finding) => finding.ruleId === ruleId)?.action;

describe('the verdict', () => {
  test('a healthy GPU is ok with 100 points, and says what was checked', () => {
    expect(assessGpu(h100Reading())).toEqual({
      gpu: 0,
      verdict: 'ok',
      score: 100,
      action: 'none',
      findings: [],
      checks: { passed: expect.any(Number), failed: 0, unknown: 0, notApplicable: expect.any(Number) },
    });
  });

  test.each([
    ['lost', 'critical', 'reboot-node', 40],
    ['hung', 'critical', 'monitor', 40],
    ['unreadable', 'unknown', 'none', null],
  ] as const)('a GPU that is %s is %s: %s', (state, verdict, action, score) => {
    expect(assessGpu(down(state))).toMatchObject({
      verdict,
      action,
      score,
      findings: [{ ruleId: `gpu.${state}` }],
    });
  });

  test.each([
    ['ecc.uncorrectableVolatileCount', { ecc: { uncorrectableVolatileCount: null } }],
    ['thermal.temperatureCelsius', { thermal: { marginCelsius: null, temperatureCelsius: null } }],
  ] satisfies [string, Changes][])(
    'without the essential %s it is unknown, and a finding says why',
    (field, changes) => {
      const reading = h100Reading(changes, [{ gpu: 0, field, reason: 'no-permission', detail: 'denied' }]);
      expect(assessGpu(reading)).toMatchObject({
        verdict: 'unknown',
        score: null,
        findings: [
          { verdict: 'unknown', what: expect.stringContaining(`${field} could not be read (no-permission)`) },
        ],
      });
    },
  );

  test('a missing reading that is not essential leaves it ok, and is counted', () => {
    const reading = h100Reading({ recovery: { action: null } }, [
      ...h100Gaps(),
      { gpu: 0, field: 'recovery.action', reason: 'no-permission', detail: 'denied' },
    ]);
    expect(assessGpu(reading)).toMatchObject({ verdict: 'ok', checks: { unknown: 1 } });
  });

  test('a product without ECC can be ok', () => {
    const reading = h100Reading({ ecc: { uncorrectableVolatileCount: null, sramThresholdExceeded: null } }, [
      unsupported(0, 'ecc'),
      unsupported(0, 'rowRemap'),
    ]);
    expect(assessGpu(reading).verdict).toBe('ok');
  });

  test('a GPU that offers no reading to judge by is unknown: nothing read is never ok', () => {
    const { gpu, state, observedAt } = h100Reading();
    const bare: GpuReading = {
      gpu,
      state,
      observedAt,
      gaps: gpuSections.map((field) => unsupported(0, field)),
    };
    expect(assessGpu(bare)).toMatchObject({
      verdict: 'unknown',
      score: null,
      findings: [{ ruleId: 'gpu.nothing-to-judge-by' }],
    });
  });

  test('a warning outweighs an unknown', () => {
    const reading = h100Reading(
      { ecc: { uncorrectableVolatileCount: null }, pcie: { currentLinkWidthLanes: 8 } },
      [],
    );
    expect(assessGpu(reading).verdict).toBe('warning');
  });

  test('findings stand worst first', () => {
    const reading = h100Reading({ rowRemap: { pending: true }, thermal: { marginCelsius: -9 } });
    const ranks = assessGpu(reading).findings.map((finding) => verdicts.indexOf(finding.verdict));
    expect(ranks).toEqual([...ranks].sort());
    expect(ranks).toHaveLength(2);
  });
});

describe('a disruptive action needs the vendor, or a second signal of the same fault', () => {
  test('alone: the harmless one', () => {
    const alone = (changes: Changes) => assessGpu(h100Reading(changes)).action;
    expect(alone({ ecc: { uncorrectableVolatileCount: 4 } })).toBe('restart-app');
    expect(alone({ rowRemap: { pending: true } })).toBe('monitor');
    expect(alone({ thermal: { marginCelsius: -4 } })).toBe('monitor');
    expect(alone({ clocks: { eventReasons: ['hardware-power-brake'] } })).toBe('monitor');
    expect(alone({ pcie: { currentLinkWidthLanes: 4 } })).toBe('monitor');
    expect(assessGpu(down('hung')).action).toBe('monitor');
  });

  test('an independent signal of the same fault confirms it', () => {
    const reading = h100Reading({ ecc: { uncorrectableVolatileCount: 4 }, rowRemap: { pending: true } });
    const { findings, action } = assessGpu(reading);
    expect(actionOf(findings, 'ecc.uncorrectable-volatile')).toBe('reset-gpu');
    expect(actionOf(findings, 'remap.pending')).toBe('reset-gpu');
    expect(action).toBe('reset-gpu');
  });

  test('a second finding from the same source does not', () => {
    const reading = h100Reading({ rowRemap: { pending: true, retiredPagesPending: true } });
    const { findings, action } = assessGpu(reading);
    expect(findings).toHaveLength(2);
    expect(action).toBe('monitor');
  });

  test('a fault of another kind does not', () => {
    const reading = h100Reading({ rowRemap: { pending: true }, pcie: { currentLinkWidthLanes: 4 } });
    const { findings, action } = assessGpu(reading);
    expect(findings).toHaveLength(2);
    expect(action).toBe('monitor');
  });

  test('a GPU that waits for its reset says so itself', () => {
    const { verdict, action } = assessGpu(down('reset-required'));
    expect([verdict, action]).toEqual(['critical', 'reset-gpu']);
  });

  test.each<[string, Changes]>([
    [
      'the power brake now and over time',
      { clocks: { eventReasons: ['hardware-power-brake'] }, violations: { boardLimitMicroseconds: 6e8 } },
    ],
    [
      'thermal slowdown now and over time',
      { clocks: { eventReasons: ['hardware-thermal-slowdown'] }, violations: { thermalMicroseconds: 6e8 } },
    ],
    [
      'the same SRAM errors, in all and by unit',
      { ecc: { sramUncorrectableVolatileCount: 1, sramUncorrectableSmAggregateCount: 1 } },
    ],
    [
      'one bad link by two of its counters',
      { nvlink: { links: h100Links({ 3: { replayErrorCount: 9, crcFlitErrorCount: 9 } }) } },
    ],
  ])('two sights of one signal are no two signals: %s', (_, changes) => {
    const baseline = { ...h100Reading(), observedAt: '2025-12-31T23:50:00.000Z' };
    const { findings } = assessGpu(h100Reading(changes), [], { baseline });
    expect(findings).toHaveLength(2);
    for (const { ruleId, action } of findings) expect(isDisruptive(action), ruleId).toBe(false);
  });

  test('a link that is narrow and slow under load is a matter for hands', () => {
    const reading = h100Reading({
      utilization: { gpuPercent: 98 },
      clocks: { eventReasons: [], smClockMegahertz: 1_980 },
      pcie: { currentLinkWidthLanes: 8, currentGeneration: 2 },
    });
    expect(assessGpu(reading)).toMatchObject({ verdict: 'warning', action: 'check-mechanicals' });
  });

  test('what could not be read confirms nothing', () => {
    const reading = h100Reading(
      { rowRemap: { pending: true }, ecc: { uncorrectableVolatileCount: null } },
      [],
    );
    const { findings } = assessGpu(reading);
    expect(findings.map((finding) => finding.verdict)).toEqual(['warning', 'unknown']);
    expect(actionOf(findings, 'remap.pending')).toBe('monitor');
  });

  test("the vendor's own signal is enough", () => {
    expect(assessGpu(h100Reading({ recovery: { action: 'reset' } })).action).toBe('reset-gpu');
    expect(assessGpu(h100Reading({ rowRemap: { failureOccurred: true } })).action).toBe(
      'run-field-diagnostic',
    );
    expect(assessGpu(h100Reading(), [incident()]).action).toBe('power-cycle');
  });

  test('an incident of the log confirms a reading', () => {
    const xid119 = incident({ xid: 119, action: 'reset-gpu' });
    expect(actionOf(assessGpu(down('hung'), [xid119]).findings, 'gpu.hung')).toBe('reset-gpu');
  });
});

describe('incidents', () => {
  test('one of the kernel becomes a finding in our own words', () => {
    const { verdict, findings } = assessGpu(h100Reading(), [incident({ count: 3 })]);
    expect(verdict).toBe('critical');
    expect(findings).toMatchObject([
      {
        ruleId: 'log.xid-79',
        gpu: 0,
        what: 'The kernel log has Xid 79 (GPU has fallen off the bus) 3 times.',
        evidence: [{ field: 'kernelLog', value: 3, at: '2026-01-01T00:00:00.000Z' }],
        confidence: 'high',
      },
    ]);
  });

  test('one without a wall-clock time, from a file without facility: less sure', () => {
    const { findings } = assessGpu(h100Reading(), [incident({ trusted: 'unknown', lastAt: null })]);
    expect(findings).toMatchObject([{ confidence: 'medium', evidence: [{ field: 'kernelLog', value: 1 }] }]);
    expect(findings[0]?.evidence[0]).not.toHaveProperty('at');
  });

  test.each([
    ['written by a program', { trusted: false }],
    [
      'commonly caused by an application',
      { xid: 13, verdict: 'warning', action: 'check-app', applicationCommon: true },
    ],
    ['that says ok', { verdict: 'ok', action: 'none' }],
    ['that says unknown', { verdict: 'unknown', action: 'none' }],
  ] as const)('one %s supports no verdict', (_, changes) => {
    expect(assessGpu(h100Reading(), [incident(changes)])).toEqual(assessGpu(h100Reading()));
  });

  test('one written by a program confirms nothing either', () => {
    const reading = h100Reading({ ecc: { uncorrectableVolatileCount: 1 } });
    expect(assessGpu(reading, [incident({ trusted: false })]).action).toBe('restart-app');
  });

  test('a GPU that may not be read is critical when the log says so', () => {
    expect(assessGpu(down('unreadable'), [incident()]).verdict).toBe('critical');
  });

  test('those of no GPU are findings of the node', () => {
    const sxid = incident({
      kind: 'sxid',
      sxid: 12028,
      title: 'Switch error',
      verdict: 'warning',
      action: 'monitor',
    });
    const { gpu: _, xid: _xid, ...switchError } = sxid;
    const findings = assessNode([switchError, incident(), incident({ trusted: false })]);
    expect(findings.map(({ ruleId, verdict }) => [ruleId, verdict])).toEqual([
      ['log.xid-79', 'critical'],
      ['log.sxid-12028', 'warning'],
    ]);
    expect(findings.every((finding) => !('gpu' in finding))).toBe(true);
    expect(findings[1]?.what).toContain('SXid 12028');
  });
});

describe('what was seen without asking the driver', () => {
  const dead: Candidate = {
    ruleId: 'gpu.config-space-dead',
    verdict: 'critical',
    what: 'Dead.',
    evidence: [],
    action: 'reboot-node',
    actionAlone: 'monitor',
    confirmedBy: ['gpu.lost', 'gpu.missing-from-driver'],
    source: 'test',
    confidence: 'high',
  };
  const at = (pciDevice: string, ruleId = dead.ruleId): Candidate => ({ ...dead, ruleId, pciDevice });

  test('weighs on the GPU, and is confirmed by what its driver says', () => {
    expect(assessGpu(h100Reading(), [], { observations: [dead] })).toMatchObject({
      verdict: 'critical',
      action: 'monitor',
      score: 40,
      findings: [{ ruleId: 'gpu.config-space-dead', gpu: 0 }],
    });
    const { findings } = assessGpu(down('lost'), [], { observations: [dead] });
    expect(actionOf(findings, 'gpu.config-space-dead')).toBe('reboot-node');
  });

  test('of the node: only a finding of the same place on the bus confirms', () => {
    const both = (other: string) => assessNode([], [at('0000:18:00'), at(other, 'gpu.missing-from-driver')]);
    expect(actionOf(both('0000:18:00'), 'gpu.config-space-dead')).toBe('reboot-node');
    expect(actionOf(both('0000:2a:00'), 'gpu.config-space-dead')).toBe('monitor');
  });

  test('of no place at all: nothing confirms it', () => {
    const { pciDevice: _, ...nowhere } = at('');
    expect(actionOf(assessNode([], [nowhere, { ...nowhere, ruleId: 'gpu.lost' }]), dead.ruleId)).toBe(
      'monitor',
    );
  });

  test('what is only worth telling changes neither verdict nor score', () => {
    const lent: Candidate = {
      ...dead,
      ruleId: 'gpu.bound-to-other-driver',
      verdict: 'ok',
      action: 'none',
      actionAlone: 'none',
    };
    expect(assessGpu(h100Reading(), [], { observations: [lent] })).toMatchObject({
      verdict: 'ok',
      score: 100,
      action: 'none',
      findings: [{ verdict: 'ok' }],
    });
  });
});

describe('what only counts with its standing', () => {
  test.each(['sympathetic', 'cancelled', 'superseded', 'recovered'] as const)(
    'an incident that is %s supports neither verdict nor action',
    (standing) => {
      const told = incident({ standing });
      expect(assessGpu(h100Reading(), [told])).toEqual(assessGpu(h100Reading()));
      expect(assessNode([told])).toEqual([]);
      const reading = h100Reading({ rowRemap: { pending: true } });
      const xid48 = incident({ xid: 48, verdict: 'critical', action: 'reset-gpu', standing });
      expect(assessGpu(reading, [xid48]).action).toBe('monitor');
    },
  );

  test('the same incident, primary, does', () => {
    const reading = h100Reading({ rowRemap: { pending: true } });
    expect(assessGpu(reading, [incident({ xid: 48, action: 'reset-gpu' })]).action).toBe('reset-gpu');
  });
});

describe('where it stands in a file', () => {
  test('evidence of a reading is cited by its leaf', () => {
    const reading: GpuReading = {
      ...h100Reading({ pcie: { currentLinkWidthLanes: 4 } }),
      citations: { 'pcie.currentLinkWidthLanes': { file: 'smi.txt', line: 81 } },
    };
    expect(assessGpu(reading).findings).toMatchObject([
      { ruleId: 'pcie.width', evidence: [{ value: 4, file: 'smi.txt', line: 81 }] },
    ]);
    const [bare] = assessGpu(h100Reading({ pcie: { currentLinkWidthLanes: 4 } })).findings;
    expect(bare?.evidence[0]).not.toHaveProperty('file');
  });

  test('evidence of an incident by its first line', () => {
    const citations = [
      { file: 'kern.log', line: 7 },
      { file: 'kern.log', line: 9 },
    ];
    expect(assessGpu(h100Reading(), [incident({ citations })]).findings).toMatchObject([
      { evidence: [{ field: 'kernelLog', file: 'kern.log', line: 7 }] },
    ]);
  });
});

describe('thresholds', () => {
  const hot = h100Reading({ ecc: { sramCorrectableVolatileCount: 600 } });

  test('what an operator set stands in the place of the default', () => {
    expect(assessGpu(hot).verdict).toBe('ok');
    const thresholds = { 'ecc.sram-correctable': { errors: 500 } };
    expect(assessGpu(hot, [], { thresholds })).toMatchObject({
      verdict: 'warning',
      findings: [{ ruleId: 'ecc.sram-correctable', evidence: [{ value: 600, threshold: 500 }] }],
    });
  });

  test('a rule that asks for a threshold it does not have is a defect', () => {
    const [first] = healthRules;
    if (!first) throw new Error('no rules');
    const broken: HealthRule = {
      ...first,
      evaluate: (_, context) => (context.threshold(first.id, 'none') > 0 ? 'pass' : 'not-judged'),
    };
    expect(() => assessGpu(h100Reading(), [], { rules: [broken] })).toThrow('has no threshold none');
  });
});

describe('a note', () => {
  test('is told, and changes neither verdict nor score, nor confirms anything', () => {
    const reading = h100Reading({
      identity: { persistenceModeEnabled: false },
      ecc: { pendingEnabled: false },
      rowRemap: { pending: true },
    });
    const { findings, action, score } = assessGpu(reading);
    expect(findings.map(({ ruleId, verdict }) => [ruleId, verdict])).toEqual([
      ['remap.pending', 'warning'],
      ['ecc.mode-pending', 'ok'],
      ['platform.persistence-mode', 'ok'],
    ]);
    expect([action, score]).toEqual(['monitor', 80]);
  });

  test('alone does not make a GPU that cannot be judged ok', () => {
    const { gpu, state, observedAt, identity } = h100Reading({ identity: { persistenceModeEnabled: false } });
    const gaps = gpuSections.filter((each) => each !== 'identity').map((field) => unsupported(0, field));
    const bare: GpuReading = { gpu, state, observedAt, gaps, ...(identity ? { identity } : {}) };
    expect(assessGpu(bare)).toMatchObject({ verdict: 'unknown', score: null });
  });
});

test('a rule on what grew is given the earlier reading', () => {
  const baseline = { ...h100Reading(), observedAt: '2025-12-31T23:00:00.000Z' };
  const reading = h100Reading({ pcie: { nonFatalErrorCount: 2 } });
  expect(assessGpu(reading, [], { baseline }).findings).toMatchObject([
    { ruleId: 'pcie.non-fatal-errors', what: expect.stringContaining('within 60 min') },
  ]);
  expect(assessGpu(reading).findings).toEqual([]);
});

test('a rule that compares is given the siblings', () => {
  const siblings = [1, 2, 3].map((index) => ({
    ...h100Reading({}, undefined, index),
    probeMilliseconds: 20,
  }));
  const slow = { ...h100Reading(), probeMilliseconds: 2_500 };
  expect(assessGpu(slow, [], { siblings }).verdict).toBe('warning');
  expect(assessGpu(slow).verdict).toBe('ok');
});

/** A GPU with a random set of faults; more bits, more faults. */
function faulty(bits: number): GpuReading {
  const has = (bit: number) => (bits & (1 << bit)) !== 0;
  return h100Reading({
    ecc: { uncorrectableVolatileCount: has(0) ? 3 : 0, sramThresholdExceeded: has(1) },
    rowRemap: { failureOccurred: has(2), pending: has(3), retiredPagesPending: has(4) },
    recovery: { action: has(5) ? 'reset' : 'none' },
    thermal: { marginCelsius: has(6) ? -5 : 40 },
    clocks: {
      eventReasons: clockEventReasons.filter(
        (reason) =>
          (reason === 'hardware-power-brake' && has(7)) || (reason === 'hardware-thermal-slowdown' && has(8)),
      ),
    },
    pcie: { currentLinkWidthLanes: has(9) ? 8 : 16 },
  });
}

describe('properties over random faults', () => {
  const random = seededRandom(20_261_121);
  const cases = Array.from({ length: 2_000 }, () => ({
    bits: random.below(1 << 10),
    more: 1 << random.below(10),
  }));

  test('one more fault never raises the score, nor betters the verdict', () => {
    for (const { bits, more } of cases) {
      const before = assessGpu(faulty(bits));
      const after = assessGpu(faulty(bits | more));
      expect(after.score).toBeLessThanOrEqual(before.score ?? Number.NaN);
      expect(verdicts.indexOf(after.verdict)).toBeLessThanOrEqual(verdicts.indexOf(before.verdict));
    }
  });

  test('no disruptive action without a reason', () => {
    const vendor = new Set(['ecc.sram-threshold', 'remap.failed', 'recovery.action']);
    for (const { bits } of cases) {
      const { findings } = assessGpu(faulty(bits));
      const families = new Set(findings.map(({ ruleId }) => ruleId.split('.')[0]));
      for (const { ruleId, action } of findings) {
        const reason = vendor.has(ruleId) || families.size >= 2;
        if (isDisruptive(action) && !reason) expect.fail(`${ruleId} says ${action} alone (${bits})`);
      }
    }
  });

  test('the score follows the findings alone, from 0 to 100', () => {
    const finding = (verdict: Finding['verdict']): Finding => ({
      ruleId: 'x.y',
      verdict,
      what: '',
      evidence: [],
      action: 'none',
      source: '',
      confidence: 'low',
    });
    for (let round = 0; round < 500; round += 1) {
      const findings = Array.from({ length: random.below(6) }, () => finding(random.pick(verdicts)));
      const verdict = worstVerdict([...findings.map((each) => each.verdict), 'ok']);
      const score = scoreOf(verdict, findings);
      if (verdict === 'unknown') expect(score).toBeNull();
      else {
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(100);
        const more = scoreOf('critical', [...findings, finding('warning')]);
        expect(more).toBeLessThanOrEqual(score ?? Number.NaN);
      }
    }
    expect(scoreOf('ok', [])).toBe(100);
  });

  test('the same input gives the same answer', () => {
    for (const { bits } of cases.slice(0, 50))
      expect(assessGpu(faulty(bits))).toEqual(assessGpu(faulty(bits)));
  });
});

test('every recovery action of the driver is judged', () => {
  for (const action of recoveryActions) {
    const { verdict } = assessGpu(h100Reading({ recovery: { action } }));
    expect(verdict === 'ok', action).toBe(action === 'none');
  }
});
