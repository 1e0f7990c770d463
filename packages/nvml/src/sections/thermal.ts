import type { Gap, GpuFan } from '@k8s-gpu-mcp/core';
import { allocate, allocateStruct, readField, writeU32 } from '../abi/codec.ts';
import { fieldIds, rc, temperatureSensorGpu, temperatureThresholds } from '../abi/constants.ts';
import { decodeMemoryTemperature, decodeU32, missingFrom, type Reading } from '../decode/values.ts';
import { type Device, firstReading, mapReading, type SectionResult } from '../device/device.ts';
import { readNamedFields } from '../device/fields.ts';
import { ListGaps } from '../device/list-gaps.ts';

const fieldsOfSection = {
  memory: fieldIds.memoryTemperature,
  shutdown: fieldIds.temperatureShutdownLimit,
  slowdown: fieldIds.temperatureSlowdownLimit,
  memoryMax: fieldIds.temperatureMemoryMaxLimit,
  maxOperating: fieldIds.temperatureGpuMaxLimit,
};

export function readThermal(device: Device): SectionResult<'thermal'> {
  const threshold = (selector: number) => device.u32At('nvmlDeviceGetTemperatureThreshold', selector);
  const field = readNamedFields(device, fieldsOfSection);
  const fanSpeed = readFanSpeed(device, 0);
  const fans = readFans(device, fanSpeed);
  return {
    leaves: {
      temperatureCelsius: readTemperature(device),
      memoryTemperatureCelsius: decodeMemoryTemperature(field('memory')),
      slowdownThresholdCelsius: threshold(temperatureThresholds.slowdown),
      shutdownThresholdCelsius: threshold(temperatureThresholds.shutdown),
      maxOperatingThresholdCelsius: threshold(temperatureThresholds.gpuMax),
      memoryMaxThresholdCelsius: threshold(temperatureThresholds.memoryMax),
      marginCelsius: readMargin(device),
      slowdownMarginCelsius: field('slowdown', 'signed'),
      shutdownMarginCelsius: field('shutdown', 'signed'),
      memoryMaxMarginCelsius: field('memoryMax', 'signed'),
      maxOperatingMarginCelsius: field('maxOperating', 'signed'),
      fanSpeedPercent: fanSpeed,
      fans: fans.list,
    },
    gaps: fans.gaps,
  };
}

function readTemperature(device: Device): Reading<number> {
  const current = allocateStruct('nvmlTemperature_v1_t');
  writeU32(current, 'nvmlTemperature_v1_t', 'sensorType', temperatureSensorGpu);
  const old = allocate(4);
  const { code, isOld } = device.library.firstOf(
    { code: device.call('nvmlDeviceGetTemperatureV', current), isOld: false },
    () => ({ code: device.call('nvmlDeviceGetTemperature', temperatureSensorGpu, old), isOld: true }),
  );
  const call = isOld ? 'nvmlDeviceGetTemperature' : 'nvmlDeviceGetTemperatureV';
  if (code !== rc.success) return missingFrom(call, code);
  if (isOld) return decodeU32(call, old.readUInt32LE(0));
  return { value: readField(current, 'nvmlTemperature_v1_t', 'temperature') };
}

function readMargin(device: Device): Reading<number> {
  return mapReading(
    device.struct('nvmlDeviceGetMarginTemperature', 'nvmlMarginTemperature_v1_t'),
    (member) => ({
      value: member('marginTemperature'),
    }),
  );
}

/** The function without a fan number speaks of the first fan. */
function readFanSpeed(device: Device, fan: number): Reading<number> {
  const newer = readOfFan(device, 'nvmlDeviceGetFanSpeed_v2', fan);
  return fan === 0 ? firstReading(newer, () => device.u32('nvmlDeviceGetFanSpeed')) : newer;
}

/** More fans than any board has: the end of asking where a driver does not count them. */
const mostFans = 8;

function readFans(
  device: Device,
  firstSpeed: Reading<number>,
): { readonly list: Reading<readonly GpuFan[]>; readonly gaps: readonly Gap[] } {
  const gaps = new ListGaps('thermal.fans', 'fan');
  const count = device.u32('nvmlDeviceGetNumFans');
  const isUncounted = 'reason' in count && count.reason === 'unsupported';
  const most = 'reason' in count ? (isUncounted ? mostFans : 0) : Math.min(count.value, mostFans);
  const fans: GpuFan[] = [];
  for (let index = 0; index < most; index += 1) {
    const speed = index === 0 ? firstSpeed : readFanSpeed(device, index);
    if (isUncounted && 'reason' in speed) break;
    const take = gaps.taker(index);
    fans.push({
      index,
      speedPercent: take('speedPercent', speed),
      targetSpeedPercent: take('targetSpeedPercent', readOfFan(device, 'nvmlDeviceGetTargetFanSpeed', index)),
      speedRevolutionsPerMinute: take('speedRevolutionsPerMinute', readFanRevolutions(device, index)),
    });
  }
  const list = 'reason' in count && fans.length === 0 ? count : { value: fans };
  return { list, gaps: gaps.all() };
}

/** Without the number of the fan in the detail, so that what the fans have in common is one gap. */
function readOfFan(
  device: Device,
  name: 'nvmlDeviceGetFanSpeed_v2' | 'nvmlDeviceGetTargetFanSpeed',
  fan: number,
): Reading<number> {
  const out = allocate(4);
  const code = device.call(name, fan, out);
  return code === rc.success ? decodeU32(name, out.readUInt32LE(0)) : missingFrom(name, code);
}

function readFanRevolutions(device: Device, fan: number): Reading<number> {
  const call = 'nvmlDeviceGetFanSpeedRPM';
  const speed = device.struct(call, 'nvmlFanSpeedInfo_v1_t', (buffer) => {
    writeU32(buffer, 'nvmlFanSpeedInfo_v1_t', 'fan', fan);
  });
  return mapReading(speed, (member) => decodeU32(call, member('speed')));
}
