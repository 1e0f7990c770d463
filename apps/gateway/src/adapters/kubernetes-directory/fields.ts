/** Readers of objects that a server sent: whatever is not of the wanted type counts as absent. None of them throws. */

export const field = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? Reflect.get(value, key)
    : undefined;

export const fieldAt = (value: unknown, ...path: readonly string[]): unknown => path.reduce(field, value);

/** Longer text than `most` counts as absent. */
export const text = (value: unknown, most = 253): string | undefined =>
  typeof value === 'string' && value !== '' && value.length <= most ? value : undefined;

/** The first 64: a pod has a handful of containers, conditions and owners. */
export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value.slice(0, 64) : []);

/** A DNS name. Its first character keeps `__proto__` and the like out of the keys. */
export function nodeName(value: unknown): string | undefined {
  const name = text(value);
  return name !== undefined && /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name) ? name : undefined;
}

/** `True`, `False` or `Unknown`, of the condition of that type. */
export function conditionStatus(object: unknown, type: string): string | undefined {
  const conditions = list(fieldAt(object, 'status', 'conditions'));
  return text(
    field(
      conditions.find((condition) => field(condition, 'type') === type),
      'status',
    ),
  );
}
