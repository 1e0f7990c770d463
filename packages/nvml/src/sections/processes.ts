import type { Gap, GpuProcess, GpuProcessKind } from '@k8s-gpu-mcp/core';
import { allocateStruct } from '../abi/codec.ts';
import { rc } from '../abi/constants.ts';
import { structs } from '../abi/structs.ts';
import {
  decodeProcessEntry,
  decodeUtilizationSamples,
  mergeProcesses,
  type ProcessEntry,
  type ProcessLayout,
  type UtilizationSample,
} from '../decode/processes.ts';
import { decodeFlag, missing, missingFrom, type Reading } from '../decode/values.ts';
import { type Device, mapReading, type ReadContext, type SectionResult } from '../device/device.ts';
import { readGrowing } from '../device/growing-list.ts';
import { ListGaps } from '../device/list-gaps.ts';
import { readAccounted } from './accounting.ts';
import { openMigDevices } from './mig.ts';

/** Older samples say nothing of now. Drivers take one about every second. */
const sampleWindowMilliseconds = 2_000;

export function readProcesses(device: Device, context: ReadContext): SectionResult<'processes'> {
  const gaps: Gap[] = [];
  const accountingEnabled = device.flag('nvmlDeviceGetAccountingMode');
  return {
    leaves: {
      running: mapReading(readEntries(device, context, gaps), (entries) => ({
        value: describeProcesses(device, entries, gaps),
      })),
      accountingEnabled,
      accounted: mapReading(accountingEnabled, (isOn) =>
        isOn ? readAccounted(device, gaps) : { value: [] },
      ),
    },
    gaps,
  };
}

type KindEntry = ProcessEntry & { readonly kind: GpuProcessKind };

/** NVML_PROCESS_MODE_* of the list with details. */
const processModes = { compute: 0, graphics: 1, mps: 2 } as const;

const listsByKind = [
  {
    kind: 'compute',
    mode: processModes.compute,
    names: [
      'nvmlDeviceGetComputeRunningProcesses_v3',
      'nvmlDeviceGetComputeRunningProcesses_v2',
      'nvmlDeviceGetComputeRunningProcesses',
    ],
  },
  {
    kind: 'graphics',
    mode: processModes.graphics,
    names: [
      'nvmlDeviceGetGraphicsRunningProcesses_v3',
      'nvmlDeviceGetGraphicsRunningProcesses_v2',
      'nvmlDeviceGetGraphicsRunningProcesses',
    ],
  },
  {
    kind: 'mps',
    mode: processModes.mps,
    names: [
      'nvmlDeviceGetMPSComputeRunningProcesses_v3',
      'nvmlDeviceGetMPSComputeRunningProcesses_v2',
      'nvmlDeviceGetMPSComputeRunningProcesses',
    ],
  },
] as const;
type ProcessList = (typeof listsByKind)[number]['names'][number];

/**
 * Of the GPU; while MIG is enabled a driver may refuse that to those who are not root, and then each MIG device is asked.
 */
function readEntries(device: Device, context: ReadContext, gaps: Gap[]): Reading<readonly KindEntry[]> {
  const whole = readDevice(device);
  if (!('reason' in whole) || (whole.reason !== 'no-permission' && whole.reason !== 'unsupported')) {
    return whole;
  }
  const mode = 'nvmlDeviceGetMigMode';
  const isEnabled = mapReading(device.u32Pair(mode)[0], (value) => decodeFlag(mode, value)).value;
  if (isEnabled !== true) return whole;
  const opened = openMigDevices(device);
  if ('reason' in opened) return opened;
  const incomplete = new ListGaps('processes.running', 'MIG device');
  const { devices, failures } = opened.value;
  for (const { index, reading } of failures) incomplete.noteIncomplete(index, reading);
  const entries: KindEntry[] = [];
  let answered = 0;
  for (const { index, device: mig } of devices) {
    context.onStage(`processes of MIG device ${index}`);
    const reading = readDevice(mig);
    if ('reason' in reading) {
      incomplete.noteIncomplete(index, reading);
      continue;
    }
    answered += 1;
    entries.push(...withInstance(mig, reading.value));
  }
  if (answered === 0 && devices.length > 0) return whole;
  gaps.push(...incomplete.all());
  return { value: entries };
}

/** Which instance the device is, for drivers that leave it out of the entries of a MIG device. */
function withInstance(mig: Device, entries: readonly KindEntry[]): readonly KindEntry[] {
  if (entries.every(({ gpuInstanceId }) => gpuInstanceId !== null)) return entries;
  const gpuInstanceId = mig.u32('nvmlDeviceGetGpuInstanceId').value;
  const computeInstanceId = mig.u32('nvmlDeviceGetComputeInstanceId').value;
  return entries.map((entry) =>
    entry.gpuInstanceId === null ? { ...entry, gpuInstanceId, computeInstanceId } : entry,
  );
}

/**
 * The lists of one device together. Every driver has compute processes; of the other kinds one that it does not offer holds nobody. A
 * list that cannot be read could hold somebody, so the whole is missing then rather than short of a process.
 */
function readDevice(device: Device): Reading<readonly KindEntry[]> {
  const entries: KindEntry[] = [];
  for (const { kind, mode, names } of listsByKind) {
    const reading = readList(device, names, mode);
    if (!('reason' in reading)) entries.push(...reading.value.map((entry) => ({ ...entry, kind })));
    else if (kind === 'compute' || reading.reason !== 'unsupported') return reading;
  }
  return { value: entries };
}

/** The newest symbol first. Unversioned ones have the v1 ABI. A driver without any of them may still have the list with details. */
function readList(
  device: Device,
  names: readonly ProcessList[],
  mode: number,
): Reading<readonly ProcessEntry[]> {
  for (const name of names) {
    if (!device.library.has(name)) continue;
    const reading = readWith(device, name, layoutOf(device, name));
    if (reading !== undefined) return reading;
  }
  return readDetails(device, mode) ?? missingFrom(names[0] ?? '', rc.functionNotFound);
}

/** nvmlDeviceGetRunningProcessDetailList takes a struct that points to the array. Undefined where it is not there. */
function readDetails(device: Device, mode: number): Reading<readonly ProcessEntry[]> | undefined {
  const name = 'nvmlDeviceGetRunningProcessDetailList';
  const layout = 'nvmlProcessDetail_v1_t';
  const { mode: modeMember, numProcArrayEntries, procArray } = structs.nvmlProcessDetailList_v1_t.fields;
  const list = readGrowing(name, 32, structs[layout].size, (count, buffer) => {
    const address = device.library.addressOf(buffer);
    if (address === null) return rc.functionNotFound;
    const request = allocateStruct('nvmlProcessDetailList_v1_t');
    request.writeUInt32LE(mode, modeMember.offset);
    request.writeUInt32LE(count.readUInt32LE(0), numProcArrayEntries.offset);
    request.writeBigUInt64LE(address, procArray.offset);
    const code = device.call(name, request);
    count.writeUInt32LE(request.readUInt32LE(numProcArrayEntries.offset), 0);
    return code;
  });
  if ('code' in list) return list.code === rc.functionNotFound ? undefined : missingFrom(name, list.code);
  if ('reason' in list) return list;
  const { buffer, count } = list;
  return {
    value: Array.from({ length: count }, (_, position) => decodeProcessEntry(name, buffer, layout, position)),
  };
}

/**
 * Early drivers of the 535 branch have an eighth word in the entries of the v3 lists. They are known by the functions they export.
 * Source: XuehaiPan/nvitop, nvitop/api/libnvml.py.
 */
function layoutOf({ library }: Device, name: ProcessList): ProcessLayout {
  if (name.endsWith('_v3')) {
    const isLonger =
      library.has('nvmlDeviceGetConfComputeMemSizeInfo') &&
      !library.has('nvmlDeviceGetRunningProcessDetailList');
    return isLonger ? 'nvmlProcessDetail_v1_t' : 'nvmlProcessInfo_t';
  }
  return name.endsWith('_v2') ? 'nvmlProcessInfo_t' : 'nvmlProcessInfo_v1_t';
}

/** Undefined where the symbol is exported but empty. */
function readWith(
  device: Device,
  name: ProcessList,
  layout: ProcessLayout,
): Reading<readonly ProcessEntry[]> | undefined {
  // The longest entry, whatever the layout: a wrong guess must not let the library write past the end.
  const stride = structs.nvmlProcessDetail_v1_t.size;
  const list = readGrowing(name, 32, stride, (count, buffer) => device.call(name, count, buffer));
  if ('code' in list) return list.code === rc.functionNotFound ? undefined : missingFrom(name, list.code);
  if ('reason' in list) return list;
  const { buffer, count } = list;
  return {
    value: Array.from({ length: count }, (_, position) => decodeProcessEntry(name, buffer, layout, position)),
  };
}

function describeProcesses(
  device: Device,
  entries: readonly KindEntry[],
  gaps: Gap[],
): readonly GpuProcess[] {
  const found = new ListGaps('processes.running', 'process');
  const processes = mergeProcesses(entries);
  const samples = processes.length === 0 ? { value: new Map() } : readSamples(device);
  const described = processes.map(({ pid, kinds, memory, gpuInstanceId, computeInstanceId }) => {
    const take = found.taker(pid);
    // Samples of pids that are not in the list are of processes that ended, or pids of another namespace.
    const percent = (member: keyof UtilizationSample) =>
      take(
        member,
        mapReading(samples, (byPid) => byPid.get(pid)?.[member] ?? noSample),
      );
    return {
      pid,
      kinds,
      memoryUsedBytes: take('memoryUsedBytes', memory),
      gpuInstanceId: take('gpuInstanceId', instance(gpuInstanceId)),
      computeInstanceId: take('computeInstanceId', instance(computeInstanceId)),
      smPercent: percent('smPercent'),
      memoryPercent: percent('memoryPercent'),
      encoderPercent: percent('encoderPercent'),
      decoderPercent: percent('decoderPercent'),
    };
  });
  gaps.push(...found.all());
  return described;
}

function instance(id: number | null): Reading<number> {
  return id === null ? missing('unsupported', 'the driver names no MIG instance') : { value: id };
}

const noSample = missing(
  'not-observable',
  `nvmlDeviceGetProcessUtilization: no sample of the last ${sampleWindowMilliseconds / 1000} s`,
);

/**
 * nvmlDeviceGetProcessesUtilizationInfo gives the same four numbers and two more, through a pointer inside a struct; only plain buffers
 * cross the foreign-function interface here, so the older function, which every driver exports, is the source.
 */
function readSamples(device: Device): Reading<ReadonlyMap<number, UtilizationSample>> {
  const name = 'nvmlDeviceGetProcessUtilization';
  const since = BigInt(Date.now() - sampleWindowMilliseconds) * 1000n;
  const stride = structs.nvmlProcessUtilizationSample_t.size;
  const list = readGrowing(name, 128, stride, (count, buffer) => device.call(name, buffer, count, since));
  if ('reason' in list) return list;
  if (!('code' in list)) return { value: decodeUtilizationSamples(name, list.buffer, list.count) };
  // "Not found" is how the driver says that nothing has run.
  return list.code === rc.notFound ? { value: new Map() } : missingFrom(name, list.code);
}
