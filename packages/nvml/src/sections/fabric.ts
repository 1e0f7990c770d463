import { allocateStruct, readField } from '../abi/codec.ts';
import { rc } from '../abi/constants.ts';
import {
  decodeClusterUuid,
  decodeFabricHealthFlag,
  decodeFabricHealthSummary,
  decodeFabricMisconfiguration,
  decodeFabricState,
  decodeFabricStatus,
} from '../decode/links.ts';
import { missing, missingFrom, type Reading } from '../decode/values.ts';
import { type Device, type Leaves, mapReading } from '../device/device.ts';

interface FabricInfo {
  readonly call: string;
  readonly state: number;
  readonly status: number;
  readonly cliqueId: number;
  readonly clusterUuid: Buffer;
  /** From the second revision of the struct on. */
  readonly healthMask?: number;
  /** From the third on. */
  readonly healthSummary?: number;
}

export function readFabric(device: Device): Leaves<'fabric'> {
  const info = readInfo(device);
  const from = <T>(decode: (info: FabricInfo) => Reading<T>): Reading<T> => mapReading(info, decode);
  const health = (part: Parameters<typeof decodeFabricHealthFlag>[1]): Reading<boolean> =>
    from(({ call, healthMask }) =>
      healthMask === undefined ? noHealth(call) : decodeFabricHealthFlag(call, part, healthMask),
    );
  return {
    state: from(({ call, state }) => decodeFabricState(call, state)),
    status: from((found) => onceCompleted(found, () => decodeFabricStatus(found.status))),
    clusterUuid: from((found) =>
      onceCompleted(found, () => decodeClusterUuid(found.call, found.clusterUuid)),
    ),
    cliqueId: from((found) => onceCompleted(found, () => ({ value: found.cliqueId }))),
    degradedBandwidth: health('degradedBandwidth'),
    routeRecovery: health('routeRecovery'),
    routeUnhealthy: health('routeUnhealthy'),
    accessTimeoutRecovery: health('accessTimeoutRecovery'),
    misconfiguration: from(({ call, healthMask }) =>
      healthMask === undefined ? noHealth(call) : decodeFabricMisconfiguration(call, healthMask),
    ),
    healthSummary: from(({ call, healthSummary }) =>
      healthSummary === undefined ? noHealth(call) : decodeFabricHealthSummary(call, healthSummary),
    ),
  };
}

function noHealth(call: string) {
  return missing('unsupported', `${call}: this driver's answer has no such part`);
}

/** What registration gives a GPU means nothing before it is done; the bytes are zero or stale until then. */
function onceCompleted<T>({ call, state }: FabricInfo, decode: () => Reading<T>): Reading<T> {
  return mapReading(decodeFabricState(call, state), (word) => {
    if (word === 'completed') return decode();
    return missing(
      word === 'not-supported' ? 'unsupported' : 'not-observable',
      `${call}: registration with the fabric is ${word}`,
    );
  });
}

/** The newest revision of the struct that the driver takes; the unversioned function is there where none of them is. */
function readInfo(device: Device): Reading<FabricInfo> {
  const call = 'nvmlDeviceGetGpuFabricInfoV';
  const newest = allocateStruct('nvmlGpuFabricInfo_v3_t');
  let code = device.call(call, newest);
  if (code === rc.success) {
    const layout = 'nvmlGpuFabricInfo_v3_t';
    return {
      value: {
        call,
        ...common(newest, layout),
        healthMask: readField(newest, layout, 'healthMask'),
        healthSummary: readField(newest, layout, 'healthSummary'),
      },
    };
  }
  if (code === rc.argumentVersionMismatch) {
    const layout = 'nvmlGpuFabricInfo_v2_t';
    const older = allocateStruct(layout);
    code = device.call(call, older);
    if (code === rc.success) {
      return {
        value: { call, ...common(older, layout), healthMask: readField(older, layout, 'healthMask') },
      };
    }
  }
  if (code !== rc.argumentVersionMismatch && code !== rc.functionNotFound) return missingFrom(call, code);
  const unversioned = 'nvmlDeviceGetGpuFabricInfo';
  const info = allocateStruct('nvmlGpuFabricInfo_t');
  const last = device.call(unversioned, info);
  if (last === rc.success) {
    return { value: { call: unversioned, ...common(info, 'nvmlGpuFabricInfo_t') } };
  }
  return last === rc.functionNotFound ? missingFrom(call, code) : missingFrom(unversioned, last);
}

function common(
  buffer: Buffer,
  layout: 'nvmlGpuFabricInfo_v3_t' | 'nvmlGpuFabricInfo_v2_t' | 'nvmlGpuFabricInfo_t',
) {
  return {
    state: readField(buffer, layout, 'state'),
    status: readField(buffer, layout, 'status'),
    cliqueId: readField(buffer, layout, 'cliqueId'),
    clusterUuid: readField(buffer, layout, 'clusterUuid'),
  };
}
