import type { GpuReading } from '../domain/gpu.ts';
import { counted, inWords, whenGrown } from './compare.ts';
import { memoryErrors } from './confirmation.ts';
import {
  evidence,
  finding,
  type HealthRule,
  missing,
  passUnlessMissing,
  type RuleContext,
  type RuleOutcome,
  readingOf,
  whenSet,
} from './rule.ts';

function evaluateRetiredPages(reading: GpuReading, context: RuleContext): RuleOutcome {
  const count = readingOf(reading, 'rowRemap.retiredPageCount');
  if (count === undefined) return missing(reading, 'rowRemap.retiredPageCount');
  const pending = readingOf(reading, 'rowRemap.retiredPagesPending') === true;
  const limitOf = (name: string) => context.threshold('remap.retired-pages', name);
  const full = count >= limitOf('full') || (count >= limitOf('nearlyFull') && pending);
  if (!full && count <= limitOf('warning')) return 'pass';
  return finding({
    verdict: full ? 'critical' : 'warning',
    what: full
      ? `${count} memory pages are retired${pending ? ' and more wait to be' : ''}: there is room for no more.`
      : `${count} memory pages are retired: the memory of this GPU wears out.`,
    evidence: [
      evidence(
        'rowRemap.retiredPageCount',
        count,
        limitOf(full ? (pending ? 'nearlyFull' : 'full') : 'warning'),
      ),
    ],
    action: 'contact-support',
    // At its limit the vendor's own health check fails the GPU; before it, support needs a second sign.
    ...(full ? { authoritative: true } : { actionAlone: 'monitor', confirmedBy: memoryErrors }),
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
    confirmedBy: memoryErrors,
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
    confirmedBy: memoryErrors,
    confidence: 'high',
  });
}

function evaluateRemappedRows(reading: GpuReading, context: RuleContext): RuleOutcome {
  const rows = readingOf(reading, 'rowRemap.uncorrectableRowCount');
  if (rows === undefined) return missing(reading, 'rowRemap.uncorrectableRowCount');
  const limit = context.threshold('remap.uncorrectable-rows', 'rows');
  if (rows < limit) return 'pass';
  return finding({
    verdict: 'critical',
    what: `${rows} memory rows were remapped for uncorrectable errors, which is the limit the vendor sets.`,
    evidence: [evidence('rowRemap.uncorrectableRowCount', rows, limit)],
    action: 'contact-support',
    // At its limit the vendor's own health check fails the GPU.
    authoritative: true,
    confidence: 'high',
  });
}

/** How bad memory is set aside: row remapping, and page retirement before it. */
export const memoryRules: readonly HealthRule[] = [
  {
    id: 'remap.failed',
    title: 'Row remapping failed',
    threshold: "the driver's failure flag is set",
    appliesTo: 'products that remap rows (Ampere and newer); hidden while MIG is enabled',
    verdict: 'critical',
    action: 'run-field-diagnostic',
    confidence: 'high',
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
    appliesTo: 'products whose driver tells it (Blackwell, and some before)',
    verdict: 'critical',
    action: 'contact-support',
    confidence: 'high',
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
    thresholds: {
      rows: { value: 512, unit: 'rows', what: 'critical from it on', minimum: 1, maximum: 100_000 },
    },
    appliesTo: 'products that remap rows (Ampere and newer); hidden while MIG is enabled',
    verdict: 'critical',
    action: 'contact-support',
    confidence: 'high',
    source: 'DCGM 4.6 health; Azure AzHPC node health checks mean the same (> 512)',
    essential: false,
    sections: ['rowRemap'],
    evaluate: evaluateRemappedRows,
  },
  {
    id: 'remap.bank-exhausted',
    title: 'Memory bank without spare rows',
    threshold: '> 0 banks with no row left in the row-remap histogram',
    appliesTo: 'products that remap rows (Ampere and newer); hidden while MIG is enabled',
    verdict: 'warning',
    action: 'contact-support',
    confidence: 'high',
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
    appliesTo: 'products that remap rows (Ampere and newer); hidden while MIG is enabled',
    verdict: 'warning',
    action: 'reset-gpu',
    confidence: 'high',
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
      confirmedBy: memoryErrors,
      confidence: 'high',
    })),
  },
  {
    id: 'remap.pages-pending',
    title: 'Page retirement pending (before Ampere)',
    threshold: 'pages wait to be retired',
    appliesTo: 'products that retire pages (before Ampere)',
    verdict: 'warning',
    action: 'reset-gpu',
    confidence: 'high',
    source: 'Azure healthagent; NVSentinel PR#1827',
    essential: false,
    sections: ['rowRemap'],
    evaluate: whenSet('rowRemap.retiredPagesPending', () => ({
      verdict: 'warning',
      what: 'Memory pages wait to be retired, which happens when the driver is reloaded.',
      evidence: [evidence('rowRemap.retiredPagesPending', true)],
      action: 'reset-gpu',
      actionAlone: 'monitor',
      confirmedBy: memoryErrors,
      confidence: 'high',
    })),
  },
  {
    id: 'remap.repair-pending',
    title: 'Repair pending',
    threshold: "the driver's flag for a pending channel or TPC repair is set",
    appliesTo: 'products with channel or TPC repair (Blackwell and newer)',
    verdict: 'warning',
    action: 'reset-gpu',
    confidence: 'high',
    source: 'NVML repair status (Blackwell and newer)',
    essential: false,
    sections: ['rowRemap'],
    evaluate: evaluateRepairPending,
  },
  {
    id: 'remap.retired-pages',
    title: 'Retired pages (before Ampere)',
    threshold: '> 10 pages: warning; >= 63 pages, or >= 62 with more pending: critical',
    thresholds: {
      warning: { value: 10, unit: 'pages', what: 'warning above it', minimum: 0, maximum: 64 },
      nearlyFull: {
        value: 62,
        unit: 'pages',
        what: 'critical from it on while more are pending',
        minimum: 1,
        maximum: 64,
      },
      full: { value: 63, unit: 'pages', what: 'critical from it on', minimum: 1, maximum: 64 },
    },
    appliesTo: 'products that retire pages (before Ampere)',
    verdict: 'critical',
    action: 'contact-support',
    confidence: 'high',
    source: 'DCGM 4.6 (63); Meta GCM (10); Azure AzHPC for V100 (62 and pending)',
    note: 'What is new among them is judged by remap.pages-new.',
    essential: false,
    sections: ['rowRemap'],
    evaluate: evaluateRetiredPages,
  },
  {
    id: 'remap.bank-low',
    title: 'Memory bank with few spare rows',
    threshold: '>= 1 bank with low availability in the row-remap histogram',
    thresholds: {
      banks: { value: 1, unit: 'banks', what: 'warning from it on', minimum: 1, maximum: 100_000 },
    },
    appliesTo: 'products that remap rows (Ampere and newer); hidden while MIG is enabled',
    verdict: 'warning',
    action: 'monitor',
    confidence: 'low',
    source: 'NVML row remapper histogram (low availability); stas00/ml-engineering',
    note: 'Rows that were remapped well leave a bank at high or partial availability, which is not judged.',
    essential: false,
    sections: ['rowRemap'],
    evaluate(reading, context) {
      const histogram = readingOf(reading, 'rowRemap.histogram');
      if (histogram === undefined) return missing(reading, 'rowRemap.histogram');
      const limit = context.threshold('remap.bank-low', 'banks');
      if (!(histogram.lowBankCount >= limit)) return 'pass';
      return finding({
        verdict: 'warning',
        what: `${counted(histogram.lowBankCount, 'memory bank')} with few spare rows left: the same place has failed again and again.`,
        evidence: [evidence('rowRemap.histogram', histogram.lowBankCount, limit)],
        action: 'monitor',
        confidence: 'low',
      });
    },
  },
  {
    id: 'remap.rows-new',
    title: 'Rows newly remapped',
    threshold: 'more rows remapped for uncorrectable errors than at an earlier reading',
    appliesTo: 'products that remap rows (Ampere and newer); needs an earlier reading',
    verdict: 'warning',
    action: 'reset-gpu',
    confidence: 'high',
    source: 'NVIDIA GPU memory error management (a remap takes effect at the next reset)',
    note: 'Only what was added is judged: rows remapped long ago are a repair that worked.',
    essential: false,
    sections: ['rowRemap'],
    evaluate: whenGrown('rowRemap.uncorrectableRowCount', ({ increase, seconds }) => ({
      verdict: 'warning',
      what: `${counted(increase, 'memory row')} newly remapped for uncorrectable errors within ${inWords(seconds)}.`,
      evidence: [evidence('rowRemap.uncorrectableRowCount', increase, 0)],
      action: 'reset-gpu',
      actionAlone: 'monitor',
      confirmedBy: memoryErrors,
      confidence: 'high',
    })),
  },
  {
    id: 'remap.pages-new',
    title: 'Pages newly retired (before Ampere)',
    threshold:
      'more pages retired than at an earlier reading; critical with more than 15 for double-bit errors',
    thresholds: {
      doubleBitPages: {
        value: 15,
        unit: 'pages',
        what: 'critical above it when one is new',
        minimum: 0,
        maximum: 64,
      },
    },
    appliesTo: 'products that retire pages (before Ampere); needs an earlier reading',
    verdict: 'critical',
    action: 'contact-support',
    confidence: 'high',
    source: 'DCGM 4.6 health (more than 15 pages for double-bit errors and one of them within a week)',
    note: 'Only what was added since the earlier reading is new; that is at most a day old, so a page of some days ago is missed.',
    essential: false,
    sections: ['rowRemap'],
    evaluate(reading, context) {
      const doubleBit = readingOf(reading, 'rowRemap.doubleBitRetiredPageCount') ?? 0;
      const limit = context.threshold('remap.pages-new', 'doubleBitPages');
      return whenGrown('rowRemap.retiredPageCount', ({ increase, seconds }) => ({
        verdict: doubleBit > limit ? 'critical' : 'warning',
        what: `${counted(increase, 'memory page')} newly retired within ${inWords(seconds)}; ${doubleBit} are retired for double-bit errors in all.`,
        evidence: [
          evidence('rowRemap.retiredPageCount', increase, 0),
          evidence('rowRemap.doubleBitRetiredPageCount', doubleBit, limit),
        ],
        action: 'contact-support',
        actionAlone: 'monitor',
        confirmedBy: memoryErrors,
        confidence: 'high',
      }))(reading, context);
    },
  },
];
