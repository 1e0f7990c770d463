import type { KernelLogParsers } from '../kernel-log/parsers.ts';
import { createByteSearch } from './byte-search.ts';
import { createNeedleSearch } from './needles.ts';
import { maximumSearchBytes } from './simd-search.ts';

export type EmitLine = (text: string, lineNumber: number) => void;

export interface LineScanner {
  /** Bytes in order, cut anywhere. The chunk is not used after the call. */
  push(chunk: Buffer, emit: EmitLine): void;
  /** The last line, when no line feed ends it. */
  end(emit: EmitLine): void;
}

export interface LineScannerOptions {
  readonly parsers: Pick<KernelLogParsers, 'kernelLogNeedles' | 'isKernelLogCandidate'>;
  /** Emit all lines, not only those with a needle and the few after them. */
  readonly everyLine: boolean;
  /** Longer lines are looked at in pieces of this size; default 64 KiB. */
  readonly maximumLineBytes?: number;
}

const newline = 10;
const carriageReturn = 13;
/** How much text before a needle goes with it when it stands deep in an overlong line, and how much after it is waited for. */
const contextBytes = 512;
/** Lines emitted after one with a needle: the rest of a message of several lines, or `last message repeated`. */
const linesAfter = 3;

/**
 * Finds the lines worth parsing in a byte stream, with their 1-based numbers. A piece without a needle costs one pass over it,
 * in which its line feeds are counted; only the lines around a needle become strings.
 */
export function createLineScanner(options: LineScannerOptions): LineScanner {
  const { everyLine, parsers } = options;
  const search = everyLine ? undefined : createByteSearch(parsers.kernelLogNeedles);
  const maximumLineBytes = Math.max(4 * contextBytes, options.maximumLineBytes ?? 64 * 1024);
  const needles = parsers.kernelLogNeedles.map((needle) => Buffer.from(needle));
  /** The beginning of a line that the chunk's end cut; grows to `maximumLineBytes`. */
  let carry = Buffer.allocUnsafe(4096);
  let carryLength = 0;
  /** Pieces of the current line that were already looked at. */
  let pieces = 0;
  let lineNumber = 1;
  /** Lines still to be emitted because of a needle before them. */
  let owed = 0;

  const emitText = (bytes: Buffer, start: number, end: number, emit: EmitLine): void => {
    let from = start;
    let to = end;
    // After a crash, files hold runs of zero bytes before the next boot's first line.
    while (from < to && bytes[from] === 0) from += 1;
    if (to > from && bytes[to - 1] === carriageReturn) to -= 1;
    const text = bytes.toString('utf8', from, to);
    const candidate = parsers.isKernelLogCandidate(text);
    if (!candidate && !everyLine && owed === 0) return;
    owed = candidate ? linesAfter : Math.max(0, owed - 1);
    emit(text, lineNumber);
  };

  /** Emits the carried bytes when they are a wanted line, or of an overlong line the part round a needle that begins before `limit`. */
  const emitPiece = (limit: number, emit: EmitLine): void => {
    const piece = carry.subarray(0, carryLength);
    const found = createNeedleSearch(needles, piece, 0)(0);
    const wholeLine = pieces === 0 && limit === carryLength;
    if (pieces === 0 && (everyLine || owed > 0 || (wholeLine && found < limit))) {
      emitText(piece, 0, carryLength, emit);
      return;
    }
    if (found >= limit) return;
    // Binary noise before a message ends with a zero byte more often than not.
    const afterZero = piece.lastIndexOf(0, found) + 1;
    emitText(piece, pieces === 0 ? afterZero : Math.max(afterZero, found - contextBytes), carryLength, emit);
  };

  /** The carried bytes are a whole line, or the last piece of one. */
  const endLine = (emit: EmitLine): void => {
    emitPiece(carryLength, emit);
    carryLength = 0;
    pieces = 0;
    lineNumber += 1;
  };

  const append = (chunk: Buffer, start: number, end: number, emit: EmitLine): void => {
    for (let from = start; from < end; ) {
      if (carryLength === maximumLineBytes) {
        // A needle near the piece's end is left to the next piece, where its text follows it.
        emitPiece(maximumLineBytes - contextBytes, emit);
        carry.copyWithin(0, carryLength - contextBytes, carryLength);
        carryLength = contextBytes;
        pieces += 1;
      }
      const length = Math.min(end - from, maximumLineBytes - carryLength);
      if (carryLength + length > carry.length) {
        const grown = Buffer.allocUnsafe(
          Math.min(maximumLineBytes, Math.max(carryLength + length, carry.length * 2)),
        );
        carry.copy(grown, 0, 0, carryLength);
        carry = grown;
      }
      chunk.copy(carry, carryLength, from, from + length);
      carryLength += length;
      from += length;
    }
  };

  const scanLine = (chunk: Buffer, start: number, end: number, emit: EmitLine): void => {
    if (end - start > maximumLineBytes) {
      append(chunk, start, end, emit);
      endLine(emit);
      return;
    }
    emitText(chunk, start, end, emit);
    lineNumber += 1;
  };

  /** `lines` ends with a line feed. */
  const scanLines = (lines: Buffer, start: number, emit: EmitLine): void => {
    search?.take(lines);
    let position = start;
    while (position < lines.length) {
      if (search && owed === 0) {
        const found = search.next(position);
        lineNumber += search.lineFeedCount;
        if (found === lines.length) return;
        position = lines.lastIndexOf(newline, found) + 1;
      }
      const lineEnd = lines.indexOf(newline, position);
      scanLine(lines, position, lineEnd, emit);
      position = lineEnd + 1;
    }
  };

  const pushPiece = (chunk: Buffer, emit: EmitLine): void => {
    let start = 0;
    if (carryLength > 0 || pieces > 0) {
      const lineEnd = chunk.indexOf(newline);
      append(chunk, 0, lineEnd < 0 ? chunk.length : lineEnd, emit);
      if (lineEnd < 0) return;
      endLine(emit);
      start = lineEnd + 1;
    }
    const end = chunk.lastIndexOf(newline) + 1;
    if (end > start) {
      scanLines(chunk.subarray(0, end), start, emit);
      start = end;
    }
    append(chunk, start, chunk.length, emit);
  };

  return {
    push(chunk, emit) {
      for (let start = 0; start < chunk.length; start += maximumSearchBytes) {
        pushPiece(chunk.subarray(start, start + maximumSearchBytes), emit);
      }
    },
    end(emit) {
      if (carryLength > 0) endLine(emit);
    },
  };
}
