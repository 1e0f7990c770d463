import type { Gap, MigDevice } from '@k8s-gpu-mcp/core';
import { allocate, allocateStruct, readField } from '../abi/codec.ts';
import { bufferSizes, rc } from '../abi/constants.ts';
import { decodeFlag, decodeU64, migProfile, missingFrom, type Reading } from '../decode.ts';
import { Device, type Leaves, mapReading, type SectionResult } from '../device.ts';
import { readMemory } from './memory.ts';

const list = 'nvmlDeviceGetMigDeviceHandleByIndex';

export function readMig(device: Device): SectionResult<'mig'> {
  const mode = 'nvmlDeviceGetMigMode';
  const [current, pending] = device.u32Pair(mode);
  const enabled = mapReading(current, (value) => decodeFlag(mode, value));
  const gaps: Gap[] = [];
  return {
    leaves: {
      enabled,
      pendingEnabled: mapReading(pending, (value) => decodeFlag(mode, value)),
      devices: mapReading(enabled, (isOn) => (isOn ? readMigDevices(device, gaps) : { value: [] })),
    } as Leaves<'mig'>,
    gaps,
  };
}

/** Indexes can be sparse: NOT_FOUND is a hole, not the end. */
function readMigDevices(parent: Device, gaps: Gap[]): Reading<readonly MigDevice[]> {
  const count = parent.u32('nvmlDeviceGetMaxMigDeviceCount');
  if ('reason' in count) return count;
  const total = readMemory(parent).totalBytes.value;
  const devices: MigDevice[] = [];
  const failures: { readonly index: number; readonly reading: ReturnType<typeof missingFrom> }[] = [];
  for (let index = 0; index < count.value; index += 1) {
    const handle = allocate(8);
    const code = parent.call(list, index, handle);
    if (code === rc.success) {
      devices.push(readMigDevice(new Device(parent.library, handle.readBigUInt64LE(0)), index, total, gaps));
    } else if (code !== rc.notFound && code !== rc.invalidArgument) {
      failures.push({ index, reading: missingFrom(`${list}(${index})`, code) });
    }
  }
  const first = failures[0];
  if (first !== undefined && devices.length === 0) return first.reading;
  // Beside devices that could be read, one that could not be opened is listed with its index alone.
  for (const { index, reading } of failures) {
    gaps.push({ field: 'mig.devices', reason: reading.reason, detail: reading.detail });
    devices.push({ index, ...unopened } as MigDevice);
  }
  return { value: devices.sort((a, b) => a.index - b.index) };
}

const unopened = {
  uuid: null,
  gpuInstanceId: null,
  computeInstanceId: null,
  profile: null,
  memoryTotalBytes: null,
  memoryUsedBytes: null,
};

function readMigDevice(
  device: Device,
  index: number,
  parentTotalBytes: number | null,
  gaps: Gap[],
): MigDevice {
  const take = <T>(leaf: Exclude<keyof MigDevice, 'index'>, reading: Reading<T>): T | null => {
    if (!('reason' in reading)) return reading.value;
    const { reason, detail } = reading;
    gaps.push({ field: `mig.devices.${leaf}`, reason, detail: `MIG device ${index}: ${detail}` });
    return null;
  };
  const memory = readMemory(device);
  return {
    index,
    uuid: take('uuid', device.text('nvmlDeviceGetUUID', bufferSizes.uuid)),
    gpuInstanceId: take('gpuInstanceId', device.u32('nvmlDeviceGetGpuInstanceId')),
    computeInstanceId: take('computeInstanceId', device.u32('nvmlDeviceGetComputeInstanceId')),
    profile: take('profile', readProfile(device, parentTotalBytes)),
    memoryTotalBytes: take('memoryTotalBytes', memory.totalBytes),
    memoryUsedBytes: take('memoryUsedBytes', memory.usedBytes),
  } as MigDevice;
}

function readProfile(device: Device, parentTotalBytes: number | null): Reading<string> {
  const call = 'nvmlDeviceGetAttributes_v2';
  const attributes = allocateStruct('nvmlDeviceAttributes_t');
  const code = device.call(call, attributes);
  if (code !== rc.success) return missingFrom(call, code);
  const memory = decodeU64(call, readField(attributes, 'nvmlDeviceAttributes_t', 'memorySizeMB'));
  const name = device.text('nvmlDeviceGetName', bufferSizes.name).value;
  return mapReading(memory, (memoryMebibytes) =>
    migProfile(
      name,
      {
        gpu: readField(attributes, 'nvmlDeviceAttributes_t', 'gpuInstanceSliceCount'),
        compute: readField(attributes, 'nvmlDeviceAttributes_t', 'computeInstanceSliceCount'),
        memoryMebibytes,
      },
      parentTotalBytes,
    ),
  );
}
