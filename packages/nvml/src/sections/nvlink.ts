import type { NvLink } from '@k8s-gpu-mcp/core';
import { allocate, allocateStruct, readField } from '../abi/codec.ts';
import { rc } from '../abi/constants.ts';
import {
  nvlinkErrorCounters,
  nvlinkFieldIds,
  nvlinkMaxLinks,
  nvlinkSpeedIdsByLink,
} from '../abi/link-constants.ts';
import {
  decodeBitErrorRate,
  decodeNvLinkVersion,
  decodePciAddress,
  decodeRemoteDeviceType,
} from '../decode/links.ts';
import { decodeFlag, decodeU64, missingFrom, type Reading } from '../decode/values.ts';
import { type Device, mapReading, type SectionResult } from '../device/device.ts';
import { readFields } from '../device/fields.ts';
import { ListGaps } from '../device/list-gaps.ts';

export function readNvLinks(device: Device): SectionResult<'nvlink'> {
  const gaps = new ListGaps('nvlink.links', 'link');
  const links = mapReading(findLinks(device), (found) => ({
    value: found.map(({ link, active }) => readLink(device, link, active, gaps)),
  }));
  return { leaves: { links }, gaps: gaps.all() };
}

interface FoundLink {
  readonly link: number;
  readonly active: Reading<boolean>;
}

/**
 * Links are found by asking, because no number of them holds for all products and drivers. "Invalid argument" is the end. "Not supported"
 * is a link that this product has not got (fused off, or no bridge connector): it is left out rather than listed as inactive, because an
 * inactive link is a fault and this is none. Where not a single link is found the driver is asked how many there are: no links is a
 * reading, links of which nothing was learned are a gap.
 */
function findLinks(device: Device): Reading<readonly FoundLink[]> {
  const call = 'nvmlDeviceGetNvLinkState';
  const links: FoundLink[] = [];
  let firstCode: number = rc.success;
  for (let link = 0; link < nvlinkMaxLinks; link += 1) {
    const out = allocate(4);
    const code = device.call(call, link, out);
    if (link === 0) firstCode = code;
    if (code === rc.invalidArgument) break;
    if (code === rc.notSupported) {
      // Most GPUs without NVLink say so of every link; one question more spares the rest.
      if (link === 0 && !readLinkCount(device)) break;
      continue;
    }
    const active = code === rc.success ? decodeFlag(call, out.readUInt32LE(0)) : missingFrom(call, code);
    links.push({ link, active });
  }
  if (links.length === 0) {
    const count = readLinkCount(device) ?? (firstCode === rc.invalidArgument ? 0 : null);
    return count === 0 ? { value: [] } : missingFrom(call, firstCode);
  }
  // Where no link told its state, the answers were about the function and not about links.
  const first = links[0]?.active;
  if (first !== undefined && 'reason' in first && links.every(({ active }) => 'reason' in active))
    return first;
  return { value: links };
}

function readLinkCount(device: Device): number | null {
  return readFields(device, [nvlinkFieldIds.linkCount])(0).value;
}

function readLink(device: Device, link: number, active: Reading<boolean>, gaps: ListGaps): NvLink {
  const take = gaps.taker(link);
  const field = readLinkFields(device, link);
  const version = 'nvmlDeviceGetNvLinkVersion';
  const remoteType = 'nvmlDeviceGetNvLinkRemoteDeviceType';
  const u32 = (name: typeof version | typeof remoteType): Reading<number> => {
    const out = allocate(4);
    const code = device.call(name, link, out);
    return code === rc.success ? { value: out.readUInt32LE(0) } : missingFrom(name, code);
  };
  const counter = (which: keyof typeof nvlinkErrorCounters): Reading<number> =>
    readErrorCounter(device, link, nvlinkErrorCounters[which]);
  const bitErrorRate = (which: 'effectiveBitErrorRate' | 'symbolBitErrorRate'): Reading<number> =>
    mapReading(field(which), (encoded) =>
      decodeBitErrorRate(`nvmlDeviceGetFieldValues(${nvlinkFieldIds[which]})`, encoded),
    );
  return {
    link,
    active: take('active', active),
    version: take(
      'version',
      mapReading(u32(version), (value) => decodeNvLinkVersion(version, value)),
    ),
    speedMegabytesPerSecond: take('speedMegabytesPerSecond', field('speed')),
    remoteDeviceType: take(
      'remoteDeviceType',
      mapReading(u32(remoteType), (value) => decodeRemoteDeviceType(remoteType, value)),
    ),
    remotePciAddress: take('remotePciAddress', readRemoteAddress(device, link)),
    remoteLink: take('remoteLink', field('remoteLink')),
    // Hopper's drivers have the first three as fields too; Blackwell's have neither and count in other terms (below).
    replayErrorCount: take('replayErrorCount', orElse(counter('replay'), field('replayErrors'))),
    recoveryErrorCount: take('recoveryErrorCount', orElse(counter('recovery'), field('recoveryErrors'))),
    crcFlitErrorCount: take('crcFlitErrorCount', orElse(counter('crcFlit'), field('crcErrors'))),
    crcDataErrorCount: take('crcDataErrorCount', counter('crcData')),
    eccDataErrorCount: take('eccDataErrorCount', counter('eccData')),
    receiveErrorCount: take('receiveErrorCount', field('receiveErrors')),
    malformedPacketErrorCount: take('malformedPacketErrorCount', field('malformedPacketErrors')),
    bufferOverrunErrorCount: take('bufferOverrunErrorCount', field('bufferOverrunErrors')),
    linkIntegrityErrorCount: take('linkIntegrityErrorCount', field('linkIntegrityErrors')),
    linkRecoverySuccessCount: take('linkRecoverySuccessCount', field('linkRecoverySuccesses')),
    linkRecoveryFailureCount: take('linkRecoveryFailureCount', field('linkRecoveryFailures')),
    effectiveErrorCount: take('effectiveErrorCount', field('effectiveErrors')),
    effectiveBitErrorRate: take('effectiveBitErrorRate', bitErrorRate('effectiveBitErrorRate')),
    symbolErrorCount: take('symbolErrorCount', field('symbolErrors')),
    symbolBitErrorRate: take('symbolBitErrorRate', bitErrorRate('symbolBitErrorRate')),
  };
}

type LinkField = Exclude<keyof typeof nvlinkFieldIds, 'linkCount'>;
const linkFields = (Object.keys(nvlinkFieldIds) as (keyof typeof nvlinkFieldIds)[]).filter(
  (name): name is LinkField => name !== 'linkCount',
);

/** All fields of one link in one call, the speed also under the id that the link had before there was a scope. */
function readLinkFields(device: Device, link: number): (name: LinkField) => Reading<number> {
  const olderSpeedId = nvlinkSpeedIdsByLink[link];
  const scoped = linkFields.map((name) => ({ id: nvlinkFieldIds[name], scopeId: link }));
  const field = readFields(device, olderSpeedId === undefined ? scoped : [...scoped, olderSpeedId]);
  return (name) => {
    const reading = field(linkFields.indexOf(name));
    return name === 'speed' && olderSpeedId !== undefined ? orElse(reading, field(scoped.length)) : reading;
  };
}

/** The older source where the newer one is missing; what the newer one said, where both are. */
function orElse(newer: Reading<number>, older: Reading<number>): Reading<number> {
  return 'reason' in newer && !('reason' in older) ? older : newer;
}

function readErrorCounter(device: Device, link: number, counter: number): Reading<number> {
  const name = `nvmlDeviceGetNvLinkErrorCounter(${counter})`;
  const out = allocate(8);
  const code = device.call('nvmlDeviceGetNvLinkErrorCounter', link, counter, out);
  return code === rc.success ? decodeU64(name, out.readBigUInt64LE(0)) : missingFrom(name, code);
}

function readRemoteAddress(device: Device, link: number): Reading<string> {
  const call = 'nvmlDeviceGetNvLinkRemotePciInfo_v2';
  const info = allocateStruct('nvmlPciInfo_t');
  const code = device.call(call, link, info);
  if (code !== rc.success) return missingFrom(call, code);
  return decodePciAddress(call, readField(info, 'nvmlPciInfo_t', 'busId'));
}
