import { allocate } from '../abi/codec.ts';
import { pageRetirementCauses, rc } from '../abi/constants.ts';
import { decodeFlag, decodeU32, missing, missingFrom, type Reading } from '../decode/values.ts';
import { type Device, type Leaves, mapReading } from '../device/device.ts';

/**
 * nvmlDeviceGetRemappedRows has kept its ABI and is in every driver; the v2 of NVML 13.2 splits the counts into active and inactive
 * remaps, a distinction the reading does not make.
 */
export function readRowRemap(device: Device): Leaves<'rowRemap'> {
  const call = 'nvmlDeviceGetRemappedRows';
  const outs = [allocate(4), allocate(4), allocate(4), allocate(4)] as const;
  const code = device.call(call, ...outs);
  const out = (position: 0 | 1 | 2 | 3): Reading<number> =>
    code === rc.success ? decodeU32(call, outs[position].readUInt32LE(0)) : missingFrom(call, code);
  const singleBit = readRetiredPageCount(device, pageRetirementCauses.multipleSingleBit);
  const doubleBit = readRetiredPageCount(device, pageRetirementCauses.doubleBit);
  return {
    correctableRowCount: out(0),
    uncorrectableRowCount: out(1),
    pending: mapReading(out(2), (value) => decodeFlag(call, value)),
    failureOccurred: mapReading(out(3), (value) => decodeFlag(call, value)),
    histogram: readHistogram(device),
    retiredPagesPending: device.flag('nvmlDeviceGetRetiredPagesPendingStatus'),
    retiredPageCount: mapReading(singleBit, (one) =>
      mapReading(doubleBit, (other) => ({ value: one + other })),
    ),
    singleBitRetiredPageCount: singleBit,
    doubleBitRetiredPageCount: doubleBit,
    ...readRepairs(device),
  };
}

function readHistogram(device: Device): Leaves<'rowRemap'>['histogram'] {
  const banks = device.struct('nvmlDeviceGetRowRemapperHistogram', 'nvmlRowRemapperHistogramValues_t');
  return mapReading(banks, (member) => ({
    value: {
      maxBankCount: member('max'),
      highBankCount: member('high'),
      partialBankCount: member('partial'),
      lowBankCount: member('low'),
      noneBankCount: member('none'),
    },
  }));
}

function readRepairs(
  device: Device,
): Pick<Leaves<'rowRemap'>, 'channelRepairPending' | 'tpcRepairPending' | 'memoryUnrepairable'> {
  const repair = 'nvmlDeviceGetRepairStatus';
  const status = device.struct(repair, 'nvmlRepairStatus_v1_t');
  const pending = (member: 'bChannelRepairPending' | 'bTpcRepairPending') =>
    mapReading(status, (read) => decodeFlag(repair, read(member)));
  const flag = 'nvmlDeviceGetUnrepairableMemoryFlag_v1';
  return {
    channelRepairPending: pending('bChannelRepairPending'),
    tpcRepairPending: pending('bTpcRepairPending'),
    memoryUnrepairable: mapReading(device.struct(flag, 'nvmlUnrepairableMemoryStatus_v1_t'), (read) =>
      decodeFlag(flag, read('bUnrepairableMemory')),
    ),
  };
}

/** The count only; the buffer is there because some libraries refuse a null address list. */
function readRetiredPageCount(device: Device, cause: number): Reading<number> {
  let capacity = 64; // what the boards that retire pages can hold
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const count = allocate(4);
    const addresses = allocate(capacity * 8);
    const ask = (name: 'nvmlDeviceGetRetiredPages_v2' | 'nvmlDeviceGetRetiredPages') => {
      count.writeUInt32LE(capacity);
      const code =
        name === 'nvmlDeviceGetRetiredPages_v2'
          ? device.call(name, cause, count, addresses, allocate(capacity * 8))
          : device.call(name, cause, count, addresses);
      return { code, name };
    };
    const { code, name } = device.library.firstOf(ask('nvmlDeviceGetRetiredPages_v2'), () =>
      ask('nvmlDeviceGetRetiredPages'),
    );
    if (code === rc.success) return decodeU32(name, count.readUInt32LE(0));
    if (code !== rc.insufficientSize) return missingFrom(`${name}(${cause})`, code);
    capacity = Math.min(Math.max(capacity * 2, count.readUInt32LE(0)), 65_536);
  }
  return missing('error', `nvmlDeviceGetRetiredPages(${cause}): the list keeps growing`);
}
