import { allocate } from '../abi/codec.ts';
import { pageRetirementCauses, rc } from '../abi/constants.ts';
import { decodeFlag, decodeU32, missing, missingFrom, type Reading } from '../decode.ts';
import { type Device, type Leaves, mapReading } from '../device.ts';

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
  const [first, second] = pageRetirementCauses.map((cause) => readRetiredPageCount(device, cause));
  return {
    correctableRowCount: out(0),
    uncorrectableRowCount: out(1),
    pending: mapReading(out(2), (value) => decodeFlag(call, value)),
    failureOccurred: mapReading(out(3), (value) => decodeFlag(call, value)),
    retiredPagesPending: device.flag('nvmlDeviceGetRetiredPagesPendingStatus'),
    retiredPageCount: mapReading(first ?? missing('error', 'no cause'), (one) =>
      mapReading(second ?? missing('error', 'no cause'), (other) => ({ value: one + other })),
    ),
  } as Leaves<'rowRemap'>;
}

/** The count only; the buffer is there because some libraries refuse a null address list. */
function readRetiredPageCount(device: Device, cause: number): Reading<number> {
  const newest = device.library.has('nvmlDeviceGetRetiredPages_v2');
  const name = newest ? 'nvmlDeviceGetRetiredPages_v2' : 'nvmlDeviceGetRetiredPages';
  let capacity = 64; // what the boards that retire pages can hold
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const count = allocate(4);
    count.writeUInt32LE(capacity);
    const addresses = allocate(capacity * 8);
    const code = newest
      ? device.call('nvmlDeviceGetRetiredPages_v2', cause, count, addresses, allocate(capacity * 8))
      : device.call('nvmlDeviceGetRetiredPages', cause, count, addresses);
    if (code === rc.success) return decodeU32(name, count.readUInt32LE(0));
    if (code !== rc.insufficientSize) return missingFrom(name, code);
    capacity = Math.min(Math.max(capacity * 2, count.readUInt32LE(0)), 65_536);
  }
  return missing('error', `${name}: the list keeps growing`);
}
