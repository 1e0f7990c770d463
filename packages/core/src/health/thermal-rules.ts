import type { GpuReading } from '../domain/gpu.ts';
import type { ClockEventReason } from '../domain/readings/clocks.ts';
import {
  evidence,
  finding,
  type HealthRule,
  missing,
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

/** Heat, power and what holds the clocks back. */
export const thermalRules: readonly HealthRule[] = [
  {
    id: 'thermal.margin',
    title: 'Thermal margin used up',
    threshold:
      'T.Limit margin at or below the slowdown margin (for example -2 C); before Hopper: temperature at or above the slowdown threshold',
    source: 'NVSentinel ADR-042; NVML thermal fields 193 to 196',
    essential: true,
    sections: ['thermal'],
    evaluate: evaluateThermalMargin,
  },
  {
    id: 'thermal.memory',
    title: 'Memory too hot',
    threshold: 'memory temperature above its maximum, where the product has an absolute one',
    source: 'leptonai/gpud (HBM over its maximum is unhealthy)',
    essential: false,
    sections: ['thermal'],
    evaluate: evaluateMemoryTemperature,
  },
  {
    id: 'clocks.thermal-slowdown',
    title: 'Hardware thermal slowdown',
    threshold: 'clock event reason bit 0x40 at the time of reading',
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
];
