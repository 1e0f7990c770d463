import {
  type Drift,
  type DriftSubject,
  findDrift,
  type StructuredContent,
  type Verdict,
} from '@k8s-gpu-mcp/core';
import type { FanOutResult } from '../domain/node-outcome.ts';
import { listBytes, makeClusterAnswer } from './cluster-answer.ts';
import { type FamilyReading, gpuCountOf, gpuRowsOf, maximumGpus, readNodes } from './node-report.ts';
import { shownName } from './node-rows.ts';
import type { ClusterQuestion } from './question.ts';
import {
  byText,
  countOf,
  field,
  fitting,
  flagOf,
  gpuIndexOf,
  identifierOf,
  numberOf,
  textOf,
} from './untrusted-content.ts';
import { plural, sayNode } from './words.ts';

const maximumName = 80;
const maximumNames = 6;

/** What GPUs of one product should have in common across nodes. An agent's summary has the first, its full answer all of them. */
const comparedFields = [
  'memoryTotalBytes',
  'eccEnabled',
  'migEnabled',
  'boardPartNumber',
  'vbiosVersion',
  'inforomVersion',
  'eccPendingEnabled',
  'requestedPowerLimitWatts',
  'enforcedPowerLimitWatts',
  'persistenceModeEnabled',
  'computeMode',
  'maxPcieGeneration',
  'maxPcieLinkWidthLanes',
] as const;

/** The inventory of all nodes, from answers of `get_gpu_inventory`. */
export function presentInventory(question: ClusterQuestion, result: FanOutResult): StructuredContent {
  const inventories = new Map<StructuredContent, Inventory>();
  const reports = readNodes(result.outcomes, (content) => {
    const inventory = inventoryOf(content);
    const reading = readInventory(content, inventory, question.detail);
    inventories.set(reading.row, inventory);
    return reading;
  });
  const known = reports.flatMap(({ node, row }) => {
    const inventory = inventories.get(row);
    return inventory ? [{ node, inventory }] : [];
  });
  const products = tally(
    known.flatMap(({ node, inventory }) =>
      inventory.products.map((product) => [product.name, node, product.gpuCount] as const),
    ),
  );
  const drivers = tally(
    known.flatMap(({ node, inventory }) =>
      inventory.driverVersion === null
        ? []
        : [[inventory.driverVersion, node, inventory.gpuCount ?? 0] as const],
    ),
  );
  const drift = findDrift(known.flatMap(({ node, inventory }) => subjectsOf(node, inventory))).toSorted(
    (a, b) => byText(a.cohort, b.cohort) || byText(a.field, b.field),
  );
  const apart = firstApart(drift);
  const gpuCount = reports.reduce((sum, report) => sum + (report.gpuCount ?? 0), 0);
  const bytes = listBytes[question.detail];
  return makeClusterAnswer(question, result, reports, {
    words: `${plural(gpuCount, 'GPU')} of ${plural(products.length, 'product')}, ${plural(drivers.length, 'driver version')}.${sayDrift(drift)}`,
    payload: {
      gpuCount,
      products: fitting(
        products.map(({ value, ...counts }) => ({ product: value, ...counts })),
        bytes / 2,
      ),
      driverVersions: fitting(
        drivers.map(({ value, ...counts }) => ({ driverVersion: value, ...counts })),
        bytes / 2,
      ),
      drift: fitting(drift.map(presentDrift), bytes),
      ...(drift.length > 0 ? { driftCount: drift.length } : {}),
    },
    moreTool: 'get_gpu_health',
    ...(apart === undefined
      ? {}
      : {
          step: {
            node: apart,
            tool: 'get_gpu_inventory',
            reason: `${sayNode(apart)} is set up unlike most nodes with the same product: see drift.`,
          },
        }),
  });
}

interface Inventory {
  readonly driverVersion: string | null;
  readonly gpuCount: number | null;
  readonly gpus: readonly StructuredContent[];
  readonly products: readonly { readonly name: string; readonly gpuCount: number }[];
}

function inventoryOf(content: StructuredContent): Inventory {
  const gpus = gpuRowsOf(content) ?? [];
  const names = gpus.flatMap((gpu) => textOf(field(gpu, 'name'), maximumName) ?? []);
  const products = [...new Set(names)].sort(byText);
  return {
    driverVersion: textOf(field(content, 'driverVersion'), 40),
    gpuCount: gpuCountOf(content),
    gpus,
    products: products.map((name) => ({ name, gpuCount: names.filter((each) => each === name).length })),
  };
}

function readInventory(
  content: StructuredContent,
  { driverVersion, gpuCount, gpus, products }: Inventory,
  detail: ClusterQuestion['detail'],
): FamilyReading {
  const states = gpus.map((gpu) => identifierOf(field(gpu, 'state')));
  const told = states.map(
    (state): Verdict =>
      state === 'ok' ? 'ok' : state === 'unreadable' || state === null ? 'unknown' : 'critical',
  );
  const isWhole = gpuCount !== null && gpus.length === gpuCount && gpuCount > 0;
  const broken = gpus.filter((_, position) => states[position] !== 'ok');
  const shown = (detail === 'full' ? gpus : broken).slice(0, detail === 'full' ? maximumGpus : 4);
  return {
    gpuCount,
    // An inventory has a verdict only where something is not as it should be.
    ...(Object.hasOwn(content, 'verdict') ? {} : { told: 'ok' as const }),
    verdicts: isWhole ? told : [...told, 'unknown'],
    row: {
      ...(driverVersion === null ? {} : { driverVersion }),
      ...(products.length > 0 ? { products: products.slice(0, 4) } : {}),
      ...(detail === 'full' ? versionsOf(content) : {}),
      ...(shown.length > 0 ? { gpus: shown.map((gpu) => presentGpu(gpu, detail)) } : {}),
    },
  };
}

const versionsOf = (content: StructuredContent) => ({
  libraryVersion: textOf(field(content, 'libraryVersion'), 40),
  computeApiVersion: textOf(field(content, 'computeApiVersion'), 40),
});

function presentGpu(gpu: StructuredContent, detail: ClusterQuestion['detail']): StructuredContent {
  const row = {
    index: gpuIndexOf(field(gpu, 'index')),
    state: identifierOf(field(gpu, 'state')) ?? 'unreadable',
  };
  if (detail === 'summary') return row;
  return {
    ...row,
    name: textOf(field(gpu, 'name'), maximumName),
    uuid: textOf(field(gpu, 'uuid'), 48),
    pciAddress: textOf(field(gpu, 'pciAddress'), 20),
    serial: textOf(field(gpu, 'serial'), 32),
    memoryTotalBytes: countOf(field(gpu, 'memoryTotalBytes')),
    eccEnabled: flagOf(field(gpu, 'eccEnabled')),
    migEnabled: flagOf(field(gpu, 'migEnabled')),
  };
}

/** One subject for each product of a node. What the GPUs of a node do not agree on is their own drift, which the node tells. */
function subjectsOf(
  node: string,
  { driverVersion, gpus, products }: Inventory,
): readonly DriftSubject<string>[] {
  return products.map(({ name, gpuCount }) => {
    const own = gpus.filter((gpu) => textOf(field(gpu, 'name'), maximumName) === name);
    const settings = comparedFields.map(
      (key) => [key, agreedOn(own.map((gpu) => settingOf(field(gpu, key))))] as const,
    );
    return { id: node, cohort: name, settings: { driverVersion, gpuCount, ...Object.fromEntries(settings) } };
  });
}

const settingOf = (value: unknown) => flagOf(value) ?? numberOf(value) ?? textOf(value, 64);

function agreedOn<T>(values: readonly (T | null)[]): T | null {
  const known = new Set(values.flatMap((value) => value ?? []));
  const [first] = known;
  return known.size === 1 && first !== undefined ? (first as T) : null;
}

function presentDrift({ cohort, field: name, majority, values }: Drift<string>): StructuredContent {
  const ordered = values.toSorted(
    (a, b) => b.ids.length - a.ids.length || byText(String(a.value), String(b.value)),
  );
  return {
    product: cohort,
    field: name,
    majority,
    values: ordered.slice(0, 6).map(({ value, ids }) => ({
      value,
      nodeCount: ids.length,
      ...(value === majority ? {} : { nodes: ids.slice(0, maximumNames).map(shownName) }),
    })),
    ...(ordered.length > 6 ? { valueCount: ordered.length } : {}),
  };
}

/** The first node, by name, that is not as most others of a product. */
function firstApart(drift: readonly Drift<string>[]): string | undefined {
  const apart = drift.flatMap(({ majority, values }) =>
    majority === null ? [] : values.flatMap(({ value, ids }) => (value === majority ? [] : ids)),
  );
  return apart.sort(byText)[0];
}

function sayDrift(drift: readonly Drift<string>[]): string {
  if (drift.length === 0) return '';
  const fields = [...new Set(drift.map(({ field: name }) => name))];
  return ` Nodes with the same product differ in ${fields.slice(0, 4).join(', ')}${fields.length > 4 ? ` and ${fields.length - 4} more` : ''}.`;
}

interface Tally {
  readonly value: string;
  readonly gpuCount: number;
  readonly nodeCount: number;
}

/** Most GPUs first. */
function tally(
  rows: readonly (readonly [value: string, node: string, gpuCount: number])[],
): readonly Tally[] {
  const counts = new Map<string, { gpuCount: number; nodes: Set<string> }>();
  for (const [value, node, gpuCount] of rows) {
    const known = counts.get(value) ?? { gpuCount: 0, nodes: new Set() };
    known.gpuCount += gpuCount;
    known.nodes.add(node);
    counts.set(value, known);
  }
  return [...counts]
    .map(([value, { gpuCount, nodes }]) => ({ value, gpuCount, nodeCount: nodes.size }))
    .sort((a, b) => b.gpuCount - a.gpuCount || byText(a.value, b.value));
}
