import { allocate, allocateStruct, readField, writeU32 } from '../abi/codec.ts';
import { gpmMetricIds, rc } from '../abi/constants.ts';
import { structs } from '../abi/structs.ts';
import { decodeMetric, missing, missingFrom, type Reading } from '../decode/values.ts';
import {
  type Device,
  type Leaves,
  mapReading,
  type ProfilingSample,
  type ReadContext,
} from '../device/device.ts';

type Missing = ReturnType<typeof missing>;
type Metric = keyof typeof gpmMetricIds;

/** The sample of the previous read is compared with one taken now, which takes its place. */
export function readProfiling(device: Device, context: ReadContext): Leaves<'profiling'> {
  const { library } = device;
  const support = 'nvmlGpmQueryDeviceSupport';
  const isSupported = mapReading(device.struct(support, 'nvmlGpmSupport_t'), (member) =>
    member('isSupportedDevice') === 0
      ? missing('unsupported', `${support}: this GPU has no profiling counters`)
      : { value: true },
  );
  if ('reason' in isSupported) return withoutMetrics(isSupported);
  const sample = takeSample(device);
  if ('reason' in sample) return withoutMetrics(sample);
  const previous = context.profilingSamples.get(context.index);
  context.profilingSamples.set(context.index, sample.value);
  try {
    return previous?.device === device.handle
      ? compare(device, previous, sample.value)
      : withoutMetrics(nothingToCompare);
  } finally {
    if (previous !== undefined) library.call('nvmlGpmSampleFree', previous.handle);
  }
}

const nothingToCompare = missing(
  'not-observable',
  'the first reading has nothing to compare with: read this section again',
);

function takeSample(device: Device): Reading<ProfilingSample> {
  const { library } = device;
  const out = allocate(8);
  const allocated = library.call('nvmlGpmSampleAlloc', out);
  if (allocated !== rc.success) return missingFrom('nvmlGpmSampleAlloc', allocated);
  const handle = out.readBigUInt64LE(0);
  let isTaken = false;
  try {
    const code = device.call('nvmlGpmSampleGet', handle);
    isTaken = code === rc.success;
    if (!isTaken) return missingFrom('nvmlGpmSampleGet', code);
    return { value: { handle, device: device.handle, takenAt: performance.now() } };
  } finally {
    if (!isTaken) library.call('nvmlGpmSampleFree', handle);
  }
}

function compare(device: Device, from: ProfilingSample, to: ProfilingSample): Leaves<'profiling'> {
  const call = 'nvmlGpmMetricsGet';
  const struct = 'nvmlGpmMetricsGet_t';
  const request = allocateStruct(struct);
  const names = Object.keys(gpmMetricIds) as Metric[];
  writeU32(request, struct, 'numMetrics', names.length);
  request.writeBigUInt64LE(from.handle, structs[struct].fields.sample1.offset);
  request.writeBigUInt64LE(to.handle, structs[struct].fields.sample2.offset);
  // The metrics follow the members of the struct's head.
  const metrics = request.subarray(structs[struct].fields.sample2.offset + 8);
  names.forEach((name, position) => {
    writeU32(metrics, 'nvmlGpmMetric_t', 'metricId', gpmMetricIds[name], position);
  });
  const code = device.heed(call, device.library.call(call, request));
  if (code !== rc.success) return withoutMetrics(missingFrom(call, code));
  return leavesOf({ value: Math.round(to.takenAt - from.takenAt) }, (name) => {
    const position = names.indexOf(name);
    const entry = `${call}(${gpmMetricIds[name]})`;
    const own = readField(metrics, 'nvmlGpmMetric_t', 'nvmlReturn', position);
    if (own !== rc.success) return missingFrom(entry, own);
    return decodeMetric(entry, readField(metrics, 'nvmlGpmMetric_t', 'value', position));
  });
}

function withoutMetrics(gap: Missing): Leaves<'profiling'> {
  return leavesOf(gap, () => gap);
}

function leavesOf(interval: Reading<number>, metric: (name: Metric) => Reading<number>): Leaves<'profiling'> {
  // The driver counts in mebibytes.
  const megabytes = (name: Metric) =>
    mapReading(metric(name), (mebibytes) => ({ value: (mebibytes * 1024 ** 2) / 1e6 }));
  return {
    intervalMilliseconds: interval,
    graphicsActivePercent: metric('graphicsActive'),
    smActivePercent: metric('smActive'),
    smOccupancyPercent: metric('smOccupancy'),
    tensorActivePercent: metric('tensorActive'),
    memoryBandwidthPercent: metric('memoryBandwidth'),
    integerActivePercent: metric('integerActive'),
    fp64ActivePercent: metric('fp64Active'),
    fp32ActivePercent: metric('fp32Active'),
    fp16ActivePercent: metric('fp16Active'),
    pcieTransmitMegabytesPerSecond: megabytes('pcieTransmit'),
    pcieReceiveMegabytesPerSecond: megabytes('pcieReceive'),
    nvlinkTransmitMegabytesPerSecond: megabytes('nvlinkTransmit'),
    nvlinkReceiveMegabytesPerSecond: megabytes('nvlinkReceive'),
  };
}
