import type { RecordedSample } from '@k8s-gpu-mcp/core';
import { crc32 } from './crc32.ts';
import {
  frameChecksum,
  frameHeadBytes,
  frameMarker,
  headerBytes,
  isGpuUuid,
  isTime,
  magic,
  maximumGpuIndex,
  maximumNamesBytes,
  maximumPayloadBytes,
  payloadHeadBytes,
  sampleHeadBytes,
  segmentVersion,
  seriesNamesProblem,
} from './segment-format.ts';

export interface SegmentContent {
  /** In the order of the file. */
  readonly samples: readonly RecordedSample[];
  /** Exact for whole frames; an estimate by length where bytes are damaged or cut off. */
  readonly lostSampleCount: number;
}

const usualUuidBytes = 40;
/** Checksums of what turns out to be no frame may cost so many times the file; a forged file can have a marker in every fourth byte. */
const wastedBytesFactor = 4;

/**
 * The samples of a segment, with the values of `seriesNames` in their order (NaN for a series that the file does not have). Never throws,
 * whatever the bytes. Behind damage it goes on at the next whole frame. Time and memory are bounded by the length of the file.
 */
export function readSegment(bytes: Buffer, seriesNames: readonly string[]): SegmentContent {
  // Killed between the creation of the file and its first write.
  if (bytes.length === 0) return { samples: [], lostSampleCount: 0 };
  const header = readHeader(bytes);
  if (!header) return { samples: [], lostSampleCount: estimatedSamples(bytes.length, seriesNames.length) };
  const columns = seriesNames.map((name) => header.names.indexOf(name));
  const samples: RecordedSample[] = [];
  let lostSampleCount = 0;
  let wasteLeft = wastedBytesFactor * bytes.length + maximumPayloadBytes;
  let damagedFrom: number | undefined;
  const closeDamage = (end: number): void => {
    if (damagedFrom === undefined) return;
    lostSampleCount += estimatedSamples(damagedBytes(bytes, damagedFrom, end), header.names.length);
    damagedFrom = undefined;
  };

  let position = header.length;
  while (position < bytes.length) {
    const length = payloadLengthAt(bytes, position);
    if (length !== undefined && position + frameHeadBytes + length <= bytes.length) {
      const frame = bytes.subarray(position, position + frameHeadBytes + length);
      if (frameChecksum(frame) === frame.readUInt32LE(8)) {
        closeDamage(position);
        lostSampleCount += readPayload(frame.subarray(frameHeadBytes), header.names.length, columns, samples);
        position += frame.length;
        continue;
      }
      wasteLeft -= frame.length;
    }
    damagedFrom ??= position;
    const next = wasteLeft < 0 ? -1 : bytes.indexOf(frameMarker, position + 1);
    position = next === -1 ? bytes.length : next;
  }
  closeDamage(bytes.length);
  return { samples, lostSampleCount };
}

/** How many samples so many bytes have held, at least one. */
export const estimatedSamples = (bytes: number, seriesCount: number): number =>
  Math.max(1, Math.round(bytes / (sampleHeadBytes + usualUuidBytes + 8 * seriesCount)));

function readHeader(
  bytes: Buffer,
): { readonly names: readonly string[]; readonly length: number } | undefined {
  if (bytes.length < headerBytes || !bytes.subarray(0, magic.length).equals(magic)) return undefined;
  if (crc32(bytes.subarray(0, 20)) !== bytes.readUInt32LE(20)) return undefined;
  if (bytes.readUInt16LE(8) !== segmentVersion) return undefined;
  const namesBytes = bytes.readUInt32LE(12);
  const length = headerBytes + namesBytes;
  if (namesBytes > maximumNamesBytes || length > bytes.length) return undefined;
  const encoded = bytes.subarray(headerBytes, length);
  if (crc32(encoded) !== bytes.readUInt32LE(16)) return undefined;
  const names = encoded.toString('utf8').split('\n');
  const isSound = names.length === bytes.readUInt16LE(10) && seriesNamesProblem(names) === undefined;
  return isSound ? { names, length } : undefined;
}

function payloadLengthAt(bytes: Buffer, position: number): number | undefined {
  if (position + frameHeadBytes > bytes.length) return undefined;
  if (bytes.compare(frameMarker, 0, frameMarker.length, position, position + frameMarker.length) !== 0)
    return undefined;
  const length = bytes.readUInt32LE(position + 4);
  return length >= payloadHeadBytes && length <= maximumPayloadBytes ? length : undefined;
}

/** A frame that the end of the file cuts off has lost what it was to hold, not only what is there of it. */
function damagedBytes(bytes: Buffer, from: number, end: number): number {
  const declared = end === bytes.length ? payloadLengthAt(bytes, from) : undefined;
  return Math.max(end - from, declared === undefined ? 0 : frameHeadBytes + declared);
}

/** Adds the samples of a payload whose checksum was right; returns how many of those that it declares are none. */
function readPayload(
  payload: Buffer,
  seriesCount: number,
  columns: readonly number[],
  samples: RecordedSample[],
): number {
  const declared = payload.readUInt16LE(0);
  let offset = payloadHeadBytes;
  let read = 0;
  for (let index = 0; index < declared; index += 1) {
    if (offset + sampleHeadBytes > payload.length) break;
    const atMilliseconds = payload.readDoubleLE(offset);
    const gpuIndex = payload.readUInt32LE(offset + 8);
    const uuidEnd = offset + sampleHeadBytes + payload.readUInt8(offset + 12);
    const end = uuidEnd + 8 * seriesCount;
    if (end > payload.length) break;
    const gpuUuid = payload.toString('latin1', offset + sampleHeadBytes, uuidEnd);
    offset = end;
    if (!isTime(atMilliseconds) || gpuIndex > maximumGpuIndex || !isGpuUuid(gpuUuid)) continue;
    const values = new Float64Array(columns.length);
    for (const [series, column] of columns.entries()) {
      const value = column === -1 ? Number.NaN : payload.readDoubleLE(uuidEnd + 8 * column);
      values[series] = Number.isFinite(value) ? value : Number.NaN;
    }
    samples.push({ gpuUuid, gpuIndex, atMilliseconds, values });
    read += 1;
  }
  return declared - read;
}
