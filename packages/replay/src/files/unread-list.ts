import type { UnreadPart } from '../recording.ts';

const maximumParts = 64;

/** What of a file was not used, in order; the last entry says how many there were beyond the bound. */
export class UnreadList {
  readonly #file: string;
  readonly #parts: UnreadPart[] = [];
  #moreCount = 0;
  #moreLine = 0;

  constructor(file: string) {
    this.#file = file;
  }

  add(line: number, part: string, reason: string): void {
    this.push({ file: this.#file, line, part, reason });
  }

  push(part: UnreadPart): void {
    if (this.#parts.length < maximumParts) {
      this.#parts.push(part);
      return;
    }
    this.#moreCount += 1;
    if (this.#moreCount === 1) this.#moreLine = part.line;
  }

  finish(): readonly UnreadPart[] {
    if (this.#moreCount === 0) return this.#parts;
    const more = {
      file: this.#file,
      line: this.#moreLine,
      part: `${this.#moreCount} more parts`,
      reason: 'not listed one by one',
    };
    return [...this.#parts, more];
  }
}
