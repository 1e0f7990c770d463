import { fieldIds } from '../abi/constants.ts';
import type { Reading } from '../decode.ts';
import { type Device, type Leaves, mapReading } from '../device.ts';
import { readFields } from '../fields.ts';

export function readPower(device: Device): Leaves<'power'> {
  const watts = (reading: Reading<number>) =>
    mapReading(reading, (milliwatts) => ({ value: milliwatts / 1000 }));
  const [min, max] = device.u32Pair('nvmlDeviceGetPowerManagementLimitConstraints');
  const field = readFields(device, [fieldIds.powerInstant]);
  return {
    drawWatts: watts(device.u32('nvmlDeviceGetPowerUsage')),
    instantDrawWatts: watts(field(0)),
    enforcedLimitWatts: watts(device.u32('nvmlDeviceGetEnforcedPowerLimit')),
    defaultLimitWatts: watts(device.u32('nvmlDeviceGetPowerManagementDefaultLimit')),
    minLimitWatts: watts(min),
    maxLimitWatts: watts(max),
    energyJoules: mapReading(device.u64('nvmlDeviceGetTotalEnergyConsumption'), (millijoules) => ({
      value: millijoules / 1000,
    })),
  } as Leaves<'power'>;
}
