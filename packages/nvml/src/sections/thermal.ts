import { allocate, allocateStruct, readField } from '../abi/codec.ts';
import { fieldIds, rc, temperatureSensorGpu, temperatureThresholds } from '../abi/constants.ts';
import { structs } from '../abi/structs.ts';
import { decodeMemoryTemperature, decodeU32, missingFrom, type Reading } from '../decode.ts';
import type { Device, Leaves } from '../device.ts';
import { readFields } from '../fields.ts';

export function readThermal(device: Device): Leaves<'thermal'> {
  const threshold = (selector: number) => device.u32At('nvmlDeviceGetTemperatureThreshold', selector);
  const field = readFields(device, [
    fieldIds.memoryTemperature,
    fieldIds.temperatureSlowdownLimit,
    fieldIds.temperatureShutdownLimit,
  ]);
  return {
    temperatureCelsius: readTemperature(device),
    memoryTemperatureCelsius: decodeMemoryTemperature(field(0)),
    slowdownThresholdCelsius: threshold(temperatureThresholds.slowdown),
    shutdownThresholdCelsius: threshold(temperatureThresholds.shutdown),
    maxOperatingThresholdCelsius: threshold(temperatureThresholds.gpuMax),
    memoryMaxThresholdCelsius: threshold(temperatureThresholds.memoryMax),
    marginCelsius: readMargin(device),
    slowdownMarginCelsius: field(1, true),
    shutdownMarginCelsius: field(2, true),
    fanSpeedPercent: readFanSpeed(device),
  } as Leaves<'thermal'>;
}

function readTemperature(device: Device): Reading<number> {
  const current = allocateStruct('nvmlTemperature_v1_t');
  current.writeUInt32LE(temperatureSensorGpu, structs.nvmlTemperature_v1_t.fields.sensorType.offset);
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
  const out = allocateStruct('nvmlMarginTemperature_v1_t');
  const code = device.call('nvmlDeviceGetMarginTemperature', out);
  if (code !== rc.success) return missingFrom('nvmlDeviceGetMarginTemperature', code);
  return { value: readField(out, 'nvmlMarginTemperature_v1_t', 'marginTemperature') };
}

function readFanSpeed(device: Device): Reading<number> {
  const newest = device.library.has('nvmlDeviceGetFanSpeed_v2');
  return newest ? device.u32At('nvmlDeviceGetFanSpeed_v2', 0) : device.u32('nvmlDeviceGetFanSpeed');
}
