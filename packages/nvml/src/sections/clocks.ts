import type { ClockEventReason } from '@k8s-gpu-mcp/core';
import { allocate } from '../abi/codec.ts';
import { clockIds, clockTypes, rc } from '../abi/constants.ts';
import type { FunctionName } from '../abi/functions.ts';
import {
  decodeClockEventReasons,
  decodePerformanceState,
  decodeSupportedEventReasons,
  missingFrom,
  type Reading,
} from '../decode/values.ts';
import { type Device, firstReading, type Leaves, mapReading } from '../device/device.ts';

export function readClocks(device: Device): Leaves<'clocks'> {
  const state = 'nvmlDeviceGetPerformanceState';
  const now = (clock: number) => device.u32At('nvmlDeviceGetClockInfo', clock);
  const max = (clock: number) => device.u32At('nvmlDeviceGetMaxClockInfo', clock);
  // Newer drivers answer "deprecated" to the functions of their own.
  const application = (clock: number) =>
    firstReading(device.u32At('nvmlDeviceGetApplicationsClock', clock), () =>
      device.u32AtPair('nvmlDeviceGetClock', clock, clockIds.applicationTarget),
    );
  const defaultApplication = (clock: number) =>
    firstReading(device.u32At('nvmlDeviceGetDefaultApplicationsClock', clock), () =>
      device.u32AtPair('nvmlDeviceGetClock', clock, clockIds.applicationDefault),
    );
  return {
    graphicsClockMegahertz: now(clockTypes.graphics),
    smClockMegahertz: now(clockTypes.sm),
    memoryClockMegahertz: now(clockTypes.memory),
    videoClockMegahertz: now(clockTypes.video),
    maxGraphicsClockMegahertz: max(clockTypes.graphics),
    maxSmClockMegahertz: max(clockTypes.sm),
    maxMemoryClockMegahertz: max(clockTypes.memory),
    maxVideoClockMegahertz: max(clockTypes.video),
    applicationGraphicsClockMegahertz: application(clockTypes.graphics),
    applicationMemoryClockMegahertz: application(clockTypes.memory),
    defaultApplicationGraphicsClockMegahertz: defaultApplication(clockTypes.graphics),
    defaultApplicationMemoryClockMegahertz: defaultApplication(clockTypes.memory),
    maxBoostGraphicsClockMegahertz: firstReading(
      device.u32At('nvmlDeviceGetMaxCustomerBoostClock', clockTypes.graphics),
      () => device.u32AtPair('nvmlDeviceGetClock', clockTypes.graphics, clockIds.customerBoostMax),
    ),
    performanceState: mapReading(device.u32(state), (value) => decodePerformanceState(state, value)),
    eventReasons: readReasons(
      device,
      'nvmlDeviceGetCurrentClocksEventReasons',
      'nvmlDeviceGetCurrentClocksThrottleReasons',
      decodeClockEventReasons,
    ),
    supportedEventReasons: readReasons(
      device,
      'nvmlDeviceGetSupportedClocksEventReasons',
      'nvmlDeviceGetSupportedClocksThrottleReasons',
      (_, mask) => decodeSupportedEventReasons(mask),
    ),
  };
}

type ReasonsFunction = Extract<FunctionName, `nvmlDeviceGet${'Current' | 'Supported'}Clocks${string}Reasons`>;

/** "Throttle" became "event" in the names of the functions; what they say stayed. */
function readReasons(
  device: Device,
  newer: ReasonsFunction,
  older: ReasonsFunction,
  decode: (call: string, mask: bigint) => Reading<readonly ClockEventReason[]>,
): Reading<readonly ClockEventReason[]> {
  const out = allocate(8);
  const attempt = (name: ReasonsFunction) => ({ code: device.call(name, out), name });
  const { code, name } = device.library.firstOf(attempt(newer), () => attempt(older));
  return code === rc.success ? decode(name, out.readBigUInt64LE(0)) : missingFrom(name, code);
}
