import type { GpuSection } from '@k8s-gpu-mcp/core';
import { allocate, allocateStruct, readField } from './abi/codec.ts';
import {
  bufferSizes,
  clockTypes,
  eccCounterTypes,
  fieldIds,
  memoryErrorTypes,
  memoryLocationSram,
  pageRetirementCauses,
  rc,
  temperatureSensorGpu,
  temperatureThresholds,
} from './abi/constants.ts';
import { structs } from './abi/structs.ts';
import {
  decodeArchitecture,
  decodeClockEventReasons,
  decodeFieldValue,
  decodeFlag,
  decodeMemoryTemperature,
  decodePerformanceState,
  decodeRecoveryAction,
  decodeU32,
  decodeU64,
  missing,
  missingFrom,
  type Reading,
} from './decode.ts';
import { type Device, GpuLostDuringRead, type Leaves, mapReading, type SectionResult } from './device.ts';
import { readMemory } from './memory.ts';
import { readMig } from './mig.ts';

/** How each section is read. */
export const sectionReaders: {
  readonly [Section in GpuSection]: (device: Device) => SectionResult<Section>;
} = {
  identity: (device) => ({ leaves: readIdentity(device) }),
  memory: (device) => ({ leaves: readMemory(device) }),
  thermal: (device) => ({ leaves: readThermal(device) }),
  power: (device) => ({ leaves: readPower(device) }),
  clocks: (device) => ({ leaves: readClocks(device) }),
  utilization: (device) => ({ leaves: readUtilization(device) }),
  ecc: (device) => ({ leaves: readEcc(device) }),
  rowRemap: (device) => ({ leaves: readRowRemap(device) }),
  pcie: (device) => ({ leaves: readPcie(device) }),
  mig: readMig,
  recovery: (device) => ({ leaves: readRecovery(device) }),
};

function readIdentity(device: Device): Leaves<'identity'> {
  const architecture = 'nvmlDeviceGetArchitecture';
  const [major, minor] = device.u32Pair('nvmlDeviceGetCudaComputeCapability');
  return {
    name: device.text('nvmlDeviceGetName', bufferSizes.name),
    uuid: device.text('nvmlDeviceGetUUID', bufferSizes.uuid),
    serial: device.text('nvmlDeviceGetSerial', bufferSizes.serial),
    boardPartNumber: device.text('nvmlDeviceGetBoardPartNumber', bufferSizes.boardPartNumber),
    vbiosVersion: device.text('nvmlDeviceGetVbiosVersion', bufferSizes.vbiosVersion),
    inforomVersion: device.text('nvmlDeviceGetInforomImageVersion', bufferSizes.inforomVersion),
    architecture: mapReading(device.u32(architecture), (value) => decodeArchitecture(architecture, value)),
    computeCapability: mapReading(major, (majorNumber) =>
      mapReading(minor, (minorNumber) => ({ value: `${majorNumber}.${minorNumber}` })),
    ),
    minorNumber: device.u32('nvmlDeviceGetMinorNumber'),
    persistenceModeEnabled: flag(device, 'nvmlDeviceGetPersistenceMode'),
  };
}

function readThermal(device: Device): Leaves<'thermal'> {
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
  };
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

function readPower(device: Device): Leaves<'power'> {
  const watts = (reading: Reading<number>) =>
    mapReading(reading, (milliwatts) => ({ value: milliwatts / 1000 }));
  const [min, max] = device.u32Pair('nvmlDeviceGetPowerManagementLimitConstraints');
  const field = readFields(device, [fieldIds.powerInstant]);
  return {
    drawWatts: watts(device.u32('nvmlDeviceGetPowerUsage')),
    instantDrawWatts: watts(field(0)),
    enforcedLimitWatts: watts(device.u32('nvmlDeviceGetEnforcedPowerLimit')),
    defaultLimitWatts: watts(device.u32('nvmlDeviceGetPowerManagementDefaultLimit')),
    minLimitWatts: watts(min),
    maxLimitWatts: watts(max),
    energyJoules: mapReading(device.u64('nvmlDeviceGetTotalEnergyConsumption'), (millijoules) => ({
      value: millijoules / 1000,
    })),
  };
}

function readClocks(device: Device): Leaves<'clocks'> {
  const state = 'nvmlDeviceGetPerformanceState';
  return {
    smClockMegahertz: device.u32At('nvmlDeviceGetClockInfo', clockTypes.sm),
    memoryClockMegahertz: device.u32At('nvmlDeviceGetClockInfo', clockTypes.memory),
    maxSmClockMegahertz: device.u32At('nvmlDeviceGetMaxClockInfo', clockTypes.sm),
    maxMemoryClockMegahertz: device.u32At('nvmlDeviceGetMaxClockInfo', clockTypes.memory),
    performanceState: mapReading(device.u32(state), (value) => decodePerformanceState(state, value)),
    eventReasons: readClockEventReasons(device),
  };
}

function readClockEventReasons(device: Device) {
  const out = allocate(8);
  const attempt = (
    name: 'nvmlDeviceGetCurrentClocksEventReasons' | 'nvmlDeviceGetCurrentClocksThrottleReasons',
  ) => ({ code: device.call(name, out), name });
  const { code, name } = device.library.firstOf(attempt('nvmlDeviceGetCurrentClocksEventReasons'), () =>
    attempt('nvmlDeviceGetCurrentClocksThrottleReasons'),
  );
  return code === rc.success
    ? decodeClockEventReasons(name, out.readBigUInt64LE(0))
    : missingFrom(name, code);
}

function readUtilization(device: Device): Leaves<'utilization'> {
  const call = 'nvmlDeviceGetUtilizationRates';
  const rates = allocateStruct('nvmlUtilization_t');
  const code = device.call(call, rates);
  const rate = (member: 'gpu' | 'memory') =>
    code === rc.success
      ? decodeU32(call, readField(rates, 'nvmlUtilization_t', member))
      : missingFrom(call, code);
  return {
    gpuPercent: rate('gpu'),
    memoryPercent: rate('memory'),
    encoderPercent: device.u32Pair('nvmlDeviceGetEncoderUtilization')[0],
    decoderPercent: device.u32Pair('nvmlDeviceGetDecoderUtilization')[0],
  };
}

function readEcc(device: Device): Leaves<'ecc'> {
  const mode = 'nvmlDeviceGetEccMode';
  const [current, pending] = device.u32Pair(mode);
  const total = (error: number, counter: number): Reading<number> => {
    const call = `nvmlDeviceGetTotalEccErrors(${error}, ${counter})`;
    const out = allocate(8);
    const code = device.call('nvmlDeviceGetTotalEccErrors', error, counter, out);
    return code === rc.success ? decodeU64(call, out.readBigUInt64LE(0)) : missingFrom(call, code);
  };
  const { corrected, uncorrected } = memoryErrorTypes;
  const { volatile, aggregate } = eccCounterTypes;
  return {
    enabled: mapReading(current, (value) => decodeFlag(mode, value)),
    pendingEnabled: mapReading(pending, (value) => decodeFlag(mode, value)),
    correctableVolatileCount: total(corrected, volatile),
    uncorrectableVolatileCount: total(uncorrected, volatile),
    correctableAggregateCount: total(corrected, aggregate),
    uncorrectableAggregateCount: total(uncorrected, aggregate),
    ...readSramEcc(device),
  };
}

/** SramEccErrorStatus wants root; the older per-location counter gives at least the counts without. */
function readSramEcc(
  device: Device,
): Pick<
  Leaves<'ecc'>,
  'sramUncorrectableVolatileCount' | 'sramUncorrectableAggregateCount' | 'sramThresholdExceeded'
> {
  const call = 'nvmlDeviceGetSramEccErrorStatus';
  const status = allocateStruct('nvmlEccSramErrorStatus_v1_t');
  const code = device.call(call, status);
  if (code === rc.success) {
    const member = (
      name: 'aggregateUncParity' | 'aggregateUncSecDed' | 'volatileUncParity' | 'volatileUncSecDed',
    ) => readField(status, 'nvmlEccSramErrorStatus_v1_t', name);
    return {
      sramUncorrectableVolatileCount: decodeU64(
        call,
        member('volatileUncParity') + member('volatileUncSecDed'),
      ),
      sramUncorrectableAggregateCount: decodeU64(
        call,
        member('aggregateUncParity') + member('aggregateUncSecDed'),
      ),
      sramThresholdExceeded: decodeFlag(
        call,
        readField(status, 'nvmlEccSramErrorStatus_v1_t', 'bThresholdExceeded'),
      ),
    };
  }
  const older = (counter: number): Reading<number> => {
    const out = allocate(8);
    const name = 'nvmlDeviceGetMemoryErrorCounter';
    const olderCode = device.call(name, memoryErrorTypes.uncorrected, counter, memoryLocationSram, out);
    return olderCode === rc.success ? decodeU64(name, out.readBigUInt64LE(0)) : missingFrom(call, code);
  };
  return {
    sramUncorrectableVolatileCount: older(eccCounterTypes.volatile),
    sramUncorrectableAggregateCount: older(eccCounterTypes.aggregate),
    sramThresholdExceeded: missingFrom(call, code),
  };
}

/**
 * nvmlDeviceGetRemappedRows has kept its ABI and is in every driver; the v2 of NVML 13.2 splits the counts into active and inactive
 * remaps, a distinction the reading does not make.
 */
function readRowRemap(device: Device): Leaves<'rowRemap'> {
  const call = 'nvmlDeviceGetRemappedRows';
  const outs = [allocate(4), allocate(4), allocate(4), allocate(4)] as const;
  const code = device.call(call, ...outs);
  const out = (position: 0 | 1 | 2 | 3): Reading<number> =>
    code === rc.success ? decodeU32(call, outs[position].readUInt32LE(0)) : missingFrom(call, code);
  const [first, second] = pageRetirementCauses.map((cause) => readRetiredPageCount(device, cause));
  return {
    correctableRowCount: out(0),
    uncorrectableRowCount: out(1),
    pending: mapReading(out(2), (value) => decodeFlag(call, value)),
    failureOccurred: mapReading(out(3), (value) => decodeFlag(call, value)),
    retiredPagesPending: flag(device, 'nvmlDeviceGetRetiredPagesPendingStatus'),
    retiredPageCount: mapReading(first ?? missing('error', 'no cause'), (one) =>
      mapReading(second ?? missing('error', 'no cause'), (other) => ({ value: one + other })),
    ),
  };
}

/** The count only; the buffer is there because some libraries refuse a null address list. */
function readRetiredPageCount(device: Device, cause: number): Reading<number> {
  const newest = device.library.has('nvmlDeviceGetRetiredPages_v2');
  const name = newest ? 'nvmlDeviceGetRetiredPages_v2' : 'nvmlDeviceGetRetiredPages';
  let capacity = 64; // what the boards that retire pages can hold
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const count = allocate(4);
    count.writeUInt32LE(capacity);
    const addresses = allocate(capacity * 8);
    const code = newest
      ? device.call('nvmlDeviceGetRetiredPages_v2', cause, count, addresses, allocate(capacity * 8))
      : device.call('nvmlDeviceGetRetiredPages', cause, count, addresses);
    if (code === rc.success) return decodeU32(name, count.readUInt32LE(0));
    if (code !== rc.insufficientSize) return missingFrom(name, code);
    capacity = Math.min(Math.max(capacity * 2, count.readUInt32LE(0)), 65_536);
  }
  return missing('error', `${name}: the list keeps growing`);
}

function readPcie(device: Device): Leaves<'pcie'> {
  return {
    currentGeneration: device.u32('nvmlDeviceGetCurrPcieLinkGeneration'),
    maxGeneration: device.u32('nvmlDeviceGetMaxPcieLinkGeneration'),
    currentLinkWidthLanes: device.u32('nvmlDeviceGetCurrPcieLinkWidth'),
    maxLinkWidthLanes: device.u32('nvmlDeviceGetMaxPcieLinkWidth'),
    replayCount: device.u32('nvmlDeviceGetPcieReplayCounter'),
  };
}

function readRecovery(device: Device): Leaves<'recovery'> {
  const field = readFields(device, [fieldIds.recoveryAction]);
  return { action: mapReading(field(0), decodeRecoveryAction) };
}

function flag(
  device: Device,
  name: 'nvmlDeviceGetPersistenceMode' | 'nvmlDeviceGetRetiredPagesPendingStatus',
): Reading<boolean> {
  return mapReading(device.u32(name), (value) => decodeFlag(name, value));
}

/** One call for several field ids; the returned function decodes one entry. */
function readFields(device: Device, ids: readonly number[]) {
  const call = 'nvmlDeviceGetFieldValues';
  const { size, fields } = structs.nvmlFieldValue_t;
  const values = allocateStruct('nvmlFieldValue_t', ids.length);
  ids.forEach((id, position) => {
    values.writeUInt32LE(id, size * position + fields.fieldId.offset);
  });
  const code = device.call(call, ids.length, values);
  if (code === rc.success && ids.some((_, position) => fieldReturn(values, position) === rc.gpuIsLost)) {
    throw new GpuLostDuringRead(call);
  }
  return (position: number, signed = false): Reading<number> =>
    code === rc.success ? decodeFieldValue(values, position, signed) : missingFrom(call, code);
}

function fieldReturn(values: Buffer, position: number): number {
  return readField(values, 'nvmlFieldValue_t', 'nvmlReturn', position);
}
