const NEWLINE = 0x0a;

export interface LineSplitterOptions {
  /** Of one line, without its newline. */
  readonly maxLineBytes: number;
  readonly onLine: (line: Buffer) => void;
  /** Called once for each line that is longer, as soon as it is; the rest of it is passed over. */
  readonly onTooLong: () => void;
}

/** Lines out of chunks that break anywhere. An over-long line is never held in memory. */
export class LineSplitter {
  readonly #options: LineSplitterOptions;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #isDiscarding = false;

  constructor(options: LineSplitterOptions) {
    this.#options = options;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.#hold(chunk.subarray(start, end));
      this.#finish();
      start = end + 1;
    }
    if (start < chunk.length) this.#hold(chunk.subarray(start));
  }

  /** The input has ended: a last line without its newline still counts. */
  end(): void {
    if (this.#isDiscarding || this.#heldBytes > 0) this.#finish();
  }

  #hold(part: Buffer): void {
    if (this.#isDiscarding) return;
    if (this.#heldBytes + part.length > this.#options.maxLineBytes) {
      this.#isDiscarding = true;
      this.#held = [];
      this.#heldBytes = 0;
      this.#options.onTooLong();
      return;
    }
    this.#held.push(part);
    this.#heldBytes += part.length;
  }

  #finish(): void {
    if (this.#isDiscarding) {
      this.#isDiscarding = false;
      return;
    }
    const line = Buffer.concat(this.#held, this.#heldBytes);
    this.#held = [];
    this.#heldBytes = 0;
    this.#options.onLine(line);
  }
}
