import type {
  AddressingMode,
  ClockEventReason,
  ComputeMode,
  EccLocation,
  GapReason,
  GpuErrorCode,
  RecoveryAction,
  VirtualizationMode,
} from '@k8s-gpu-mcp/core';
import { readField } from '../abi/codec.ts';
import { rc, returnCodes, valueTypes } from '../abi/constants.ts';

/**
 * What NVML's numbers mean. The only file that knows a sentinel or what a return code stands for.
 * This runs in the helper process too, so it imports nothing but types from the core.
 */

/** One leaf: a value, or why there is none. */
export type Reading<T> =
  | { readonly value: T }
  | { readonly value: null; readonly reason: GapReason; readonly detail: string };

export function missing(
  reason: GapReason,
  detail: string,
): { readonly value: null; readonly reason: GapReason; readonly detail: string } {
  return { value: null, reason, detail };
}

/** `NVML_ERROR_NOT_SUPPORTED (3)`. */
export function describeReturn(code: number): string {
  const name = (returnCodes as Readonly<Record<number, string>>)[code];
  return `${name ?? 'unknown NVML return code'} (${code})`;
}

const gapReasonByReturn: Readonly<Record<number, GapReason>> = {
  [rc.notSupported]: 'unsupported',
  [rc.functionNotFound]: 'unsupported',
  // "Requested functionality has been deprecated": newer drivers keep the symbol and take the reading away.
  [rc.deprecated]: 'unsupported',
  [rc.noPermission]: 'no-permission',
  [rc.gpuIsLost]: 'gpu-lost',
  [rc.timeout]: 'timeout',
};

export function gapReasonOf(code: number): GapReason {
  return gapReasonByReturn[code] ?? 'error';
}

export function missingFrom(call: string, code: number) {
  return missing(gapReasonOf(code), `${call}: ${describeReturn(code)}`);
}

/** What a failed nvmlInit means: there is no GPU to speak of yet, only a driver and a library. */
const initErrorCodeByReturn: Readonly<Record<number, GpuErrorCode>> = {
  [rc.noPermission]: 'NO_PERMISSION',
  [rc.driverNotLoaded]: 'DRIVER_NOT_LOADED',
  [rc.timeout]: 'TIMEOUT',
  [rc.libraryNotFound]: 'LIBRARY_INVALID',
  [rc.functionNotFound]: 'LIBRARY_INVALID',
  [rc.libRmVersionMismatch]: 'DRIVER_MISMATCH',
};

export function initErrorCodeOf(code: number): GpuErrorCode {
  return initErrorCodeByReturn[code] ?? 'UNAVAILABLE';
}

/** What a failed handle lookup means for the caller. */
const errorCodeByReturn: Readonly<Record<number, GpuErrorCode>> = {
  // The only argument is an index, so an invalid one is an index that the driver has not got.
  [rc.invalidArgument]: 'GPU_NOT_FOUND',
  [rc.notSupported]: 'NOT_SUPPORTED',
  [rc.noPermission]: 'NO_PERMISSION',
  [rc.notFound]: 'GPU_NOT_FOUND',
  [rc.driverNotLoaded]: 'DRIVER_NOT_LOADED',
  [rc.timeout]: 'TIMEOUT',
  [rc.functionNotFound]: 'NOT_SUPPORTED',
  [rc.gpuIsLost]: 'GPU_LOST',
  [rc.resetRequired]: 'RESET_REQUIRED',
  [rc.libRmVersionMismatch]: 'DRIVER_MISMATCH',
  [rc.gpuNotFound]: 'GPU_NOT_FOUND',
};

export function errorCodeOf(code: number): GpuErrorCode {
  return errorCodeByReturn[code] ?? 'UNAVAILABLE';
}

/** What to do, where NVML's situation is more precise than the core's general hint. */
const hintByReturn: Readonly<Record<number, string>> = {
  4: 'The device files deny access: run as root or as a user who may open /dev/nvidiactl and /dev/nvidia*, and in a container let the NVIDIA runtime (NVIDIA_DRIVER_CAPABILITIES=utility) inject them.',
  8: 'Connect the external power cables of this GPU and reboot the node.',
  9: 'Load the kernel driver (modprobe nvidia; lsmod shows it, the kernel log says why it failed). In a container check that /dev/nvidiactl is there.',
  11: 'The interrupts of this GPU do not arrive: look at the kernel log, then reboot the node.',
  14: 'The InfoROM of this GPU is corrupt: run the field diagnostic and contact support.',
  17: 'The operating system refused the driver a call: look at the kernel log, and at the device cgroup of this container.',
  18: 'The kernel module and the user-space library differ: restart this process (or pod) so that it sees the new library, else reboot the node.',
  27: 'The driver says it is not ready: ask again in a moment.',
  999: 'The driver gave no reason. In a container, access to the device files may have been withdrawn (a systemd daemon-reload does that): restart the pod, then look at the kernel log.',
};

export function hintOf(code: number): string | undefined {
  return hintByReturn[code];
}

const notAvailable = 'the driver answered "not available" (all bits set)';

/** All ones is NVML_VALUE_NOT_AVAILABLE; no percentage, temperature, clock, power or id in use can be that large. */
export function decodeU32(call: string, value: number): Reading<number> {
  return value === 0xffff_ffff ? missing('unsupported', `${call}: ${notAvailable}`) : { value };
}

/** To a JSON number; what does not fit without loss is reported, not rounded. */
export function decodeU64(call: string, value: bigint): Reading<number> {
  if (value === 0xffff_ffff_ffff_ffffn) return missing('unsupported', `${call}: ${notAvailable}`);
  return toSafeNumber(call, value);
}

export function decodeText(call: string, text: string): Reading<string> {
  const trimmed = text.trim();
  return trimmed === '' ? missing('unsupported', `${call}: empty text`) : { value: trimmed };
}

/** `nvmlEnableState_t` and the 0/1 flags. */
export function decodeFlag(call: string, value: number): Reading<boolean> {
  if (value === 0) return { value: false };
  if (value === 1) return { value: true };
  return missing('error', `${call}: ${value} is neither 0 nor 1`);
}

function toSafeNumber(call: string, value: bigint): Reading<number> {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return { value: number };
  return missing('error', `${call}: ${value} does not fit a JSON number`);
}

/** Counters of nanoseconds outgrow a JSON number after 104 days, so they are divided before they become one. */
export function decodeNanoseconds(call: string, value: bigint): Reading<number> {
  if (value === 0xffff_ffff_ffff_ffffn) return missing('unsupported', `${call}: ${notAvailable}`);
  return toSafeNumber(call, value / 1000n);
}

export type FieldKind =
  | 'unsigned'
  /** Signed whatever the value type says (T.Limit offsets). */
  | 'signed'
  /** Nanoseconds, decoded to microseconds. */
  | 'nanoseconds';

/** One entry of nvmlDeviceGetFieldValues: its own return code first, then the value by its type. */
export function decodeFieldValue(
  buffer: Buffer,
  position: number,
  kind: FieldKind = 'unsigned',
): Reading<number> {
  const signed = kind === 'signed';
  const call = `nvmlDeviceGetFieldValues(${readField(buffer, 'nvmlFieldValue_t', 'fieldId', position)})`;
  const code = readField(buffer, 'nvmlFieldValue_t', 'nvmlReturn', position);
  // The ids asked for are constants, so "invalid argument" here means a driver older than the id.
  if (code === rc.invalidArgument) return missing('unsupported', `${call}: ${describeReturn(code)}`);
  if (code !== rc.success) return missingFrom(call, code);
  const bits = readField(buffer, 'nvmlFieldValue_t', 'value', position);
  const type = readField(buffer, 'nvmlFieldValue_t', 'valueType', position);
  switch (type) {
    case valueTypes.double: {
      const view = new DataView(new ArrayBuffer(8));
      view.setBigUint64(0, bits);
      const value = view.getFloat64(0);
      return Number.isFinite(value) ? { value } : missing('error', `${call}: ${value}`);
    }
    case valueTypes.unsignedInt:
      if (kind === 'nanoseconds') return decodeNanoseconds(call, BigInt.asUintN(32, bits));
      if (signed) return { value: Number(BigInt.asIntN(32, bits)) };
      return decodeU32(call, Number(BigInt.asUintN(32, bits)));
    case valueTypes.unsignedLong:
    case valueTypes.unsignedLongLong:
      if (kind === 'nanoseconds') return decodeNanoseconds(call, bits);
      return signed ? toSafeNumber(call, BigInt.asIntN(64, bits)) : decodeU64(call, bits);
    case valueTypes.signedLongLong:
      if (kind === 'nanoseconds') return decodeNanoseconds(call, BigInt.asUintN(63, bits));
      return toSafeNumber(call, BigInt.asIntN(64, bits));
    case valueTypes.signedInt:
      return { value: Number(BigInt.asIntN(32, bits)) };
    case valueTypes.unsignedShort:
      return { value: Number(BigInt.asUintN(16, bits)) };
    default:
      return missing('error', `${call}: unknown value type ${type}`);
  }
}

/** NVML_DEVICE_ARCH_*. */
const architectures: Readonly<Record<number, string>> = {
  2: 'kepler',
  3: 'maxwell',
  4: 'pascal',
  5: 'volta',
  6: 'turing',
  7: 'ampere',
  8: 'ada',
  9: 'hopper',
  10: 'blackwell',
  13: 'rubin',
};

export function decodeArchitecture(call: string, value: number): Reading<string> {
  const name = architectures[value];
  if (name !== undefined) return { value: name };
  if (value === 0xffff_ffff) return missing('unsupported', `${call}: the driver does not know`);
  return missing('error', `${call}: architecture ${value} is newer than this program`);
}

/** A number that stands for a name. One without a name is newer than this program, and is not guessed at. */
export function decodeChoice<Choice>(
  call: string,
  value: number,
  choices: Readonly<Record<number, Choice>>,
): Reading<Choice> {
  const choice = choices[value];
  if (choice !== undefined) return { value: choice };
  return missing('error', `${call}: ${value} is newer than this program`);
}

/** `nvmlBrandType_t`; 0 is "unknown". */
const brands: Readonly<Record<number, string>> = {
  1: 'quadro',
  2: 'tesla',
  3: 'nvs',
  4: 'grid',
  5: 'geforce',
  6: 'titan',
  7: 'nvidia-vapps',
  8: 'nvidia-vpc',
  9: 'nvidia-vcs',
  10: 'nvidia-vws',
  11: 'nvidia-cloud-gaming',
  12: 'quadro-rtx',
  13: 'nvidia-rtx',
  14: 'nvidia',
  15: 'geforce-rtx',
  16: 'titan-rtx',
};

export function decodeBrand(call: string, value: number): Reading<string> {
  if (value === 0) return missing('unsupported', `${call}: the driver does not know`);
  return decodeChoice(call, value, brands);
}

/** `nvmlComputeMode_t`, `nvmlGpuVirtualizationMode_t`, `nvmlDeviceAddressingModeType_t`, by number. */
export const computeModeByValue: readonly ComputeMode[] = [
  'default',
  'exclusive-thread',
  'prohibited',
  'exclusive-process',
];
export const virtualizationModeByValue: readonly VirtualizationMode[] = [
  'none',
  'passthrough',
  'vgpu',
  'host-vgpu',
  'host-vsga',
];
export const addressingModeByValue: readonly AddressingMode[] = ['none', 'hmm', 'ats'];

/** `nvmlMemoryLocation_t`, by number. */
export const eccLocationByValue: readonly EccLocation[] = [
  'l1-cache',
  'l2-cache',
  'dram',
  'register-file',
  'texture-memory',
  'texture-shared-memory',
  'cbu',
  'sram',
];

/** Members of one byte: all ones stands for "not available" here too. */
export function decodeU8(call: string, value: number): Reading<number> {
  return value === 0xff ? missing('unsupported', `${call}: ${notAvailable}`) : { value };
}

/** Megatransfers per second by PCIe generation; also the driver's numbers NVML_PCIE_LINK_MAX_SPEED_*. */
const pcieSpeedByGeneration: Readonly<Record<number, number>> = {
  1: 2_500,
  2: 5_000,
  3: 8_000,
  4: 16_000,
  5: 32_000,
  6: 64_000,
};

/** One function answers with a number for the speed and another with the speed itself; no link is as slow as 6 megatransfers a second. */
export function decodePcieSpeed(call: string, value: number): Reading<number> {
  if (value === 0) return missing('unsupported', `${call}: 0 is no speed`);
  return value >= 1_000 ? { value } : decodeChoice(call, value, pcieSpeedByGeneration);
}

/** Not-a-number is what a metric without data reads. */
export function decodeMetric(call: string, value: number): Reading<number> {
  if (Number.isFinite(value)) return { value };
  return missing('not-observable', `${call}: the driver had no data (${value})`);
}

/** `nvmlPstates_t`: 0 to 15, 32 for unknown. */
export function decodePerformanceState(call: string, value: number): Reading<string> {
  if (value <= 15) return { value: `P${value}` };
  return missing('not-observable', `${call}: performance state unknown (${value})`);
}

/** nvmlClocksEventReason* bits. */
const clockEventBits: readonly (readonly [bigint, ClockEventReason])[] = [
  [0x1n, 'idle'],
  [0x2n, 'application-clocks'],
  [0x4n, 'software-power-cap'],
  [0x8n, 'hardware-slowdown'],
  [0x10n, 'sync-boost'],
  [0x20n, 'software-thermal-slowdown'],
  [0x40n, 'hardware-thermal-slowdown'],
  [0x80n, 'hardware-power-brake'],
  [0x100n, 'display-clocks'],
];

export function decodeClockEventReasons(call: string, mask: bigint): Reading<readonly ClockEventReason[]> {
  const value = clockEventBits.filter(([bit]) => (mask & bit) !== 0n).map(([, reason]) => reason);
  // Clocks held back for a reason we cannot name must not read as "not held back".
  if (mask !== 0n && value.length === 0) {
    return missing('error', `${call}: unknown reasons 0x${mask.toString(16)}`);
  }
  return { value };
}

/** Reasons that this program has no name for are left out: nothing is claimed of them. */
export function decodeSupportedEventReasons(mask: bigint): Reading<readonly ClockEventReason[]> {
  return { value: clockEventBits.filter(([bit]) => (mask & bit) !== 0n).map(([, reason]) => reason) };
}

/** `nvmlDeviceGpuRecoveryAction_t`. */
const recoveryActionByValue: readonly RecoveryAction[] = [
  'none',
  'reset',
  'reboot',
  'drain-p2p',
  'drain-and-reset',
  'recover-imex-domain',
];

export function decodeRecoveryAction(value: number): Reading<RecoveryAction> {
  const action = recoveryActionByValue[value];
  return action === undefined
    ? missing('error', `recovery action ${value} is newer than this program`)
    : { value: action };
}

/** Drivers answer 0 for boards without a memory sensor; no running memory is at 0 degrees. */
export function decodeMemoryTemperature(reading: Reading<number>): Reading<number> {
  return reading.value === 0
    ? missing('unsupported', 'nvmlDeviceGetFieldValues(82): 0, as boards without a memory sensor answer')
    : reading;
}

/** CUDA versions are `1000 * major + 10 * minor`. */
export function decodeCudaVersion(call: string, value: number): Reading<string> {
  if (value < 1000) return missing('error', `${call}: ${value} is not a CUDA version`);
  return { value: `${Math.floor(value / 1000)}.${Math.floor((value % 1000) / 10)}` };
}

/**
 * The profile of a MIG device. The driver spells it at the end of the device's name; without that it follows from the slices and the
 * share of memory in eighths of the GPU, as NVIDIA's own tools compute it (NVIDIA/go-nvlib, pkg/nvlib/device/mig_profile.go).
 */
export function migProfile(
  name: string | null,
  slices: { readonly gpu: number; readonly compute: number; readonly memoryMebibytes: number },
  totalBytes: number | null,
): Reading<string> {
  const spelt = name === null ? undefined : / MIG ((?:\dc\.)?\dg\.\d+gb\S*)$/.exec(name)?.[1];
  if (spelt !== undefined) return { value: spelt };
  if (totalBytes === null || totalBytes <= 0) return missing('error', 'the memory of the GPU is not known');
  if (slices.gpu === 0) return missing('error', 'nvmlDeviceGetAttributes_v2: no GPU slices');
  const share = Math.ceil((slices.memoryMebibytes * 1024 ** 2 * 8) / totalBytes) / 8;
  const gigabytes = Math.round(share * Math.ceil(totalBytes / 1024 ** 3));
  const compute = slices.compute < slices.gpu ? `${slices.compute}c.` : '';
  return { value: `${compute}${slices.gpu}g.${gigabytes}gb` };
}
