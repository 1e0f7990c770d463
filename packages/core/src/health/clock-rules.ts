import type { GpuReading } from '../domain/gpu.ts';
import type { ClockEventReason } from '../domain/readings/clocks.ts';
import { growthOf, inWords, loadOf, performanceStateOf } from './compare.ts';
import {
  evidence,
  finding,
  type HealthRule,
  missing,
  type ReadingPath,
  type RuleContext,
  type RuleFinding,
  type RuleOutcome,
  readingOf,
} from './rule.ts';

function whenReason(reason: ClockEventReason, toFinding: () => RuleFinding) {
  return (reading: GpuReading): RuleOutcome => {
    const reasons = readingOf(reading, 'clocks.eventReasons');
    if (reasons === undefined) return missing(reading, 'clocks.eventReasons');
    return reasons.includes(reason) ? finding(toFinding()) : 'pass';
  };
}

/** Over less time a share says nothing. */
const shortestSeconds = 10;

/** The share of the time since an earlier reading in which clocks were held back for a cause, in percent. */
function dutyOf(reading: GpuReading, context: RuleContext, path: ReadingPath) {
  const growth = growthOf(reading, context.baseline, path);
  if (!growth || growth.seconds < shortestSeconds) return undefined;
  // The counter is read a moment after the clock is, so that all of the time may seem to be more.
  const percent = Math.min(100, growth.increase / 1e4 / growth.seconds);
  return { percent, seconds: growth.seconds };
}

function whenHeldBack(
  ruleId: string,
  path: ReadingPath,
  toFinding: (share: string, percent: number, limit: number) => RuleFinding,
) {
  return (reading: GpuReading, context: RuleContext): RuleOutcome => {
    if (readingOf(reading, path) === undefined) return missing(reading, path);
    const duty = dutyOf(reading, context, path);
    if (!duty) return 'not-judged';
    const limit = context.threshold(ruleId, 'dutyPercent');
    if (duty.percent < limit) return 'pass';
    const share = `${Math.round(duty.percent)} % of the last ${inWords(duty.seconds)}`;
    return finding(toFinding(share, Number(duty.percent.toFixed(1)), limit));
  };
}

const dutyPercent = (value: number) => ({
  dutyPercent: { value, unit: '% of the time', what: 'warning from it on', minimum: 0.01, maximum: 100 },
});

function evaluateLowClock(reading: GpuReading, context: RuleContext): RuleOutcome {
  const clock = readingOf(reading, 'clocks.smClockMegahertz');
  if (clock === undefined) return missing(reading, 'clocks.smClockMegahertz');
  // Where applications are given a clock of their own, that is what to expect.
  const expected =
    readingOf(reading, 'clocks.applicationGraphicsClockMegahertz') ??
    readingOf(reading, 'clocks.maxBoostGraphicsClockMegahertz') ??
    readingOf(reading, 'clocks.maxSmClockMegahertz');
  if (expected === undefined) return missing(reading, 'clocks.maxSmClockMegahertz');
  const reasons = readingOf(reading, 'clocks.eventReasons');
  if (reasons === undefined) return missing(reading, 'clocks.eventReasons');
  if (loadOf(reading) !== 'busy') return 'not-judged';
  const limit = (expected * context.threshold('clocks.low-under-load', 'sharePercent')) / 100;
  // Any reason is either no fault, such as the power cap, or told by a rule of its own.
  if (clock >= limit || reasons.length > 0) return 'pass';
  return finding({
    verdict: 'warning',
    what: `The multiprocessors run at ${clock} MHz of ${expected} MHz under load, and the driver names no reason.`,
    evidence: [evidence('clocks.smClockMegahertz', clock, Math.round(limit))],
    action: 'monitor',
    confidence: 'low',
  });
}

function evaluateApplicationClock(reading: GpuReading, context: RuleContext): RuleOutcome {
  const set = readingOf(reading, 'clocks.applicationGraphicsClockMegahertz');
  if (set === undefined) return missing(reading, 'clocks.applicationGraphicsClockMegahertz');
  const usual = readingOf(reading, 'clocks.defaultApplicationGraphicsClockMegahertz');
  if (usual === undefined) return missing(reading, 'clocks.defaultApplicationGraphicsClockMegahertz');
  const limit = usual - context.threshold('clocks.application-below-default', 'megahertz');
  if (set >= limit) return 'pass';
  return finding({
    verdict: 'warning',
    what: `The application clock is set to ${set} MHz, below the default of ${usual} MHz: the GPU is slower than its like.`,
    evidence: [evidence('clocks.applicationGraphicsClockMegahertz', set, limit)],
    action: 'monitor',
    confidence: 'high',
  });
}

function evaluatePerformanceState(reading: GpuReading, context: RuleContext): RuleOutcome {
  const state = performanceStateOf(reading);
  if (state === undefined) return missing(reading, 'clocks.performanceState');
  const utilization = readingOf(reading, 'utilization.gpuPercent');
  if (utilization === undefined) return missing(reading, 'utilization.gpuPercent');
  const slowest = context.threshold('clocks.performance-state', 'slowestState');
  if (
    loadOf(reading) !== 'busy' ||
    utilization < context.threshold('clocks.performance-state', 'utilizationPercent')
  )
    return 'not-judged';
  if (state <= slowest) return 'pass';
  return finding({
    verdict: 'warning',
    what: `The GPU is ${utilization} % busy and stays in performance state P${state}.`,
    evidence: [evidence('clocks.performanceState', `P${state}`, `P${slowest}`)],
    action: 'monitor',
    confidence: 'low',
  });
}

/** What holds the clocks back, and clocks that are low without a reason. */
export const clockRules: readonly HealthRule[] = [
  {
    id: 'clocks.thermal-slowdown',
    title: 'Hardware thermal slowdown',
    threshold: 'clock event reason bit 0x40 at the time of reading',
    appliesTo: 'products whose driver tells clock event reasons',
    verdict: 'critical',
    action: 'check-mechanicals',
    confidence: 'high',
    source: 'NVML clocks event reasons; Azure healthagent mask 0xE8',
    essential: false,
    sections: ['clocks'],
    evaluate: whenReason('hardware-thermal-slowdown', () => ({
      verdict: 'critical',
      what: 'The GPU slows itself down because it is too hot.',
      evidence: [evidence('clocks.eventReasons', 'hardware-thermal-slowdown')],
      action: 'check-mechanicals',
      actionAlone: 'monitor',
      confirmedBy: ['thermal.margin'],
      confidence: 'high',
    })),
  },
  {
    id: 'power.brake',
    title: 'Power brake',
    threshold: 'clock event reason bit 0x80 at the time of reading',
    appliesTo: 'products whose driver tells clock event reasons',
    verdict: 'critical',
    action: 'check-mechanicals',
    confidence: 'medium',
    source: 'NVML clocks event reasons; Azure healthagent mask 0xE8',
    note: 'The software power cap (0x04) under load is normal and never raises it.',
    essential: false,
    sections: ['clocks'],
    evaluate: whenReason('hardware-power-brake', () => ({
      verdict: 'critical',
      what: 'The power brake slows this GPU: the power supply or the rack asks it to draw less.',
      evidence: [evidence('clocks.eventReasons', 'hardware-power-brake')],
      action: 'check-mechanicals',
      actionAlone: 'monitor',
      confirmedBy: ['log.'],
      confidence: 'medium',
    })),
  },
  {
    id: 'clocks.hardware-slowdown',
    title: 'Hardware slowdown without a named cause',
    threshold: 'clock event reason bit 0x08 without 0x40 or 0x80',
    appliesTo: 'products whose driver tells clock event reasons',
    verdict: 'warning',
    action: 'monitor',
    confidence: 'low',
    source: 'NVML clocks event reasons; leptonai/gpud (6 in 10 minutes)',
    note: 'One reading may catch a change of performance state: low confidence.',
    essential: false,
    sections: ['clocks'],
    evaluate(reading) {
      const reasons = readingOf(reading, 'clocks.eventReasons');
      if (reasons === undefined) return missing(reading, 'clocks.eventReasons');
      const explained =
        reasons.includes('hardware-thermal-slowdown') || reasons.includes('hardware-power-brake');
      if (!reasons.includes('hardware-slowdown') || explained) return 'pass';
      return finding({
        verdict: 'warning',
        what: 'Hardware slowdown was active when read, without a thermal or power-brake bit beside it.',
        evidence: [evidence('clocks.eventReasons', 'hardware-slowdown')],
        action: 'monitor',
        confidence: 'low',
      });
    },
  },
  {
    id: 'clocks.software-thermal',
    title: 'Software thermal slowdown',
    threshold: 'clock event reason bit 0x20 at the time of reading, without 0x40',
    appliesTo: 'products whose driver tells clock event reasons',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'medium',
    source: 'NVML clocks event reasons; Azure healthagent mask 0xE8',
    note: 'A moment of it at the end of a burst is common: alone it asks to be watched.',
    essential: false,
    sections: ['clocks'],
    evaluate(reading) {
      const reasons = readingOf(reading, 'clocks.eventReasons');
      if (reasons === undefined) return missing(reading, 'clocks.eventReasons');
      // Hardware that slows down too is told by a rule of its own.
      if (!reasons.includes('software-thermal-slowdown') || reasons.includes('hardware-thermal-slowdown'))
        return 'pass';
      return finding({
        verdict: 'warning',
        what: 'The driver lowers the clocks because the GPU is at its temperature limit.',
        evidence: [evidence('clocks.eventReasons', 'software-thermal-slowdown')],
        action: 'check-mechanicals',
        actionAlone: 'monitor',
        confirmedBy: ['thermal.'],
        confidence: 'medium',
      });
    },
  },
  {
    id: 'clocks.thermal-duty',
    title: 'Held back by heat over time',
    threshold: '>= 5 % of the time since an earlier reading',
    thresholds: dutyPercent(5),
    appliesTo: 'products with violation counters; needs an earlier reading',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'high',
    source:
      'leptonai/gpud (6 slowdowns in 10 minutes); DCGM warns at any, which NVSentinel PR#1708 suppresses; the number is ours',
    note: 'A short violation, or one of days ago in the count since the driver was loaded, never raises it.',
    essential: false,
    sections: ['violations'],
    evaluate: whenHeldBack(
      'clocks.thermal-duty',
      'violations.thermalMicroseconds',
      (share, percent, limit) => ({
        verdict: 'warning',
        what: `Heat held the clocks back for ${share}.`,
        evidence: [evidence('violations.thermalMicroseconds', percent, limit)],
        action: 'check-mechanicals',
        actionAlone: 'monitor',
        confirmedBy: ['thermal.'],
        confidence: 'high',
      }),
    ),
  },
  {
    id: 'clocks.board-limit-duty',
    title: 'Held back by the board limit over time',
    threshold: '>= 5 % of the time since an earlier reading',
    thresholds: dutyPercent(5),
    appliesTo: 'products with violation counters; needs an earlier reading',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'medium',
    source:
      'NVML performance policies (board limit); Azure healthagent mask 0xE8 (power brake); the number is ours',
    note: 'The power cap under load counts elsewhere (violations.powerMicroseconds), is normal and is not judged.',
    essential: false,
    sections: ['violations'],
    evaluate: whenHeldBack(
      'clocks.board-limit-duty',
      'violations.boardLimitMicroseconds',
      (share, percent, limit) => ({
        verdict: 'warning',
        what: `The limit of the board, such as the power brake, held the clocks back for ${share}.`,
        evidence: [evidence('violations.boardLimitMicroseconds', percent, limit)],
        action: 'check-mechanicals',
        actionAlone: 'monitor',
        confirmedBy: ['power.limit-imposed', 'log.xid-54'],
        confidence: 'medium',
      }),
    ),
  },
  {
    id: 'clocks.reliability-duty',
    title: 'Held below the base clock for reliability',
    threshold: '>= 20 % of the time since an earlier reading, and below the base clock as long',
    thresholds: dutyPercent(20),
    appliesTo: 'products with violation counters; needs an earlier reading',
    verdict: 'warning',
    action: 'monitor',
    confidence: 'low',
    source: 'NVML performance policies (reliability, base clocks); the number is ours',
    note: 'At the top of its boost a healthy GPU is held by the reliability limit all the time: only below the base clock does it count.',
    essential: false,
    sections: ['violations'],
    evaluate(reading, context) {
      const below = dutyOf(reading, context, 'violations.baseClocksMicroseconds');
      const limit = context.threshold('clocks.reliability-duty', 'dutyPercent');
      if (below && below.percent < limit) return 'pass';
      if (!below && readingOf(reading, 'violations.baseClocksMicroseconds') === undefined)
        return missing(reading, 'violations.baseClocksMicroseconds');
      return whenHeldBack(
        'clocks.reliability-duty',
        'violations.reliabilityMicroseconds',
        (share, percent) => ({
          verdict: 'warning',
          what: `The reliability limit held the clocks below the base clock for ${share}.`,
          evidence: [evidence('violations.reliabilityMicroseconds', percent, limit)],
          action: 'monitor',
          confidence: 'low',
        }),
      )(reading, context);
    },
  },
  {
    id: 'clocks.low-under-load',
    title: 'Low clock under load without a reason',
    threshold:
      'below 60 % of the application clock (or the highest one) while busy, with no clock event reason',
    thresholds: {
      sharePercent: { value: 60, unit: '% of the clock', what: 'warning below it', minimum: 1, maximum: 100 },
    },
    appliesTo: 'a GPU under load',
    verdict: 'warning',
    action: 'monitor',
    confidence: 'low',
    source: 'Meta GCM (application clocks against expectation); the number is ours',
    note: 'Never at idle, nor with a power cap, sync boost, a display or clocks that an administrator set.',
    essential: false,
    sections: ['clocks', 'utilization', 'power'],
    evaluate: evaluateLowClock,
  },
  {
    id: 'clocks.application-below-default',
    title: 'Application clock set below the default',
    threshold: 'more than 75 MHz below',
    thresholds: {
      megahertz: {
        value: 75,
        unit: 'MHz',
        what: 'warning when it is further below',
        minimum: 0,
        maximum: 5_000,
      },
    },
    appliesTo: 'data-centre products that have application clocks (deprecated in newer drivers)',
    verdict: 'warning',
    action: 'monitor',
    confidence: 'high',
    source: 'Meta GCM (75 MHz from what is expected is critical)',
    note: 'What is set on a workstation is its owner’s affair.',
    essential: false,
    sections: ['clocks'],
    applies: ({ line }) => line === 'data-center',
    evaluate: evaluateApplicationClock,
  },
  {
    id: 'clocks.performance-state',
    title: 'Slow performance state under full load',
    threshold: 'slower than P2 at 90 % utilization or more',
    thresholds: {
      slowestState: {
        value: 2,
        unit: 'performance state',
        what: 'warning above it',
        minimum: 0,
        maximum: 14,
      },
      utilizationPercent: { value: 90, unit: '%', what: 'full load from it on', minimum: 50, maximum: 100 },
    },
    appliesTo: 'a GPU under full load',
    verdict: 'warning',
    action: 'monitor',
    confidence: 'low',
    source: 'NVML performance states (P0 is the fastest); NVIDIA developer documentation',
    note: 'Consumer and workstation cards compute in P2, and an idle GPU rests in P8: neither is judged.',
    essential: false,
    sections: ['clocks', 'utilization', 'power'],
    applies: ({ formFactor }) => formFactor !== 'mobile',
    evaluate: evaluatePerformanceState,
  },
];
