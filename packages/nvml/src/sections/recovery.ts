import { fieldIds } from '../abi/constants.ts';
import { decodeRecoveryAction } from '../decode/values.ts';
import { type Device, type Leaves, mapReading } from '../device/device.ts';
import { readFields } from '../device/fields.ts';

/** A driver too old for the field still says "reset required" to whatever the GPU refuses until then, which is the same advice. */
export function readRecovery(device: Device): Leaves<'recovery'> {
  const field = readFields(device, [fieldIds.recoveryAction]);
  const action = mapReading(field(0), decodeRecoveryAction);
  if ('reason' in action && device.resetRequiredBy !== undefined) return { action: { value: 'reset' } };
  return { action };
}
