/** Reads what an API server sent without trusting its shape. */
export const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
export const itemsOf = (list: unknown): unknown[] => [...listOf(fieldOf(list, 'items'))];
export const nameOf = (object: unknown) => String(fieldOf(fieldOf(object, 'metadata'), 'name'));
export const namespaceOf = (object: unknown) => String(fieldOf(fieldOf(object, 'metadata'), 'namespace'));
export const labelsOf = (object: unknown) => stringsOf(fieldOf(fieldOf(object, 'metadata'), 'labels'));
export const annotationsOf = (object: unknown) =>
  stringsOf(fieldOf(fieldOf(object, 'metadata'), 'annotations'));

export function stringsOf(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, text]) => (typeof text === 'string' ? [[name, text]] : [])),
  );
}

/** Ready, and not about to go. */
export function isReadyPod(pod: unknown): boolean {
  if (fieldOf(fieldOf(pod, 'metadata'), 'deletionTimestamp') !== undefined) return false;
  return listOf(fieldOf(fieldOf(pod, 'status'), 'conditions')).some(
    (condition) => fieldOf(condition, 'type') === 'Ready' && fieldOf(condition, 'status') === 'True',
  );
}
