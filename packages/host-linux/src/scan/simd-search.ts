import type { ByteSearch } from './needles.ts';
import { layout, simdSearchModule } from './simd-search-module.ts';

/** The part of WebAssembly that is used here; node has it, its type definitions do not. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}
declare const WebAssembly: WebAssemblyApi | undefined;

interface Machine {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** Address of the next needle at or after `at`, or `end`; leaves the number of line feeds before it at `layout.lineFeedCount`. */
  seek(at: number, end: number, needlesEnd: number): number;
}

interface Shared {
  readonly machine: Machine;
  readonly memory: Uint8Array;
  readonly lineFeedCount: Int32Array;
  /** Whose needles the memory holds. */
  owner: Uint8Array | undefined;
}

/** A piece and its copy stay in the second-level cache: cores of servers have 512 KiB of it or more. */
export const maximumSearchBytes = 128 * 1024;

/** One machine for all searches: V8 reserves 10 GB of addresses for each, whatever memory it has. `null`: there is none here. */
let shared: Shared | null | undefined;

function openMachine(): Shared | null {
  try {
    if (WebAssembly === undefined) return null;
    const bytes = simdSearchModule(layout.chunk + maximumSearchBytes + slackBytes);
    const machine = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as Machine;
    const { buffer } = machine.memory;
    return {
      machine,
      memory: new Uint8Array(buffer),
      lineFeedCount: new Int32Array(buffer, layout.lineFeedCount, 1),
      owner: undefined,
    };
  } catch {
    // No SIMD on this processor, no such addresses (`ulimit -v`), or no right to make code.
    return null;
  }
}

/** The machine looks at blocks of 16 bytes, and one byte further, and from there at eight more. */
const slackBytes = 32;
const comparedBytes = 8;
const bucketCount = 8;

/** Undefined where the machine cannot be had, or not for these needles. */
export function createSimdSearch(needles: readonly Buffer[]): ByteSearch | undefined {
  if (needles.length > layout.maximumNeedles || needles.some(({ length }) => length < 2)) return undefined;
  if (shared === undefined) shared = openMachine();
  if (!shared) return undefined;
  const host = shared;
  const { machine, memory } = host;
  const tables = tablesOf(needles);
  const needlesEnd = layout.needles + needles.length * layout.needleBytes;
  const start = layout.chunk;
  let end = start;
  return {
    take(chunk) {
      if (host.owner !== tables) {
        memory.set(tables, 0);
        host.owner = tables;
      }
      memory.set(chunk, start);
      end = start + chunk.length;
      // The last step reads beyond the chunk, and finds nothing there.
      memory.fill(0, end, end + slackBytes);
    },
    next: (from) => machine.seek(start + from, end, needlesEnd) - start,
    get lineFeedCount() {
      return host.lineFeedCount[0] ?? 0;
    },
  };
}

/**
 * What the machine looks up. Each needle has one bit, its bucket. Four tables of 16 bytes tell for the low and the high half of a byte in
 * which buckets it is a needle's first, and in which its second byte; behind them stand each needle's first eight bytes and a mask of
 * those that count.
 */
function tablesOf(needles: readonly Buffer[]): Uint8Array {
  const tables = new Uint8Array(layout.needles + needles.length * layout.needleBytes);
  for (const [index, needle] of needles.entries()) {
    const bucket = 1 << (index % bucketCount);
    for (const place of [0, 1]) {
      const byte = needle[place] ?? 0;
      const low = layout.halves + place * 32 + (byte & 15);
      const high = layout.halves + place * 32 + 16 + (byte >> 4);
      tables[low] = (tables[low] ?? 0) | bucket;
      tables[high] = (tables[high] ?? 0) | bucket;
    }
    const compared = needle.subarray(0, comparedBytes);
    const at = layout.needles + index * layout.needleBytes;
    tables.set(compared, at);
    tables.fill(0xff, at + comparedBytes, at + comparedBytes + compared.length);
  }
  return tables;
}
