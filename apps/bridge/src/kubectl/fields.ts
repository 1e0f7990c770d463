import { quarantine, type StructuredContent, type Verdict, verdicts } from '@k8s-gpu-mcp/core';

// An answer may come from a gateway or agent of another version, or from something that is neither. Each of these takes anything and never
// throws; what is not of the form asked for is absent. Text is harmless on a terminal before anybody else sees it.

const maximumRows = 1_000;
/** Longest text of one field on a terminal; `--json` has it whole. */
const maximumText = 600;

export function fieldOf(value: unknown, name: string): unknown {
  return isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

export const fieldsOf = (value: unknown): StructuredContent => (isRecord(value) ? value : {});

export function rowsOf(value: unknown, name: string): readonly StructuredContent[] {
  const list = fieldOf(value, name);
  return Array.isArray(list) ? list.slice(0, maximumRows).filter(isRecord) : [];
}

/** Numbers and switches are told as words too. Undefined for what is absent, null or no plain value. */
export function textOf(value: unknown, name: string, maximum = maximumText): string | undefined {
  return plain(fieldOf(value, name), maximum);
}

export function textsOf(value: unknown, name: string, maximum = 20): readonly string[] {
  const list = fieldOf(value, name);
  return Array.isArray(list) ? list.slice(0, maximum).flatMap((each) => plain(each, maximumText) ?? []) : [];
}

export function numberOf(value: unknown, name: string): number | undefined {
  const number = fieldOf(value, name);
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}

export function verdictOf(value: unknown, name = 'verdict'): Verdict | undefined {
  const told = fieldOf(value, name);
  return verdicts.find((verdict) => verdict === told);
}

/** Cut before it is made harmless, so that a text of megabytes costs nothing. */
function plain(value: unknown, maximum: number): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'string' ? quarantine(value, maximum) : undefined;
}

const isRecord = (value: unknown): value is StructuredContent =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
