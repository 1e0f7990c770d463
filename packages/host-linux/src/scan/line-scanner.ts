import type { KernelLogParsers } from '../kernel-log/parsers.ts';
import { chooseAnchors, createNeedleSearch } from './needles.ts';
import { countNewlines } from './newlines.ts';

export type EmitLine = (text: string, lineNumber: number) => void;

export interface LineScanner {
  /** Bytes in order, cut anywhere. The chunk is not used after the call. */
  push(chunk: Buffer, emit: EmitLine): void;
  /** The last line, when no line feed ends it. */
  end(emit: EmitLine): void;
}

export interface LineScannerOptions {
  readonly parsers: Pick<KernelLogParsers, 'kernelLogNeedles' | 'isKernelLogCandidate'>;
  /** Emit all lines, not only those with a needle. */
  readonly everyLine: boolean;
  /** Longer lines are looked at in pieces of this size; default 64 KiB. */
  readonly maximumLineBytes?: number;
}

const newline = 10;
/** How much text before a needle goes with it when it stands deep in an overlong line. */
const contextBytes = 512;

/**
 * Finds the lines worth parsing in a byte stream, with their 1-based numbers. A chunk without a needle costs a few searches by memchr
 * and one count of its line feeds; only lines with a needle become strings.
 */
export function createLineScanner(options: LineScannerOptions): LineScanner {
  const { everyLine, parsers } = options;
  const maximumLineBytes = Math.max(4 * contextBytes, options.maximumLineBytes ?? 64 * 1024);
  const anchors = chooseAnchors(parsers.kernelLogNeedles);
  /** The beginning of a line that the chunk's end cut; grows to `maximumLineBytes`. */
  let carry = Buffer.allocUnsafe(4096);
  let carryLength = 0;
  /** Pieces of the current line that were already looked at. */
  let pieces = 0;
  let lineNumber = 1;

  const emitText = (bytes: Buffer, start: number, end: number, emit: EmitLine): void => {
    let from = start;
    let to = end;
    // After a crash, files hold runs of zero bytes before the next boot's first line.
    while (from < to && bytes[from] === 0) from += 1;
    if (to > from && bytes[to - 1] === 13) to -= 1;
    const text = bytes.toString('utf8', from, to);
    if (everyLine || parsers.isKernelLogCandidate(text)) emit(text, lineNumber);
  };

  /** Looks at the carried bytes, which are a whole line or the last piece of one. */
  const emitCarry = (emit: EmitLine): void => {
    if (carryLength > 0 || pieces === 0) emitPiece(carryLength, emit);
    carryLength = 0;
    pieces = 0;
  };

  /** Emits the carried piece when a needle begins before `limit`. */
  const emitPiece = (limit: number, emit: EmitLine): void => {
    const piece = carry.subarray(0, carryLength);
    if (everyLine) {
      if (pieces === 0) emitText(piece, 0, piece.length, emit);
      return;
    }
    const found = createNeedleSearch(anchors, piece, 0)(0);
    if (found < limit) {
      const start = pieces === 0 && found < limit ? lineStartIn(piece, found) : contextStart(piece, found);
      emitText(piece, start, piece.length, emit);
    }
  };

  const append = (chunk: Buffer, start: number, end: number, emit: EmitLine): void => {
    let from = start;
    while (from < end) {
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

  const emitLine = (chunk: Buffer, start: number, end: number, emit: EmitLine): void => {
    if (end - start <= maximumLineBytes) {
      emitText(chunk, start, end, emit);
      return;
    }
    append(chunk, start, end, emit);
    emitCarry(emit);
  };

  const scanEveryLine = (chunk: Buffer, start: number, end: number, emit: EmitLine): void => {
    for (let from = start; from < end; ) {
      const lineEnd = chunk.indexOf(newline, from);
      emitLine(chunk, from, lineEnd, emit);
      lineNumber += 1;
      from = lineEnd + 1;
    }
  };

  /** `chunk[start, end)` holds complete lines only. */
  const scanLines = (chunk: Buffer, start: number, end: number, emit: EmitLine): void => {
    const lines = chunk.subarray(0, end);
    const nextNeedle = createNeedleSearch(anchors, lines, start);
    let position = start;
    for (;;) {
      const found = nextNeedle(position);
      if (found >= end) break;
      let lineStart = found;
      while (lineStart > position && lines[lineStart - 1] !== newline) lineStart -= 1;
      const lineEnd = lines.indexOf(newline, found);
      lineNumber += countNewlines(lines, position, lineStart);
      emitLine(lines, lineStart, lineEnd, emit);
      lineNumber += 1;
      position = lineEnd + 1;
    }
    lineNumber += countNewlines(lines, position, end);
  };

  return {
    push(chunk, emit) {
      let start = 0;
      if (carryLength > 0 || pieces > 0) {
        const lineEnd = chunk.indexOf(newline);
        append(chunk, 0, lineEnd < 0 ? chunk.length : lineEnd, emit);
        if (lineEnd < 0) return;
        emitCarry(emit);
        lineNumber += 1;
        start = lineEnd + 1;
      }
      const end = chunk.lastIndexOf(newline) + 1;
      if (end > start) {
        if (everyLine) scanEveryLine(chunk, start, end, emit);
        else scanLines(chunk, start, end, emit);
        start = end;
      }
      append(chunk, start, chunk.length, emit);
    },
    end(emit) {
      if (carryLength > 0) emitCarry(emit);
    },
  };
}

/** Where the text round a needle begins in the first piece of an overlong line: its beginning, unless zero bytes come between. */
function lineStartIn(piece: Buffer, found: number): number {
  return piece.lastIndexOf(0, found) + 1;
}

function contextStart(piece: Buffer, found: number): number {
  return Math.max(0, found - contextBytes, piece.lastIndexOf(0, found) + 1);
}
