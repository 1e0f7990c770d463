import type { GpuReading } from '../domain/gpu.ts';
import { counted, growthOf, inWords, whenGrown } from './compare.ts';
import { memoryFault } from './confirmation.ts';
import {
  evidence,
  finding,
  type HealthRule,
  missing,
  type ReadingPath,
  type RuleContext,
  type RuleOutcome,
  readingOf,
  whenSet,
} from './rule.ts';

/** Every memory location but SRAM, since the driver was loaded. Undefined when it is not told. */
function dramCorrectableOf(reading: GpuReading): number | undefined {
  const dram = readingOf(reading, 'ecc.locations')?.find(({ location }) => location === 'dram');
  if (dram && dram.correctableVolatileCount !== null) return dram.correctableVolatileCount;
  const all = readingOf(reading, 'ecc.correctableVolatileCount');
  const sram = readingOf(reading, 'ecc.sramCorrectableVolatileCount');
  return all === undefined || sram === undefined ? undefined : Math.max(0, all - sram);
}

function evaluateDramCorrectable(reading: GpuReading, context: RuleContext): RuleOutcome {
  const count = dramCorrectableOf(reading);
  if (count === undefined) return missing(reading, 'ecc.correctableVolatileCount');
  const warning = context.threshold('ecc.dram-correctable', 'warning');
  const critical = context.threshold('ecc.dram-correctable', 'critical');
  if (count <= warning) return 'pass';
  const isCritical = count > critical;
  return finding({
    verdict: isCritical ? 'critical' : 'warning',
    what: `${count} errors of the GPU memory were corrected since the driver was loaded: the memory wears out.`,
    evidence: [evidence('ecc.correctableVolatileCount', count, isCritical ? critical : warning)],
    action: 'contact-support',
    actionAlone: 'monitor',
    confirmedBy: ['remap.', ...memoryFault],
    confidence: 'medium',
  });
}

const sramSources = {
  'ecc.sramUncorrectableL2AggregateCount': 'the L2 cache',
  'ecc.sramUncorrectableSmAggregateCount': 'the multiprocessors',
  'ecc.sramUncorrectablePcieAggregateCount': 'the PCIe unit',
  'ecc.sramUncorrectableMicrocontrollerAggregateCount': 'a microcontroller',
  'ecc.sramUncorrectableOtherAggregateCount': 'another unit',
} as const satisfies Partial<Record<ReadingPath, string>>;

function evaluateSramSources(reading: GpuReading, { baseline }: RuleContext): RuleOutcome {
  const paths = Object.keys(sramSources) as (keyof typeof sramSources)[];
  if (paths.every((path) => readingOf(reading, path) === undefined))
    return missing(reading, 'ecc.sramUncorrectableL2AggregateCount');
  const grown = paths.map((path) => ({ path, growth: growthOf(reading, baseline, path) }));
  if (grown.every(({ growth }) => growth === undefined)) return 'not-judged';
  const hit = grown.filter(({ growth }) => (growth?.increase ?? 0) > 0);
  if (hit.length === 0) return 'pass';
  const seconds = Math.max(...hit.map(({ growth }) => growth?.seconds ?? 0));
  return finding({
    verdict: 'critical',
    what: `New uncorrectable SRAM errors in ${hit.map(({ path }) => sramSources[path]).join(', ')} within ${inWords(seconds)}.`,
    evidence: hit.map(({ path, growth }) => evidence(path, growth?.increase ?? null, 0)),
    action: 'run-field-diagnostic',
    actionAlone: 'restart-app',
    confirmedBy: ['ecc.sram-threshold', ...memoryFault],
    confidence: 'high',
  });
}

function evaluateEnabled(reading: GpuReading): RuleOutcome {
  const enabled = readingOf(reading, 'ecc.enabled');
  if (enabled === undefined) return missing(reading, 'ecc.enabled');
  if (enabled) return 'pass';
  return finding({
    verdict: 'warning',
    what: 'Error correction is switched off on a product that is sold with it on: memory errors pass unseen.',
    evidence: [evidence('ecc.enabled', false, 'true')],
    action: 'monitor',
    confidence: 'high',
  });
}

function evaluatePendingMode(reading: GpuReading): RuleOutcome {
  const enabled = readingOf(reading, 'ecc.enabled');
  const pending = readingOf(reading, 'ecc.pendingEnabled');
  if (enabled === undefined) return missing(reading, 'ecc.enabled');
  if (pending === undefined) return missing(reading, 'ecc.pendingEnabled');
  if (enabled === pending) return 'pass';
  return finding({
    verdict: 'ok',
    what: `Error correction will be switched ${pending ? 'on' : 'off'} by the next reset or reboot.`,
    evidence: [evidence('ecc.pendingEnabled', pending, String(enabled))],
    action: 'none',
    confidence: 'high',
  });
}

const counts = (what: string, value: number, maximum = 1e12) => ({
  value,
  unit: 'errors',
  what,
  minimum: 0,
  maximum,
});
const rate = (what: string, value: number) => ({
  value,
  unit: 'errors per second',
  what,
  minimum: 0.001,
  maximum: 1e9,
});

/** Errors of memory that error correction saw. */
export const eccRules: readonly HealthRule[] = [
  {
    id: 'ecc.uncorrectable-volatile',
    title: 'Uncorrectable ECC errors since the driver was loaded',
    threshold: '> 0 errors (volatile)',
    thresholds: { errors: counts('critical above it', 0) },
    appliesTo: 'products with ECC',
    verdict: 'critical',
    action: 'reset-gpu',
    confidence: 'medium',
    source:
      'DCGM 4.6 health, NVSentinel, Azure healthagent; against it leptonai/gpud PR#108 (fine while rows remap)',
    note: 'Lifetime (aggregate) counts never raise it.',
    essential: true,
    sections: ['ecc'],
    evaluate(reading, context) {
      const count = readingOf(reading, 'ecc.uncorrectableVolatileCount');
      if (count === undefined) return missing(reading, 'ecc.uncorrectableVolatileCount');
      const limit = context.threshold('ecc.uncorrectable-volatile', 'errors');
      if (count <= limit) return 'pass';
      return finding({
        verdict: 'critical',
        what: `${counted(count, 'uncorrectable ECC error')} since the driver was loaded: work that touched that memory failed.`,
        evidence: [evidence('ecc.uncorrectableVolatileCount', count, limit)],
        action: 'reset-gpu',
        actionAlone: 'restart-app',
        confirmedBy: ['remap.', ...memoryFault],
        confidence: 'medium',
      });
    },
  },
  {
    id: 'ecc.uncorrectable-new',
    title: 'New uncorrectable ECC errors',
    threshold: 'the lifetime count grew since an earlier reading',
    appliesTo: 'products with ECC; needs an earlier reading',
    verdict: 'critical',
    action: 'reset-gpu',
    confidence: 'high',
    source: 'DCGM 4.6 health; NVIDIA GPU memory error management',
    note: 'Only what was added is judged, never the lifetime count. Not said again where the count since the driver was loaded says it.',
    essential: false,
    sections: ['ecc'],
    evaluate(reading, context) {
      // The same errors: one finding is enough.
      if ((readingOf(reading, 'ecc.uncorrectableVolatileCount') ?? 0) > 0) return 'pass';
      return whenGrown('ecc.uncorrectableAggregateCount', ({ increase, seconds }) => ({
        verdict: 'critical',
        what: `${counted(increase, 'new uncorrectable ECC error')} within ${inWords(seconds)}.`,
        evidence: [evidence('ecc.uncorrectableAggregateCount', increase, 0)],
        action: 'reset-gpu',
        actionAlone: 'restart-app',
        confirmedBy: ['remap.', ...memoryFault],
        confidence: 'high',
      }))(reading, context);
    },
  },
  {
    id: 'ecc.correctable-storm',
    title: 'Storm of corrected memory errors',
    threshold: '>= 10 corrected errors a second since an earlier reading; critical from 1,000 a second',
    thresholds: {
      warning: rate('warning from it on', 10),
      critical: rate('critical from it on', 1_000),
    },
    appliesTo: 'products with ECC; needs an earlier reading',
    verdict: 'critical',
    action: 'drain-node',
    confidence: 'high',
    source:
      'NVIDIA/DCGM#313, NVIDIA/NVSentinel#1748 (17,700 a second while driver calls blocked; the node was taken out for repair); the numbers are ours',
    note: 'A rate between two readings: counts since boot or over the life of the board never raise it.',
    essential: false,
    sections: ['ecc'],
    evaluate: whenGrown('ecc.correctableVolatileCount', ({ increase, seconds }, context) => {
      const perSecond = increase / seconds;
      const warning = context.threshold('ecc.correctable-storm', 'warning');
      const critical = context.threshold('ecc.correctable-storm', 'critical');
      if (perSecond < warning) return undefined;
      const isCritical = perSecond >= critical;
      return {
        verdict: isCritical ? 'critical' : 'warning',
        what: `${Math.round(perSecond)} memory errors a second were corrected over ${inWords(seconds)}: correcting them slows the GPU and can block the driver.`,
        evidence: [
          evidence(
            'ecc.correctableVolatileCount',
            increase,
            Math.ceil((isCritical ? critical : warning) * seconds),
          ),
        ],
        action: 'drain-node',
        actionAlone: 'monitor',
        confirmedBy: ['gpu.hung', 'driver.slow', 'remap.', 'log.xid-92', 'log.hung-task', ...memoryFault],
        confidence: 'high',
      };
    }),
  },
  {
    id: 'ecc.dram-correctable',
    title: 'Many corrected errors of the GPU memory',
    threshold: '> 20,000,000 errors since the driver was loaded; critical above 50,000,000',
    thresholds: {
      warning: counts('warning above it', 20_000_000),
      critical: counts('critical above it', 50_000_000),
    },
    appliesTo: 'products with ECC',
    verdict: 'critical',
    action: 'contact-support',
    confidence: 'medium',
    source: 'Azure/azurehpc PR#650 (20,000,000); Meta GCM (50,000,000: drain)',
    note: 'Volatile counts only: the same number over the life of a board is no fault.',
    essential: false,
    sections: ['ecc'],
    evaluate: evaluateDramCorrectable,
  },
  {
    id: 'ecc.sram-correctable',
    title: 'Many corrected SRAM errors',
    threshold: '> 10,000 errors since the driver was loaded',
    thresholds: { errors: counts('warning above it', 10_000) },
    appliesTo: 'products that count SRAM errors',
    verdict: 'warning',
    action: 'contact-support',
    confidence: 'medium',
    source: 'Azure/azurehpc PR#649 (10,000: vendor support)',
    note: 'Volatile counts only: the same number over the life of a board is no fault.',
    essential: false,
    sections: ['ecc'],
    evaluate(reading, context) {
      const count = readingOf(reading, 'ecc.sramCorrectableVolatileCount');
      if (count === undefined) return missing(reading, 'ecc.sramCorrectableVolatileCount');
      const limit = context.threshold('ecc.sram-correctable', 'errors');
      if (count <= limit) return 'pass';
      return finding({
        verdict: 'warning',
        what: `${count} SRAM errors were corrected since the driver was loaded.`,
        evidence: [evidence('ecc.sramCorrectableVolatileCount', count, limit)],
        action: 'contact-support',
        actionAlone: 'monitor',
        confirmedBy: ['ecc.sram-uncorrectable', 'ecc.sram-threshold', ...memoryFault],
        confidence: 'medium',
      });
    },
  },
  {
    id: 'ecc.sram-uncorrectable',
    title: 'Uncorrectable SRAM errors since the driver was loaded',
    threshold: '> 0 errors (volatile)',
    thresholds: { errors: counts('critical above it', 0) },
    appliesTo: 'products that count SRAM errors',
    verdict: 'critical',
    action: 'run-field-diagnostic',
    confidence: 'medium',
    source: 'Azure AzHPC node health checks (any: vendor support); NVIDIA workflow for Xid 48 (SRAM unit)',
    note: 'SRAM has no rows to remap, so a repair cannot follow. Lifetime counts never raise it.',
    essential: false,
    sections: ['ecc'],
    evaluate(reading, context) {
      const count = readingOf(reading, 'ecc.sramUncorrectableVolatileCount');
      if (count === undefined) return missing(reading, 'ecc.sramUncorrectableVolatileCount');
      const limit = context.threshold('ecc.sram-uncorrectable', 'errors');
      if (count <= limit) return 'pass';
      return finding({
        verdict: 'critical',
        what: `${counted(count, 'uncorrectable SRAM error')} since the driver was loaded.`,
        evidence: [evidence('ecc.sramUncorrectableVolatileCount', count, limit)],
        action: 'run-field-diagnostic',
        actionAlone: 'restart-app',
        confirmedBy: ['ecc.sram-threshold', ...memoryFault],
        confidence: 'medium',
      });
    },
  },
  {
    id: 'ecc.sram-source',
    title: 'Unit with new uncorrectable SRAM errors',
    threshold: 'the lifetime count of a unit grew since an earlier reading',
    appliesTo: 'products that tell SRAM errors by unit; needs an earlier reading',
    verdict: 'critical',
    action: 'run-field-diagnostic',
    confidence: 'high',
    source: 'NVML SRAM ECC error status (counts by source); NVIDIA workflow for Xid 48',
    note: 'Only what was added is judged, never the lifetime count.',
    essential: false,
    sections: ['ecc'],
    evaluate: evaluateSramSources,
  },
  {
    id: 'ecc.sram-threshold',
    title: 'SRAM error threshold exceeded',
    threshold: "the driver's own flag is set",
    appliesTo: 'products whose driver tells it (Ampere and newer)',
    verdict: 'critical',
    action: 'run-field-diagnostic',
    confidence: 'high',
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
    id: 'ecc.disabled',
    title: 'Error correction switched off',
    threshold: 'ECC mode is off',
    appliesTo: 'data-centre products, which are sold with it on; consumer and workstation cards are not',
    verdict: 'warning',
    action: 'monitor',
    confidence: 'high',
    source: 'NVIDIA nvidia-smi documentation (ECC mode); Meta GCM (settings against expectation)',
    note: 'A GeForce or RTX card with ECC off is as it was sold.',
    essential: false,
    sections: ['ecc'],
    applies: ({ hasEccOnByDefault }) => hasEccOnByDefault,
    evaluate: evaluateEnabled,
  },
  {
    id: 'ecc.mode-pending',
    title: 'Change of the ECC mode waits',
    threshold: 'the mode after the next reset differs from the present one',
    appliesTo: 'products with ECC',
    verdict: 'ok',
    action: 'none',
    confidence: 'high',
    source: 'NVML ECC mode (current and pending)',
    note: 'Somebody set it: told, and no fault.',
    essential: false,
    sections: ['ecc'],
    evaluate: evaluatePendingMode,
  },
];
