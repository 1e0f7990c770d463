import type { EccLocation, EccLocationCounts } from '@k8s-gpu-mcp/core';
import { type Form, findNode, pathOf, printedAt, type SmiNode, type Spelling } from './document.ts';
import type { LeafPath } from './fields.ts';
import type { GpuCollector } from './gpu-collector.ts';
import * as values from './values.ts';
import { isMissing, type Missing, missing, type SmiReading } from './values.ts';

/** Counts of errors, which the tool prints by bits or by kind of memory, depending on the driver. */

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
    const nodes = shape
      .map((spelling) => printedAt(gpu, form, spelling))
      .filter((node) => node !== undefined);
    const [first] = nodes;
    if (first === undefined || nodes.length < shape.length) continue;
    const parts = nodes.map((node) => collector.read(node.value, values.count));
    const absent = parts.find(isMissing);
    const value = parts.reduce((sum, part) => sum + (part.value ?? 0), 0);
    // The line to look at is that of the part that makes the sum.
    const largest = parts.reduce(
      (best, part, at) => ((part.value ?? 0) > (parts[best]?.value ?? 0) ? at : best),
      0,
    );
    collector.put(reading, nodes[largest]?.line ?? first.line, absent ?? checkedSum(value));
    return;
  }
}

function checkedSum(value: number): SmiReading<number> {
  return Number.isSafeInteger(value) ? { value } : missing('error', 'the sum does not fit a JSON number');
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
          const nodes = shape.map((spelling) => printedAt(gpu, form, spelling));
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

/** The totals, the SRAM errors and the counts by location. */
export function readErrorCounts(gpu: SmiNode, form: Form, collector: GpuCollector): void {
  for (const sum of sums) readSum(gpu, form, collector, sum);
  readLocations(gpu, form, collector);
}
