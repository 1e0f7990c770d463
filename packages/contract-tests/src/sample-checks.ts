import { type Gap, type GpuSample, type GpuSection, gapReasons } from '@k8s-gpu-mcp/core';
import { isRecord, isText, keyFaults, type Problems, record, show } from './inspect.ts';
import {
  isListKind,
  isNumberKind,
  isRecordKind,
  isTextKind,
  type Kind,
  nameOfKind,
  numberKinds,
  textKinds,
} from './kinds.ts';
import { gpuSectionLeafKeys } from './leaf-kinds.ts';
import { gapsOf, leavesOf } from './sample-leaves.ts';

export function findSectionFaults(sample: GpuSample, asked: readonly GpuSection[]): Problems {
  const answer = record(sample);
  const problems: string[] = Array.isArray(answer['gaps']) ? [] : ['gaps: not a list'];
  for (const section of asked) {
    if (!isRecord(answer[section])) problems.push(`${section}: asked for, but absent`);
    else problems.push(...keyFaults(section, answer[section], gpuSectionLeafKeys[section]));
  }
  for (const { path, kind, value } of leavesOf(sample)) {
    if (isRecordKind(kind) && isRecord(value))
      problems.push(...keyFaults(path, value, Object.keys(kind.members)));
  }
  return problems;
}

export function findUnaskedParts(sample: GpuSample, asked: readonly GpuSection[]): Problems {
  const allowed = new Set<string>([...asked, 'gaps', 'probeMilliseconds', 'citations']);
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
    .filter(({ value }) => value !== undefined && typeof value !== 'bigint')
    .filter(({ kind, value, neverNull }) => (value === null ? neverNull : !hasType(kind, value)))
    .map(({ path, kind, value }) => `${path}: ${show(value)} is not of the kind ${nameOfKind(kind)}`);
}

function hasType(kind: Kind, value: unknown): boolean {
  if (kind === 'flag') return typeof value === 'boolean';
  if (isNumberKind(kind)) return typeof value === 'number';
  if (isTextKind(kind)) return typeof value === 'string';
  if (isListKind(kind)) return Array.isArray(value);
  if (isRecordKind(kind)) return isRecord(value);
  return kind.oneOf.some((known) => known === value);
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

/** Members of a list that cannot be told apart: words that repeat, objects with the same name. */
export function findRepeatedMembers(sample: GpuSample): Problems {
  return leavesOf(sample).flatMap(({ path, kind, value }) => {
    if (!isListKind(kind) || !Array.isArray(value)) return [];
    if (isRecordKind(kind.listOf) && kind.namedBy.length === 0) return [];
    const names = value.map((item: unknown) =>
      isRecord(item) ? kind.namedBy.map((key) => `${key} ${show(item[key])}`).join(', ') : show(item),
    );
    return names.filter((name, at) => names.indexOf(name) < at).map((name) => `${path}: ${name} repeats`);
  });
}

export function findNullsWithoutGap(sample: GpuSample): Problems {
  const fields = gapsOf(sample).map((gap) => gap['field']);
  return leavesOf(sample).flatMap(({ path, value, isMember }) => {
    if (value !== null || isMember) return [];
    const count = fields.filter((field) => field === path).length;
    return count === 1 ? [] : [`${path}: null with ${count} gaps`];
  });
}

/** Members share a gap: one for each reason, so not more than there are nulls, and no reason twice. */
export function findMemberGapFaults(sample: GpuSample): Problems {
  const nulls = leavesOf(sample).filter(
    ({ value, isMember, neverNull }) => value === null && isMember && !neverNull,
  );
  const gaps = gapsOf(sample);
  return [...new Set(nulls.map(({ field }) => field))].flatMap((field) => {
    const nullCount = nulls.filter((leaf) => leaf.field === field).length;
    const reasons = gaps.filter((gap) => gap['field'] === field).map((gap) => gap['reason']);
    if (reasons.length === 0) return [`${field}: null in ${nullCount} members without a gap`];
    if (new Set(reasons).size < reasons.length) return [`${field}: a reason has more than one gap`];
    return reasons.length > nullCount ? [`${field}: ${nullCount} nulls with ${reasons.length} gaps`] : [];
  });
}

/** A gap may name a null leaf, a null inside the members of a list, or a section or list in which something is null. */
export function findGapsWithoutNull(sample: GpuSample): Problems {
  const nulls = leavesOf(sample).filter((leaf) => leaf.value === null);
  return gapsOf(sample)
    .map((gap) => gap['field'])
    .filter(isText)
    .filter((field) => !nulls.some((leaf) => leaf.field === field || leaf.field.startsWith(`${field}.`)))
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

/** Whether the section holds anything but nulls; an empty list is a reading. */
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

export function findProbeTimeFaults(sample: GpuSample): Problems {
  const { probeMilliseconds: duration = 0 } = sample;
  // What is no number of JSON is another requirement's business.
  return typeof duration === 'number' && !(duration < 0) ? [] : [`probeMilliseconds: ${show(duration)}`];
}
