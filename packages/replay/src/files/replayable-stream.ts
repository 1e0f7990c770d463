/** A stream whose beginning can be read twice: once to see what it is, and again by whoever reads it. */
export class ReplayableStream implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array>;
  #seen: Uint8Array[] = [];
  #isRecording = true;
  #isDone = false;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#source = stream[Symbol.asyncIterator]();
  }

  /** The next reader begins at the beginning, and is the last that can. */
  rewind(): void {
    this.#isRecording = false;
  }

  /** The reader that has begun goes on to the end. */
  forget(): void {
    this.#isRecording = false;
    this.#seen = [];
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    const isFirst = this.#isRecording;
    try {
      if (!isFirst) {
        const seen = this.#seen;
        this.#seen = [];
        yield* seen;
      }
      while (!this.#isDone) {
        const next = await this.#source.next();
        if (next.done) {
          this.#isDone = true;
          return;
        }
        if (this.#isRecording) this.#seen.push(next.value);
        yield next.value;
      }
    } finally {
      // The first reader is closed when it has seen enough; the stream goes on.
      if (!isFirst || !this.#isRecording) await this.#source.return?.();
    }
  }
}
