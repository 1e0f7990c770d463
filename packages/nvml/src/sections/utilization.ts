import { allocateStruct, readField } from '../abi/codec.ts';
import { rc } from '../abi/constants.ts';
import { decodeU32, missingFrom } from '../decode.ts';
import type { Device, Leaves } from '../device.ts';

export function readUtilization(device: Device): Leaves<'utilization'> {
  const call = 'nvmlDeviceGetUtilizationRates';
  const rates = allocateStruct('nvmlUtilization_t');
  const code = device.call(call, rates);
  const rate = (member: 'gpu' | 'memory') =>
    code === rc.success
      ? decodeU32(call, readField(rates, 'nvmlUtilization_t', member))
      : missingFrom(call, code);
  return {
    gpuPercent: rate('gpu'),
    memoryPercent: rate('memory'),
    encoderPercent: device.u32Pair('nvmlDeviceGetEncoderUtilization')[0],
    decoderPercent: device.u32Pair('nvmlDeviceGetDecoderUtilization')[0],
  } as Leaves<'utilization'>;
}
