import { medianOf } from '../diagnosis/statistics.ts';
import type { GpuReading } from '../domain/gpu.ts';
import { peersOf } from './compare.ts';
import {
  evidence,
  finding,
  type HealthRule,
  missing,
  type RuleContext,
  type RuleOutcome,
  readingOf,
} from './rule.ts';

/** Of two missing readings: unknown, unless the product has neither. */
function worseOf(first: RuleOutcome, second: RuleOutcome): RuleOutcome {
  return first === 'not-applicable' ? second : first;
}

function evaluateThermalMargin(reading: GpuReading): RuleOutcome {
  const margin = readingOf(reading, 'thermal.marginCelsius');
  const slowdownMargin = readingOf(reading, 'thermal.slowdownMarginCelsius');
  if (margin !== undefined && slowdownMargin !== undefined) {
    if (margin > slowdownMargin) return 'pass';
    return finding({
      verdict: 'critical',
      what: `Thermal margin is ${margin} C, at or beyond the slowdown margin of ${slowdownMargin} C.`,
      evidence: [evidence('thermal.marginCelsius', margin, slowdownMargin)],
      action: 'check-mechanicals',
      actionAlone: 'monitor',
      confirmedBy: ['clocks.thermal-slowdown'],
      confidence: 'high',
    });
  }
  // A margin that exists but was not read must not pass for one the product does not have.
  const marginOutcome =
    margin === undefined
      ? missing(reading, 'thermal.marginCelsius')
      : missing(reading, 'thermal.slowdownMarginCelsius');
  const temperature = readingOf(reading, 'thermal.temperatureCelsius');
  if (temperature === undefined)
    return worseOf(missing(reading, 'thermal.temperatureCelsius'), marginOutcome);
  const slowdown = readingOf(reading, 'thermal.slowdownThresholdCelsius');
  if (slowdown === undefined)
    return worseOf(missing(reading, 'thermal.slowdownThresholdCelsius'), marginOutcome);
  if (temperature < slowdown) return 'pass';
  return finding({
    verdict: 'critical',
    what: `The GPU is at ${temperature} C, at or above its slowdown threshold of ${slowdown} C.`,
    evidence: [evidence('thermal.temperatureCelsius', temperature, slowdown)],
    action: 'check-mechanicals',
    actionAlone: 'monitor',
    confirmedBy: ['clocks.thermal-slowdown'],
    confidence: 'high',
  });
}

function evaluateMemoryTemperature(reading: GpuReading): RuleOutcome {
  const temperature = readingOf(reading, 'thermal.memoryTemperatureCelsius');
  if (temperature === undefined) return missing(reading, 'thermal.memoryTemperatureCelsius');
  const maximum = readingOf(reading, 'thermal.memoryMaxThresholdCelsius');
  if (maximum === undefined) return missing(reading, 'thermal.memoryMaxThresholdCelsius');
  if (temperature <= maximum) return 'pass';
  return finding({
    verdict: 'warning',
    what: `The memory is at ${temperature} C, above its maximum of ${maximum} C.`,
    evidence: [evidence('thermal.memoryTemperatureCelsius', temperature, maximum)],
    action: 'check-mechanicals',
    actionAlone: 'monitor',
    confirmedBy: ['clocks.thermal-slowdown', 'thermal.margin'],
    confidence: 'high',
  });
}

/** The clocks and the fans tell of heat apart from the temperature sensor. */
const heldBackByHeat = ['clocks.thermal', 'clocks.software-thermal', 'thermal.fan'] as const;

/** Degrees above what the product is made to work at, and where that stands; undefined where the product tells neither. */
function aboveOperating(reading: GpuReading) {
  const margin = readingOf(reading, 'thermal.marginCelsius');
  const atMargin = readingOf(reading, 'thermal.maxOperatingMarginCelsius');
  if (margin !== undefined && atMargin !== undefined)
    return { over: atMargin - margin, shown: evidence('thermal.marginCelsius', margin, atMargin) };
  const temperature = readingOf(reading, 'thermal.temperatureCelsius');
  const maximum = readingOf(reading, 'thermal.maxOperatingThresholdCelsius');
  if (temperature === undefined || maximum === undefined) return undefined;
  return { over: temperature - maximum, shown: evidence('thermal.temperatureCelsius', temperature, maximum) };
}

const isSlowedByHeat = (reading: GpuReading) => typeof evaluateThermalMargin(reading) === 'object';

function evaluateOperating(reading: GpuReading, context: RuleContext): RuleOutcome {
  const above = aboveOperating(reading);
  if (!above)
    return worseOf(
      missing(reading, 'thermal.maxOperatingThresholdCelsius'),
      missing(reading, 'thermal.maxOperatingMarginCelsius'),
    );
  const tolerated = context.threshold('thermal.max-operating', 'toleratedCelsius');
  // Past the slowdown point thermal.margin tells it.
  if (above.over <= tolerated || isSlowedByHeat(reading)) return 'pass';
  return finding({
    verdict: 'warning',
    what: `The GPU is ${above.over} C above the temperature it is made to work at.`,
    evidence: [above.shown],
    action: 'check-mechanicals',
    actionAlone: 'monitor',
    confirmedBy: heldBackByHeat,
    confidence: 'high',
  });
}

function evaluateMemoryMargin(reading: GpuReading): RuleOutcome {
  const margin = readingOf(reading, 'thermal.marginCelsius');
  if (margin === undefined) return missing(reading, 'thermal.marginCelsius');
  const atMemory = readingOf(reading, 'thermal.memoryMaxMarginCelsius');
  if (atMemory === undefined) return missing(reading, 'thermal.memoryMaxMarginCelsius');
  // Where the two limits are one, thermal.max-operating tells it.
  if (atMemory <= (readingOf(reading, 'thermal.maxOperatingMarginCelsius') ?? Number.NEGATIVE_INFINITY))
    return 'not-applicable';
  if (margin >= atMemory) return 'pass';
  return finding({
    verdict: 'warning',
    what: `The thermal margin is ${margin} C, beyond the ${atMemory} C at which the memory is at its maximum.`,
    evidence: [evidence('thermal.marginCelsius', margin, atMemory)],
    action: 'check-mechanicals',
    actionAlone: 'monitor',
    confirmedBy: heldBackByHeat,
    confidence: 'medium',
  });
}

/** Alike: power within a quarter of one's own, so that heat differs by cooling and not by work. */
const comparablePower = 0.25;

function evaluateNeighbours(reading: GpuReading, context: RuleContext): RuleOutcome {
  const temperature = readingOf(reading, 'thermal.temperatureCelsius');
  if (temperature === undefined) return missing(reading, 'thermal.temperatureCelsius');
  const draw = readingOf(reading, 'power.drawWatts');
  if (draw === undefined) return missing(reading, 'power.drawWatts');
  const limitOf = (name: string) => context.threshold('thermal.hot-neighbour', name);
  // A slowed GPU draws less for being hot, so that draw only counts against those that draw less.
  const temperatures = peersOf(reading, context).flatMap((peer) => {
    const peerDraw = readingOf(peer, 'power.drawWatts');
    const comparable = peerDraw !== undefined && peerDraw >= draw * (1 - comparablePower);
    return comparable ? (readingOf(peer, 'thermal.temperatureCelsius') ?? []) : [];
  });
  const usual = medianOf(temperatures);
  if (usual === undefined || temperatures.length < limitOf('siblings')) return 'not-judged';
  if (temperature < limitOf('hotCelsius') || temperature - usual < limitOf('aboveMedianCelsius'))
    return 'pass';
  return finding({
    verdict: 'warning',
    what: `The GPU is at ${temperature} C, ${Math.round(temperature - usual)} C above the median of siblings that draw as much power: its cooling is worse than theirs.`,
    evidence: [
      evidence('thermal.temperatureCelsius', temperature, Math.round(usual + limitOf('aboveMedianCelsius'))),
      evidence('power.drawWatts', draw),
    ],
    action: 'check-mechanicals',
    actionAlone: 'monitor',
    confirmedBy: heldBackByHeat,
    confidence: 'medium',
  });
}

function evaluateFans(reading: GpuReading, context: RuleContext): RuleOutcome {
  const fans = readingOf(reading, 'thermal.fans') ?? [];
  const speed = readingOf(reading, 'thermal.fanSpeedPercent');
  if (fans.length === 0 && speed === undefined)
    return reading.thermal?.fans ? 'not-applicable' : missing(reading, 'thermal.fanSpeedPercent');
  const temperature = readingOf(reading, 'thermal.temperatureCelsius');
  if (temperature === undefined) return missing(reading, 'thermal.temperatureCelsius');
  const hot = context.threshold('thermal.fan', 'hotCelsius');
  const stopped = fans.filter((fan) => fan.speedPercent === 0 || fan.speedRevolutionsPerMinute === 0);
  const stands = fans.length > 0 ? stopped.length > 0 : speed === 0;
  if (!stands || temperature < hot) return 'pass';
  const which = fans.length > 0 ? `Fan ${stopped.map(({ index }) => index).join(', ')}` : 'The fan';
  return finding({
    verdict: 'warning',
    what: `${which} of this GPU stands still at ${temperature} C.`,
    evidence: [
      fans.length > 0 ? evidence('thermal.fans', stopped.length, 0) : evidence('thermal.fanSpeedPercent', 0),
      evidence('thermal.temperatureCelsius', temperature, hot),
    ],
    action: 'check-mechanicals',
    actionAlone: 'monitor',
    confirmedBy: ['thermal.margin', 'thermal.max-operating', 'clocks.thermal', 'clocks.software-thermal'],
    confidence: 'medium',
  });
}

/** Heat. */
export const thermalRules: readonly HealthRule[] = [
  {
    id: 'thermal.margin',
    title: 'Thermal margin used up',
    threshold:
      'T.Limit margin at or below the slowdown margin (for example -2 C); before Hopper: temperature at or above the slowdown threshold',
    appliesTo: 'products with a thermal margin (Ada and newer) or an absolute threshold',
    verdict: 'critical',
    action: 'check-mechanicals',
    confidence: 'high',
    source: 'NVSentinel ADR-042; NVML thermal fields 193 to 196',
    essential: true,
    sections: ['thermal'],
    evaluate: evaluateThermalMargin,
  },
  {
    id: 'thermal.memory',
    title: 'Memory too hot',
    threshold: 'memory temperature above its maximum, where the product has an absolute one',
    appliesTo: 'products with an absolute maximum of the memory temperature',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'high',
    source: 'leptonai/gpud (HBM over its maximum is unhealthy)',
    essential: false,
    sections: ['thermal'],
    evaluate: evaluateMemoryTemperature,
  },
  {
    id: 'thermal.max-operating',
    title: 'Above the operating temperature',
    threshold:
      'over the maximum operating temperature (margin below its maximum operating margin), short of the slowdown point',
    thresholds: {
      toleratedCelsius: { value: 0, unit: 'C', what: 'warning above it', minimum: 0, maximum: 30 },
    },
    appliesTo: 'products with a maximum operating temperature or margin',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'high',
    source: 'leptonai/gpud (over the maximum operating threshold is unhealthy); NVML temperature thresholds',
    note: 'A GPU that works hard is warm: fixed numbers such as 83 or 85 C are not used.',
    essential: false,
    sections: ['thermal'],
    evaluate: evaluateOperating,
  },
  {
    id: 'thermal.memory-margin',
    title: 'Memory at its thermal limit',
    threshold:
      'margin below the margin at which the memory is at its maximum, where that is a limit of its own',
    appliesTo: 'products with a thermal margin for the memory (Hopper and newer)',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'medium',
    source: 'NVML thermal fields (T.Limit of the memory); NVSentinel ADR-042',
    essential: false,
    sections: ['thermal'],
    evaluate: evaluateMemoryMargin,
  },
  {
    id: 'thermal.hot-neighbour',
    title: 'Hotter than its siblings at the same power',
    threshold: '>= 15 C above the median of at least 3 siblings that draw as much, and at least 70 C',
    thresholds: {
      aboveMedianCelsius: { value: 15, unit: 'C', what: 'warning from it on', minimum: 3, maximum: 60 },
      hotCelsius: { value: 70, unit: 'C', what: 'below it nothing is said', minimum: 30, maximum: 110 },
      siblings: { value: 3, unit: 'GPUs', what: 'fewer are no comparison', minimum: 1, maximum: 64 },
    },
    appliesTo: 'nodes with several GPUs of one product',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'medium',
    source: 'NVIDIA/Megatron-LM PR#4662 (outlier against peers); the numbers are ours',
    note: 'In a chassis the rear GPUs are warmer by their place (14 C between the rows of an idle machine of eight B200), so the distance is wide and a cool GPU is never named.',
    essential: false,
    sections: ['thermal', 'power'],
    evaluate: evaluateNeighbours,
  },
  {
    id: 'thermal.fan',
    title: 'Fan stands still',
    threshold: 'a fan at 0 while the GPU is at 70 C or more',
    thresholds: {
      hotCelsius: { value: 70, unit: 'C', what: 'fans must turn from it on', minimum: 40, maximum: 110 },
    },
    appliesTo: 'boards with fans of their own',
    verdict: 'warning',
    action: 'check-mechanicals',
    confidence: 'medium',
    source: 'NVML fan speed; the number is ours',
    note: 'Many cards let their fans stand still while cool: 0 % at 45 C is normal. A fan that is blocked still reports the speed it was given.',
    essential: false,
    sections: ['thermal'],
    evaluate: evaluateFans,
  },
];
