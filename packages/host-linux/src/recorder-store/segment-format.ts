import type { RecordedSample } from '@k8s-gpu-mcp/core';
import { crc32 } from './crc32.ts';

/**
 * A segment: one header, then one frame for each interval. Numbers are little-endian.
 *
 *     header  magic (8), version u16, series count u16, length of the names u32, CRC-32 of the names u32,
 *             CRC-32 of the 20 bytes before u32, names (UTF-8, a line feed between two)
 *     frame   marker (4), length of the payload u32, CRC-32 of that length and the payload u32, payload
 *     payload sample count u16, samples
 *     sample  time f64 (milliseconds since 1970), GPU index u32, length of the UUID u8, UUID (ASCII), a f64 for each series (NaN: not read)
 *
 * The names stand in the file so that a program with other series still reads those that it knows.
 */
export const segmentVersion = 1;
export const magic = Buffer.from('GPURECRD', 'latin1');
export const frameMarker = Buffer.from([0xf7, 0x47, 0x9b, 0xe1]);
export const headerBytes = 24;
export const frameHeadBytes = 12;
export const payloadHeadBytes = 2;
/** Of a sample, without its UUID and values. */
export const sampleHeadBytes = 13;
/** More than 800 samples of 30 series; more at a time make several frames. A length beyond it is forged or damaged. */
export const maximumPayloadBytes = 256 * 1024;
export const maximumSeries = 512;
export const maximumNamesBytes = 64 * 1024;
export const maximumGpuIndex = 65_535;
/** The last millisecond that a date can hold (ECMA-262, time values). */
export const maximumMilliseconds = 8.64e15;

/** As vendors write them: `GPU-...`, `MIG-GPU-.../1/0`, a serial. Empty: a GPU that was lost before it told its name. */
const gpuUuid = /^[\w.:/-]{0,96}$/;
export const isGpuUuid = (text: string): boolean => gpuUuid.test(text);

const seriesName = /^[\w.-]{1,120}$/;

/** What keeps these from being the series of a segment; undefined when nothing does. */
export function seriesNamesProblem(names: readonly string[]): string | undefined {
  if (names.length === 0 || names.length > maximumSeries) return `there must be 1 to ${maximumSeries} series`;
  if (new Set(names).size !== names.length) return 'two series have the same name';
  return names.every((name) => seriesName.test(name)) ? undefined : 'a series name is not a plain word';
}

/** What keeps the samples from being written; undefined when nothing does. */
export function samplesProblem(samples: readonly RecordedSample[], seriesCount: number): string | undefined {
  for (const { gpuUuid: uuid, gpuIndex, atMilliseconds, values } of samples) {
    if (values.length !== seriesCount)
      return `a sample has ${values.length} values for ${seriesCount} series`;
    if (!isGpuUuid(uuid)) return 'a sample has no GPU UUID of at most 96 plain characters';
    if (!Number.isInteger(gpuIndex) || gpuIndex < 0 || gpuIndex > maximumGpuIndex)
      return `a sample has no GPU index of 0 to ${maximumGpuIndex}`;
    if (!isTime(atMilliseconds)) return 'a sample has no time';
  }
  return undefined;
}

export const isTime = (milliseconds: number): boolean =>
  milliseconds >= 0 && milliseconds <= maximumMilliseconds;

export function encodeHeader(seriesNames: readonly string[]): Buffer {
  const names = Buffer.from(seriesNames.join('\n'), 'utf8');
  const header = Buffer.alloc(headerBytes + names.length);
  magic.copy(header);
  header.writeUInt16LE(segmentVersion, 8);
  header.writeUInt16LE(seriesNames.length, 10);
  header.writeUInt32LE(names.length, 12);
  header.writeUInt32LE(crc32(names), 16);
  header.writeUInt32LE(crc32(header.subarray(0, 20)), 20);
  names.copy(header, headerBytes);
  return header;
}

/** Samples that `samplesProblem` has no objection to, usually as one frame. */
export function encodeFrames(samples: readonly RecordedSample[]): Buffer {
  const frames: Buffer[] = [];
  let first = 0;
  let length = payloadHeadBytes;
  for (const [index, sample] of samples.entries()) {
    const bytes = sampleBytes(sample);
    if (length + bytes > maximumPayloadBytes) {
      frames.push(encodeFrame(samples.slice(first, index), length));
      first = index;
      length = payloadHeadBytes;
    }
    length += bytes;
  }
  frames.push(encodeFrame(samples.slice(first), length));
  return Buffer.concat(frames);
}

function encodeFrame(samples: readonly RecordedSample[], length: number): Buffer {
  const frame = Buffer.alloc(frameHeadBytes + length);
  frameMarker.copy(frame);
  frame.writeUInt32LE(length, 4);
  let offset = frame.writeUInt16LE(samples.length, frameHeadBytes);
  for (const { gpuUuid: uuid, gpuIndex, atMilliseconds, values } of samples) {
    offset = frame.writeDoubleLE(atMilliseconds, offset);
    offset = frame.writeUInt32LE(gpuIndex, offset);
    offset = frame.writeUInt8(uuid.length, offset);
    offset += frame.write(uuid, offset, 'latin1');
    for (const value of values) offset = frame.writeDoubleLE(value, offset);
  }
  frame.writeUInt32LE(frameChecksum(frame), 8);
  return frame;
}

/** Of the length and the payload of a whole frame. */
export const frameChecksum = (frame: Uint8Array): number =>
  crc32(frame.subarray(frameHeadBytes), crc32(frame.subarray(4, 8)));

const sampleBytes = ({ gpuUuid: uuid, values }: RecordedSample): number =>
  sampleHeadBytes + uuid.length + 8 * values.length;
