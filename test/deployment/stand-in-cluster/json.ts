// Objects of Kubernetes as they come: JSON of a shape that only their kind knows.
import type { KubernetesObject } from '../../../packages/kubernetes/src/kubernetes-api.ts';

export type { KubernetesObject };
export type JsonObject = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The field at this path; undefined where a step is missing. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (inner, step) =>
      typeof inner === 'object' && inner !== null
        ? (inner as Readonly<Record<string | number, unknown>>)[step]
        : undefined,
    value,
  );
}

export const objectAt = (value: unknown, ...path: readonly (string | number)[]): JsonObject => {
  const found = at(value, ...path);
  return isObject(found) ? found : {};
};
export const objectsAt = (value: unknown, ...path: readonly (string | number)[]): readonly JsonObject[] => {
  const found = at(value, ...path);
  return Array.isArray(found) ? found.filter(isObject) : [];
};
export const textAt = (value: unknown, ...path: readonly (string | number)[]): string | undefined => {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : undefined;
};
export const textsAt = (value: unknown, ...path: readonly (string | number)[]): readonly string[] => {
  const found = at(value, ...path);
  return Array.isArray(found) ? found.map(String) : [];
};
export const numberAt = (value: unknown, ...path: readonly (string | number)[]): number | undefined => {
  const found = at(value, ...path);
  return typeof found === 'number' ? found : undefined;
};
export const stringsAt = (
  value: unknown,
  ...path: readonly (string | number)[]
): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(objectAt(value, ...path)).map(([key, each]) => [key, String(each)]));
