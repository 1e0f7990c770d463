import type { GpuReading } from '../domain/gpu.ts';
import type { ClockEventReason } from '../domain/readings/clocks.ts';
import type { RecoveryAction } from '../domain/readings/recovery.ts';
import type { Action, Verdict } from '../domain/verdict.ts';
import {
  evidence,
  type HealthRule,
  missing,
  type ReadingPath,
  type RuleFinding,
  type RuleOutcome,
  readingOf,
} from './rule.ts';

/** What says of a memory fault, beside ECC counters and the row remapper, that it is real. */
const memoryFault = ['recovery.', 'log.xid-48', 'log.xid-63', 'log.xid-64', 'log.xid-94', 'log.xid-95'];

const finding = (outcome: RuleFinding): RuleOutcome => ({ finding: outcome });

/** A rule on a counter or flag: missing, zero or false passes on; anything else is the finding. */
function whenSet(path: ReadingPath, toFinding: (value: number) => RuleFinding) {
  return (reading: GpuReading): RuleOutcome => {
    const value = readingOf(reading, path);
    if (value === undefined) return missing(reading, path);
    const amount = Number(value);
    return amount > 0 ? finding(toFinding(amount)) : 'pass';
  };
}

function whenReason(reason: ClockEventReason, toFinding: () => RuleFinding) {
  return (reading: GpuReading): RuleOutcome => {
    const reasons = readingOf(reading, 'clocks.eventReasons');
    if (reasons === undefined) return missing(reading, 'clocks.eventReasons');
    return reasons.includes(reason) ? finding(toFinding()) : 'pass';
  };
}

/** The driver's advice in our vocabulary. Source: NVML recovery action (field 230); DCGM treats 1, 2 and 4 as errors, 3 as a warning. */
const recovery = {
  none: undefined,
  reset: { verdict: 'critical', action: 'reset-gpu' },
  reboot: { verdict: 'critical', action: 'reboot-node' },
  'drain-p2p': { verdict: 'warning', action: 'drain-node' },
  'drain-and-reset': { verdict: 'critical', action: 'reset-gpu' },
  'recover-imex-domain': { verdict: 'warning', action: 'restart-service' },
} as const satisfies Record<RecoveryAction, { verdict: Verdict; action: Action } | undefined>;

/** The first rules. A later rule only ever adds a row; logic that two rows share is a function above. */
export const healthRules: readonly HealthRule[] = [
  {
    id: 'gpu.lost',
    title: 'GPU lost',
    threshold: 'the driver answers "GPU is lost" (NVML return code 15)',
    source: 'NVML NVML_ERROR_GPU_IS_LOST; NVIDIA Xid catalogue, Xid 79 (immediate action RESTART_BM)',
    essential: true,
    sections: [],
    evaluate: ({ state, stateDetail }) =>
      state === 'lost'
        ? finding({
            verdict: 'critical',
            what: 'The driver has lost this GPU: it no longer answers on its bus.',
            evidence: [{ field: 'state', value: stateDetail ?? 'lost' }],
            action: 'reboot-node',
            authoritative: true,
            confidence: 'high',
          })
        : 'pass',
  },
  {
    id: 'gpu.hung',
    title: 'GPU hung',
    threshold: 'the driver does not come back for this GPU within the deadline of the call',
    source: 'NVIDIA/NVSentinel#1574 (unresponsive driver is a fault of its own)',
    note: 'Alone it asks only for a look at the kernel log; a reset needs a second finding, such as Xid 119.',
    essential: true,
    sections: [],
    evaluate: ({ state, stateDetail }) =>
      state === 'hung'
        ? finding({
            verdict: 'critical',
            what: 'The driver did not answer for this GPU in time; its siblings were asked apart from it.',
            evidence: [{ field: 'state', value: stateDetail ?? 'hung' }],
            action: 'reset-gpu',
            actionAlone: 'monitor',
            confirmedBy: ['log.', 'recovery.'],
            confidence: 'medium',
          })
        : 'pass',
  },
  {
    id: 'gpu.reset-required',
    title: 'GPU waits for a reset',
    threshold: 'the driver answers "reset required" (NVML return code 16)',
    source: 'NVML NVML_ERROR_RESET_REQUIRED',
    essential: true,
    sections: [],
    evaluate: ({ state, stateDetail }) =>
      state === 'reset-required'
        ? finding({
            verdict: 'critical',
            what: 'The driver refuses to use this GPU until it is reset.',
            evidence: [{ field: 'state', value: stateDetail ?? 'reset-required' }],
            action: 'reset-gpu',
            authoritative: true,
            confidence: 'high',
          })
        : 'pass',
  },
  {
    id: 'gpu.unreadable',
    title: 'GPU unreadable',
    threshold: 'the GPU is counted by the driver but could not be read',
    source: 'NVIDIA/NVSentinel#155, aws/eks-node-monitoring-agent#241 (unreadable taken for healthy)',
    essential: true,
    sections: [],
    evaluate: ({ state, stateDetail }) =>
      state === 'unreadable'
        ? finding({
            verdict: 'unknown',
            what: 'This GPU could not be read, so nothing can be said of its health.',
            evidence: [{ field: 'state', value: stateDetail ?? 'unreadable' }],
            action: 'none',
            confidence: 'high',
          })
        : 'pass',
  },
  {
    id: 'ecc.uncorrectable-volatile',
    title: 'Uncorrectable ECC errors since the driver was loaded',
    threshold: '> 0 errors (volatile)',
    source:
      'DCGM 4.6 health, NVSentinel, Azure healthagent; against it leptonai/gpud PR#108 (fine while rows remap)',
    note: 'Lifetime (aggregate) counts never raise it.',
    essential: true,
    sections: ['ecc'],
    evaluate: whenSet('ecc.uncorrectableVolatileCount', (count) => ({
      verdict: 'critical',
      what: `${count} uncorrectable ECC error${count === 1 ? '' : 's'} since the driver was loaded: work that touched that memory failed.`,
      evidence: [evidence('ecc.uncorrectableVolatileCount', count, 0)],
      action: 'reset-gpu',
      actionAlone: 'restart-app',
      confirmedBy: ['remap.', ...memoryFault],
      confidence: 'medium',
    })),
  },
  {
    id: 'ecc.sram-threshold',
    title: 'SRAM error threshold exceeded',
    threshold: "the driver's own flag is set",
    source: 'NVML SRAM ECC error status; NVIDIA workflow for Xid 48; NVSentinel',
    note: 'Reading it needs administrator rights on some drivers.',
    essential: false,
    sections: ['ecc'],
    evaluate: whenSet('ecc.sramThresholdExceeded', () => ({
      verdict: 'critical',
      what: "SRAM errors of this GPU are over the driver's threshold.",
      evidence: [evidence('ecc.sramThresholdExceeded', true)],
      action: 'run-field-diagnostic',
      authoritative: true,
      confidence: 'high',
    })),
  },
  {
    id: 'remap.failed',
    title: 'Row remapping failed',
    threshold: "the driver's failure flag is set",
    source: 'NVIDIA GPU memory error management; DCGM; leptonai/gpud; NVSentinel',
    note: 'A replacement candidate once the field diagnostic confirms it. Not readable while MIG instances exist.',
    essential: false,
    sections: ['rowRemap'],
    evaluate: whenSet('rowRemap.failureOccurred', () => ({
      verdict: 'critical',
      what: 'A faulty memory row could not be remapped.',
      evidence: [evidence('rowRemap.failureOccurred', true)],
      action: 'run-field-diagnostic',
      authoritative: true,
      confidence: 'high',
    })),
  },
  {
    id: 'remap.pending',
    title: 'Row remapping pending',
    threshold: "the driver's pending flag is set",
    source:
      'NVIDIA GPU memory error management (takes effect at the next GPU reset); NVSentinel; leptonai/gpud',
    note: 'Work that does not touch the row may go on until then.',
    essential: false,
    sections: ['rowRemap'],
    evaluate: whenSet('rowRemap.pending', () => ({
      verdict: 'warning',
      what: 'A memory row waits to be remapped, which happens at the next GPU reset: plan one when the GPU is drained.',
      evidence: [evidence('rowRemap.pending', true)],
      action: 'reset-gpu',
      actionAlone: 'monitor',
      confirmedBy: ['ecc.', ...memoryFault],
      confidence: 'high',
    })),
  },
  {
    id: 'remap.pages-pending',
    title: 'Page retirement pending (before Ampere)',
    threshold: 'pages wait to be retired',
    source: 'Azure healthagent; NVSentinel PR#1827',
    essential: false,
    sections: ['rowRemap'],
    evaluate: whenSet('rowRemap.retiredPagesPending', () => ({
      verdict: 'warning',
      what: 'Memory pages wait to be retired, which happens when the driver is reloaded.',
      evidence: [evidence('rowRemap.retiredPagesPending', true)],
      action: 'reset-gpu',
      actionAlone: 'monitor',
      confirmedBy: ['ecc.', ...memoryFault],
      confidence: 'high',
    })),
  },
  {
    id: 'recovery.action',
    title: 'The driver asks for a recovery action',
    threshold: 'anything but none',
    source:
      'NVML recovery action (field 230); NVIDIA/DCGM#263 (health said healthy while it asked for a reset)',
    note: 'Outranks our own mapping.',
    essential: false,
    sections: ['recovery'],
    evaluate(reading) {
      const asked = readingOf(reading, 'recovery.action');
      if (asked === undefined) return missing(reading, 'recovery.action');
      const advice = recovery[asked];
      if (!advice) return 'pass';
      return finding({
        ...advice,
        what: `The driver asks for recovery action "${asked}".`,
        evidence: [evidence('recovery.action', asked, 'none')],
        authoritative: true,
        confidence: 'high',
      });
    },
  },
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
  {
    id: 'pcie.width',
    title: 'PCIe link width',
    threshold: 'current width below the width that GPU and slot both offer',
    source: 'NVIDIA/NVSentinel#890; Oracle OCI health checks; Imbue host-health (kernel "limited by")',
    note: 'Width is judged always; generation drops when idle and is not judged here.',
    essential: false,
    sections: ['pcie'],
    evaluate(reading) {
      const current = readingOf(reading, 'pcie.currentLinkWidthLanes');
      const maximum = readingOf(reading, 'pcie.maxLinkWidthLanes');
      if (current === undefined) return missing(reading, 'pcie.currentLinkWidthLanes');
      if (maximum === undefined) return missing(reading, 'pcie.maxLinkWidthLanes');
      if (current >= maximum) return 'pass';
      return finding({
        verdict: 'warning',
        what: `The PCIe link runs x${current} where x${maximum} is possible: transfers to the host are slower.`,
        evidence: [evidence('pcie.currentLinkWidthLanes', current, maximum)],
        action: 'check-mechanicals',
        actionAlone: 'monitor',
        confirmedBy: ['log.pcie-error', 'log.xid-79', 'log.bus-loss'],
        confidence: 'high',
      });
    },
  },
];

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
