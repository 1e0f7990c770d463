import { allocate } from '../abi/codec.ts';
import { rc } from '../abi/constants.ts';
import { decodeEventTypes } from '../decode/events.ts';
import { missingFrom } from '../decode/values.ts';
import type { Device, Leaves } from '../device/device.ts';

export function readEvents(device: Device): Leaves<'events'> {
  const call = 'nvmlDeviceGetSupportedEventTypes';
  const mask = allocate(8);
  const code = device.call(call, mask);
  return {
    supportedTypes:
      code === rc.success ? decodeEventTypes(call, mask.readBigUInt64LE(0)) : missingFrom(call, code),
  };
}
