import type { GpuReading } from '../domain/gpu.ts';
import { productOf } from './applicability.ts';
import {
  counted,
  growthOf,
  inWords,
  loadOf,
  peersOf,
  performanceStateOf,
  usualOf,
  whenGrown,
} from './compare.ts';
import { pcieFault } from './confirmation.ts';
import {
  evidence,
  finding,
  type HealthRule,
  missing,
  passUnlessMissing,
  type ReadingPath,
  type RuleContext,
  type RuleOutcome,
  readingOf,
  whenSet,
} from './rule.ts';

/** How the link was negotiated: lanes by finding them, speed by equalising them, so that each confirms the other. */
const linkState = ['pcie.width', 'pcie.generation'] as const;
/** What is counted on the link. */
const linkErrors = ['pcie.replay', 'pcie.link-errors', 'pcie.non-fatal-errors', 'pcie.fatal-errors'] as const;

function evaluateWidth(reading: GpuReading, context: RuleContext): RuleOutcome {
  const current = readingOf(reading, 'pcie.currentLinkWidthLanes');
  const maximum = readingOf(reading, 'pcie.maxLinkWidthLanes');
  if (current === undefined) return missing(reading, 'pcie.currentLinkWidthLanes');
  if (maximum === undefined) return missing(reading, 'pcie.maxLinkWidthLanes');
  if (current >= maximum) return 'pass';
  const usual = usualOf(peersOf(reading, context), 'pcie.currentLinkWidthLanes');
  const isOnBaseboard = ['sxm', 'superchip'].includes(productOf(reading).formFactor);
  const isNarrowest = usual !== undefined && current < usual;
  // A card by itself may stand in a slot of so many lanes, or rest on fewer of them.
  const isFault = isOnBaseboard || isNarrowest || loadOf(reading) === 'busy';
  return finding({
    verdict: isFault ? 'warning' : 'ok',
    what: `The PCIe link runs x${current} where x${maximum} is possible: transfers to the host are slower.`,
    evidence: [evidence('pcie.currentLinkWidthLanes', current, maximum)],
    action: isFault ? 'check-mechanicals' : 'none',
    actionAlone: isFault ? 'monitor' : 'none',
    confirmedBy: ['pcie.generation', ...linkErrors, ...pcieFault],
    confidence: isOnBaseboard || isNarrowest ? 'high' : 'medium',
  });
}

/** P2 is where consumer cards compute; what is slower has no reason to run the link at full speed. */
const slowestWorkingState = 2;

function evaluateGeneration(reading: GpuReading): RuleOutcome {
  const current = readingOf(reading, 'pcie.currentGeneration');
  const maximum = readingOf(reading, 'pcie.maxGeneration');
  if (current === undefined) return missing(reading, 'pcie.currentGeneration');
  if (maximum === undefined) return missing(reading, 'pcie.maxGeneration');
  if (current >= maximum) return 'pass';
  if (loadOf(reading) !== 'busy' || (performanceStateOf(reading) ?? 0) > slowestWorkingState)
    return 'not-judged';
  return finding({
    verdict: 'warning',
    what: `Under load the PCIe link runs at generation ${current} where GPU and slot allow ${maximum}.`,
    evidence: [evidence('pcie.currentGeneration', current, maximum)],
    action: 'check-mechanicals',
    actionAlone: 'monitor',
    confirmedBy: ['pcie.width', ...linkErrors, ...pcieFault],
    confidence: 'high',
  });
}

function evaluateSlot(reading: GpuReading): RuleOutcome {
  const device = readingOf(reading, 'pcie.deviceMaxGeneration');
  const both = readingOf(reading, 'pcie.maxGeneration');
  if (device === undefined) return missing(reading, 'pcie.deviceMaxGeneration');
  if (both === undefined) return missing(reading, 'pcie.maxGeneration');
  if (both >= device) return 'pass';
  return finding({
    verdict: 'ok',
    what: `The slot allows PCIe generation ${both}, the GPU could do ${device}.`,
    evidence: [evidence('pcie.maxGeneration', both, device)],
    action: 'none',
    confidence: 'high',
  });
}

/** Replays per lane and minute at a bit error rate of 1e-12, by generation. Source: DCGM 4.6 health. */
const perLaneAndMinute: Readonly<Record<number, number>> = {
  1: 0.15,
  2: 0.3,
  3: 0.48,
  4: 0.96,
  5: 1.92,
  6: 3.84,
};

/** How many link errors a sound link may have in that time; undefined where generation or width are not known. */
function toleratedErrors(reading: GpuReading, seconds: number, factor: number): number | undefined {
  // An idle link has the same errors at a lower generation: judged by the highest, none is taken for a fault.
  const generation = readingOf(reading, 'pcie.maxGeneration') ?? readingOf(reading, 'pcie.currentGeneration');
  const lanes = readingOf(reading, 'pcie.currentLinkWidthLanes');
  const rate = perLaneAndMinute[generation ?? 0];
  if (rate === undefined || lanes === undefined) return undefined;
  return Math.ceil(Math.ceil(rate * lanes) * Math.max(1, seconds / 60) * factor);
}

function whenTooMany(ruleId: string, paths: readonly ReadingPath[], noun: string) {
  return (reading: GpuReading, context: RuleContext): RuleOutcome => {
    if (paths.every((path) => readingOf(reading, path) === undefined))
      return passUnlessMissing(reading, paths);
    const grown = paths.flatMap((path) => growthOf(reading, context.baseline, path) ?? []);
    const [first] = grown;
    if (!first) return 'not-judged';
    const increase = grown.reduce((sum, each) => sum + each.increase, 0);
    const tolerated = toleratedErrors(reading, first.seconds, context.threshold(ruleId, 'factor'));
    if (tolerated === undefined) return missing(reading, 'pcie.maxGeneration');
    if (increase <= tolerated) return 'pass';
    return finding({
      verdict: 'warning',
      what: `${counted(increase, noun)} on the PCIe link within ${inWords(first.seconds)}, where a sound link of its speed and width has at most ${tolerated}.`,
      evidence: paths.flatMap((path) => {
        const growth = growthOf(reading, context.baseline, path);
        return growth && growth.increase > 0 ? [evidence(path, growth.increase, tolerated)] : [];
      }),
      action: 'check-mechanicals',
      actionAlone: 'monitor',
      confirmedBy: [...linkState, ...pcieFault],
      confidence: 'high',
    });
  };
}

const factor = {
  factor: {
    value: 1,
    unit: 'times the tolerated rate',
    what: 'warning above it',
    minimum: 0.01,
    maximum: 10_000,
  },
} as const;

/** The link to the host. */
export const pcieRules: readonly HealthRule[] = [
  {
    id: 'pcie.width',
    title: 'PCIe link width',
    threshold:
      'current width below the width that GPU and slot both offer; a fault on a baseboard, under load, or where siblings have more lanes',
    appliesTo: 'all products on PCIe; an idle card by itself is told and not judged',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'high',
    source: 'NVIDIA/NVSentinel#890; Oracle OCI health checks; Imbue host-health (kernel "limited by")',
    note: 'Cloud machines give some cards (T4, A10G, L40S) eight lanes, laptops too: such a card at rest is no fault. Generation drops when idle and is not judged here.',
    essential: false,
    sections: ['pcie', 'utilization', 'power', 'clocks'],
    evaluate: evaluateWidth,
  },
  {
    id: 'pcie.generation',
    title: 'PCIe generation under load',
    threshold: 'current generation below what GPU and slot both offer, while busy in P0 to P2',
    appliesTo: 'all products on PCIe, under load',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'high',
    source: 'NVIDIA/NVSentinel#890; Oracle OCI health checks',
    note: 'Links rest at generation 1 while idle: that is never judged.',
    essential: false,
    sections: ['pcie', 'utilization', 'power', 'clocks'],
    evaluate: evaluateGeneration,
  },
  {
    id: 'pcie.slot-generation',
    title: 'Slot slower than the GPU',
    threshold: 'the highest generation of GPU and slot is below that of the GPU alone',
    appliesTo: 'products whose driver tells both',
    verdict: 'ok',
    action: 'none',
    confidence: 'high',
    source: 'NVML maximum and GPU maximum PCIe link generation',
    note: 'How a machine was built is told, and no fault.',
    essential: false,
    sections: ['pcie'],
    evaluate: evaluateSlot,
  },
  {
    id: 'pcie.replay-rate',
    title: 'PCIe replay rate',
    threshold:
      'more replays since an earlier reading than ceil(rate x lanes) a minute; rate per lane 0.15, 0.3, 0.48, 0.96, 1.92 and 3.84 for generation 1 to 6',
    thresholds: factor,
    appliesTo: 'all products on PCIe; needs an earlier reading',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'high',
    source:
      'DCGM 4.6 health (bit error rate 1e-12); NVSentinel (vendor support if it goes on after reseating)',
    note: 'Replays since the driver was loaded never raise it: a healthy H100 under load was seen with 9.',
    essential: false,
    sections: ['pcie'],
    evaluate: whenTooMany('pcie.replay-rate', ['pcie.replayCount'], 'replay'),
  },
  {
    id: 'pcie.link-errors',
    title: 'PCIe link errors that were corrected',
    threshold:
      'more bad packets, checksum, lane or receiver errors since an earlier reading than the tolerated replay rate',
    thresholds: factor,
    appliesTo: 'products whose driver tells PCIe errors; needs an earlier reading',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'high',
    source: 'PCI Express Advanced Error Reporting; rate of DCGM 4.6 health (each such error costs a replay)',
    note: 'Counts since the driver was loaded never raise it.',
    essential: false,
    sections: ['pcie'],
    evaluate: whenTooMany(
      'pcie.link-errors',
      [
        'pcie.badTlpCount',
        'pcie.badDllpCount',
        'pcie.lcrcErrorCount',
        'pcie.laneErrorCount',
        'pcie.receiverErrorCount',
      ],
      'link error',
    ),
  },
  {
    id: 'pcie.correctable-errors',
    title: 'PCIe correctable errors',
    threshold: 'more correctable errors since an earlier reading than 10 times the tolerated replay rate',
    thresholds: { factor: { ...factor.factor, value: 10 } },
    appliesTo: 'products whose driver tells PCIe errors; needs an earlier reading',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'high',
    source: 'PCI Express Advanced Error Reporting; rate of DCGM 4.6 health, times ten of our own',
    note: 'A corrected error did no harm: a few are normal on every link.',
    essential: false,
    sections: ['pcie'],
    evaluate: whenTooMany('pcie.correctable-errors', ['pcie.correctableErrorCount'], 'correctable error'),
  },
  {
    id: 'pcie.replay-rollover',
    title: 'PCIe replay rollover',
    threshold:
      '>= 1 rollover since an earlier reading: four replays in a row failed and the link was retrained',
    appliesTo: 'all products on PCIe; needs an earlier reading',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'high',
    source: 'PCI Express base specification (REPLAY_NUM rollover)',
    note: 'Rollovers since the driver was loaded never raise it.',
    essential: false,
    sections: ['pcie'],
    evaluate: whenGrown('pcie.replayRolloverCount', ({ increase, seconds }) => ({
      verdict: 'warning',
      what: `${counted(increase, 'replay rollover')} on the PCIe link within ${inWords(seconds)}: the link had to be trained anew.`,
      evidence: [evidence('pcie.replayRolloverCount', increase, 0)],
      action: 'check-mechanicals',
      actionAlone: 'monitor',
      confirmedBy: pcieFault,
      confidence: 'high',
    })),
  },
  {
    id: 'pcie.link-recovery',
    title: 'PCIe link recoveries under load',
    threshold: '>= 60 recoveries a minute between two readings under load',
    thresholds: {
      perMinute: {
        value: 60,
        unit: 'recoveries per minute',
        what: 'warning from it on',
        minimum: 0.01,
        maximum: 1e9,
      },
    },
    appliesTo: 'products whose driver tells PCIe recoveries, under load; needs an earlier reading',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'low',
    source: 'PCI Express base specification (Recovery state); the number is ours',
    note: 'Each change of speed passes through recovery, so a GPU between idle and work counts hundreds in minutes: judged only from busy to busy.',
    essential: false,
    sections: ['pcie', 'utilization', 'power', 'clocks'],
    evaluate(reading, context) {
      const { baseline } = context;
      if (readingOf(reading, 'pcie.linkRecoveryCount') === undefined)
        return missing(reading, 'pcie.linkRecoveryCount');
      if (!baseline || loadOf(reading) !== 'busy' || loadOf(baseline) !== 'busy') return 'not-judged';
      return whenGrown('pcie.linkRecoveryCount', ({ increase, seconds }) => {
        const limit = context.threshold('pcie.link-recovery', 'perMinute');
        const perMinute = increase / Math.max(1, seconds / 60);
        if (perMinute < limit) return undefined;
        return {
          verdict: 'warning',
          what: `The PCIe link recovered ${increase} times within ${inWords(seconds)} of load.`,
          evidence: [evidence('pcie.linkRecoveryCount', Math.round(perMinute), limit)],
          action: 'check-mechanicals',
          actionAlone: 'monitor',
          confirmedBy: pcieFault,
          confidence: 'low',
        };
      })(reading, context);
    },
  },
  {
    id: 'pcie.non-fatal-errors',
    title: 'Non-fatal PCIe errors',
    threshold: '>= 1 since an earlier reading',
    appliesTo: 'products whose driver tells PCIe errors; needs an earlier reading',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'medium',
    source: 'PCI Express Advanced Error Reporting (a non-fatal error loses a transaction)',
    note: 'Counts since the driver was loaded never raise it.',
    essential: false,
    sections: ['pcie'],
    evaluate: whenGrown('pcie.nonFatalErrorCount', ({ increase, seconds }) => ({
      verdict: 'warning',
      what: `${counted(increase, 'non-fatal PCIe error')} within ${inWords(seconds)}: transactions were lost.`,
      evidence: [evidence('pcie.nonFatalErrorCount', increase, 0)],
      action: 'check-mechanicals',
      actionAlone: 'monitor',
      confirmedBy: pcieFault,
      confidence: 'medium',
    })),
  },
  {
    id: 'pcie.fatal-errors',
    title: 'Fatal PCIe errors',
    threshold: '> 0 fatal errors since the driver was loaded',
    appliesTo: 'products whose driver tells PCIe errors',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'medium',
    source:
      'PCI Express Advanced Error Reporting (a fatal error makes the link unreliable); NVML PCIe counters',
    note: 'When they happened is not known, so they are a warning; the kernel log tells the time. What is new is judged by the rules on growth.',
    essential: false,
    sections: ['pcie'],
    evaluate: whenSet('pcie.fatalErrorCount', (count) => ({
      verdict: 'warning',
      what: `${count} fatal PCIe error${count === 1 ? '' : 's'} since the driver was loaded: the link to this GPU broke down at some time.`,
      evidence: [evidence('pcie.fatalErrorCount', count, 0)],
      action: 'check-mechanicals',
      actionAlone: 'monitor',
      confirmedBy: ['log.pcie-error', 'log.xid-79', 'log.bus-loss'],
      confidence: 'medium',
    })),
  },
];
