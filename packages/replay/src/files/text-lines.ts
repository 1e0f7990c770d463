const newline = 10;

/** Called with each line, without its line end, and its number from 1. `cut`: the line was longer and the rest is left out. */
export type TakeLine = (line: string, lineNumber: number, cut: boolean) => void;

/**
 * Lines out of bytes that are cut anywhere. Each line is a string of its own: a slice of a chunk would keep the whole chunk in memory.
 * NUL bytes, which a crash leaves in files, and carriage returns are left out.
 */
export class TextLines {
  readonly #maximumLineBytes: number;
  #carry: Buffer[] = [];
  #carryBytes = 0;
  #isCut = false;
  #lineNumber = 1;

  constructor(maximumLineBytes = 1024 * 1024) {
    this.#maximumLineBytes = maximumLineBytes;
  }

  /** How many lines there were so far, the open one included. */
  get lineCount(): number {
    return this.#lineNumber - (this.#carryBytes === 0 && !this.#isCut ? 1 : 0);
  }

  push(chunk: Buffer, take: TakeLine): void {
    let start = 0;
    while (start < chunk.length) {
      const end = chunk.indexOf(newline, start);
      if (end < 0) {
        this.#keep(chunk.subarray(start));
        return;
      }
      if (this.#carryBytes === 0 && end - start <= this.#maximumLineBytes) {
        this.#emit(chunk, start, end, take);
      } else {
        this.#keep(chunk.subarray(start, end));
        this.#emitCarry(take);
      }
      start = end + 1;
    }
  }

  end(take: TakeLine): void {
    if (this.#carryBytes > 0) this.#emitCarry(take);
  }

  #keep(part: Buffer): void {
    const room = this.#maximumLineBytes - this.#carryBytes;
    if (part.length > room) this.#isCut = true;
    if (room <= 0 || part.length === 0) return;
    // The chunk is not ours to keep.
    const copy = Buffer.from(part.subarray(0, room));
    this.#carry.push(copy);
    this.#carryBytes += copy.length;
  }

  #emitCarry(take: TakeLine): void {
    const line = Buffer.concat(this.#carry);
    this.#carry = [];
    this.#carryBytes = 0;
    this.#emit(line, 0, line.length, take);
  }

  #emit(bytes: Buffer, start: number, end: number, take: TakeLine): void {
    const text = bytes.toString('utf8', start, end);
    const plain = text.includes('\0') ? text.replaceAll('\0', '') : text;
    const cut = this.#isCut;
    this.#isCut = false;
    const lineNumber = this.#lineNumber;
    this.#lineNumber += 1;
    take(plain.endsWith('\r') ? plain.slice(0, -1) : plain, lineNumber, cut);
  }
}
