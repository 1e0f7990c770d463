/**
 * Counts line feeds in `bytes[start, end)`. Four bytes at a time: XOR turns each line feed into a zero byte, and the usual zero-byte
 * test leaves one bit per byte, which four 8-bit counters in one integer add up. Several times faster than a byte loop, and unlike
 * repeated indexOf it does not slow down on short lines.
 */
export function countNewlines(bytes: Uint8Array, start: number, end: number): number {
  let count = 0;
  let position = start;
  const aligned = start + (-(bytes.byteOffset + start) & 3);
  // A range this short is not worth a view, and may end before the first whole word.
  const bytewise = end - start < 64 ? end : aligned;
  for (; position < bytewise; position += 1) if (bytes[position] === 10) count += 1;
  if (position >= end) return count;

  const words = new Int32Array(bytes.buffer, bytes.byteOffset + position, (end - position) >> 2);
  const wordCount = words.length;
  let index = 0;
  while (index < wordCount) {
    // A counter holds 8 bits.
    const stop = Math.min(wordCount, index + 255);
    let counters = 0;
    for (; index < stop; index += 1) {
      const difference = (words[index] as number) ^ 0x0a0a0a0a;
      const zeroBytes = ~(((difference & 0x7f7f7f7f) + 0x7f7f7f7f) | difference | 0x7f7f7f7f);
      counters = (counters + (zeroBytes >>> 7)) | 0;
    }
    count +=
      (counters & 0xff) + ((counters >>> 8) & 0xff) + ((counters >>> 16) & 0xff) + ((counters >>> 24) & 0xff);
  }
  for (position += wordCount * 4; position < end; position += 1) if (bytes[position] === 10) count += 1;
  return count;
}
