import { readFile, stat } from 'node:fs/promises';
import type { Logger } from '@k8s-gpu-mcp/core';

const maximumFileBytes = 1024 * 1024;
/** A file changed again right after it was read can carry the same time stamp; what is that new is read again. */
const unsettledMilliseconds = 2_000;

/** What is in a small file, parsed once per change. A change that cannot be used leaves what was read before in service. */
export class WatchedFile<T> {
  readonly #path: string;
  readonly #what: string;
  readonly #parse: (content: Buffer) => T;
  readonly #logger: Logger;
  #loaded: { readonly content: Buffer; readonly value: T } | undefined;
  #signature: string | undefined;
  #problem: string | undefined;
  #looking: Promise<T> | undefined;

  /** `what` names the file's content in log lines: `token`. */
  constructor(path: string, what: string, parse: (content: Buffer) => T, logger: Logger) {
    this.#path = path;
    this.#what = what;
    this.#parse = parse;
    this.#logger = logger;
  }

  /**
   * The same object as long as the content is the same.
   * @throws Error while nothing usable was ever read.
   */
  read(): Promise<T> {
    // Many calls begin at once; one look serves them.
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<T> {
    try {
      const { mtimeNs, ctimeNs, mtimeMs, ino, dev, size } = await stat(this.#path, { bigint: true });
      const signature = [mtimeNs, ctimeNs, ino, dev, size].join(':');
      if (this.#loaded && this.#signature === signature) return this.#loaded.value;
      if (size > maximumFileBytes) throw new Error(`larger than ${maximumFileBytes} bytes`);
      const content = await readFile(this.#path);
      if (!this.#loaded?.content.equals(content)) this.#loaded = { content, value: this.#parse(content) };
      const isSettled = Math.abs(Date.now() - Number(mtimeMs)) > unsettledMilliseconds;
      this.#signature = isSettled ? signature : undefined;
      if (this.#problem !== undefined) this.#logger.info(`agents: the ${this.#what} file can be read again`);
      this.#problem = undefined;
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      const problem = `the ${this.#what} file ${this.#path} cannot be used: ${detail}`;
      if (problem !== this.#problem) this.#logger.error(`agents: ${problem}`);
      this.#problem = problem;
      if (!this.#loaded) throw new Error(problem, { cause: error });
    }
    return this.#loaded.value;
  }
}
