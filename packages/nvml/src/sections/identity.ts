import { bufferSizes } from '../abi/constants.ts';
import { decodeArchitecture } from '../decode.ts';
import { type Device, type Leaves, mapReading } from '../device.ts';

export function readIdentity(device: Device): Leaves<'identity'> {
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
    persistenceModeEnabled: device.flag('nvmlDeviceGetPersistenceMode'),
  } as Leaves<'identity'>;
}
