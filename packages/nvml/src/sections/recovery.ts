import { fieldIds } from '../abi/constants.ts';
import { decodeRecoveryAction } from '../decode.ts';
import { type Device, type Leaves, mapReading } from '../device.ts';
import { readFields } from '../fields.ts';

export function readRecovery(device: Device): Leaves<'recovery'> {
  const field = readFields(device, [fieldIds.recoveryAction]);
  return { action: mapReading(field(0), decodeRecoveryAction) };
}
