import { allocateStruct, readField } from '../abi/codec.ts';
import { rc } from '../abi/constants.ts';
import { decodeU64, missing, missingFrom, type Reading } from '../decode/values.ts';
import { type Device, type Leaves, mapReading } from '../device/device.ts';

export function readMemory(device: Device): Leaves<'memory'> {
  const call = 'nvmlDeviceGetBAR1MemoryInfo';
  const window = device.struct(call, 'nvmlBAR1Memory_t');
  const bytes = (member: 'bar1Total' | 'bar1Used' | 'bar1Free') =>
    mapReading(window, (read) => decodeU64(call, read(member)));
  return {
    ...readFrameBuffer(device),
    bar1TotalBytes: bytes('bar1Total'),
    bar1UsedBytes: bytes('bar1Used'),
    bar1FreeBytes: bytes('bar1Free'),
  };
}

type FrameBuffer = Pick<Leaves<'memory'>, 'totalBytes' | 'usedBytes' | 'freeBytes' | 'reservedBytes'>;

/** v2 tells driver-reserved memory apart; v1 counts it as used. */
export function readFrameBuffer(device: Device): FrameBuffer {
  const v2 = allocateStruct('nvmlMemory_v2_t');
  const v1 = allocateStruct('nvmlMemory_t');
  const { code, version } = device.library.firstOf(
    { code: device.call('nvmlDeviceGetMemoryInfo_v2', v2), version: 2 },
    () => ({ code: device.call('nvmlDeviceGetMemoryInfo', v1), version: 1 }),
  );
  const call = version === 2 ? 'nvmlDeviceGetMemoryInfo_v2' : 'nvmlDeviceGetMemoryInfo';
  const bytes = (member: 'total' | 'used' | 'free'): Reading<number> => {
    if (code !== rc.success) return missingFrom(call, code);
    return decodeU64(
      call,
      version === 2 ? readField(v2, 'nvmlMemory_v2_t', member) : readField(v1, 'nvmlMemory_t', member),
    );
  };
  const reserved = (): Reading<number> => {
    if (code !== rc.success) return missingFrom(call, code);
    if (version === 2) return decodeU64(call, readField(v2, 'nvmlMemory_v2_t', 'reserved'));
    return missing('unsupported', `${call}: this driver counts reserved memory as used`);
  };
  return {
    totalBytes: bytes('total'),
    usedBytes: bytes('used'),
    freeBytes: bytes('free'),
    reservedBytes: reserved(),
  };
}
