import { decodeU32 } from '../decode/values.ts';
import { type Device, type Leaves, mapReading } from '../device/device.ts';

export function readUtilization(device: Device): Leaves<'utilization'> {
  const call = 'nvmlDeviceGetUtilizationRates';
  const rates = device.struct(call, 'nvmlUtilization_t');
  const rate = (member: 'gpu' | 'memory') => mapReading(rates, (read) => decodeU32(call, read(member)));
  return {
    gpuPercent: rate('gpu'),
    memoryPercent: rate('memory'),
    // The second value of these is the length of the sampling period.
    encoderPercent: device.u32Pair('nvmlDeviceGetEncoderUtilization')[0],
    decoderPercent: device.u32Pair('nvmlDeviceGetDecoderUtilization')[0],
    jpegPercent: device.u32Pair('nvmlDeviceGetJpgUtilization')[0],
    opticalFlowPercent: device.u32Pair('nvmlDeviceGetOfaUtilization')[0],
  };
}
