import type {
  CommonAncestor,
  FabricHealthSummary,
  FabricMisconfiguration,
  FabricState,
  NvLinkRemoteDeviceType,
  PeerAccessStatus,
} from '@k8s-gpu-mcp/core';
import { returnCodes } from '../abi/constants.ts';
import { fabricHealthParts } from '../abi/link-constants.ts';
import { formatRanges } from '../device/list-gaps.ts';
import { decodeChoice, missing, type Reading } from './values.ts';

/** What NVML's numbers about links, fabric and topology mean. Like decode.ts this takes nothing but types from the core. */

/** `nvmlNvlinkVersion_t`, an enumeration of its own: 6 is NVLink 4. */
const nvlinkVersions: Readonly<Record<number, string>> = {
  1: '1',
  2: '2',
  3: '2.2',
  4: '3',
  5: '3.1',
  6: '4',
  7: '5',
  8: '6',
};

export function decodeNvLinkVersion(call: string, value: number): Reading<string> {
  if (value === 0) return missing('not-observable', `${call}: no version, as of a link that is not up`);
  return decodeChoice(call, value, nvlinkVersions);
}

/** `nvmlIntNvLinkDeviceType_t`. */
const remoteDeviceTypes: Readonly<Record<number, NvLinkRemoteDeviceType>> = {
  0: 'gpu',
  1: 'npu',
  2: 'switch',
  255: 'unknown',
};

export function decodeRemoteDeviceType(call: string, value: number): Reading<NvLinkRemoteDeviceType> {
  return decodeChoice(call, value, remoteDeviceTypes);
}

const driverPciAddress = /^([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/i;

/** As sysfs prints it: lower case, the domain in four digits unless it needs more. */
export function decodePciAddress(call: string, text: string): Reading<string> {
  const trimmed = text.trim();
  // All ones is how the driver spells "I do not know", for example in a virtual machine.
  if (trimmed === '' || /^[f:.]+$/i.test(trimmed)) {
    return missing('unsupported', `${call}: no address ("${trimmed}")`);
  }
  const match = driverPciAddress.exec(trimmed);
  if (match === null) return missing('error', `${call}: "${trimmed}" is no PCI address`);
  const [, domain = '', bus = '', device = '', fn = ''] = match;
  const shortDomain = Number.parseInt(domain, 16).toString(16).padStart(4, '0');
  return { value: `${shortDomain}:${bus}:${device}.${fn}`.toLowerCase() };
}

/**
 * Bit error rates are mantissa (4 bits from bit 8) times ten to the minus exponent (bits 0 to 7). 15e-255 is the least that can be said
 * and stands for no errors. Source: NVML_NVLINK_BER_* in nvml.h; NVIDIA/DCGM, NvmlBerParser and CheckEffectiveBER.
 */
export function decodeBitErrorRate(call: string, encoded: number): Reading<number> {
  if (!Number.isInteger(encoded) || encoded < 0 || encoded > 0xfff) {
    return missing('error', `${call}: ${encoded} is no encoded bit error rate`);
  }
  const mantissa = encoded >> 8;
  const exponent = encoded & 0xff;
  if (exponent === 255) return { value: 0 };
  const value = Number(`${mantissa}e-${exponent}`);
  return value <= 1 ? { value } : missing('error', `${call}: a bit error rate of ${value}`);
}

/** NVML_GPU_FABRIC_STATE_*. */
const fabricStates: readonly FabricState[] = ['not-supported', 'not-started', 'in-progress', 'completed'];

export function decodeFabricState(call: string, value: number): Reading<FabricState> {
  return decodeChoice(call, value, fabricStates);
}

export function decodeFabricStatus(code: number): Reading<string> {
  const name = (returnCodes as Readonly<Record<number, string>>)[code];
  return { value: name ?? `unknown NVML return code ${code}` };
}

/** 16 bytes in the order they are printed. All zero on systems without a cluster of their own (a single HGX board). */
export function decodeClusterUuid(call: string, bytes: Uint8Array): Reading<string> {
  const hex = Buffer.from(bytes).toString('hex');
  if (/^0*$/.test(hex)) return missing('unsupported', `${call}: all zero, as without a cluster`);
  return { value: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') };
}

function healthPart(part: keyof typeof fabricHealthParts, mask: number): number {
  return (mask >>> fabricHealthParts[part].shift) & fabricHealthParts[part].mask;
}

/** The two-bit parts: 0 not reported, 1 true, 2 false. */
export function decodeFabricHealthFlag(
  call: string,
  part: Exclude<keyof typeof fabricHealthParts, 'misconfiguration'>,
  mask: number,
): Reading<boolean> {
  const value = healthPart(part, mask);
  if (value === 1) return { value: true };
  if (value === 2) return { value: false };
  if (value === 0) return missing('unsupported', `${call}: not in the health mask of this product`);
  return missing(
    'error',
    `${call}: ${value} in health mask 0x${mask.toString(16)} is neither true nor false`,
  );
}

/** NVML_GPU_FABRIC_HEALTH_MASK_INCORRECT_CONFIGURATION_*. */
const misconfigurations: Readonly<Record<number, FabricMisconfiguration>> = {
  1: 'none',
  2: 'incorrect-system-guid',
  3: 'incorrect-chassis-serial',
  4: 'no-partition',
  5: 'insufficient-nvlinks',
  6: 'incompatible-gpu-firmware',
  7: 'invalid-location',
  8: 'invalid-gpu-state',
};

export function decodeFabricMisconfiguration(call: string, mask: number): Reading<FabricMisconfiguration> {
  const value = healthPart('misconfiguration', mask);
  if (value === 0) return missing('unsupported', `${call}: not in the health mask of this product`);
  return decodeChoice(`${call}, misconfiguration`, value, misconfigurations);
}

/** NVML_GPU_FABRIC_HEALTH_SUMMARY_*. 0 is what products without a summary answer (H100), not a verdict. */
const healthSummaries: readonly FabricHealthSummary[] = [
  'not-supported',
  'healthy',
  'unhealthy',
  'limited-capacity',
];

export function decodeFabricHealthSummary(call: string, value: number): Reading<FabricHealthSummary> {
  return decodeChoice(call, value, healthSummaries);
}

/** `nvmlGpuTopologyLevel_t`; the numbers leave room for levels between. */
const ancestors: Readonly<Record<number, CommonAncestor>> = {
  0: 'same-board',
  10: 'single-switch',
  20: 'multiple-switches',
  30: 'host-bridge',
  40: 'numa-node',
  50: 'system',
};

export function decodeCommonAncestor(call: string, value: number): Reading<CommonAncestor> {
  return decodeChoice(call, value, ancestors);
}

/** `nvmlGpuP2PStatus_t`. */
const peerStatuses: readonly PeerAccessStatus[] = [
  'ok',
  'chipset-not-supported',
  'gpu-not-supported',
  'topology-not-supported',
  'disabled-by-regkey',
  'not-supported',
  'unknown',
];

export function decodePeerStatus(call: string, value: number): Reading<PeerAccessStatus> {
  return decodeChoice(call, value, peerStatuses);
}

/** A bit mask in 64-bit words, as ranges. */
export function decodeAffinity(call: string, mask: Uint8Array): Reading<string> {
  const set: number[] = [];
  mask.forEach((byte, position) => {
    for (let bit = 0; bit < 8; bit += 1) if ((byte >> bit) & 1) set.push(position * 8 + bit);
  });
  // Virtual machines and containers without the host's topology: nothing is near, which is no statement.
  return set.length === 0
    ? missing('not-observable', `${call}: an empty mask`)
    : { value: formatRanges(set) };
}
