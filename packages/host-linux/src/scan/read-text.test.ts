import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { isGpuError } from '@k8s-gpu-mcp/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ReadTextOptions, readText } from './read-text.ts';

const text = 'first line\nsecond, with ü\nthird';
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'read-text-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

async function outcome(stream: AsyncIterable<Uint8Array>, options: ReadTextOptions = {}) {
  let read = '';
  try {
    const decoder = new TextDecoder();
    for await (const chunk of readText({ stream, name: 'a.log' }, options))
      read += decoder.decode(chunk, { stream: true });
    return { read };
  } catch (error) {
    return { read, error };
  }
}

describe('readText', () => {
  it.each([
    ['plain text', Buffer.from(text)],
    ['gzip', gzipSync(text)],
    ['UTF-16 with a byte order mark', Buffer.from(`\ufeff${text}`, 'utf16le')],
  ])('reads %s, cut anywhere', async (_, bytes) => {
    for (const size of [1, 3, 1000]) expect(await outcome(pieces(bytes, size))).toEqual({ read: text });
  });

  it('gives what stands before the damage, then says so', async () => {
    const long = Array.from({ length: 20_000 }, (_, index) => `${index} ${index * 7919}`).join('\n');
    const { read, error } = await outcome(pieces(gzipSync(long).subarray(0, -9), 4096));
    expect(read.length).toBeGreaterThan(1000);
    expect(long.startsWith(read)).toBe(true);
    expect(isGpuError(error) && error.code).toBe('INVALID_INPUT');
  });

  it('stops at a bomb', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const { read, error } = await outcome(pieces(bomb, bomb.length), { maximumInflatedBytes: 1024 * 1024 });
    expect(read.length).toBeLessThanOrEqual(1024 * 1024);
    expect(String(error)).toContain('more than 1048576 bytes');
  });

  it('stops waiting for a stream that never answers when the signal aborts', async () => {
    async function* hanging(): AsyncGenerator<Buffer> {
      yield Buffer.from(text);
      await new Promise(() => {});
    }
    const abort = new AbortController();
    const reading = outcome(hanging(), { signal: abort.signal });
    setImmediate(() => abort.abort());
    const { error } = await reading;
    expect(isGpuError(error) && error.code).toBe('CANCELLED');
  });

  it('closes the file when the caller stops early', async () => {
    const path = join(folder, 'early.txt');
    writeFileSync(path, 'x\n'.repeat(2_000_000));
    for await (const chunk of readText({ path })) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    const open = readdirSync('/proc/self/fd').filter((descriptor) => {
      try {
        return readlinkSync(`/proc/self/fd/${descriptor}`) === path;
      } catch {
        return false;
      }
    });
    expect(open).toEqual([]);
  });
});
