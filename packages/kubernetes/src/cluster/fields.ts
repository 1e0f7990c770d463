import { type DeviceCounts, isDeviceResource, type OwnerRef, parseDeviceCount } from '@k8s-gpu-mcp/core';
import { isRecord } from '../read-object.ts';

// What the API server sends is read field by field: any of them may be missing, of another type, or enormous.

/** An object has this form, or is malformed and left out as a whole: half of a pod would be a wrong count. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
}

const MAXIMUM_NAME_CHARACTERS = 253;
const MAXIMUM_WORD_CHARACTERS = 128;
const MAXIMUM_OWNERS = 64;

/** An empty record for whatever is none. */
export function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

/** @throws MalformedError for what is no list of objects, or has more than `maximum`. Absent and null are empty. */
export function recordsOf(
  value: unknown,
  maximum: number,
  field: string,
): readonly Readonly<Record<string, unknown>>[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > maximum || !value.every(isRecord))
    throw new MalformedError(`${field} is not a list of at most ${maximum} objects`);
  return value;
}

/** A name, version or id: not empty, at most 253 characters. */
export function nameOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value.length <= MAXIMUM_NAME_CHARACTERS ? value : null;
}

/** @throws MalformedError without one. */
export function requiredName(value: unknown, field: string): string {
  const name = nameOf(value);
  if (name === null) throw new MalformedError(`${field} is not a name`);
  return name;
}

/** One word in CamelCase, as reasons are; null for anything else, as it may be shown in our own sentences. */
export function wordOf(value: unknown): string | null {
  const isWord =
    typeof value === 'string' &&
    value.length <= MAXIMUM_WORD_CHARACTERS &&
    /^[A-Za-z][A-Za-z0-9_.:-]*$/.test(value);
  return isWord ? value : null;
}

/** Untrusted text: one line of printable characters, cut short. Null when there is none. */
export function textOf(value: unknown, maximumCharacters: number): string | null {
  if (typeof value !== 'string' || value === '') return null;
  return value.slice(0, maximumCharacters).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, ' ');
}

/** A time as the API writes it: RFC 3339, whole seconds or microseconds. */
export function timeOf(value: unknown): string | null {
  const isTime =
    typeof value === 'string' &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.test(value) &&
    !Number.isNaN(Date.parse(value));
  return isTime ? value : null;
}

export function wholeNumberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : null;
}

/** Labels or annotations: the first `maximum` of them, each value cut short. */
export function textsOf(
  value: unknown,
  maximum: number,
  maximumCharacters: number,
): Readonly<Record<string, string>> {
  const texts = Object.entries(recordOf(value))
    .filter((entry): entry is [string, string] => typeof entry[1] === 'string' && nameOf(entry[0]) !== null)
    .slice(0, maximum);
  return Object.fromEntries(texts.map(([name, text]) => [name, text.slice(0, maximumCharacters)]));
}

/** A status of three values; whatever else it is, is not known. */
export function conditionStatusOf(value: unknown): 'True' | 'False' | 'Unknown' {
  return value === 'True' || value === 'False' ? value : 'Unknown';
}

/** @throws MalformedError for a device resource whose quantity is none: left out it would count as zero. */
export function deviceCountsOf(quantities: unknown): DeviceCounts {
  const counts = Object.entries(recordOf(quantities))
    .filter(([resource]) => isDeviceResource(resource))
    .map(([resource, quantity]) => {
      const count = parseDeviceCount(quantity);
      if (count === null || nameOf(resource) === null)
        throw new MalformedError('a quantity of devices is not a whole number');
      return [resource, count] as const;
    });
  return Object.fromEntries(counts);
}

/** @throws MalformedError for references that are none: without them the object would seem to be nobody's. */
export function ownerReferencesOf(value: unknown): readonly OwnerRef[] {
  return recordsOf(value, MAXIMUM_OWNERS, 'ownerReferences').map((owner) => ({
    apiVersion: requiredName(owner['apiVersion'], 'apiVersion of an owner'),
    kind: requiredName(owner['kind'], 'kind of an owner'),
    name: requiredName(owner['name'], 'name of an owner'),
    uid: requiredName(owner['uid'], 'uid of an owner'),
    isController: owner['controller'] === true,
  }));
}

const ascending = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** By namespace, then name; by code units, so that every machine sorts alike. */
export function byNamespaceAndName(
  a: { readonly namespace: string; readonly name: string },
  b: { readonly namespace: string; readonly name: string },
): number {
  return ascending(a.namespace, b.namespace) || ascending(a.name, b.name);
}
