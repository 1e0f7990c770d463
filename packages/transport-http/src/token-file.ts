import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Logger } from './options.ts';

const MAX_TOKEN_FILE_BYTES = 16 * 1024;
/**
 * File timestamps advance in steps of some milliseconds, so a file changed again right after it was read can look
 * unchanged. What was read within this time of the change is therefore read again (as git does with its index).
 */
const UNSETTLED_MILLISECONDS = 2_000;

export type TokenCheck = 'match' | 'mismatch' | 'unavailable';

interface Loaded {
  readonly signature: string;
  readonly settled: boolean;
  /** SHA-256 of the token; undefined when the file holds none. */
  readonly digest: Buffer | undefined;
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/**
 * One bearer token in a file, re-read when the file changes (a rotated Kubernetes secret is another inode). A file that
 * is missing, unreadable, empty or no token makes every check `unavailable`: it never lets anyone in.
 * Only the token's hash is kept.
 */
export class TokenFile {
  readonly #path: string;
  readonly #logger: Logger;
  #loaded: Loaded | undefined;
  #problem: string | undefined;

  constructor(path: string, logger: Logger) {
    this.#path = path;
    this.#logger = logger;
  }

  /** Compares in constant time: both sides are hashed first, so not even the length shows. */
  async check(presented: string): Promise<TokenCheck> {
    const digest = await this.#currentDigest();
    const presentedDigest = sha256(presented);
    if (digest === undefined) return 'unavailable';
    return timingSafeEqual(digest, presentedDigest) ? 'match' : 'mismatch';
  }

  /** Why no token can be had from the file at the moment; undefined when one can. */
  async problem(): Promise<string | undefined> {
    await this.#currentDigest();
    return this.#problem;
  }

  async #currentDigest(): Promise<Buffer | undefined> {
    try {
      const { mtimeNs, ctimeNs, mtimeMs, ino, dev, size } = await stat(this.#path, { bigint: true });
      const signature = [mtimeNs, ctimeNs, ino, dev, size].join(':');
      if (this.#loaded?.settled && this.#loaded.signature === signature) return this.#loaded.digest;
      if (size > MAX_TOKEN_FILE_BYTES) throw new Error(`larger than ${MAX_TOKEN_FILE_BYTES} bytes`);
      const token = (await readFile(this.#path, 'utf8')).trim();
      if (token === '') throw new Error('empty');
      if (/\s/.test(token)) throw new Error('more than one token, or white space inside it');
      const settled = Math.abs(Date.now() - Number(mtimeMs)) > UNSETTLED_MILLISECONDS;
      this.#loaded = { signature, settled, digest: sha256(token) };
      if (this.#problem !== undefined)
        this.#logger.info('http: token file readable again', { file: this.#path });
      this.#problem = undefined;
      return this.#loaded.digest;
    } catch (error) {
      this.#loaded = undefined;
      const detail = error instanceof Error ? error.message : String(error);
      const problem = `token file ${this.#path} cannot be used: ${detail}`;
      // Once per change: this runs for every request.
      if (problem !== this.#problem) this.#logger.error(`http: ${problem}; every caller is denied`);
      this.#problem = problem;
      return undefined;
    }
  }
}
