import { describe, expect, it } from 'vitest';
import { createRandom } from '../../test/kernel-log-samples.ts';
import { countNewlines } from './newlines.ts';

const naiveCount = (bytes: Uint8Array, start: number, end: number): number =>
  bytes.subarray(start, end).filter((byte) => byte === 10).length;

describe('countNewlines', () => {
  it('agrees with a byte loop for every alignment of start and end', () => {
    const random = createRandom(7);
    const backing = new Uint8Array(256);
    // Neighbours of a line feed and its value with the high bit are what a careless word trick confuses.
    const suspects = [10, 10, 9, 11, 0x8a, 0x0a ^ 0x80, 0, 0xff, 0x7f, 0x80];
    for (let index = 0; index < backing.length; index += 1) backing[index] = suspects[random(10)] ?? 0;
    for (let offset = 0; offset < 4; offset += 1) {
      const bytes = new Uint8Array(backing.buffer, offset);
      for (let start = 0; start < 12; start += 1) {
        for (let end = start; end <= bytes.length; end += 1) {
          expect(countNewlines(bytes, start, end)).toBe(naiveCount(bytes, start, end));
        }
      }
    }
  });

  it('does not overflow its counters when every byte is a line feed', () => {
    const bytes = new Uint8Array(1_000_003).fill(10);
    expect(countNewlines(bytes, 1, bytes.length)).toBe(1_000_002);
  });
});
