import { type Gap, type GpuSample, gpuSections } from '@k8s-gpu-mcp/core';
import { record } from './inspect.ts';
import { isListKind, isRecordKind, type Kind } from './kinds.ts';
import { leafKinds } from './leaf-kinds.ts';

/** One value of a sample and what it should be. */
export interface Leaf {
  /** Where it is: `thermal.fans.0.speedPercent`. */
  readonly path: string;
  /** What a gap calls it, without the positions in lists: `thermal.fans.speedPercent`. */
  readonly field: string;
  readonly kind: Kind;
  readonly value: unknown;
  /** Inside a list or a nested object. */
  readonly isMember: boolean;
  /** The port has no null here. */
  readonly neverNull: boolean;
}

/** Every value that is there, lists and objects with what is in them. What is missing altogether is no leaf. */
export function leavesOf(sample: GpuSample): readonly Leaf[] {
  return gpuSections.flatMap((section) => {
    const found = record(record(sample)[section]);
    return Object.entries<Kind>(leafKinds[section]).flatMap(([key, kind]) =>
      Object.hasOwn(found, key)
        ? expand({
            path: `${section}.${key}`,
            field: `${section}.${key}`,
            kind,
            value: found[key],
            isMember: false,
            neverNull: false,
          })
        : [],
    );
  });
}

function expand(leaf: Leaf): readonly Leaf[] {
  const { path, field, kind, value } = leaf;
  if (isListKind(kind) && Array.isArray(value)) {
    const items = value.flatMap((item: unknown, position) =>
      expand({
        path: `${path}.${position}`,
        field,
        kind: kind.listOf,
        value: item,
        isMember: true,
        neverNull: true,
      }),
    );
    return [leaf, ...items];
  }
  if (!isRecordKind(kind) || typeof value !== 'object' || value === null) return [leaf];
  const found = record(value);
  const members = Object.entries(kind.members).flatMap(([key, memberKind]) =>
    Object.hasOwn(found, key)
      ? expand({
          path: `${path}.${key}`,
          field: `${field}.${key}`,
          kind: memberKind,
          value: found[key],
          isMember: true,
          neverNull: kind.neverNull.includes(key),
        })
      : [],
  );
  return [leaf, ...members];
}

export const gapsOf = (answer: { readonly gaps: readonly Gap[] }) => {
  const gaps: unknown = record(answer)['gaps'];
  return (Array.isArray(gaps) ? gaps : []).map(record);
};
