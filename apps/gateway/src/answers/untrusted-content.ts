import { type Action, actions, quarantine, type Verdict, verdicts } from '@k8s-gpu-mcp/core';

// An agent may be of another version, broken, or not an agent at all. Each of these takes anything and never throws; what is not of the
// expected form is null, or an empty list, and counts as not told.

type Fields = Readonly<Record<string, unknown>>;

const nothing: Fields = Object.freeze({});

/** Only the value's own fields are ever read: `field`. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : nothing;
}

export function field(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

/** The first members of a list, as records. */
export function rowsOf(value: unknown, maximum: number): readonly Fields[] {
  return Array.isArray(value) ? value.slice(0, maximum).map(fieldsOf) : [];
}

/** Made harmless and cut; null for no text, or none that can be shown. */
export function textOf(value: unknown, maximumLength: number): string | null {
  if (typeof value !== 'string') return null;
  const text = quarantine(value, maximumLength);
  return text === '' ? null : text;
}

export function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** A whole number, zero or more. */
export function countOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

const maximumGpuIndex = 1_023;

export function gpuIndexOf(value: unknown): number | null {
  const index = countOf(value);
  return index !== null && index <= maximumGpuIndex ? index : null;
}

export function flagOf(value: unknown): boolean | null {
  return typeof value === 'boolean' ? value : null;
}

export function verdictOf(value: unknown): Verdict | null {
  return verdicts.find((verdict) => verdict === value) ?? null;
}

export function actionOf(value: unknown): Action | null {
  return actions.find((action) => action === value) ?? null;
}

/** `family.name`, the form of the ids of rules and of kinds of events. */
const identifier = /^[a-z][a-z0-9]{0,31}(?:[.-][a-z0-9]{1,32}){0,7}$/;

export function identifierOf(value: unknown): string | null {
  return typeof value === 'string' && value.length <= 64 && identifier.test(value) ? value : null;
}

/** ISO 8601 with a date, as agents write it. */
const isoTime = /^\d{4}-\d{2}-\d{2}T[\d:.]{5,18}(?:Z|[+-]\d{2}:?\d{2})$/;

export function timeOf(value: unknown): string | null {
  return typeof value === 'string' && isoTime.test(value) && !Number.isNaN(Date.parse(value)) ? value : null;
}

const textEncoder = new TextEncoder();

/** Bytes of compact JSON. */
export function sizeOf(value: unknown): number {
  return textEncoder.encode(JSON.stringify(value) ?? '').length;
}

/** The first items that take no more than so many bytes as JSON. */
export function fitting<T>(items: readonly T[], maximumBytes: number): readonly T[] {
  let bytes = 2;
  const end = items.findIndex((item) => {
    bytes += sizeOf(item) + 1;
    return bytes > maximumBytes;
  });
  return end === -1 ? items : items.slice(0, end);
}

/** Of texts: by code unit, the same everywhere. */
export const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
