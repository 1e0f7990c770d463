import type { GpuReading } from '../domain/gpu.ts';
import {
  evidence,
  finding,
  type HealthRule,
  missing,
  passUnlessMissing,
  type RuleOutcome,
  readingOf,
  whenSet,
} from './rule.ts';

/** What says of a memory fault, beside ECC counters and the row remapper, that it is real. */
const memoryFault = ['recovery.', 'log.xid-48', 'log.xid-63', 'log.xid-64', 'log.xid-94', 'log.xid-95'];
/** The same for a repair that has no resources left: new errors say that it matters. */
const wornOut = ['ecc.', ...memoryFault];

/** Pages a product before Ampere can retire. Source: NVIDIA dynamic page retirement (the table holds 64). */
const retiredPages = { warningAbove: 10, nearlyFull: 62, full: 63 } as const;

function evaluateRetiredPages(reading: GpuReading): RuleOutcome {
  const count = readingOf(reading, 'rowRemap.retiredPageCount');
  if (count === undefined) return missing(reading, 'rowRemap.retiredPageCount');
  const pending = readingOf(reading, 'rowRemap.retiredPagesPending') === true;
  const full = count >= retiredPages.full || (count >= retiredPages.nearlyFull && pending);
  if (!full && count <= retiredPages.warningAbove) return 'pass';
  return finding({
    verdict: full ? 'critical' : 'warning',
    what: full
      ? `${count} memory pages are retired${pending ? ' and more wait to be' : ''}: there is room for no more.`
      : `${count} memory pages are retired: the memory of this GPU wears out.`,
    evidence: [
      evidence(
        'rowRemap.retiredPageCount',
        count,
        full ? (pending ? retiredPages.nearlyFull : retiredPages.full) : retiredPages.warningAbove,
      ),
    ],
    action: 'contact-support',
    actionAlone: 'monitor',
    confirmedBy: wornOut,
    confidence: 'high',
  });
}

function evaluateRepairPending(reading: GpuReading): RuleOutcome {
  const paths = ['rowRemap.channelRepairPending', 'rowRemap.tpcRepairPending'] as const;
  const pending = paths.filter((path) => readingOf(reading, path) === true);
  if (pending.length === 0) return passUnlessMissing(reading, paths);
  const parts = pending.map((path) =>
    path === 'rowRemap.channelRepairPending' ? 'a memory channel' : 'a processing cluster (TPC)',
  );
  return finding({
    verdict: 'warning',
    what: `A repair of ${parts.join(' and ')} waits for the next GPU reset: plan one when the GPU is drained.`,
    evidence: pending.map((path) => evidence(path, true)),
    action: 'reset-gpu',
    actionAlone: 'monitor',
    confirmedBy: wornOut,
    confidence: 'high',
  });
}

function evaluateHistogram(reading: GpuReading): RuleOutcome {
  const histogram = readingOf(reading, 'rowRemap.histogram');
  if (histogram === undefined) return missing(reading, 'rowRemap.histogram');
  const banks = histogram.noneBankCount;
  if (!(banks > 0)) return 'pass';
  return finding({
    verdict: 'warning',
    what: `${banks} memory bank${banks === 1 ? ' has' : 's have'} no spare row left: the next bad row there cannot be remapped.`,
    evidence: [evidence('rowRemap.histogram', banks, 0)],
    action: 'contact-support',
    actionAlone: 'monitor',
    confirmedBy: wornOut,
    confidence: 'high',
  });
}

const uncorrectableRowLimit = 512;

function evaluateRemappedRows(reading: GpuReading): RuleOutcome {
  const rows = readingOf(reading, 'rowRemap.uncorrectableRowCount');
  if (rows === undefined) return missing(reading, 'rowRemap.uncorrectableRowCount');
  if (rows < uncorrectableRowLimit) return 'pass';
  return finding({
    verdict: 'critical',
    what: `${rows} memory rows were remapped for uncorrectable errors, which is the limit the vendor sets.`,
    evidence: [evidence('rowRemap.uncorrectableRowCount', rows, uncorrectableRowLimit)],
    action: 'contact-support',
    actionAlone: 'monitor',
    confirmedBy: wornOut,
    confidence: 'high',
  });
}

/** ECC, row remapping and page retirement. */
export const memoryRules: readonly HealthRule[] = [
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
    id: 'remap.unrepairable',
    title: 'Memory unrepairable',
    threshold: "the driver's unrepairable-memory flag is set",
    source: 'NVML unrepairable memory flag; DCGM 4.6 health (any: failure, vendor support)',
    essential: false,
    sections: ['rowRemap'],
    evaluate: whenSet('rowRemap.memoryUnrepairable', () => ({
      verdict: 'critical',
      what: 'The driver says that the memory of this GPU is broken beyond repair.',
      evidence: [evidence('rowRemap.memoryUnrepairable', true)],
      action: 'contact-support',
      authoritative: true,
      confidence: 'high',
    })),
  },
  {
    id: 'remap.uncorrectable-rows',
    title: 'Many rows remapped for uncorrectable errors',
    threshold: '>= 512 rows',
    source: 'DCGM 4.6 health; Azure AzHPC node health checks mean the same (> 512)',
    essential: false,
    sections: ['rowRemap'],
    evaluate: evaluateRemappedRows,
  },
  {
    id: 'remap.bank-exhausted',
    title: 'Memory bank without spare rows',
    threshold: '> 0 banks with no row left in the row-remap histogram',
    source: 'NVML row remapper histogram; stas00/ml-engineering',
    note: 'The bank works until its next bad row: a warning, and support only once errors come.',
    essential: false,
    sections: ['rowRemap'],
    evaluate: evaluateHistogram,
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
    id: 'remap.repair-pending',
    title: 'Repair pending',
    threshold: "the driver's flag for a pending channel or TPC repair is set",
    source: 'NVML repair status (Blackwell and newer)',
    essential: false,
    sections: ['rowRemap'],
    evaluate: evaluateRepairPending,
  },
  {
    id: 'remap.retired-pages',
    title: 'Retired pages (before Ampere)',
    threshold: '> 10 pages: warning; >= 63 pages, or >= 62 with more pending: critical',
    source: 'DCGM 4.6 (63); Meta GCM (10); Azure AzHPC for V100 (62 and pending)',
    note: 'How many of them are new cannot be told from one reading, so the rule on pages of the last week is not applied.',
    essential: false,
    sections: ['rowRemap'],
    evaluate: evaluateRetiredPages,
  },
];
