import type { ClockEventReason, RowRemapHistogram } from '@k8s-gpu-mcp/core';
import { type Form, printedAt, type SmiNode } from './document.ts';
import type { GpuCollector } from './gpu-collector.ts';
import * as values from './values.ts';
import { type Decoder, isMissing, type Missing, missing } from './values.ts';

/** Readings of ours that the tool prints in several parts. */

/** "Throttle" became "event" with R535; what the reasons say stayed. */
const reasonGroups: Readonly<Record<Form, readonly string[]>> = {
  xml: ['clocks_event_reasons', 'clocks_throttle_reasons'],
  text: ['clocks event reasons', 'clocks throttle reasons'],
};
const reasonNames: readonly (readonly [ClockEventReason, readonly string[]])[] = [
  ['idle', ['gpu_idle', 'idle']],
  ['application-clocks', ['applications_clocks_setting', 'applications clocks setting']],
  ['software-power-cap', ['sw_power_cap', 'sw power cap']],
  ['hardware-slowdown', ['hw_slowdown', 'hw slowdown']],
  ['sync-boost', ['sync_boost', 'sync boost']],
  ['software-thermal-slowdown', ['sw_thermal_slowdown', 'sw thermal slowdown']],
  ['hardware-thermal-slowdown', ['hw_thermal_slowdown', 'hw thermal slowdown']],
  ['hardware-power-brake', ['hw_power_brake_slowdown', 'hw power brake slowdown']],
  ['display-clocks', ['display_clocks_setting', 'display clock setting', 'display clocks setting']],
];
/** Of several active ones, the line of the one that asks for most is named. */
const worstReasons: readonly ClockEventReason[] = [
  'hardware-thermal-slowdown',
  'hardware-power-brake',
  'hardware-slowdown',
  'software-thermal-slowdown',
];
const reasonByName = new Map(reasonNames.flatMap(([reason, names]) => names.map((name) => [name, reason])));
const noList: Decoder<never> = () => missing('error', 'nvidia-smi printed what is no list');
const reasonPrefix = /^clocks_(?:event|throttle)_reasons?_/;

function readEventReasons(gpu: SmiNode, form: Form, collector: GpuCollector): void {
  const group = gpu.children.find(({ name }) => reasonGroups[form].includes(name));
  if (group === undefined) return;
  const leaf = 'clocks.eventReasons';
  if (group.value !== null && group.children.length === 0) {
    collector.put(leaf, group.line, collector.read(group.value, noList));
    return;
  }
  const reasons = new Set<ClockEventReason>();
  const lines = new Map<ClockEventReason, number>();
  const absent: Missing[] = [];
  let isAnyRead = false;
  let isUnknownActive = false;
  // In the text two of them stand below another one.
  for (const node of group.children.flatMap((child) => [child, ...child.children])) {
    if (node.value === null) continue;
    const state = collector.read(node.value, values.active);
    const reason = reasonByName.get(node.name.replace(reasonPrefix, ''));
    if (isMissing(state)) absent.push(state);
    else if (reason === undefined) isUnknownActive ||= state.value;
    else isAnyRead = true;
    if (state.value !== true || reason === undefined) continue;
    reasons.add(reason);
    lines.set(reason, node.line);
  }
  const inOrder = reasonNames.map(([reason]) => reason).filter((reason) => reasons.has(reason));
  // Clocks held back for a reason we cannot name must not read as not held back.
  const unclear = isUnknownActive && inOrder.length === 0;
  if (isAnyRead && !unclear && absent.every(({ reason }) => reason === 'unsupported')) {
    const worst = worstReasons.find((reason) => reasons.has(reason)) ?? inOrder[0];
    collector.put(leaf, (worst && lines.get(worst)) ?? group.line, { value: inOrder });
    return;
  }
  const gap = absent.find(({ reason }) => reason !== 'unsupported') ?? absent[0];
  collector.put(
    leaf,
    group.line,
    gap ?? missing('error', 'a reason that this version does not know is active'),
  );
}

const histogramMembers: readonly (readonly [keyof RowRemapHistogram, string])[] = [
  ['maxBankCount', 'Max'],
  ['highBankCount', 'High'],
  ['partialBankCount', 'Partial'],
  ['lowBankCount', 'Low'],
  ['noneBankCount', 'None'],
];

function readHistogram(gpu: SmiNode, form: Form, collector: GpuCollector): void {
  const nodes = histogramMembers.map(([, word]) =>
    printedAt(gpu, form, {
      xml: `remapped_rows/row_remapper_histogram/row_remapper_histogram_${word}`,
      text: `Remapped Rows/Bank Remap Availability Histogram/${word}`,
    }),
  );
  const [first] = nodes;
  if (first === undefined) return;
  const counts = nodes.map((node) =>
    node === undefined
      ? missing('error', 'the histogram is not whole')
      : collector.read(node.value, values.bankCount),
  );
  const absent = counts.find(isMissing);
  const at = (position: number) => counts[position]?.value ?? 0;
  const worst = [nodes[4], nodes[3]].find((node, position) => node !== undefined && at(4 - position) > 0);
  collector.put(
    'rowRemap.histogram',
    (worst ?? first).line,
    absent ?? {
      value: {
        maxBankCount: at(0),
        highBankCount: at(1),
        partialBankCount: at(2),
        lowBankCount: at(3),
        noneBankCount: at(4),
      },
    },
  );
}

/**
 * Software and hardware each count their thermal slowdowns, and both can hold the clocks at once: the larger of the two is the time that
 * is certain.
 */
function readThermalViolation(gpu: SmiNode, form: Form, collector: GpuCollector): void {
  const group = 'clocks_event_reasons_counters';
  const nodes = [
    { xml: `${group}/${group}_sw_therm_slowdown`, text: 'Clocks Event Reasons Counters/SW Thermal Slowdown' },
    { xml: `${group}/${group}_hw_therm_slowdown`, text: 'Clocks Event Reasons Counters/HW Thermal Slowdown' },
  ]
    .map((spelling) => printedAt(gpu, form, spelling))
    .filter((node) => node !== undefined);
  const [first] = nodes;
  if (first === undefined || nodes.length < 2) return;
  const times = nodes.map((node) => collector.read(node.value, values.microseconds));
  const absent = times.find(isMissing);
  const value = Math.max(...times.map((time) => time.value ?? 0));
  collector.put('violations.thermalMicroseconds', first.line, absent ?? { value });
}

/**
 * Before there was a recovery action, drivers printed two of its answers as questions. A no to both says nothing of the others. Drivers
 * that print both forms say "deprecated" here; where one still says yes, it is believed before an action of none.
 */
function readResetStatus(gpu: SmiNode, form: Form, collector: GpuCollector): void {
  if ((collector.value('recovery.action') ?? 'none') !== 'none') return;
  const questions = [
    {
      action: 'drain-and-reset',
      xml: 'gpu_reset_status/drain_and_reset_recommended',
      text: 'GPU Reset Status/Drain and Reset Recommended',
    },
    { action: 'reset', xml: 'gpu_reset_status/reset_required', text: 'GPU Reset Status/Reset Required' },
  ] as const;
  for (const { action, ...spelling } of questions) {
    const node = printedAt(gpu, form, spelling);
    if (node === undefined || collector.read(node.value, values.flag).value !== true) continue;
    collector.put('recovery.action', node.line, { value: action });
    return;
  }
}

/** The XML names it twice, old and new: one yes is enough. */
function readPagesPending(gpu: SmiNode, form: Form, collector: GpuCollector): void {
  if (collector.value('rowRemap.retiredPagesPending') !== false) return;
  for (const xml of ['retired_pages/pending_retirement', 'retired_pages/pending_blacklist']) {
    const node = printedAt(gpu, form, { xml, text: 'Retired Pages/Pending' });
    if (node === undefined || collector.read(node.value, values.flag).value !== true) continue;
    collector.put('rowRemap.retiredPagesPending', node.line, { value: true });
    return;
  }
}

export function readComposed(gpu: SmiNode, form: Form, collector: GpuCollector): void {
  readEventReasons(gpu, form, collector);
  readHistogram(gpu, form, collector);
  readThermalViolation(gpu, form, collector);
  readResetStatus(gpu, form, collector);
  readPagesPending(gpu, form, collector);
}
