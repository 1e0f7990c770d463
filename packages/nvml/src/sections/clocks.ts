import { allocate } from '../abi/codec.ts';
import { clockTypes, rc } from '../abi/constants.ts';
import { decodeClockEventReasons, decodePerformanceState, missingFrom } from '../decode.ts';
import { type Device, type Leaves, mapReading } from '../device.ts';

export function readClocks(device: Device): Leaves<'clocks'> {
  const state = 'nvmlDeviceGetPerformanceState';
  return {
    smClockMegahertz: device.u32At('nvmlDeviceGetClockInfo', clockTypes.sm),
    memoryClockMegahertz: device.u32At('nvmlDeviceGetClockInfo', clockTypes.memory),
    maxSmClockMegahertz: device.u32At('nvmlDeviceGetMaxClockInfo', clockTypes.sm),
    maxMemoryClockMegahertz: device.u32At('nvmlDeviceGetMaxClockInfo', clockTypes.memory),
    performanceState: mapReading(device.u32(state), (value) => decodePerformanceState(state, value)),
    eventReasons: readClockEventReasons(device),
  } as Leaves<'clocks'>;
}

function readClockEventReasons(device: Device) {
  const out = allocate(8);
  const attempt = (
    name: 'nvmlDeviceGetCurrentClocksEventReasons' | 'nvmlDeviceGetCurrentClocksThrottleReasons',
  ) => ({ code: device.call(name, out), name });
  const { code, name } = device.library.firstOf(attempt('nvmlDeviceGetCurrentClocksEventReasons'), () =>
    attempt('nvmlDeviceGetCurrentClocksThrottleReasons'),
  );
  return code === rc.success
    ? decodeClockEventReasons(name, out.readBigUInt64LE(0))
    : missingFrom(name, code);
}
