import {
  clockEventReasons,
  type Gap,
  type GpuSample,
  type GpuSection,
  gapReasons,
  gpuSections,
  recoveryActions,
} from '@k8s-gpu-mcp/core';
import { isRecord, isText, keyFaults, list, type Problems, record, show } from './inspect.ts';
import {
  gpuSectionLeafKeys,
  type LeafKind,
  leafKinds,
  migDeviceKinds,
  type NumberKind,
  numberKinds,
  type TextKind,
  textKinds,
} from './leaf-kinds.ts';

interface Leaf {
  readonly path: string;
  readonly kind: LeafKind;
  readonly value: unknown;
}

const isNumberKind = (kind: LeafKind): kind is NumberKind => Object.hasOwn(numberKinds, kind);
const isTextKind = (kind: LeafKind): kind is TextKind => Object.hasOwn(textKinds, kind);

/** The leaves that are there, with those of MIG devices. A leaf that is missing altogether is `findSectionFaults`' business. */
function leavesOf(sample: GpuSample): readonly Leaf[] {
  const leaves: Leaf[] = [];
  const collect = (prefix: string, kinds: Readonly<Record<string, LeafKind>>, values: unknown) => {
    const found = record(values);
    for (const [key, kind] of Object.entries(kinds)) {
      if (Object.hasOwn(found, key)) leaves.push({ path: `${prefix}.${key}`, kind, value: found[key] });
    }
  };
  for (const section of gpuSections) collect(section, leafKinds[section], record(sample)[section]);
  list(record(record(sample)['mig'])['devices']).forEach((device, position) => {
    collect(`mig.devices.${position}`, migDeviceKinds, device);
  });
  return leaves;
}

const isMigDeviceLeaf = (leaf: Leaf) => leaf.path.startsWith('mig.devices.');
const gapsOf = (answer: { readonly gaps: readonly Gap[] }) => list(record(answer)['gaps']).map(record);

export function findSectionFaults(sample: GpuSample, asked: readonly GpuSection[]): Problems {
  const answer = record(sample);
  const problems: string[] = Array.isArray(answer['gaps']) ? [] : ['gaps: not a list'];
  for (const section of asked) {
    if (!isRecord(answer[section])) problems.push(`${section}: asked for, but absent`);
    else problems.push(...keyFaults(section, answer[section], gpuSectionLeafKeys[section]));
  }
  const devices = record(answer['mig'])['devices'];
  list(devices).forEach((device, position) => {
    problems.push(...keyFaults(`mig.devices.${position}`, device, Object.keys(migDeviceKinds)));
  });
  return problems;
}

export function findUnaskedParts(sample: GpuSample, asked: readonly GpuSection[]): Problems {
  const allowed = new Set<string>([...asked, 'gaps']);
  return [
    ...Object.keys(sample)
      .filter((key) => !allowed.has(key))
      .map((key) => `${key}: not asked for`),
    ...gapsOf(sample)
      .map((gap) => String(gap['field']))
      .filter((field) => !allowed.has(field.split('.')[0] ?? ''))
      .map((field) => `gap ${field}: its section was not asked for`),
  ];
}

export function findTypeFaults(sample: GpuSample): Problems {
  return leavesOf(sample)
    .filter(({ value }) => value !== null && value !== undefined && typeof value !== 'bigint')
    .filter(({ kind, value }) => !hasType(kind, value))
    .map(({ path, kind, value }) => `${path}: ${show(value)} is not of the kind ${kind}`);
}

function hasType(kind: LeafKind, value: unknown): boolean {
  if (isNumberKind(kind)) return typeof value === 'number';
  if (isTextKind(kind)) return typeof value === 'string';
  switch (kind) {
    case 'flag':
      return typeof value === 'boolean';
    case 'eventReasons':
      return Array.isArray(value) && value.every((word) => clockEventReasons.some((known) => known === word));
    case 'recoveryAction':
      return recoveryActions.some((known) => known === value);
    case 'migDevices':
      return Array.isArray(value) && value.every(isRecord);
  }
}

export function findRangeFaults(sample: GpuSample): Problems {
  return leavesOf(sample).flatMap(({ path, kind, value }) => {
    if (!isNumberKind(kind) || typeof value !== 'number' || !Number.isFinite(value)) return [];
    const { minimum, maximum, integer } = numberKinds[kind];
    if (value >= minimum && value <= maximum && (!integer || Number.isInteger(value))) return [];
    return [`${path}: ${value} is not ${integer ? 'a whole number ' : ''}from ${minimum} to ${maximum}`];
  });
}

export function findSpellingFaults(sample: GpuSample): Problems {
  return leavesOf(sample).flatMap(({ path, kind, value }) =>
    isTextKind(kind) && typeof value === 'string' && !textKinds[kind].test(value)
      ? [`${path}: ${show(value)} is not spelled as ${kind}`]
      : [],
  );
}

/** Pairs that must be in order. The sum of memory parts leaves a little room: drivers round each part to whole pages or MiB. */
export function findDisagreements(sample: GpuSample): Problems {
  const problems: string[] = [];
  const atMost = (what: string, low: number | null | undefined, high: number | null | undefined) => {
    if (typeof low === 'number' && typeof high === 'number' && low > high) {
      problems.push(`${what}: ${low} is more than ${high}`);
    }
  };
  const { memory, power, pcie, mig } = sample;
  const roundingBytes = 2 * 1024 * 1024;
  if (typeof memory?.usedBytes === 'number' && typeof memory.freeBytes === 'number') {
    atMost(
      'memory used + free, total',
      memory.usedBytes + memory.freeBytes,
      memory.totalBytes === null ? null : memory.totalBytes + roundingBytes,
    );
  }
  atMost('memory used, total', memory?.usedBytes, memory?.totalBytes);
  atMost('memory free, total', memory?.freeBytes, memory?.totalBytes);
  atMost('memory reserved, total', memory?.reservedBytes, memory?.totalBytes);
  atMost('power limit minimum, maximum', power?.minLimitWatts, power?.maxLimitWatts);
  atMost('power limit default, maximum', power?.defaultLimitWatts, power?.maxLimitWatts);
  atMost('power limit minimum, default', power?.minLimitWatts, power?.defaultLimitWatts);
  atMost('PCIe generation, maximum', pcie?.currentGeneration, pcie?.maxGeneration);
  atMost('PCIe width, maximum', pcie?.currentLinkWidthLanes, pcie?.maxLinkWidthLanes);
  const indexes = (mig?.devices ?? []).map((device) => device.index);
  if (new Set(indexes).size < indexes.length)
    problems.push(`MIG device indexes repeat: ${indexes.join(', ')}`);
  return problems;
}

export function findNullsWithoutGap(sample: GpuSample): Problems {
  const fields = gapsOf(sample).map((gap) => gap['field']);
  return leavesOf(sample).flatMap((leaf) => {
    if (leaf.value !== null) return [];
    if (isMigDeviceLeaf(leaf)) {
      const named = fields.some((field) => typeof field === 'string' && field.startsWith('mig.devices'));
      return named ? [] : [`${leaf.path}: null, but no gap names mig.devices`];
    }
    const count = fields.filter((field) => field === leaf.path).length;
    return count === 1 ? [] : [`${leaf.path}: null with ${count} gaps`];
  });
}

/** A gap may name a null leaf, a section with a null leaf, or MIG devices among which something is null. */
export function findGapsWithoutNull(sample: GpuSample): Problems {
  const nulls = leavesOf(sample).filter((leaf) => leaf.value === null);
  return gapsOf(sample)
    .map((gap) => gap['field'])
    .filter(isText)
    .filter((field) => {
      if (field.startsWith('mig.devices')) return !nulls.some((leaf) => leaf.path.startsWith('mig.devices'));
      return !nulls.some((leaf) => leaf.path === field || leaf.path.startsWith(`${field}.`));
    })
    .map((field) => `gap ${field}: nothing under that name is null`);
}

export function findGapShapeFaults(gaps: readonly Gap[], gpuCount: number, gpuIndex?: number): Problems {
  return gapsOf({ gaps }).flatMap((gap, position) => {
    const where = `gaps[${position}]`;
    const problems: string[] = [];
    if (!isText(gap['field'])) problems.push(`${where}: no field`);
    if (!isText(gap['detail'])) problems.push(`${where}: no detail`);
    if (!gapReasons.some((known) => known === gap['reason'])) {
      problems.push(`${where}: unknown reason ${show(gap['reason'])}`);
    }
    const gpu = gap['gpu'];
    const fits =
      gpu === undefined ||
      (typeof gpu === 'number' &&
        (gpuIndex === undefined ? Number.isInteger(gpu) && gpu >= 0 && gpu < gpuCount : gpu === gpuIndex));
    if (!fits) problems.push(`${where}: gpu ${show(gpu)} is not the GPU that was read`);
    return problems;
  });
}

/** Whether the section holds anything but nulls; an empty list of clock event reasons is a reading. */
export function hasReading(sample: GpuSample, section: GpuSection): boolean {
  return Object.values(record(record(sample)[section])).some(
    (value) => value !== null && value !== undefined,
  );
}

export function findUnclaimedReadings(sample: GpuSample, section: GpuSection): Problems {
  const problems = hasReading(sample, section)
    ? [`${section}: read although the manifest does not claim it`]
    : [];
  const reasons = gapsOf(sample).filter((gap) => String(gap['field']).split('.')[0] === section);
  if (reasons.length === 0) problems.push(`${section}: no gap`);
  return [
    ...problems,
    ...reasons
      .filter((gap) => gap['reason'] !== 'unsupported')
      .map((gap) => `${String(gap['field'])}: reason ${show(gap['reason'])}, not unsupported`),
  ];
}
