import {
  type Citation,
  type Gap,
  type GpuSection,
  gpuSectionLeaves,
  gpuSections,
  type PartialReadings,
} from '@k8s-gpu-mcp/core';
import type { CapturedGpu } from '../recording.ts';
import type { Run } from './runs.ts';

/** What all outputs of one run show of one GPU. */
export interface MergedGpu {
  readonly readings: PartialReadings;
  readonly gaps: readonly Omit<Gap, 'gpu'>[];
  readonly citations: Readonly<Record<string, Citation>>;
  readonly state?: NonNullable<CapturedGpu['state']>;
  readonly stateDetail?: string;
}

/** Sections of which no output of a file can tell: the adapter does not claim them. */
const unrecordedSections: readonly GpuSection[] = ['profiling', 'events'];
export const recordedSections: readonly GpuSection[] = gpuSections.filter(
  (section) => !unrecordedSections.includes(section),
);

const states = ['lost', 'reset-required', 'unreadable'] as const;

type Values = Record<string, Record<string, unknown>>;

/** Each leaf from the most exact output that has it; where none has it, why. */
export function mergeRun(run: Run): MergedGpu {
  const values: Values = {};
  const citations: Record<string, Citation> = {};
  for (const { gpu } of run) {
    for (const [section, leaves] of Object.entries(gpu.readings)) {
      for (const [leaf, value] of Object.entries(leaves ?? {})) {
        const field = `${section}.${leaf}`;
        const merged = mergeLeaf(field, values[section]?.[leaf], value);
        if (merged === undefined || merged === values[section]?.[leaf]) continue;
        values[section] = { ...values[section], [leaf]: merged };
        const citation = gpu.citations[field];
        if (citation) citations[field] ??= citation;
      }
    }
  }
  const readings = values as PartialReadings;
  // Of several gaps for one leaf the last one counts: the most exact output's.
  const told = [...run].reverse().flatMap(({ gpu }) => gpu.gaps);
  const worst = states
    .map((state) => run.find(({ gpu }) => gpu.state === state)?.gpu)
    .find((gpu) => gpu !== undefined);
  const isReadable = run.some(({ gpu }) => gpu.state === undefined && Object.keys(gpu.readings).length > 0);
  return {
    readings,
    gaps: [...told, ...notInFile(values, new Set(told.map(({ field }) => field)))],
    citations,
    ...(worst?.state === undefined || (worst.state === 'unreadable' && isReadable)
      ? {}
      : { state: worst.state, stateDetail: worst.stateDetail ?? `nvidia-smi shows it as ${worst.state}` }),
  };
}

/** The first output's value, unless it has none. Links, peers and MIG devices are told in parts by several commands. */
function mergeLeaf(field: string, known: unknown, value: unknown): unknown {
  if (value === null || value === undefined) return known;
  if (known === null || known === undefined) return value;
  if (field === 'nvlink.links') return mergeMembers('link', known, value);
  // MIG profiles are named by the list only.
  if (field === 'topology.peers' || field === 'mig.devices') return mergeMembers('index', known, value);
  return known;
}

function mergeMembers(key: string, known: unknown, more: unknown): unknown {
  if (!Array.isArray(known) || !Array.isArray(more)) return known;
  const members = new Map<unknown, Record<string, unknown>>();
  for (const member of [...more, ...known] as Record<string, unknown>[]) {
    const told = Object.fromEntries(Object.entries(member).filter(([, item]) => item !== null));
    members.set(member[key], { ...member, ...members.get(member[key]), ...told });
  }
  return [...members.values()].sort((a, b) => Number(a[key]) - Number(b[key]));
}

/** A gap for each leaf, and each member of a list, that no output names. */
function notInFile(values: Values, known: ReadonlySet<string>): readonly Omit<Gap, 'gpu'>[] {
  const gaps: Omit<Gap, 'gpu'>[] = [];
  const miss = (field: string) => {
    if (!known.has(field)) gaps.push({ field, reason: 'not-observable', detail: 'not in the file' });
  };
  for (const section of recordedSections) {
    for (const leaf of gpuSectionLeaves[section]) {
      const value = values[section]?.[leaf] ?? null;
      if (value === null) miss(`${section}.${leaf}`);
      const members: readonly unknown[] = Array.isArray(value) ? value : [];
      const nulls = members.flatMap((member) =>
        typeof member === 'object' && member !== null
          ? Object.entries(member).flatMap(([name, item]) => (item === null ? [name] : []))
          : [],
      );
      for (const name of new Set(nulls)) miss(`${section}.${leaf}.${name}`);
    }
  }
  return gaps;
}
