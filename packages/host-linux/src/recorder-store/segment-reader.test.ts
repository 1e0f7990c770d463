import type { RecordedSample } from '@k8s-gpu-mcp/core';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../test/kernel-log-samples.ts';
import { encodeFrames, encodeHeader, frameHeadBytes, frameMarker } from './segment-format.ts';
import { readSegment } from './segment-reader.ts';

const names = ['temperatureCelsius', 'powerDrawWatts', 'smClockMegahertz'];
const sampleOf = (interval: number, gpuIndex: number): RecordedSample => ({
  gpuUuid: `GPU-0000000${gpuIndex}-0000-0000-0000-000000000000`,
  gpuIndex,
  atMilliseconds: 1_700_000_000_000 + interval * 1000,
  values: Float64Array.of(interval, interval + 0.5, Number.NaN),
});
const interval = (number: number, gpuCount = 2) =>
  Array.from({ length: gpuCount }, (_, gpuIndex) => sampleOf(number, gpuIndex));
const frames = (count: number) =>
  Array.from({ length: count }, (_, number) => encodeFrames(interval(number)));
const segmentOf = (count: number) => Buffer.concat([encodeHeader(names), ...frames(count)]);
const frameLength = encodeFrames(interval(0)).length;
const frameStart = (number: number) => encodeHeader(names).length + number * frameLength;
const timesIn = (bytes: Buffer) => [
  ...new Set(readSegment(bytes, names).samples.map(({ values }) => values[0])),
];

describe('a sound segment', () => {
  it('comes back as it was written, what was not read included', () => {
    const { samples, lostSampleCount } = readSegment(segmentOf(3), names);
    expect(samples).toEqual([...interval(0), ...interval(1), ...interval(2)]);
    expect(lostSampleCount).toBe(0);
  });

  it('is read by name by a program with other series', () => {
    const other = ['fanPercent', 'powerDrawWatts', 'temperatureCelsius'];
    const [first] = readSegment(segmentOf(8), other).samples.slice(-2);
    expect([...(first?.values ?? [])]).toEqual([Number.NaN, 7.5, 7]);
  });
});

describe('damage', () => {
  it('at every length of a cut tail costs only the frame that is cut', () => {
    const whole = segmentOf(3);
    for (let length = frameStart(2) + 1; length < whole.length; length += 1) {
      const { samples, lostSampleCount } = readSegment(whole.subarray(0, length), names);
      expect(samples).toEqual([...interval(0), ...interval(1)]);
      expect(lostSampleCount).toBe(length < frameStart(2) + frameHeadBytes ? 1 : 2);
    }
  });

  it('in any byte of the middle costs only the frame it is in', () => {
    const whole = segmentOf(3);
    for (let at = frameStart(1); at < frameStart(2); at += 1) {
      const bytes = Buffer.from(whole);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 0x55, at);
      const { samples, lostSampleCount } = readSegment(bytes, names);
      expect(samples).toEqual([...interval(0), ...interval(2)]);
      expect(lostSampleCount).toBe(2);
    }
  });

  it('in any byte of the header costs the segment: nobody knows what the values are', () => {
    for (let at = 0; at < encodeHeader(names).length; at += 1) {
      const bytes = segmentOf(10);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      const { samples, lostSampleCount } = readSegment(bytes, names);
      expect(samples).toEqual([]);
      expect(lostSampleCount).toBeGreaterThanOrEqual(20);
    }
  });

  it('of other kinds', () => {
    const zeros = Buffer.concat([segmentOf(2), Buffer.alloc(4096)]);
    expect(timesIn(zeros)).toEqual([0, 1]);
    expect(readSegment(zeros, names).lostSampleCount).toBeGreaterThan(0);
    expect(readSegment(Buffer.alloc(0), names)).toEqual({ samples: [], lostSampleCount: 0 });
    expect(readSegment(Buffer.from('#!/bin/sh\nanother program\n'), names)).toEqual({
      samples: [],
      lostSampleCount: 1,
    });
  });

  it('a forged length does not lead beyond the frame, and what follows is found', () => {
    for (const length of [0, 1, 0x7fff_ffff, 0xffff_ffff, 200_000]) {
      const bytes = segmentOf(3);
      bytes.writeUInt32LE(length, frameStart(1) + 4);
      expect(timesIn(bytes)).toEqual([0, 2]);
    }
    const forgedNames = segmentOf(1);
    forgedNames.writeUInt32LE(0xffff_ffff, 12);
    expect(timesIn(forgedNames)).toEqual([]);
  });

  it('a frame with the right checksum and impossible content is counted, not believed', () => {
    const [first, second] = interval(1);
    if (!first || !second) throw new Error('no samples');
    const impossible: RecordedSample[] = [
      { ...first, gpuUuid: '\u001b[31m owned' },
      { ...first, atMilliseconds: Number.NaN },
      { ...first, atMilliseconds: -1 },
      { ...first, gpuIndex: 4_000_000_000 },
    ];
    const bytes = Buffer.concat([encodeHeader(names), encodeFrames([...impossible, second])]);
    expect(readSegment(bytes, names)).toEqual({ samples: [second], lostSampleCount: 4 });
    const infinite = encodeFrames([{ ...first, values: Float64Array.of(Number.POSITIVE_INFINITY, 1, 2) }]);
    const [read] = readSegment(Buffer.concat([encodeHeader(names), infinite]), names).samples;
    expect([...(read?.values ?? [])]).toEqual([Number.NaN, 1, 2]);
  });
});

describe('hostile bytes', () => {
  it('never make it throw: random bytes, and random damage to a sound segment', () => {
    const below = createRandom(7);
    for (let round = 0; round < 2_000; round += 1) {
      const bytes = round % 2 === 0 ? segmentOf(5) : Buffer.alloc(1 + below(2_000));
      if (round % 2 === 1) for (let at = 0; at < bytes.length; at += 1) bytes.writeUInt8(below(256), at);
      if (round % 4 === 1) encodeHeader(names).copy(bytes);
      for (let hits = 0; hits < 8; hits += 1) {
        const at = below(bytes.length);
        if (below(3) === 0) frameMarker.copy(bytes, at);
        else bytes.writeUInt8(below(256), at);
      }
      const { samples, lostSampleCount } = readSegment(bytes.subarray(0, below(bytes.length)), names);
      expect(samples.length).toBeLessThanOrEqual(10);
      expect(Number.isSafeInteger(lostSampleCount)).toBe(true);
    }
  });

  it('cost a time in proportion to their number, however many frames they promise', () => {
    // Every 12 bytes a frame head that promises the longest payload: checked naively, 350,000 checksums of 256 KiB each.
    const head = Buffer.alloc(frameHeadBytes);
    frameMarker.copy(head);
    head.writeUInt32LE(256 * 1024, 4);
    const bytes = Buffer.concat([encodeHeader(names), Buffer.alloc(4 * 1024 * 1024, head)]);
    expect(readSegment(bytes, names).samples).toEqual([]);
  }, 60_000);

  it('a header of zero series is none: its samples would cost nothing to forge', () => {
    const empty = { ...sampleOf(0, 0), values: new Float64Array(0) };
    const bytes = Buffer.concat([encodeHeader([]), encodeFrames([empty])]);
    expect(readSegment(bytes, names).samples).toEqual([]);
  });
});

it('would notice a reader that believes what it finds', () => {
  const bytes = segmentOf(1);
  bytes.writeDoubleLE(99, bytes.length - 24);
  bytes.writeUInt32LE(0, frameStart(0) + 8);
  expect(timesIn(bytes)).not.toContain(99);
});
