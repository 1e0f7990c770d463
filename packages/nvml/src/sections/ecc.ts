import { allocate, allocateStruct, readField } from '../abi/codec.ts';
import { eccCounterTypes, memoryErrorTypes, memoryLocationSram, rc } from '../abi/constants.ts';
import { decodeFlag, decodeU64, missingFrom, type Reading } from '../decode.ts';
import { type Device, type Leaves, mapReading } from '../device.ts';

export function readEcc(device: Device): Leaves<'ecc'> {
  const mode = 'nvmlDeviceGetEccMode';
  const [current, pending] = device.u32Pair(mode);
  const total = (error: number, counter: number): Reading<number> => {
    const call = `nvmlDeviceGetTotalEccErrors(${error}, ${counter})`;
    const out = allocate(8);
    const code = device.call('nvmlDeviceGetTotalEccErrors', error, counter, out);
    return code === rc.success ? decodeU64(call, out.readBigUInt64LE(0)) : missingFrom(call, code);
  };
  const { corrected, uncorrected } = memoryErrorTypes;
  const { volatile, aggregate } = eccCounterTypes;
  return {
    enabled: mapReading(current, (value) => decodeFlag(mode, value)),
    pendingEnabled: mapReading(pending, (value) => decodeFlag(mode, value)),
    correctableVolatileCount: total(corrected, volatile),
    uncorrectableVolatileCount: total(uncorrected, volatile),
    correctableAggregateCount: total(corrected, aggregate),
    uncorrectableAggregateCount: total(uncorrected, aggregate),
    ...readSramEcc(device),
  } as Leaves<'ecc'>;
}

/** SramEccErrorStatus wants root; the older per-location counter gives at least the counts without. */
function readSramEcc(
  device: Device,
): Pick<
  Leaves<'ecc'>,
  'sramUncorrectableVolatileCount' | 'sramUncorrectableAggregateCount' | 'sramThresholdExceeded'
> {
  const call = 'nvmlDeviceGetSramEccErrorStatus';
  const status = allocateStruct('nvmlEccSramErrorStatus_v1_t');
  const code = device.call(call, status);
  if (code === rc.success) {
    const member = (
      name: 'aggregateUncParity' | 'aggregateUncSecDed' | 'volatileUncParity' | 'volatileUncSecDed',
    ) => readField(status, 'nvmlEccSramErrorStatus_v1_t', name);
    return {
      sramUncorrectableVolatileCount: decodeU64(
        call,
        member('volatileUncParity') + member('volatileUncSecDed'),
      ),
      sramUncorrectableAggregateCount: decodeU64(
        call,
        member('aggregateUncParity') + member('aggregateUncSecDed'),
      ),
      sramThresholdExceeded: decodeFlag(
        call,
        readField(status, 'nvmlEccSramErrorStatus_v1_t', 'bThresholdExceeded'),
      ),
    };
  }
  const older = (counter: number): Reading<number> => {
    const out = allocate(8);
    const name = 'nvmlDeviceGetMemoryErrorCounter';
    const olderCode = device.call(name, memoryErrorTypes.uncorrected, counter, memoryLocationSram, out);
    return olderCode === rc.success ? decodeU64(name, out.readBigUInt64LE(0)) : missingFrom(call, code);
  };
  return {
    sramUncorrectableVolatileCount: older(eccCounterTypes.volatile),
    sramUncorrectableAggregateCount: older(eccCounterTypes.aggregate),
    sramThresholdExceeded: missingFrom(call, code),
  };
}
