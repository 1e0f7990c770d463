import type {
  GpuEvents,
  GpuEventType,
  GpuIdentity,
  GpuMemory,
  GpuMig,
  GpuRecovery,
  MigProfile,
} from '@k8s-gpu-mcp/core';
import type { MigProfileFacts } from '../models/gpu-model.ts';
import type { SimulatedGpu } from '../simulated-node.ts';
import { mebibyte, only } from './workload.ts';

export function identityOf({ model, condition, uuid, serial, index, pciDevice }: SimulatedGpu): GpuIdentity {
  const [, bus = '0'] = pciDevice.split(':');
  return {
    name: model.name,
    uuid,
    serial,
    boardPartNumber: model.boardPartNumber,
    // The driver numbers a board by where it is: bus and device, a byte each.
    boardId: `0x${(Number.parseInt(bus, 16) << 8).toString(16)}`,
    multiGpuBoard: false,
    moduleId: model.moduleId === 'by-position' ? index + 1 : model.moduleId,
    chassisSerial: null,
    slotNumber: null,
    trayIndex: null,
    hostId: model.hostId,
    brand: model.brand,
    vbiosVersion: condition.vbiosVersion ?? model.vbiosVersion,
    inforomVersion: model.inforomVersion,
    inforomOemVersion: model.inforomOemVersion,
    inforomEccVersion: model.inforomEccVersion,
    inforomPowerVersion: null,
    architecture: model.architecture,
    computeCapability: model.computeCapability,
    coreCount: model.coreCount,
    memoryBusWidthBits: model.memoryBusWidthBits,
    minorNumber: index,
    persistenceModeEnabled: true,
    computeMode: 'default',
    virtualizationMode: 'none',
    addressingMode: model.addressingMode,
    gspFirmwareVersion: model.driver.version,
    gspFirmwareEnabled: true,
  };
}

/** The CPU's window holds what is in use where it is wide enough for all of it; on small ones next to nothing. */
export function memoryOf({ model, condition, migDevices }: SimulatedGpu, share: number): GpuMemory {
  const totalBytes = model.memory.totalMebibytes * mebibyte;
  const reservedBytes = model.memory.reservedMebibytes * mebibyte;
  const inMig = migDevices.reduce((sum, device) => sum + (device.memoryUsedBytes ?? 0), 0);
  const busyBytes = Math.floor((model.memory.totalMebibytes * (0.3 + share / 2)) / 2) * 2 * mebibyte;
  const atRest = (condition.heldByNobodyMebibytes ?? 0) * mebibyte;
  const usedBytes = condition.migDevices ? inMig : condition.idle ? atRest : busyBytes;
  const bar1TotalBytes = model.memory.bar1Mebibytes * mebibyte;
  const bar1UsedBytes = (bar1TotalBytes > totalBytes ? usedBytes : 4 * mebibyte) + mebibyte;
  return {
    totalBytes,
    reservedBytes,
    usedBytes,
    freeBytes: totalBytes - reservedBytes - usedBytes,
    bar1TotalBytes,
    bar1UsedBytes,
    bar1FreeBytes: bar1TotalBytes - bar1UsedBytes,
  };
}

export function migOf({ model, condition, migDevices }: SimulatedGpu): GpuMig {
  const isEnabled = condition.migDevices !== undefined;
  const enabled = only(model.supportsMig, isEnabled);
  return {
    enabled,
    pendingEnabled: enabled,
    maxDeviceCount: only(model.supportsMig, 7),
    devices: only(
      model.supportsMig,
      migDevices.map((device) => ({ ...device })),
    ),
    profiles: only(
      model.supportsMig,
      model.migProfiles.map(
        (profile): MigProfile => ({
          id: profile.id,
          name: profile.name,
          gpuSliceCount: profile.gpuSliceCount,
          memoryTotalBytes: profile.memoryMebibytes * mebibyte,
          multiprocessorCount: profile.multiprocessorCount,
          maxInstanceCount: profile.maxInstanceCount,
          // The driver counts what is left only while MIG is enabled.
          remainingInstanceCount: isEnabled ? remaining(profile, migDevices) : null,
          placementStarts: [...profile.placementStarts],
        }),
      ),
    ),
  };
}

/** How many more fit: a free stretch of memory slices for each, and compute slices for all. */
function remaining(profile: MigProfileFacts, devices: SimulatedGpu['migDevices']): number {
  const taken = new Set<number>();
  const take = (start: number, size: number) => {
    for (let slice = start; slice < start + size; slice += 1) taken.add(slice);
  };
  for (const { placementStart, placementSize } of devices) take(placementStart ?? 0, placementSize ?? 0);
  const usedSlices = devices.reduce((sum, device) => sum + (device.gpuSliceCount ?? 0), 0);
  let places = 0;
  for (const start of profile.placementStarts) {
    const slices = Array.from({ length: profile.placementSize }, (_, offset) => start + offset);
    if (slices.some((slice) => taken.has(slice))) continue;
    take(start, profile.placementSize);
    places += 1;
  }
  const byCompute = Math.floor((7 - usedSlices) / profile.gpuSliceCount);
  return Math.max(0, Math.min(places, byCompute, profile.maxInstanceCount));
}

export function recoveryOf({ model, condition }: SimulatedGpu): GpuRecovery {
  return { action: only(model.driver.tellsRecoveryAction, condition.recoveryAction ?? 'none') };
}

/** Source: nvml.h; the later types came with 12.6 and 12.8. */
export function eventsOf({ model }: SimulatedGpu): GpuEvents {
  const types: GpuEventType[] = ['single-bit-ecc', 'double-bit-ecc', 'performance-state', 'xid', 'clock'];
  if (model.supportsMig) types.push('mig-configuration');
  if (model.driver.tellsRecentReadings) {
    types.push('single-bit-ecc-storm', 'dram-retirement', 'dram-retirement-failure');
    types.push('non-fatal-poison', 'fatal-poison', 'gpu-unavailable', 'recovery-action');
  }
  return { supportedTypes: types };
}
