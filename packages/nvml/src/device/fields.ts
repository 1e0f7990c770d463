import { allocateStruct, readField, writeU32 } from '../abi/codec.ts';
import { rc } from '../abi/constants.ts';
import { decodeFieldValue, type FieldKind, missingFrom, type Reading } from '../decode/values.ts';
import type { Device } from './device.ts';

/** A field id, with the part of the GPU it is asked of (an NVLink, a power domain) where that is not the whole. */
export type FieldRequest = number | { readonly id: number; readonly scopeId: number };

/** One call for several field ids; the returned function decodes one entry. */
export function readFields(device: Device, requests: readonly FieldRequest[]) {
  const call = 'nvmlDeviceGetFieldValues';
  const struct = 'nvmlFieldValue_t';
  const values = allocateStruct(struct, requests.length);
  requests.forEach((request, position) => {
    const { id, scopeId } = typeof request === 'number' ? { id: request, scopeId: 0 } : request;
    writeU32(values, struct, 'fieldId', id, position);
    writeU32(values, struct, 'scopeId', scopeId, position);
  });
  const code = device.call(call, requests.length, values);
  if (code === rc.success) {
    // Success means only that something was filled in: each entry has a code of its own.
    requests.forEach((_, position) => {
      device.heed(call, readField(values, struct, 'nvmlReturn', position));
    });
  }
  return (position: number, kind?: FieldKind): Reading<number> =>
    code === rc.success ? decodeFieldValue(values, position, kind) : missingFrom(call, code);
}

/** The same by name. */
export function readNamedFields<Name extends string>(device: Device, ids: Readonly<Record<Name, number>>) {
  const names = Object.keys(ids) as Name[];
  const field = readFields(
    device,
    names.map((name) => ids[name]),
  );
  return (name: Name, kind?: FieldKind): Reading<number> => field(names.indexOf(name), kind);
}
