import { describe, expect, test } from 'vitest';
import { kindIncident, nodeEvidence, xidIncident } from '../../../test/diagnostic-evidence.ts';
import { seededRandom } from '../../../test/random.ts';
import type { Diagnosis, DiagnosisQuestion } from '../../domain/diagnosis.ts';
import type { Incident } from '../../domain/incident.ts';
import { isDisruptive } from '../../domain/verdict.ts';
import type { DiagnosticEvidence } from '../evidence.ts';
import { explainFailure } from './explain.ts';
import { isPrimary } from './sign.ts';

const codes = [13, 31, 43, 45, 48, 54, 63, 64, 68, 74, 79, 92, 94, 95, 109, 119, 137, 149, 154, 162, 163];
const kinds = ['pcie-error', 'oom-kill', 'machine-check', 'gsp-fault', 'init-failure'] as const;
const conditions = [
  { recovery: { action: 'reset' } },
  { rowRemap: { pending: true } },
  { rowRemap: { failureOccurred: true } },
  { ecc: { uncorrectableVolatileCount: 2 } },
  { pcie: { currentLinkWidthLanes: 8 } },
  { fabric: { state: 'not-started', status: null } },
  { clocks: { eventReasons: ['hardware-thermal-slowdown'] } },
  {},
  {},
] as const;
const noLog = { source: null, readable: false, from: null, to: null } as const;

function randomEvidence(seed: number): DiagnosticEvidence {
  const random = seededRandom(seed);
  const minute = () => String(random.below(60)).padStart(2, '0');
  const changesOf = (): Partial<Incident> => {
    const at = `2025-12-31T23:${minute()}:${minute()}.000Z`;
    return {
      firstAt: at,
      lastAt: at,
      occurrenceCount: 1 + random.below(3),
      count: 1 + random.below(50),
      standing: random.pick(['primary', 'primary', 'primary', 'sympathetic', 'recovered']),
      processes: random.below(2) === 0 ? [] : [{ pid: 4711, name: 'python3' }],
    };
  };
  const incidents = Array.from({ length: random.below(7) }, () => {
    const gpu = random.below(5) === 0 ? null : random.below(8);
    return random.below(5) === 0
      ? kindIncident(random.pick(kinds), gpu, {
          ...changesOf(),
          severity: 'warning',
          verdict: 'warning',
          action: 'monitor',
        })
      : xidIncident(random.pick(codes), gpu, changesOf());
  });
  const gpus = Object.fromEntries(
    Array.from({ length: random.below(3) }, () => [random.below(8), random.pick(conditions)]),
  );
  return nodeEvidence({ incidents, gpus, ...(random.below(4) === 0 ? { kernelLog: noLog } : {}) });
}

const questions: readonly DiagnosisQuestion[] = [
  { kind: 'newest' },
  { kind: 'gpu', index: 2 },
  { kind: 'pid', pid: 4711 },
  { kind: 'time', at: '2025-12-31T23:30:00.000Z' },
];

/** Calls `check` with many pieces of evidence and every kind of question. */
function forMany(
  check: (evidence: DiagnosticEvidence, question: DiagnosisQuestion, seed: number) => void,
): void {
  for (let seed = 1; seed <= 120; seed += 1) {
    const evidence = randomEvidence(seed);
    for (const question of questions) check(evidence, question, seed);
  }
}

function shuffled<T>(list: readonly T[], seed: number): T[] {
  const random = seededRandom(seed);
  return list
    .map((item) => ({ item, key: random.next() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

const shareSum = ({ hypotheses }: Diagnosis) =>
  hypotheses.reduce((sum, { likelihoodPercent }) => sum + likelihoodPercent, 0);

describe('whatever the evidence', () => {
  test('the likelihoods add up to 100, likeliest first', () => {
    forMany((evidence, question) => {
      const diagnosis = explainFailure(evidence, question);
      expect(shareSum(diagnosis)).toBe(100);
      const percents = diagnosis.hypotheses.map(({ likelihoodPercent }) => likelihoodPercent);
      expect(percents).toEqual(percents.toSorted((a, b) => b - a));
    });
  });

  test('the answer does not contradict itself', () => {
    forMany((evidence, question) => {
      const { hypotheses, findings, action, cause, verdict, notYourCode } = explainFailure(
        evidence,
        question,
      );
      expect(hypotheses[0]).toMatchObject({ cause, action });
      expect(findings[0]?.action ?? 'none').toBe(action);
      if (cause === 'none') expect(verdict).toBe('ok');
      if (cause === 'unknown' || cause === 'none') expect(notYourCode).toBe('undecided');
      if (verdict === 'critical' || verdict === 'warning') {
        expect(findings.some((finding) => finding.verdict === verdict)).toBe(true);
      }
    });
  });

  test('the order of incidents, readings and findings does not matter', () => {
    forMany((evidence, question, seed) => {
      const turned = {
        ...evidence,
        incidents: shuffled(evidence.incidents, seed),
        readings: shuffled(evidence.readings, seed),
        assessments: shuffled(evidence.assessments, seed),
        nodeFindings: shuffled(evidence.nodeFindings, seed + 1),
        holderFindings: shuffled(evidence.holderFindings, seed),
      };
      expect(explainFailure(turned, question)).toEqual(explainFailure(evidence, question));
    });
  });

  test('what a program wrote into the log changes nothing', () => {
    forMany((evidence, question, seed) => {
      const forged = codes.map((code) =>
        xidIncident(code, seed % 8, {
          trusted: false,
          verdict: 'unknown',
          processes: [{ pid: 4711 }],
          firstAt: '2025-12-31T23:30:00.000Z',
          lastAt: '2025-12-31T23:30:00.000Z',
        }),
      );
      const more = { ...evidence, incidents: [...evidence.incidents, ...forged] };
      expect(explainFailure(more, question)).toEqual(explainFailure(evidence, question));
    });
  });

  test('the same, trusted, does change it: the check can turn red', () => {
    const evidence = nodeEvidence();
    const more = { ...evidence, incidents: [xidIncident(79, 1)] };
    expect(explainFailure(more, { kind: 'newest' })).not.toEqual(
      explainFailure(evidence, { kind: 'newest' }),
    );
  });

  test('with less to see the confidence never becomes high', () => {
    forMany((evidence, question) => {
      const { confidence } = explainFailure(evidence, question);
      if (confidence === 'high') return;
      const blind = evidence.readings.map(({ gpu, observedAt }) => ({
        gpu,
        observedAt,
        gaps: [],
        state: 'unreadable' as const,
      }));
      const withoutLog = { ...evidence, incidents: [], kernelLog: noLog };
      const withoutReadings = {
        ...evidence,
        readings: blind,
        assessments: [],
        holders: [],
        holderFindings: [],
      };
      const withoutBoth = { ...withoutReadings, incidents: [], kernelLog: noLog, nodeFindings: [] };
      for (const less of [withoutLog, withoutReadings, withoutBoth]) {
        expect(explainFailure(less, question).confidence).not.toBe('high');
      }
    });
  });

  test('with nothing to see at all it is unknown', () => {
    const blind = {
      ...nodeEvidence({ count: 0, kernelLog: noLog }),
      observedAt: '2026-01-01T00:05:00.000Z',
    };
    for (const question of questions) {
      expect(explainFailure(blind, question)).toMatchObject({
        verdict: 'unknown',
        cause: 'unknown',
        notYourCode: 'undecided',
        confidence: 'low',
        action: 'none',
      });
    }
  });

  test('a disruptive action has an incident that counts, a flag of the driver, or two findings behind it', () => {
    const words = [
      'recovery.',
      'remap.failed',
      'remap.unrepairable',
      'gpu.lost',
      'gpu.reset-required',
      'ecc.sram',
    ];
    forMany((evidence, question) => {
      const { action, findings } = explainFailure(evidence, question);
      if (!isDisruptive(action)) return;
      const [lead] = findings;
      const isVendors =
        words.some((word) => lead?.ruleId.startsWith(word)) ||
        (lead?.ruleId.startsWith('log.') === true && evidence.incidents.some(isPrimary));
      expect(isVendors || findings.length >= 2).toBe(true);
    });
  });
});

/** Not a limit to meet: comparing each with each takes several of them. */
const wholeMinute = 60_000;

test(
  'a log of 20,000 incidents is explained in bounded time and size',
  () => {
    const incidents = Array.from({ length: 20_000 }, (_, index) =>
      xidIncident(79, null, {
        pciAddress: `${(index >> 4).toString(16).padStart(4, '0')}:${(index & 15).toString(16).padStart(2, '0')}:00`,
      }),
    );
    const evidence = { ...nodeEvidence({ count: 0 }), incidents };
    const diagnosis = explainFailure(evidence, { kind: 'newest' });
    expect(diagnosis.findings.length).toBeLessThanOrEqual(200);
    expect(diagnosis.hypotheses.length).toBeLessThanOrEqual(32);
    expect(diagnosis.summary.length).toBeLessThan(600);
  },
  wholeMinute,
);

test(
  'a log of losses and link errors that name no time is explained in bounded time',
  () => {
    const place = (index: number) => ({
      pciAddress: `${(index >> 4).toString(16).padStart(4, '0')}:${(index & 15).toString(16).padStart(2, '0')}:00`,
    });
    const undated = { firstAt: null, lastAt: null, firstUptimeSeconds: null, lastUptimeSeconds: null };
    const incidents = Array.from({ length: 20_000 }, (_, index) =>
      index % 2 === 0
        ? xidIncident(79, null, { ...place(index), ...undated })
        : xidIncident(74, null, { ...place(index), kind: 'xid' }),
    );
    const evidence = { ...nodeEvidence({ count: 0 }), incidents };
    const { hypotheses } = explainFailure(evidence, { kind: 'newest' });
    expect(hypotheses.length).toBeLessThanOrEqual(32);
  },
  wholeMinute,
);
