import type { GpuReading } from '../domain/gpu.ts';
import { loadOf, performanceStateOf } from './compare.ts';
import {
  evidence,
  finding,
  type HealthRule,
  missing,
  type RuleContext,
  type RuleOutcome,
  readingOf,
} from './rule.ts';

function evaluateImposedLimit(reading: GpuReading, context: RuleContext): RuleOutcome {
  const enforced = readingOf(reading, 'power.enforcedLimitWatts');
  if (enforced === undefined) return missing(reading, 'power.enforcedLimitWatts');
  const requested = readingOf(reading, 'power.requestedLimitWatts');
  if (requested === undefined) return missing(reading, 'power.requestedLimitWatts');
  const limit = (requested * context.threshold('power.limit-imposed', 'sharePercent')) / 100;
  if (enforced >= limit) return 'pass';
  return finding({
    verdict: 'warning',
    what: `Hardware or firmware allows this GPU ${enforced} W, where ${requested} W are asked for.`,
    evidence: [evidence('power.enforcedLimitWatts', enforced, Math.round(limit))],
    action: 'check-mechanicals',
    actionAlone: 'monitor',
    confirmedBy: ['power.brake', 'clocks.board-limit-duty', 'log.xid-54'],
    confidence: 'medium',
  });
}

function evaluateReducedLimit(reading: GpuReading, context: RuleContext): RuleOutcome {
  const enforced = readingOf(reading, 'power.enforcedLimitWatts');
  if (enforced === undefined) return missing(reading, 'power.enforcedLimitWatts');
  const usual = readingOf(reading, 'power.defaultLimitWatts');
  if (usual === undefined) return missing(reading, 'power.defaultLimitWatts');
  const limitOf = (name: string) => (usual * context.threshold('power.limit-reduced', name)) / 100;
  if (enforced >= limitOf('notePercent')) return 'pass';
  const minimum = readingOf(reading, 'power.minLimitWatts');
  const isFar = enforced < limitOf('warningPercent') || (minimum !== undefined && enforced < minimum);
  return finding({
    verdict: isFar ? 'warning' : 'ok',
    what: `The power limit is ${enforced} W, below the default of ${usual} W: the GPU is slower than its like under load.`,
    evidence: [
      evidence(
        'power.enforcedLimitWatts',
        enforced,
        Math.round(limitOf(isFar ? 'warningPercent' : 'notePercent')),
      ),
    ],
    action: isFar ? 'monitor' : 'none',
    confidence: 'high',
  });
}

function evaluateDraw(reading: GpuReading, context: RuleContext): RuleOutcome {
  const draw = readingOf(reading, 'power.drawWatts');
  if (draw === undefined) return missing(reading, 'power.drawWatts');
  const highest = readingOf(reading, 'power.maxLimitWatts') ?? readingOf(reading, 'power.defaultLimitWatts');
  if (highest === undefined) return missing(reading, 'power.maxLimitWatts');
  const limitOf = (name: string) => (highest * context.threshold('power.draw-implausible', name)) / 100;
  const utilization = readingOf(reading, 'utilization.gpuPercent');
  const isTooHigh = draw > limitOf('abovePercent');
  // 100 % busy in the slowest state is the driver waking up, and no load.
  const isAtWork =
    loadOf(reading) === 'busy' && (utilization ?? 0) >= 90 && (performanceStateOf(reading) ?? 0) <= 2;
  const isTooLow = isAtWork && draw < limitOf('belowPercent');
  if (!isTooHigh && !isTooLow) return 'pass';
  return finding({
    verdict: 'warning',
    what: isTooHigh
      ? `The GPU reports ${draw} W, far above the ${highest} W it can be allowed: power or its sensor is wrong.`
      : `The GPU says it is ${utilization} % busy and draws only ${draw} W: its work may hang, or its power sensor is wrong.`,
    evidence: [
      evidence('power.drawWatts', draw, Math.round(limitOf(isTooHigh ? 'abovePercent' : 'belowPercent'))),
    ],
    action: 'monitor',
    confidence: 'low',
  });
}

const share = (value: number, what: string, minimum: number, maximum: number) => ({
  value,
  unit: '% of the limit',
  what,
  minimum,
  maximum,
});

/** Power limits and what is drawn. */
export const powerRules: readonly HealthRule[] = [
  {
    id: 'power.limit-imposed',
    title: 'Power limit imposed from below',
    threshold: 'the limit in force is under 90 % of the one that was asked for',
    thresholds: { sharePercent: share(90, 'warning below it', 1, 100) },
    appliesTo: 'products that tell both limits',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'medium',
    source: 'NVML enforced power limit (the lowest of all limiters); the number is ours',
    note: 'A limit that an administrator asked for is no fault here.',
    essential: false,
    sections: ['power'],
    evaluate: evaluateImposedLimit,
  },
  {
    id: 'power.limit-reduced',
    title: 'Power limit below the default',
    threshold:
      'told under 90 % of the default limit; warning under 50 %, or under the lowest that the board allows',
    thresholds: {
      notePercent: share(90, 'told below it', 1, 100),
      warningPercent: share(50, 'warning below it', 1, 100),
    },
    appliesTo: 'products with a power limit',
    verdict: 'warning',
    action: 'monitor',
    confidence: 'high',
    source: 'Meta GCM (settings against expectation); the numbers are ours',
    note: 'Lower limits are set on purpose to save power or noise, so a moderate one is told and no fault.',
    essential: false,
    sections: ['power'],
    evaluate: evaluateReducedLimit,
  },
  {
    id: 'power.draw-implausible',
    title: 'Implausible power draw',
    threshold: 'above 150 % of the highest limit, or below 8 % of it while at least 90 % busy',
    thresholds: {
      abovePercent: share(150, 'warning above it', 100, 1_000),
      belowPercent: share(8, 'warning below it while busy', 0, 50),
    },
    appliesTo: 'products that tell power and a limit',
    verdict: 'warning',
    action: 'monitor',
    confidence: 'low',
    source:
      'NVIDIA Health Validation (below 65 W or above 1,500 W on GB200 and GB300), as shares of the limit',
    note: 'Low power at idle is normal and never raises it.',
    essential: false,
    sections: ['power', 'utilization', 'clocks'],
    evaluate: evaluateDraw,
  },
];
