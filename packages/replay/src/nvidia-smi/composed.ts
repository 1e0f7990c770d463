import type { ClockEventReason, EccLocation, EccLocationCounts, RowRemapHistogram } from '@k8s-gpu-mcp/core';
import { findNode, pathOf, type SmiNode } from './document.ts';
import type { LeafPath } from './fields.ts';
import type { GpuCollector } from './gpu-collector.ts';
import * as values from './values.ts';
import { type Decoder, isMissing, type Missing, missing, type SmiReading } from './values.ts';

/** Readings of ours that the tool prints in several parts. */

type Form = 'xml' | 'text';
interface Spelling {
  readonly xml: string;
  readonly text: string;
}

type CountLeaf = Extract<LeafPath, `ecc.${string}Count` | 'rowRemap.retiredPageCount'>;

const counters = { Volatile: 'volatile', Aggregate: 'aggregate' } as const;
type Counter = keyof typeof counters;

const errors = (counter: Counter, xml: string, text: string): Spelling => ({
  xml: `ecc_errors/${counters[counter]}/${xml}`,
  text: `ECC Errors/${counter}/${text}`,
});
const sramParity = (counter: Counter) =>
  errors(counter, 'sram_uncorrectable_parity', 'SRAM Uncorrectable Parity');
const sramSecDed = (counter: Counter) =>
  errors(counter, 'sram_uncorrectable_secded', 'SRAM Uncorrectable SEC-DED');
const sramUncorrectable = (counter: Counter) => errors(counter, 'sram_uncorrectable', 'SRAM Uncorrectable');
const sramCorrectable = (counter: Counter) => errors(counter, 'sram_correctable', 'SRAM Correctable');
const dramCorrectable = (counter: Counter) => errors(counter, 'dram_correctable', 'DRAM Correctable');
const dramUncorrectable = (counter: Counter) => errors(counter, 'dram_uncorrectable', 'DRAM Uncorrectable');
const total = (counter: Counter, bits: 'Single' | 'Double') =>
  errors(counter, `${bits.toLowerCase()}_bit/total`, `${bits} Bit/Total`);

const sumsOf = (counter: Counter) =>
  [
    {
      reading: `ecc.sramUncorrectable${counter}Count`,
      shapes: [[sramParity(counter), sramSecDed(counter)], [sramUncorrectable(counter)]],
    },
    {
      reading: `ecc.correctable${counter}Count`,
      shapes: [[total(counter, 'Single')], [sramCorrectable(counter), dramCorrectable(counter)]],
    },
    {
      reading: `ecc.uncorrectable${counter}Count`,
      shapes: [
        [total(counter, 'Double')],
        [sramParity(counter), sramSecDed(counter), dramUncorrectable(counter)],
        [sramUncorrectable(counter), dramUncorrectable(counter)],
      ],
    },
  ] as const;

interface Sum {
  readonly reading: CountLeaf;
  readonly shapes: readonly (readonly Spelling[])[];
}

/**
 * The first shape of which the output has every part is the one of its driver: by bits up to Volta, by kind of memory since Turing,
 * with the SRAM errors divided since R550. A sum with a part missing is no sum.
 */
const sums: readonly Sum[] = [
  ...sumsOf('Volatile'),
  ...sumsOf('Aggregate'),
  {
    reading: 'rowRemap.retiredPageCount',
    shapes: [
      [
        {
          xml: 'retired_pages/multiple_single_bit_retirement/retired_count',
          text: 'Retired Pages/Single Bit ECC',
        },
        { xml: 'retired_pages/double_bit_retirement/retired_count', text: 'Retired Pages/Double Bit ECC' },
      ],
    ],
  },
];

function readSum(gpu: SmiNode, form: Form, collector: GpuCollector, { reading, shapes }: Sum): void {
  for (const shape of shapes) {
    const nodes = shape.map((spelling) => printed(gpu, form, spelling)).filter((node) => node !== undefined);
    const [first] = nodes;
    if (first === undefined || nodes.length < shape.length) continue;
    const parts = nodes.map((node) => collector.read(node.value, values.count));
    const absent = parts.find(isMissing);
    const value = parts.reduce((sum, part) => sum + (part.value ?? 0), 0);
    collector.put(reading, first.line, absent ?? checkedSum(value));
    return;
  }
}

function checkedSum(value: number): SmiReading<number> {
  return Number.isSafeInteger(value) ? { value } : missing('error', 'the sum does not fit a JSON number');
}

/** A node that prints something: a group that was expected to be a value is not it. */
function printed(gpu: SmiNode, form: Form, spelling: Spelling) {
  const node = findNode(gpu, pathOf(spelling[form]));
  return node !== undefined && node.value !== null ? { line: node.line, value: node.value } : undefined;
}

const bitLocations: readonly (readonly [EccLocation, string, string])[] = [
  ['l1-cache', 'l1_cache', 'L1 Cache'],
  ['l2-cache', 'l2_cache', 'L2 Cache'],
  ['dram', 'device_memory', 'Device Memory'],
  ['register-file', 'register_file', 'Register File'],
  ['texture-memory', 'texture_memory', 'Texture Memory'],
  ['texture-shared-memory', 'texture_shm', 'Texture Shared'],
  ['cbu', 'cbu', 'CBU'],
];

interface LocationShape {
  readonly location: EccLocation;
  readonly correctable: (counter: Counter) => readonly Spelling[];
  readonly uncorrectable: (counter: Counter) => readonly (readonly Spelling[])[];
}

const locationShapes: readonly LocationShape[] = [
  ...bitLocations.map(
    ([location, xml, text]): LocationShape => ({
      location,
      correctable: (counter) => [errors(counter, `single_bit/${xml}`, `Single Bit/${text}`)],
      uncorrectable: (counter) => [[errors(counter, `double_bit/${xml}`, `Double Bit/${text}`)]],
    }),
  ),
  {
    location: 'dram',
    correctable: (counter) => [dramCorrectable(counter)],
    uncorrectable: (counter) => [[dramUncorrectable(counter)]],
  },
  {
    location: 'sram',
    correctable: (counter) => [sramCorrectable(counter)],
    uncorrectable: (counter) => [[sramParity(counter), sramSecDed(counter)], [sramUncorrectable(counter)]],
  },
];

/** The locations that the output counts. One of which every counter is missing is not listed, as the driver does not count it. */
function readLocations(gpu: SmiNode, form: Form, collector: GpuCollector): void {
  const group = findNode(gpu, pathOf(form === 'xml' ? 'ecc_errors' : 'ECC Errors'));
  if (group === undefined) return;
  let firstGap: Missing | undefined;
  let isPrinted = false;
  const locations = locationShapes.flatMap(
    ({ location, correctable, uncorrectable }): EccLocationCounts[] => {
      const count = (shapes: readonly (readonly Spelling[])[]): number | null | undefined => {
        for (const shape of shapes) {
          const nodes = shape.map((spelling) => printed(gpu, form, spelling));
          if (nodes.some((node) => node === undefined)) continue;
          isPrinted = true;
          const parts = nodes.map((node) => collector.read(node?.value ?? '', values.count));
          const absent = parts.find(isMissing);
          if (absent === undefined) return parts.reduce((sum, part) => sum + (part.value ?? 0), 0);
          firstGap ??= absent;
          return null;
        }
        return undefined;
      };
      const counts = {
        correctableVolatileCount: count([correctable('Volatile')]),
        uncorrectableVolatileCount: count(uncorrectable('Volatile')),
        correctableAggregateCount: count([correctable('Aggregate')]),
        uncorrectableAggregateCount: count(uncorrectable('Aggregate')),
      };
      const entries = Object.entries(counts);
      if (entries.every(([, value]) => value === null || value === undefined)) return [];
      for (const [member, value] of entries) {
        if (value !== null && value !== undefined) continue;
        collector.missMember(
          `ecc.locations.${member}`,
          value === undefined
            ? missing('not-observable', 'this output does not have it')
            : missing('unsupported', 'nvidia-smi printed no number'),
        );
      }
      return [
        {
          location,
          correctableVolatileCount: counts.correctableVolatileCount ?? null,
          uncorrectableVolatileCount: counts.uncorrectableVolatileCount ?? null,
          correctableAggregateCount: counts.correctableAggregateCount ?? null,
          uncorrectableAggregateCount: counts.uncorrectableAggregateCount ?? null,
        },
      ];
    },
  );
  if (!isPrinted) return;
  const nothing = firstGap ?? missing('unsupported', 'nvidia-smi printed no number');
  collector.put('ecc.locations', group.line, locations.length > 0 ? { value: locations } : nothing);
}

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
    if (state.value === true && reason !== undefined) reasons.add(reason);
  }
  const inOrder = reasonNames.map(([reason]) => reason).filter((reason) => reasons.has(reason));
  // Clocks held back for a reason we cannot name must not read as not held back.
  const unclear = isUnknownActive && inOrder.length === 0;
  if (isAnyRead && !unclear && absent.every(({ reason }) => reason === 'unsupported')) {
    collector.put(leaf, group.line, { value: inOrder });
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
    printed(gpu, form, {
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
  collector.put(
    'rowRemap.histogram',
    first.line,
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
    .map((spelling) => printed(gpu, form, spelling))
    .filter((node) => node !== undefined);
  const [first] = nodes;
  if (first === undefined || nodes.length < 2) return;
  const times = nodes.map((node) => collector.read(node.value, values.microseconds));
  const absent = times.find(isMissing);
  const value = Math.max(...times.map((time) => time.value ?? 0));
  collector.put('violations.thermalMicroseconds', first.line, absent ?? { value });
}

/** Before there was a recovery action, drivers printed two of its answers as questions. A no to both says nothing of the others. */
function readResetStatus(gpu: SmiNode, form: Form, collector: GpuCollector): void {
  if (collector.value('recovery.action') !== undefined) return;
  const questions = [
    {
      action: 'drain-and-reset',
      xml: 'gpu_reset_status/drain_and_reset_recommended',
      text: 'GPU Reset Status/Drain and Reset Recommended',
    },
    { action: 'reset', xml: 'gpu_reset_status/reset_required', text: 'GPU Reset Status/Reset Required' },
  ] as const;
  for (const { action, ...spelling } of questions) {
    const node = printed(gpu, form, spelling);
    if (node === undefined || collector.read(node.value, values.flag).value !== true) continue;
    collector.put('recovery.action', node.line, { value: action });
    return;
  }
}

export function readComposed(gpu: SmiNode, form: Form, collector: GpuCollector): void {
  for (const sum of sums) readSum(gpu, form, collector, sum);
  readLocations(gpu, form, collector);
  readEventReasons(gpu, form, collector);
  readHistogram(gpu, form, collector);
  readThermalViolation(gpu, form, collector);
  readResetStatus(gpu, form, collector);
}
