/** Each check looks at one answer for one thing and returns what is wrong, one text each; empty when nothing is. */
export type Problems = readonly string[];

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const record = (value: unknown): Record<string, unknown> => (isRecord(value) ? value : {});
export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
export const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';
export const show = (value: unknown) =>
  typeof value === 'bigint' ? `${value}n` : (JSON.stringify(value) ?? String(value));

export function keyFaults(path: string, value: unknown, expected: readonly string[]): Problems {
  const keys = Object.keys(record(value));
  return [
    ...expected.filter((key) => !keys.includes(key)).map((key) => `${path}.${key}: missing`),
    ...keys.filter((key) => !expected.includes(key)).map((key) => `${path}.${key}: not in the port`),
  ];
}

export function findJsonFaults(value: unknown, path = 'answer'): Problems {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return [];
  if (typeof value === 'number') return Number.isFinite(value) ? [] : [`${path}: ${value}`];
  if (Array.isArray(value)) return value.flatMap((item, index) => findJsonFaults(item, `${path}[${index}]`));
  if (typeof value !== 'object') return [`${path}: ${typeof value}`];
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return [`${path}: not a plain object`];
  return Object.entries(value).flatMap(([key, item]) => findJsonFaults(item, `${path}.${key}`));
}
