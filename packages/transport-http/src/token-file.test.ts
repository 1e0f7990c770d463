import { mkdtemp, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Logger, silentLogger } from './options.ts';
import { TokenFile } from './token-file.ts';

let folder = '';
let file = '';
let errors: string[] = [];
const logger: Logger = { ...silentLogger, error: (message) => errors.push(message) };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'token-'));
  file = join(folder, 'token');
  errors = [];
});
afterEach(() => rm(folder, { recursive: true }));

describe('TokenFile', () => {
  it('compares with the trimmed content', async () => {
    await writeFile(file, '  s3cret\n');
    const token = new TokenFile(file, logger);
    expect(await token.check('s3cret')).toBe('match');
    for (const wrong of ['', 's3cre', 's3cret ', 'S3CRET', 's3cret\n'])
      expect(await token.check(wrong)).toBe('mismatch');
  });

  it('follows a rewritten file, even one rewritten at once, with the same length and the same time', async () => {
    const token = new TokenFile(file, logger);
    const when = new Date();
    // Often enough that some of these happen within one tick of the file system's clock.
    for (let turn = 1_000; turn < 1_200; turn += 1) {
      const value = `t${turn}`;
      await writeFile(file, value);
      await utimes(file, when, when);
      expect(await token.check(value)).toBe('match');
    }
    expect(await token.check('t1198')).toBe('mismatch');
  });

  it('keeps what it read while an old file does not change, and sees a replaced one', async () => {
    const token = new TokenFile(file, logger);
    const longAgo = new Date('2026-01-01T00:00:00Z');
    await writeFile(file, 'old');
    await utimes(file, longAgo, longAgo);
    expect(await token.check('old')).toBe('match');
    expect(await token.check('old')).toBe('match');
    await writeFile(`${file}.new`, 'new');
    await utimes(`${file}.new`, longAgo, longAgo);
    await rename(`${file}.new`, file);
    expect(await token.check('old')).toBe('mismatch');
    expect(await token.check('new')).toBe('match');
  });

  it('follows a symbolic link that is turned (how Kubernetes rotates a secret)', async () => {
    await writeFile(join(folder, 'v1'), 'one');
    await writeFile(join(folder, 'v2'), 'two');
    await symlink('v1', file);
    const token = new TokenFile(file, logger);
    expect(await token.check('one')).toBe('match');
    await unlink(file);
    await symlink('v2', file);
    expect(await token.check('one')).toBe('mismatch');
    expect(await token.check('two')).toBe('match');
  });

  it.each<[string, () => Promise<unknown>]>([
    ['missing', async () => {}],
    ['empty', () => writeFile(file, '')],
    ['white space only', () => writeFile(file, ' \n')],
    ['two tokens', () => writeFile(file, 'one\ntwo\n')],
    ['huge', () => writeFile(file, 'x'.repeat(100_000))],
    ['a folder', () => symlink('.', file)],
  ])('%s: nobody gets in, not even with an empty token, and it is logged once', async (_name, prepare) => {
    await prepare();
    const token = new TokenFile(file, logger);
    for (const presented of ['', 'one', 'undefined'])
      expect(await token.check(presented)).toBe('unavailable');
    expect(errors).toHaveLength(1);
    expect(await token.problem()).toContain(file);
  });

  it('denies as soon as the file goes, and recovers when it is back', async () => {
    await writeFile(file, 's3cret');
    const token = new TokenFile(file, logger);
    expect(await token.check('s3cret')).toBe('match');
    await unlink(file);
    expect(await token.check('s3cret')).toBe('unavailable');
    await writeFile(file, 's3cret');
    expect(await token.check('s3cret')).toBe('match');
    expect(await token.problem()).toBeUndefined();
  });
});
