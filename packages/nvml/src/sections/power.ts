import { fieldIds } from '../abi/constants.ts';
import type { Reading } from '../decode/values.ts';
import { type Device, firstReading, type Leaves, mapReading } from '../device/device.ts';
import { readNamedFields } from '../device/fields.ts';

const fieldsOfSection = {
  average: fieldIds.powerAverage,
  instant: fieldIds.powerInstant,
  requestedLimit: fieldIds.powerRequestedLimit,
};

export function readPower(device: Device): Leaves<'power'> {
  const fromThousandths = (reading: Reading<number>) =>
    mapReading(reading, (thousandths) => ({ value: thousandths / 1000 }));
  const [min, max] = device.u32Pair('nvmlDeviceGetPowerManagementLimitConstraints');
  const field = readNamedFields(device, fieldsOfSection);
  const requested = firstReading(device.u32('nvmlDeviceGetPowerManagementLimit'), () =>
    field('requestedLimit'),
  );
  return {
    drawWatts: fromThousandths(device.u32('nvmlDeviceGetPowerUsage')),
    instantDrawWatts: fromThousandths(field('instant')),
    averageDrawWatts: fromThousandths(field('average')),
    enforcedLimitWatts: fromThousandths(device.u32('nvmlDeviceGetEnforcedPowerLimit')),
    requestedLimitWatts: fromThousandths(requested),
    defaultLimitWatts: fromThousandths(device.u32('nvmlDeviceGetPowerManagementDefaultLimit')),
    minLimitWatts: fromThousandths(min),
    maxLimitWatts: fromThousandths(max),
    energyJoules: fromThousandths(device.u64('nvmlDeviceGetTotalEnergyConsumption')),
  };
}
