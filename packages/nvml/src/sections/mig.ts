import type { MigDevice, MigProfile } from '@k8s-gpu-mcp/core';
import { allocate, allocateStruct, readField } from '../abi/codec.ts';
import { bufferSizes, rc } from '../abi/constants.ts';
import { migInstanceRoom } from '../abi/link-constants.ts';
import { decodeFlag, decodeU64, migProfile, missing, missingFrom, type Reading } from '../decode/values.ts';
import { Device, mapReading, type SectionResult } from '../device/device.ts';
import { ListGaps } from '../device/list-gaps.ts';
import { readMemory } from './memory.ts';
import { readMigProfiles } from './mig-profiles.ts';

export function readMig(device: Device): SectionResult<'mig'> {
  const mode = 'nvmlDeviceGetMigMode';
  const [current, pending] = device.u32Pair(mode);
  const enabled = mapReading(current, (value) => decodeFlag(mode, value));
  const totalBytes = readMemory(device).totalBytes.value;
  const profileGaps = new ListGaps('mig.profiles', 'profile');
  const profiles = mapReading(enabled, () => readMigProfiles(device, totalBytes, profileGaps));
  const deviceGaps = new ListGaps('mig.devices', 'MIG device');
  const devices = mapReading(enabled, (isOn) =>
    isOn ? readMigDevices(device, totalBytes, profiles, deviceGaps) : { value: [] },
  );
  return {
    leaves: {
      enabled,
      pendingEnabled: mapReading(pending, (value) => decodeFlag(mode, value)),
      maxDeviceCount: device.u32('nvmlDeviceGetMaxMigDeviceCount'),
      devices,
      profiles,
    },
    gaps: [...deviceGaps.all(), ...profileGaps.all()],
  };
}

interface OpenedMigDevices {
  readonly devices: readonly { readonly index: number; readonly device: Device }[];
  readonly failures: readonly { readonly index: number; readonly reading: ReturnType<typeof missingFrom> }[];
}

/** Indexes can be sparse: NOT_FOUND is a hole, not the end. Missing where none of the devices that are there could be opened. */
export function openMigDevices(parent: Device): Reading<OpenedMigDevices> {
  const list = 'nvmlDeviceGetMigDeviceHandleByIndex';
  return mapReading(parent.u32('nvmlDeviceGetMaxMigDeviceCount'), (count) => {
    const devices: OpenedMigDevices['devices'][number][] = [];
    const failures: OpenedMigDevices['failures'][number][] = [];
    for (let index = 0; index < count; index += 1) {
      const handle = allocate(8);
      const code = parent.call(list, index, handle);
      if (code === rc.success) {
        devices.push({ index, device: new Device(parent.library, handle.readBigUInt64LE(0)) });
      } else if (code !== rc.notFound && code !== rc.invalidArgument) {
        failures.push({ index, reading: missingFrom(list, code) });
      }
    }
    const first = failures[0];
    return first !== undefined && devices.length === 0 ? first.reading : { value: { devices, failures } };
  });
}

function readMigDevices(
  parent: Device,
  totalBytes: number | null,
  profiles: Reading<readonly MigProfile[]>,
  gaps: ListGaps,
): Reading<readonly MigDevice[]> {
  return mapReading(openMigDevices(parent), ({ devices, failures }) => {
    const placements: Reading<Placements> =
      devices.length === 0
        ? { value: new Map() }
        : mapReading(profiles, (known) => readPlacements(parent, known));
    const read = devices.map(({ index, device }) =>
      readMigDevice(device, index, totalBytes, placements, gaps),
    );
    // Beside devices that could be read, one that could not be opened is listed with its index alone.
    const unopened = failures.map(({ index, reading }) => {
      gaps.noteIncomplete(index, reading);
      return { index, ...nothingKnown };
    });
    return { value: [...read, ...unopened].sort((a, b) => a.index - b.index) };
  });
}

const nothingKnown = {
  uuid: null,
  gpuInstanceId: null,
  computeInstanceId: null,
  profile: null,
  memoryTotalBytes: null,
  memoryUsedBytes: null,
  multiprocessorCount: null,
  gpuSliceCount: null,
  computeSliceCount: null,
  placementStart: null,
  placementSize: null,
} as const satisfies Omit<MigDevice, 'index'>;

function readMigDevice(
  device: Device,
  index: number,
  parentTotalBytes: number | null,
  placements: Reading<Placements>,
  gaps: ListGaps,
): MigDevice {
  const take = gaps.taker(index);
  const memory = readMemory(device);
  const attributes = readAttributes(device);
  const gpuInstanceId = take('gpuInstanceId', device.u32('nvmlDeviceGetGpuInstanceId'));
  const placement = mapReading(placements, (byInstance) => {
    const known = gpuInstanceId === null ? undefined : byInstance.get(gpuInstanceId);
    if (known !== undefined) return { value: known };
    return missing('error', 'nvmlDeviceGetGpuInstances: the GPU instance is not among them');
  });
  return {
    index,
    uuid: take('uuid', device.text('nvmlDeviceGetUUID', bufferSizes.uuid)),
    gpuInstanceId,
    computeInstanceId: take('computeInstanceId', device.u32('nvmlDeviceGetComputeInstanceId')),
    profile: take(
      'profile',
      mapReading(attributes, (slices) =>
        migProfile(device.text('nvmlDeviceGetName', bufferSizes.name).value, slices, parentTotalBytes),
      ),
    ),
    memoryTotalBytes: take('memoryTotalBytes', memory.totalBytes),
    memoryUsedBytes: take('memoryUsedBytes', memory.usedBytes),
    multiprocessorCount: take(
      'multiprocessorCount',
      mapReading(attributes, ({ multiprocessors }) => ({ value: multiprocessors })),
    ),
    gpuSliceCount: take(
      'gpuSliceCount',
      mapReading(attributes, ({ gpu }) => ({ value: gpu })),
    ),
    computeSliceCount: take(
      'computeSliceCount',
      mapReading(attributes, ({ compute }) => ({ value: compute })),
    ),
    placementStart: take(
      'placementStart',
      mapReading(placement, ({ start }) => ({ value: start })),
    ),
    placementSize: take(
      'placementSize',
      mapReading(placement, ({ size }) => ({ value: size })),
    ),
  };
}

function readAttributes(device: Device) {
  const call = 'nvmlDeviceGetAttributes_v2';
  const layout = 'nvmlDeviceAttributes_t';
  const attributes = allocateStruct(layout);
  const code = device.call(call, attributes);
  if (code !== rc.success) return missingFrom(call, code);
  return mapReading(decodeU64(call, readField(attributes, layout, 'memorySizeMB')), (memoryMebibytes) => ({
    value: {
      multiprocessors: readField(attributes, layout, 'multiprocessorCount'),
      gpu: readField(attributes, layout, 'gpuInstanceSliceCount'),
      compute: readField(attributes, layout, 'computeInstanceSliceCount'),
      memoryMebibytes,
    },
  }));
}

type Placements = ReadonlyMap<number, { readonly start: number; readonly size: number }>;

/** Where the GPU instances lie, by id. The driver tells it only to those who may change it (root). */
function readPlacements(parent: Device, profiles: readonly MigProfile[]): Reading<Placements> {
  const call = 'nvmlDeviceGetGpuInstances';
  const placements = new Map<number, { readonly start: number; readonly size: number }>();
  for (const { id } of profiles) {
    const handles = allocate(migInstanceRoom * 8);
    const count = allocate(4);
    const code = parent.call(call, id, handles, count);
    if (code !== rc.success) return missingFrom(call, code);
    for (let position = 0; position < Math.min(count.readUInt32LE(0), migInstanceRoom); position += 1) {
      const layout = 'nvmlGpuInstanceInfo_t';
      const info = allocateStruct(layout);
      const got = parent.library.call('nvmlGpuInstanceGetInfo', handles.readBigUInt64LE(position * 8), info);
      if (got !== rc.success) return missingFrom('nvmlGpuInstanceGetInfo', got);
      placements.set(readField(info, layout, 'id'), {
        start: readField(info, layout, 'placementStart'),
        size: readField(info, layout, 'placementSize'),
      });
    }
  }
  return { value: placements };
}
