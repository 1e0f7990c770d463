import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, describe, expect, it } from 'vitest';
import type { ZodType } from 'zod';
import { withoutAssignedFunctions, withSharedAccessors } from './die-young.js';

const resolve = createRequire(import.meta.url).resolve;
const zodFile = join(resolve('zod'), '../v4/core/parse.js');
const folder = mkdtempSync(join(tmpdir(), 'die-young-'));
afterAll(() => rmSync(folder, { recursive: true }));

setFlagsFromString('--expose-gc');
// Out of functions as small as these a compiler takes the objects themselves.
setFlagsFromString('--no-opt');
const collect = runInNewContext('gc') as (how?: { type: 'minor' }) => void;

/** Bytes on the heap that each of many runs leaves to a collection of the whole heap. */
function bytesLeftBy(work: () => void): number {
  const runs = 4_000;
  const many = () => {
    for (let run = 0; run < runs; run += 1) work();
  };
  many();
  collect();
  const before = process.memoryUsage().heapUsed;
  many();
  for (let turn = 0; turn < 3; turn += 1) collect({ type: 'minor' });
  return (process.memoryUsage().heapUsed - before) / runs;
}

type Parse = typeof import('zod/v4/core');
type SafeParse = Pick<Parse, 'safeParse'>['safeParse'];

/** zod's own file, with the text that is given. */
async function zodWith(name: string, source: string): Promise<SafeParse> {
  const file = join(folder, `${name}.mjs`);
  writeFileSync(
    file,
    source.replaceAll(
      /from "\.\/(\w+\.js)"/g,
      (_, other) => `from "${pathToFileURL(join(zodFile, '..', other))}"`,
    ),
  );
  return ((await import(pathToFileURL(file).href)) as Parse).safeParse;
}

describe('a failed result of zod', async () => {
  const { z } = await import('zod');
  const schema: ZodType = z.object({ name: z.string() });
  const original = readFileSync(zodFile, 'utf8');
  const ours = await zodWith('ours', withSharedAccessors(original));
  const theirs = await zodWith('theirs', original);

  it('is the same: an error that is made once, own, and can be set', () => {
    const [result, expected] = [ours, theirs].map((parse) => parse(schema, { name: 1 }));
    expect(Object.keys(result ?? {})).toEqual(Object.keys(expected ?? {}));
    expect({ ...result }).toEqual({ ...expected });
    expect(result?.error).toBe(result?.error);
    expect(result?.error?.issues).toEqual([
      { code: 'invalid_type', expected: 'string', path: ['name'], message: expect.any(String) },
    ]);
    const other = new Error('other');
    expect(Object.assign(ours(schema, 1), { error: other }).error).toBe(other);
    expect(ours(schema, { name: 'a' })).toEqual({ success: true, data: { name: 'a' } });
  });

  it('goes with the message, where that of zod stays', () => {
    expect(bytesLeftBy(() => ours(schema, { name: 1 }))).toBeLessThan(100);
    expect(bytesLeftBy(() => theirs(schema, { name: 1 }))).toBeGreaterThan(300);
  });
});

describe('a function that becomes a property', () => {
  const source = (end: string) => `
\tconst kept = new Array(50).fill(0);
\tthis.transport.onclose = () => {
\t\treturn kept;
\t};
\tthis.cleanup = (error) => kept.push(error);
\treturn ${end};`;
  const run = (text: string) => new Function(text) as (this: object) => unknown;

  it('is set as before', () => {
    const self = { transport: { onclose: (): unknown => undefined }, cleanup: (_: unknown) => 0 };
    expect(run(withoutAssignedFunctions(source('kept'))).call(self)).toBe(self.transport.onclose());
    expect(self.cleanup('more')).toBe(51);
  });

  it('goes with its object, where V8 keeps one that is assigned', () => {
    const [ours, theirs] = [withoutAssignedFunctions(source('1')), source('1')].map(run);
    expect(bytesLeftBy(() => ours?.call({ transport: {} }))).toBeLessThan(100);
    expect(bytesLeftBy(() => theirs?.call({ transport: {} }))).toBeGreaterThan(400);
  });

  it.each(['server', 'client'])(
    'the %s of the SDK has those of its transport, and no others are left',
    (side) => {
      const entry = resolve(`@modelcontextprotocol/${side}`);
      const [name] = /src-[^"/]+\.mjs/.exec(readFileSync(entry, 'utf8')) ?? [];
      const text = withoutAssignedFunctions(readFileSync(join(entry, '..', String(name)), 'utf8'));
      for (const event of ['onclose', 'onerror', 'onmessage'])
        expect(text).toContain(`Object.assign(this._transport, { ${event}: (`);
      expect(text).not.toMatch(/^\t+this[\w.]* = (async )?\(.*=>/m);
    },
  );
});
