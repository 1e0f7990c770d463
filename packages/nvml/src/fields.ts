import { allocateStruct, readField } from './abi/codec.ts';
import { rc } from './abi/constants.ts';
import { structs } from './abi/structs.ts';
import { decodeFieldValue, missingFrom, type Reading } from './decode.ts';
import { type Device, GpuLostDuringRead } from './device.ts';

/** One call for several field ids; the returned function decodes one entry. */
export function readFields(device: Device, ids: readonly number[]) {
  const call = 'nvmlDeviceGetFieldValues';
  const { size, fields } = structs.nvmlFieldValue_t;
  const values = allocateStruct('nvmlFieldValue_t', ids.length);
  ids.forEach((id, position) => {
    values.writeUInt32LE(id, size * position + fields.fieldId.offset);
  });
  const code = device.call(call, ids.length, values);
  if (code === rc.success && ids.some((_, position) => fieldReturn(values, position) === rc.gpuIsLost)) {
    throw new GpuLostDuringRead(call);
  }
  return (position: number, signed = false): Reading<number> =>
    code === rc.success ? decodeFieldValue(values, position, signed) : missingFrom(call, code);
}

function fieldReturn(values: Buffer, position: number): number {
  return readField(values, 'nvmlFieldValue_t', 'nvmlReturn', position);
}
