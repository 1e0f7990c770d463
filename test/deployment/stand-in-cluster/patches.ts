import { isObject, type JsonObject, objectsAt, textAt } from './json.ts';

/** RFC 7386. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

/** By which field elements of a list are the same one, tried in this order: the patchMergeKey of the built-in kinds. */
const mergeKeys = ['name', 'containerPort', 'port', 'mountPath', 'uid', 'ip', 'topologyKey', 'key', 'type'];

/** The merge of Kubernetes' own clients: lists of named things are merged by the name. */
export function strategicMerge(target: unknown, patch: unknown): unknown {
  if (Array.isArray(patch)) return mergeLists(Array.isArray(target) ? target : [], patch);
  if (!isObject(patch)) return patch;
  if (patch['$patch'] === 'replace') return without(patch, '$patch');
  const kept = patch['$retainKeys'];
  const result: Record<string, unknown> = Object.fromEntries(
    Object.entries(isObject(target) ? target : {}).filter(
      ([key]) => !Array.isArray(kept) || kept.includes(key),
    ),
  );
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$')) continue;
    if (value === null) delete result[key];
    else result[key] = strategicMerge(result[key], value);
  }
  return result;
}

function mergeLists(target: readonly unknown[], patch: readonly unknown[]): readonly unknown[] {
  const all = [...target, ...patch];
  const key = all.every(isObject)
    ? mergeKeys.find((each) => all.every((element) => element[each] !== undefined))
    : undefined;
  if (key === undefined) return patch;
  let result = target.filter(isObject);
  for (const element of patch.filter(isObject)) {
    const isSame = (each: JsonObject) => each[key] === element[key];
    if (element['$patch'] === 'delete') result = result.filter((each) => !isSame(each));
    else if (result.some(isSame))
      result = result.map((each) => (isSame(each) ? (strategicMerge(each, element) as JsonObject) : each));
    else result = [...result, element];
  }
  return result;
}

/** RFC 6902: add, replace and remove. */
export function jsonPatch(target: unknown, operations: unknown): unknown {
  let result: unknown = structuredClone(target);
  for (const operation of objectsAt({ operations }, 'operations')) {
    const steps = (textAt(operation, 'path') ?? '')
      .split('/')
      .slice(1)
      .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
    result = change(result, steps, textAt(operation, 'op') ?? '', operation['value']);
  }
  return result;
}

function change(target: unknown, [step, ...rest]: readonly string[], op: string, value: unknown): unknown {
  if (step === undefined) return value;
  if (Array.isArray(target)) {
    const index = step === '-' ? target.length : Number(step);
    if (rest.length > 0) return target.with(index, change(target[index], rest, op, value));
    if (op === 'remove') return target.toSpliced(index, 1);
    return op === 'add' ? target.toSpliced(index, 0, value) : target.with(index, value);
  }
  const object = isObject(target) ? target : {};
  if (rest.length === 0 && op === 'remove') return without(object, step);
  return { ...object, [step]: rest.length === 0 ? value : change(object[step], rest, op, value) };
}

/**
 * Server-side apply by one manager: what it applied before and leaves out now goes, the rest is merged. Lists are those of the last one who applied.
 */
export function apply(live: unknown, before: unknown, now: unknown): unknown {
  if (!isObject(now)) return now;
  const result: Record<string, unknown> = isObject(live) ? { ...live } : {};
  if (isObject(before)) for (const key of Object.keys(before)) if (!(key in now)) delete result[key];
  for (const [key, value] of Object.entries(now))
    result[key] = apply(result[key], isObject(before) ? before[key] : undefined, value);
  return result;
}

const without = (object: JsonObject, key: string): JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([each]) => each !== key));
