import { type ByteSearch, createNeedleSearch } from './needles.ts';
import { countNewlines } from './newlines.ts';
import { createSimdSearch } from './simd-search.ts';

/** Fewer bytes, as a followed log brings them, are searched in microseconds anyway; SIMD once used takes a megabyte of memory. */
const simdFromBytes = 16 * 1024;

/** By SIMD where the machine and node's flags allow it (`--jitless` does not), else by memchr: four times slower, the same answers. */
export function createByteSearch(needles: readonly string[]): ByteSearch {
  const bytes = needles.map((needle) => Buffer.from(needle));
  const plain = createPlainSearch(bytes);
  let fast: ByteSearch | undefined;
  let current = plain;
  return {
    take(chunk) {
      if (chunk.length < simdFromBytes) current = plain;
      else current = fast ??= createSimdSearch(bytes) ?? plain;
      current.take(chunk);
    },
    next: (from) => current.next(from),
    get lineFeedCount() {
      return current.lineFeedCount;
    },
  };
}

export function createPlainSearch(needles: readonly Buffer[]): ByteSearch {
  let chunk: Buffer = Buffer.alloc(0);
  let nextNeedle: ((from: number) => number) | undefined;
  let lineFeedCount = 0;
  return {
    take(taken) {
      chunk = taken;
      nextNeedle = undefined;
    },
    next(from) {
      nextNeedle ??= createNeedleSearch(needles, chunk, from);
      const found = Math.min(nextNeedle(from), chunk.length);
      lineFeedCount = countNewlines(chunk, from, found);
      return found;
    },
    get lineFeedCount() {
      return lineFeedCount;
    },
  };
}
