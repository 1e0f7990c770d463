/**
 * The WebAssembly module that searches 16 bytes at a step, written as its instructions. Sources: WebAssembly core specification 2.0,
 * chapter 5 (binary format); the two-byte lookup by halves is that of Hyperscan's Teddy.
 *
 * In words, with `low` and `high` as the tables of `layout.halves`:
 *
 *     for (; at < end; at += 16) {
 *       feeds = bits of block[at] == '\n'
 *       hits = bits of low1[block[at] & 15] & high1[block[at] >> 4] & low2[block[at + 1] & 15] & high2[block[at + 1] >> 4]
 *       for each place in hits
 *         for each needle
 *           if ((eight bytes at place & needle.mask) == needle.bytes) { count += feeds before place; return place; }
 *       count += feeds
 *     }
 *     return end
 */

/** Addresses in the machine's memory. */
export const layout = {
  halves: 0,
  needles: 64,
  needleBytes: 16,
  maximumNeedles: 32,
  lineFeedCount: 64 + 16 * 32,
  chunk: 1024,
} as const;

const pageBytes = 64 * 1024;

/** Unsigned LEB128, as the format writes all sizes and indices. */
function leb(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >>> 7)];
}
/** Signed LEB128: bit 6 of the last byte is the sign, so that positive constants may need a byte more. */
function signedLeb(value: number): readonly number[] {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signedLeb(value >>> 7)];
}
const simd = (opcode: number) => [0xfd, ...leb(opcode)];

const type = { i32: 0x7f, v128: 0x7b, none: 0x40 } as const;
const block = [0x02, type.none];
const loop = [0x03, type.none];
const when = [0x04, type.none];
const end = [0x0b];
const branch = (depth: number) => [0x0c, depth];
const branchIf = (depth: number) => [0x0d, depth];
const leave = [0x0f];
const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];
const tee = (local: number) => [0x22, local];
const i32 = {
  constant: (value: number) => [0x41, ...signedLeb(value)],
  store: [0x36, 2, 0],
  lessThan: [0x49],
  atLeast: [0x4f],
  trailingZeros: [0x68],
  countOnes: [0x69],
  add: [0x6a],
  subtract: [0x6b],
  and: [0x71],
  shiftLeft: [0x74],
};
const i64 = { load: (offset: number) => [0x29, 0, offset], equal: [0x51], and: [0x83] };
const v128 = {
  load: (offset: number) => [...simd(0x00), 0, ...leb(offset)],
  bytes: (byte: number) => [...simd(0x0c), ...Array<number>(16).fill(byte)],
  /** Each byte of the second operand, 0 to 15, by the byte of the first that stands there. */
  lookUp: simd(0x0e),
  equalBytes: simd(0x23),
  unequalBytes: simd(0x24),
  and: simd(0x4e),
  isAnySet: simd(0x53),
  /** One bit for each byte: its highest. */
  bits: simd(0x64),
  shiftRight: simd(0x8d),
};

// Parameters, then locals in the order of their types below.
const [at, stop, needlesEnd, count, feeds, hits, needle] = [0, 1, 2, 3, 4, 5, 6];
const [bytes, following, found, low1, high1, low2, high2] = [7, 8, 9, 10, 11, 12, 13];
const locals = [2, ...[4, type.i32], ...[7, type.v128]];

const lowHalf = (local: number) => [...get(local), ...v128.bytes(0x0f), ...v128.and];
const highHalf = (local: number) => [
  ...get(local),
  ...i32.constant(4),
  ...v128.shiftRight,
  ...v128.bytes(0x0f),
  ...v128.and,
];
const loadTable = (local: number, index: number) => [
  ...i32.constant(layout.halves + 16 * index),
  ...v128.load(0),
  ...set(local),
];
const place = [...get(at), ...get(hits), ...i32.trailingZeros, ...i32.add];
const feedsBeforePlace = [
  ...get(feeds),
  ...[...i32.constant(1), ...get(hits), ...i32.trailingZeros, ...i32.shiftLeft],
  ...[...i32.constant(1), ...i32.subtract],
  ...i32.and,
];
const add = (addend: readonly number[], local: number) => [...get(local), ...addend, ...i32.add];
const storeCount = (value: readonly number[]) => [
  ...i32.constant(layout.lineFeedCount),
  ...value,
  ...i32.store,
];

const returnWhereNeedleStands = [
  ...[...i32.constant(layout.needles), ...set(needle)],
  ...loop,
  ...[...place, ...i64.load(0), ...get(needle), ...i64.load(8), ...i64.and],
  ...[...get(needle), ...i64.load(0), ...i64.equal],
  ...when,
  ...storeCount(add([...feedsBeforePlace, ...i32.countOnes], count)),
  ...[...place, ...leave],
  ...end,
  ...[...add(i32.constant(layout.needleBytes), needle), ...tee(needle)],
  ...[...get(needlesEnd), ...i32.lessThan, ...branchIf(0)],
  ...end,
];

const seek = [
  ...[low1, high1, low2, high2].flatMap(loadTable),
  ...block,
  ...loop,
  ...[...get(at), ...get(stop), ...i32.atLeast, ...branchIf(1)],
  ...[...get(at), ...v128.load(0), ...tee(bytes)],
  ...[...v128.bytes(0x0a), ...v128.equalBytes, ...v128.bits, ...set(feeds)],
  ...[...get(at), ...v128.load(1), ...set(following)],
  ...[...get(low1), ...lowHalf(bytes), ...v128.lookUp],
  ...[...get(high1), ...highHalf(bytes), ...v128.lookUp, ...v128.and],
  ...[...get(low2), ...lowHalf(following), ...v128.lookUp, ...v128.and],
  ...[...get(high2), ...highHalf(following), ...v128.lookUp, ...v128.and],
  ...[...tee(found), ...v128.isAnySet],
  ...when,
  ...[...get(found), ...v128.bytes(0), ...v128.unequalBytes, ...v128.bits, ...set(hits)],
  ...loop,
  ...returnWhereNeedleStands,
  // Clears the lowest bit.
  ...[...get(hits), ...get(hits), ...i32.constant(1), ...i32.subtract, ...i32.and],
  ...[...tee(hits), ...branchIf(0)],
  ...end,
  ...end,
  ...[...add([...get(feeds), ...i32.countOnes], count), ...set(count)],
  ...[...add(i32.constant(16), at), ...set(at)],
  ...branch(0),
  ...end,
  ...end,
  ...storeCount(get(count)),
  ...get(stop),
  ...end,
];

const sized = (content: readonly number[]) => [...leb(content.length), ...content];
const section = (id: number, content: readonly number[]) => [id, ...sized(content)];
const named = (name: string) => sized([...name].map((letter) => letter.charCodeAt(0)));

/** Exports `memory` of that size and `seek(at, end, needlesEnd)`. */
export function simdSearchModule(memoryBytes: number): Uint8Array {
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 3, type.i32, type.i32, type.i32, 1, type.i32]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, ...leb(Math.ceil(memoryBytes / pageBytes))]),
    ...section(7, [2, ...named('memory'), 2, 0, ...named('seek'), 0, 0]),
    ...section(10, [1, ...sized([...locals, ...seek])]),
  ]);
}
