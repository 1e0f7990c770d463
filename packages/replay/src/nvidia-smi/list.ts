import type { MigDevice } from '@k8s-gpu-mcp/core';
import type { SmiCapture } from '../recording.ts';
import { limits, type SmiSource, type UnreachableGpu, UnreadParts } from './document.ts';
import { placeUnreachable, readUnreachable } from './failure.ts';
import { GpuCollector } from './gpu-collector.ts';
import { missUnprinted } from './lists.ts';
import * as values from './values.ts';

const gpuLine = /^GPU (\d{1,3}): (.{1,100}) \(UUID: ([^()]{1,90})\)$/;
const migLine = /^MIG (\S{1,40}) {1,20}Device {1,4}(\d{1,3}): \(UUID: ([^()]{1,90})\)$/;
const nvlinkLine = /^\s{0,20}Link \d{1,2}: /;
const migProfile = /^(?:\d{1,2}c\.)?\d{1,2}g\.\d{1,4}gb(?:\+[a-z.]{1,16}|-[a-z]{1,8})?$/;

/** What the list does not say of a MIG device. */
const unprinted = {
  gpuInstanceId: null,
  computeInstanceId: null,
  memoryTotalBytes: null,
  memoryUsedBytes: null,
  multiprocessorCount: null,
  gpuSliceCount: null,
  computeSliceCount: null,
  placementStart: null,
  placementSize: null,
} as const;

/** Reads `nvidia-smi -L`: names, UUIDs and MIG devices with their profiles, which no other output prints. Undefined for anything else. */
export function parseSmiList(lines: readonly string[], source: SmiSource): SmiCapture | undefined {
  const unread = new UnreadParts(source.file);
  const found = new Map<number, { collector: GpuCollector; line: number; devices: MigDevice[] }>();
  const unreachable: UnreachableGpu[] = [];
  let current: number | undefined;
  let begin: number | undefined;
  lines.forEach((full, position) => {
    if (full.length > 400) return;
    const text = full.trim();
    const line = source.firstLine + position;
    const lost = readUnreachable(text, line);
    if (lost !== undefined && unreachable.length < limits.gpus) unreachable.push(lost);
    const [, index, name = '', uuid = ''] = gpuLine.exec(text) ?? [];
    if (index !== undefined) {
      current = undefined;
      if (found.has(Number(index)) || found.size >= limits.gpus) {
        unread.addOnce(line, 'a GPU', 'it was printed before in this list: the first time is kept');
        return;
      }
      begin ??= line;
      current = Number(index);
      const collector = new GpuCollector(source.file);
      collector.print('identity.name', line, name, values.productName);
      collector.print('identity.uuid', line, uuid, values.uuid);
      found.set(current, { collector, line, devices: [] });
      return;
    }
    const [, profile = '', device, deviceUuid = ''] = migLine.exec(text) ?? [];
    const parent = current === undefined ? undefined : found.get(current);
    if (device === undefined || parent === undefined || parent.devices.length >= limits.migDevices) return;
    parent.devices.push({
      ...unprinted,
      index: Number(device),
      uuid: values.uuid(deviceUuid).value,
      profile: migProfile.test(profile) ? profile : null,
    });
  });
  // `nvidia-smi nvlink -s` prints the same lines for the GPUs.
  if (begin === undefined || lines.some((line) => nvlinkLine.test(line))) return undefined;
  const gpus = [...found].map(([index, { collector, line, devices }]) => {
    if (devices.length > 0) {
      missUnprinted(collector, 'mig.devices', unprinted);
      collector.put('mig.enabled', line, { value: true });
      collector.put('mig.devices', line + 1, { value: devices });
    }
    return collector.gpu(index, null);
  });
  return {
    file: source.file,
    line: begin,
    format: 'nvidia-smi -L',
    at: null,
    driverVersion: null,
    computeApiVersion: null,
    attachedGpuCount: null,
    gpus: [...gpus, ...placeUnreachable(unreachable, [...found.keys()], source.file)],
    unread: unread.list,
  };
}
