/** What one line of input turned out to be. */
export type Line =
  | { readonly kind: 'text'; readonly text: string }
  /** Longer than the limit. The bytes were dropped as they came and never held together in memory. */
  | { readonly kind: 'too-long' }
  /** The bytes are not UTF-8, which JSON text must be (RFC 8259 section 8.1). */
  | { readonly kind: 'not-utf8' };

const NEWLINE = 0x0a;

/**
 * Cuts a byte stream into lines while holding at most `maxLineBytes` of it.
 * Blank lines are dropped, as is the carriage return of a CRLF pair.
 */
export class MessageLines {
  readonly #maxLineBytes: number;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });
  #held: Buffer[] = [];
  #heldBytes = 0;
  #discarding = false;

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** The lines that this chunk completes, in order. An over-long line is reported once, as soon as it is one. */
  push(chunk: Buffer): Line[] {
    const lines: Line[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.#hold(chunk.subarray(start, end), lines);
      this.#finishLine(lines);
      start = end + 1;
    }
    if (start < chunk.length) this.#hold(chunk.subarray(start), lines);
    return lines;
  }

  /** The last line, when the stream ended without a newline behind it. */
  end(): Line[] {
    const lines: Line[] = [];
    this.#finishLine(lines);
    return lines;
  }

  #hold(part: Buffer, lines: Line[]): void {
    if (this.#discarding) return;
    if (this.#heldBytes + part.length > this.#maxLineBytes) {
      this.#discarding = true;
      this.#held = [];
      this.#heldBytes = 0;
      lines.push({ kind: 'too-long' });
      return;
    }
    if (part.length === 0) return;
    this.#held.push(part);
    this.#heldBytes += part.length;
  }

  #finishLine(lines: Line[]): void {
    if (this.#discarding) {
      this.#discarding = false;
      return;
    }
    const [first] = this.#held;
    if (first === undefined) return;
    const bytes = this.#held.length === 1 ? first : Buffer.concat(this.#held, this.#heldBytes);
    this.#held = [];
    this.#heldBytes = 0;
    let text: string;
    try {
      text = this.#decoder.decode(bytes).trim();
    } catch {
      lines.push({ kind: 'not-utf8' });
      return;
    }
    if (text !== '') lines.push({ kind: 'text', text });
  }
}
