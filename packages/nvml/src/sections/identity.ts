import { allocate, allocateStruct, readField, readText } from '../abi/codec.ts';
import { bufferSizes, inforomObjects, rc } from '../abi/constants.ts';
import {
  addressingModeByValue,
  computeModeByValue,
  decodeArchitecture,
  decodeBrand,
  decodeChoice,
  decodeFlag,
  decodeText,
  decodeU8,
  missing,
  missingFrom,
  type Reading,
  virtualizationModeByValue,
} from '../decode/values.ts';
import { type Device, firstReading, type Leaves, mapReading } from '../device/device.ts';

export function readIdentity(device: Device): Leaves<'identity'> {
  const [major, minor] = device.u32Pair('nvmlDeviceGetCudaComputeCapability');
  const gspMode = 'nvmlDeviceGetGspFirmwareMode';
  const platform = readPlatform(device);
  return {
    name: device.text('nvmlDeviceGetName', bufferSizes.name),
    uuid: device.text('nvmlDeviceGetUUID', bufferSizes.uuid),
    serial: device.text('nvmlDeviceGetSerial', bufferSizes.serial),
    boardPartNumber: device.text('nvmlDeviceGetBoardPartNumber', bufferSizes.boardPartNumber),
    boardId: mapReading(device.u32('nvmlDeviceGetBoardId'), (value) => ({
      value: `0x${value.toString(16)}`,
    })),
    multiGpuBoard: device.flag('nvmlDeviceGetMultiGpuBoard'),
    moduleId: firstReading(device.u32('nvmlDeviceGetModuleId'), () => platform.moduleId),
    chassisSerial: platform.chassisSerial,
    slotNumber: platform.slotNumber,
    trayIndex: platform.trayIndex,
    hostId: platform.hostId,
    brand: named(device, 'nvmlDeviceGetBrand', decodeBrand),
    vbiosVersion: device.text('nvmlDeviceGetVbiosVersion', bufferSizes.vbiosVersion),
    inforomVersion: device.text('nvmlDeviceGetInforomImageVersion', bufferSizes.inforomVersion),
    inforomOemVersion: readInforomVersion(device, inforomObjects.oem),
    inforomEccVersion: readInforomVersion(device, inforomObjects.ecc),
    inforomPowerVersion: readInforomVersion(device, inforomObjects.power),
    architecture: named(device, 'nvmlDeviceGetArchitecture', decodeArchitecture),
    computeCapability: mapReading(major, (majorNumber) =>
      mapReading(minor, (minorNumber) => ({ value: `${majorNumber}.${minorNumber}` })),
    ),
    coreCount: device.u32('nvmlDeviceGetNumGpuCores'),
    memoryBusWidthBits: device.u32('nvmlDeviceGetMemoryBusWidth'),
    minorNumber: device.u32('nvmlDeviceGetMinorNumber'),
    persistenceModeEnabled: device.flag('nvmlDeviceGetPersistenceMode'),
    computeMode: named(device, 'nvmlDeviceGetComputeMode', choice(computeModeByValue)),
    virtualizationMode: named(device, 'nvmlDeviceGetVirtualizationMode', choice(virtualizationModeByValue)),
    addressingMode: readAddressingMode(device),
    gspFirmwareVersion: readGspVersion(device),
    gspFirmwareEnabled: mapReading(device.u32Pair(gspMode)[0], (value) => decodeFlag(gspMode, value)),
  };
}

type NumberFunction = Parameters<Device['u32']>[0];

function named<T>(
  device: Device,
  name: NumberFunction,
  decode: (call: string, value: number) => Reading<T>,
): Reading<T> {
  return mapReading(device.u32(name), (value) => decode(name, value));
}

function choice<T>(choices: readonly T[]) {
  return (call: string, value: number) => decodeChoice(call, value, choices);
}

function readInforomVersion(device: Device, object: number): Reading<string> {
  const call = `nvmlDeviceGetInforomVersion(${object})`;
  const size = bufferSizes.inforomVersion;
  const out = allocate(size);
  const code = device.call('nvmlDeviceGetInforomVersion', object, out, size);
  return code === rc.success ? decodeText(call, readText(out, 0, size)) : missingFrom(call, code);
}

/** The only text function that is not told how long its buffer is. */
function readGspVersion(device: Device): Reading<string> {
  const call = 'nvmlDeviceGetGspFirmwareVersion';
  const out = allocate(bufferSizes.gspFirmwareVersion);
  const code = device.call(call, out);
  if (code !== rc.success) return missingFrom(call, code);
  return decodeText(call, readText(out, 0, bufferSizes.gspFirmwareVersion));
}

function readAddressingMode(device: Device) {
  const call = 'nvmlDeviceGetAddressingMode';
  return mapReading(device.struct(call, 'nvmlDeviceAddressingMode_v1_t'), (member) =>
    decodeChoice(call, member('value'), addressingModeByValue),
  );
}

type Platform = Pick<
  Leaves<'identity'>,
  'chassisSerial' | 'slotNumber' | 'trayIndex' | 'hostId' | 'moduleId'
>;

/** The first revision has the same places under other names, and the GUID of the rack where the second has the chassis serial. */
function readPlatform(device: Device): Platform {
  const call = 'nvmlDeviceGetPlatformInfo';
  const v2 = allocateStruct('nvmlPlatformInfo_v2_t');
  const v1 = allocateStruct('nvmlPlatformInfo_v1_t');
  const { code, revision } = device.library.firstOf({ code: device.call(call, v2), revision: 2 }, () => ({
    code: device.call(call, v1),
    revision: 1,
  }));
  const member = (newer: Byte<'nvmlPlatformInfo_v2_t'>, older: Byte<'nvmlPlatformInfo_v1_t'>) => {
    if (code !== rc.success) return missingFrom(call, code);
    return decodeU8(
      call,
      revision === 2
        ? readField(v2, 'nvmlPlatformInfo_v2_t', newer)
        : readField(v1, 'nvmlPlatformInfo_v1_t', older),
    );
  };
  const chassisSerial = (): Reading<string> => {
    if (code !== rc.success) return missingFrom(call, code);
    if (revision === 1) return missing('unsupported', `${call}: its first revision has no chassis serial`);
    const bytes = readField(v2, 'nvmlPlatformInfo_v2_t', 'chassisSerialNumber');
    return decodeText(call, readText(bytes, 0, bytes.length));
  };
  return {
    chassisSerial: chassisSerial(),
    slotNumber: member('slotNumber', 'chassisPhysicalSlotNumber'),
    trayIndex: member('trayIndex', 'computeSlotIndex'),
    hostId: member('hostId', 'nodeIndex'),
    moduleId: member('moduleId', 'moduleId'),
  };
}
type Byte<Name extends 'nvmlPlatformInfo_v1_t' | 'nvmlPlatformInfo_v2_t'> =
  Name extends 'nvmlPlatformInfo_v2_t'
    ? 'slotNumber' | 'trayIndex' | 'hostId' | 'moduleId'
    : 'chassisPhysicalSlotNumber' | 'computeSlotIndex' | 'nodeIndex' | 'moduleId';
