import type { MigProfile } from '@k8s-gpu-mcp/core';
import { allocate, allocateStruct, readField } from '../abi/codec.ts';
import { rc } from '../abi/constants.ts';
import { migInstanceRoom, migMediaProfiles, migProfileSearchLimit } from '../abi/link-constants.ts';
import { structs } from '../abi/structs.ts';
import { decodeText, decodeU64, migProfile, missingFrom, type Reading } from '../decode/values.ts';
import { type Device, mapReading } from '../device/device.ts';
import type { ListGaps } from '../device/list-gaps.ts';

/** Profiles are found by asking: "not supported" is one that this product has not got, "invalid argument" the end of them. */
export function readMigProfiles(
  device: Device,
  totalBytes: number | null,
  gaps: ListGaps,
): Reading<readonly MigProfile[]> {
  const profiles: MigProfile[] = [];
  let refusal: ReturnType<typeof missingFrom> | undefined;
  for (let profile = 0; profile < migProfileSearchLimit; profile += 1) {
    const { call, code, info } = readProfileInfo(device, profile);
    if (code === rc.invalidArgument) break;
    if (code !== rc.success) {
      refusal ??= missingFrom(call, code);
      if (code === rc.notSupported) continue;
      return refusal;
    }
    const memory = decodeU64(call, info.memoryMebibytes);
    if ('reason' in memory) gaps.noteIncomplete(info.id, memory);
    else
      profiles.push(
        describeProfile(device, profile, { ...info, memoryMebibytes: memory.value }, totalBytes, gaps),
      );
  }
  return profiles.length === 0 && refusal !== undefined ? refusal : { value: profiles };
}

function describeProfile(
  device: Device,
  profile: number,
  info: ProfileInfo & { readonly memoryMebibytes: number },
  totalBytes: number | null,
  gaps: ListGaps,
): MigProfile {
  const take = gaps.taker(info.id);
  const slices = { gpu: info.sliceCount, compute: info.sliceCount, memoryMebibytes: info.memoryMebibytes };
  // The driver spells "MIG 1g.10gb"; before it spelt anything the name followed from the slices.
  const spelt =
    info.name === undefined
      ? mapReading(migProfile(null, slices, totalBytes), (name) => ({
          value: migMediaProfiles.includes(profile) ? `${name}+me` : name,
        }))
      : mapReading(decodeText('nvmlDeviceGetGpuInstanceProfileInfoV', info.name), (name) => ({
          value: name.replace(/^MIG /, ''),
        }));
  const remaining = allocate(4);
  const capacity = 'nvmlDeviceGetGpuInstanceRemainingCapacity';
  const code = device.call(capacity, info.id, remaining);
  return {
    id: info.id,
    name: take('name', spelt),
    gpuSliceCount: info.sliceCount,
    memoryTotalBytes: info.memoryMebibytes * 1024 ** 2,
    multiprocessorCount: info.multiprocessorCount,
    maxInstanceCount: info.instanceCount,
    remainingInstanceCount: take(
      'remainingInstanceCount',
      code === rc.success ? { value: remaining.readUInt32LE(0) } : missingFrom(capacity, code),
    ),
    placementStarts: take('placementStarts', readPlacementStarts(device, info.id)),
  };
}

interface ProfileInfo {
  readonly id: number;
  readonly sliceCount: number;
  readonly instanceCount: number;
  readonly multiprocessorCount: number;
  /** Undefined of drivers whose answer has no name. */
  readonly name: string | undefined;
}

function readProfileInfo(device: Device, profile: number) {
  const newest = 'nvmlDeviceGetGpuInstanceProfileInfoV';
  const older = 'nvmlDeviceGetGpuInstanceProfileInfo';
  const v2 = allocateStruct('nvmlGpuInstanceProfileInfo_v2_t');
  const v1 = allocateStruct('nvmlGpuInstanceProfileInfo_t');
  const { code, call } = device.library.firstOf<{ readonly code: number; readonly call: string }>(
    { code: device.call(newest, profile, v2), call: newest },
    () => ({ code: device.call(older, profile, v1), call: older }),
  );
  const member = (name: 'id' | 'sliceCount' | 'instanceCount' | 'multiprocessorCount'): number =>
    call === newest
      ? readField(v2, 'nvmlGpuInstanceProfileInfo_v2_t', name)
      : readField(v1, 'nvmlGpuInstanceProfileInfo_t', name);
  const info: ProfileInfo & { readonly memoryMebibytes: bigint } = {
    id: member('id'),
    sliceCount: member('sliceCount'),
    instanceCount: member('instanceCount'),
    multiprocessorCount: member('multiprocessorCount'),
    memoryMebibytes:
      call === newest
        ? readField(v2, 'nvmlGpuInstanceProfileInfo_v2_t', 'memorySizeMB')
        : readField(v1, 'nvmlGpuInstanceProfileInfo_t', 'memorySizeMB'),
    name: call === newest ? readField(v2, 'nvmlGpuInstanceProfileInfo_v2_t', 'name') : undefined,
  };
  return { code, call, info };
}

/** The room is not told to the library, which writes all it has: a place for each memory slice at most. */
function readPlacementStarts(device: Device, profileId: number): Reading<readonly number[]> {
  const call = 'nvmlDeviceGetGpuInstancePossiblePlacements_v2';
  const { size, fields } = structs.nvmlGpuInstancePlacement_t;
  const placements = allocate(migInstanceRoom * size);
  const count = allocate(4);
  count.writeUInt32LE(migInstanceRoom);
  const code = device.call(call, profileId, placements, count);
  if (code !== rc.success) return missingFrom(call, code);
  const found = Math.min(count.readUInt32LE(0), migInstanceRoom);
  return {
    value: Array.from({ length: found }, (_, position) =>
      placements.readUInt32LE(position * size + fields.start.offset),
    ),
  };
}
