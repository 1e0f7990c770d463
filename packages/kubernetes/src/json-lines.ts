const NEWLINE = 0x0a;
const FIRST_CAPACITY_BYTES = 16 * 1024;

/** Thrown for a stream that is no stream of lines: too long a line, not UTF-8, cut off within a line. */
export class LineError extends Error {
  override readonly name = 'LineError';
}

export interface LineSplitter {
  /** The lines that `chunk` completed, without empty ones. */
  push(chunk: Uint8Array): string[];
  /** @throws LineError when the stream ended within a line. */
  end(): void;
}

/**
 * Puts lines together from chunks cut anywhere, within a UTF-8 character too. Decodes whole lines only, so that no cut can show.
 * Memory: one line, whatever the size of the chunks.
 */
export function createLineSplitter(maximumLineBytes: number): LineSplitter {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let pending = Buffer.alloc(0);
  let pendingBytes = 0;

  function keep(part: Uint8Array): void {
    const needed = pendingBytes + part.length;
    if (needed > maximumLineBytes) throw new LineError(`a line is longer than ${maximumLineBytes} bytes`);
    if (needed > pending.length) {
      // Doubling keeps a line that comes byte by byte linear.
      const larger = Buffer.alloc(Math.max(FIRST_CAPACITY_BYTES, needed, pending.length * 2));
      pending.copy(larger, 0, 0, pendingBytes);
      pending = larger;
    }
    pending.set(part, pendingBytes);
    pendingBytes = needed;
  }

  function take(): string {
    const line = pending.subarray(0, pendingBytes);
    pendingBytes = 0;
    try {
      return decoder.decode(line);
    } catch (cause) {
      throw new LineError('a line is not UTF-8', { cause });
    }
  }

  return {
    push(chunk) {
      const lines: string[] = [];
      let start = 0;
      for (;;) {
        const end = chunk.indexOf(NEWLINE, start);
        if (end === -1) break;
        keep(chunk.subarray(start, end));
        if (pendingBytes > 0) lines.push(take());
        start = end + 1;
      }
      keep(chunk.subarray(start));
      return lines;
    },
    end() {
      if (pendingBytes > 0) throw new LineError('the stream ended within a line');
    },
  };
}
