import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { KernelLogRecord } from '@k8s-gpu-mcp/core';
import { isGpuError } from '@k8s-gpu-mcp/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chunksOf, collect, createRandom, dmesgLine, xidMessage } from '../../test/kernel-log-samples.ts';
import { type ScanKernelLogOptions, scanKernelLog } from './scan-kernel-log.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'scan-kernel-log-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const fileOf = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const scanBytes = (bytes: Uint8Array, options: ScanKernelLogOptions = {}, chunkBytes = 1000) =>
  collect(scanKernelLog({ stream: chunksOf(bytes, chunkBytes), name: '-' }, options));
const places = (records: readonly KernelLogRecord[]) => records.map(({ line, text }) => [line, text]);

/** Records until the scan ends or throws, and what it threw. */
async function outcome(scan: AsyncIterable<KernelLogRecord>) {
  const records: KernelLogRecord[] = [];
  try {
    for await (const record of scan) records.push(record);
  } catch (error) {
    if (!isGpuError(error)) throw error;
    return { records, error };
  }
  return { records, error: undefined };
}

const log = [
  dmesgLine(1, 'Linux version 6.8.0'),
  dmesgLine(2.5, xidMessage(79)),
  dmesgLine(3, 'eth0: link becomes ready'),
  dmesgLine(4, xidMessage(48)),
  '',
].join('\n');
const expected = [
  [2, xidMessage(79)],
  [4, xidMessage(48)],
];

describe('scanKernelLog', () => {
  it('gives the GPU records of a file with name, line and time since boot', async () => {
    const path = fileOf('dmesg.txt', log);
    const records = await collect(scanKernelLog({ path }));
    expect(places(records)).toEqual(expected);
    expect(records[0]).toMatchObject({ file: path, uptimeSeconds: 2.5, at: null, trusted: 'unknown' });
  });

  it('knows the time of day when told when the machine started', async () => {
    const [first] = await scanBytes(Buffer.from(log), { bootedAt: '2026-03-01T00:00:00.000Z' });
    expect(first?.at).toBe('2026-03-01T00:00:02.500Z');
  });

  it.each([
    ['plain', Buffer.from(log)],
    ['gzip', gzipSync(log)],
    ['gzip of two members', Buffer.concat([gzipSync(log.slice(0, 60)), gzipSync(log.slice(60))])],
    ['UTF-8 with a byte order mark', Buffer.from(`\ufeff${log}`)],
    ['UTF-16, little endian', Buffer.from(`\ufeff${log}`, 'utf16le')],
    ['UTF-16, big endian', Buffer.from(`\ufeff${log}`, 'utf16le').swap16()],
    ['UTF-16 in gzip', gzipSync(Buffer.from(`\ufeff${log}`, 'utf16le'))],
    ['CRLF', Buffer.from(log.replaceAll('\n', '\r\n'))],
    ['no last line feed', Buffer.from(log.trimEnd())],
  ])('reads %s, cut at any byte', async (_, bytes) => {
    for (const chunkBytes of [1, 2, 3, 7, 64, bytes.length]) {
      expect(places(await scanBytes(bytes, {}, chunkBytes))).toEqual(expected);
    }
  });

  it('reads files in chunks of any size', async () => {
    const path = fileOf('chunks.txt', log);
    for (const chunkBytes of [1, 5, 4096]) {
      expect(places(await collect(scanKernelLog({ path }, { chunkBytes })))).toEqual(expected);
    }
  });

  it.each([
    ['nothing', ''],
    ['line feeds', '\n\n\n'],
    ['one byte', 'x'],
  ])('finds nothing in %s', async (_, content) => {
    expect(await collect(scanKernelLog({ path: fileOf('empty.txt', content) }))).toEqual([]);
  });

  it('survives binary noise and still finds the message in it', async () => {
    const random = createRandom(5);
    const noise = Buffer.from(Array.from({ length: 400_000 }, () => random(256)));
    // A first byte that no known format has.
    noise[0] = 0x07;
    const message = Buffer.from(`\n${dmesgLine(9, xidMessage(31))}\n`);
    const records = await scanBytes(Buffer.concat([noise, message, noise]), {}, 65_536);
    const line = noise.filter((byte) => byte === 10).length + 2;
    expect(places(records)).toContainEqual([line, xidMessage(31)]);
  });

  it('reads a flood of 100,000 messages', async () => {
    const lines = Array.from({ length: 100_000 }, (_, index) => dmesgLine(index, xidMessage(45)));
    const records = await scanBytes(Buffer.from(lines.join('\n')), {}, 65_536);
    expect(records.length).toBe(100_000);
    expect(records.at(-1)).toMatchObject({ line: 100_000, uptimeSeconds: 99_999 });
  });

  it('counts lines right over many chunks, next to a naive reader', async () => {
    const random = createRandom(11);
    const lines = Array.from({ length: 20_000 }, (_, index) =>
      random(300) === 0 ? dmesgLine(index, xidMessage()) : dmesgLine(index, 'x'.repeat(random(200))),
    );
    const naive = lines.flatMap((line, index) => (line.includes('NVRM: Xid') ? [index + 1] : []));
    const records = await scanBytes(Buffer.from(lines.join('\n')), {}, 10_007);
    expect(records.map(({ line }) => line)).toEqual(naive);
  });

  it('parses every line of a format in which a search for words is not enough', async () => {
    const entry = (message: unknown) =>
      JSON.stringify({ __REALTIME_TIMESTAMP: '1767225600000000', _TRANSPORT: 'kernel', MESSAGE: message });
    const bytes = [...Buffer.from(xidMessage(94))];
    const [record] = await scanBytes(Buffer.from(`${entry('boot')}\n${entry(bytes)}\n`));
    expect(record).toMatchObject({
      text: xidMessage(94),
      line: 2,
      at: '2026-01-01T00:00:00.000Z',
      trusted: true,
    });
  });

  it('gives what stands before the cut of a truncated gzip file, then says so', async () => {
    const random = createRandom(3);
    const tail = Array.from({ length: 60_000 }, () => random(1e9).toString(36)).join('\n');
    const whole = gzipSync(log + tail);
    for (const length of [whole.length - 1, whole.length - 9, whole.length >> 1]) {
      const stream = chunksOf(whole.subarray(0, length), 50_000);
      const { records, error } = await outcome(scanKernelLog({ stream, name: 'kern.log.gz' }));
      expect(places(records)).toEqual(expected);
      expect(error).toMatchObject({ code: 'INVALID_INPUT' });
      expect(error?.message).toContain('kern.log.gz is cut short');
    }
  });

  it('loses no text before the cut, down to the last byte', async () => {
    const lines = Array.from({ length: 5_000 }, (_, index) => dmesgLine(index, xidMessage(45)));
    const whole = gzipSync(lines.join('\n'));
    // Without the 8 bytes of the trailer the text itself is complete.
    const stream = chunksOf(whole.subarray(0, -8), 999);
    const { records, error } = await outcome(scanKernelLog({ stream, name: '-' }));
    expect(records.length).toBe(5_000);
    expect(error?.code).toBe('INVALID_INPUT');
  });

  it('says that gzip data is damaged', async () => {
    const bytes = gzipSync(log.repeat(500));
    bytes.fill(0xaa, bytes.length >> 1, (bytes.length >> 1) + 20);
    const { error } = await outcome(scanKernelLog({ stream: chunksOf(bytes, 100), name: 'a.gz' }));
    expect(error).toMatchObject({ code: 'INVALID_INPUT' });
    expect(error?.message).toMatch(/a\.gz is (?:damaged|cut short)/);
  });

  it('takes zero bytes after gzip data for padding', async () => {
    for (const chunkBytes of [1, 50, 100_000]) {
      const padded = Buffer.concat([gzipSync(log), Buffer.alloc(6000)]);
      expect(places(await scanBytes(padded, {}, chunkBytes))).toEqual(expected);
    }
  });

  it('tells other bytes after gzip data, and gives what came before them', async () => {
    const spoiled = Buffer.concat([gzipSync(log), Buffer.from('not gzip at all')]);
    const { records, error } = await outcome(scanKernelLog({ stream: chunksOf(spoiled, 1), name: '-' }));
    expect(places(records)).toEqual(expected);
    expect(error).toMatchObject({ code: 'INVALID_INPUT' });
  });

  it('stops at a bomb with memory to spare', async () => {
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024));
    const before = process.memoryUsage.rss();
    const { error } = await outcome(
      scanKernelLog(
        { stream: chunksOf(bomb, bomb.length), name: 'bomb.gz' },
        { maximumInflatedBytes: 8 * 1024 * 1024 },
      ),
    );
    expect(error).toMatchObject({ code: 'INVALID_INPUT' });
    expect(error?.message).toContain('more than 8388608 bytes');
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 1024 * 1024);
  });

  it.each([
    ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 1, 2]],
    ['zstd', [0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3, 4]],
    ['bzip2', [0x42, 0x5a, 0x68, 0x39, 0x31]],
    ['zip', [0x50, 0x4b, 0x03, 0x04, 0, 0]],
  ])('refuses %s data and says how to unpack it', async (what, bytes) => {
    const { error } = await outcome(
      scanKernelLog({ stream: chunksOf(Uint8Array.from(bytes), 2), name: 'f' }),
    );
    expect(error?.message).toContain(what);
    expect(error?.hint).toContain('analyze -');
  });

  it('says what to do about a path that cannot be read', async () => {
    const missing = await outcome(scanKernelLog({ path: join(folder, 'absent') }));
    expect(missing.error).toMatchObject({ code: 'INVALID_INPUT' });
    expect(missing.error?.message).toContain('does not exist');
    const directory = await outcome(scanKernelLog({ path: folder }));
    expect(directory.error?.message).toContain('is a directory');
    const device = await outcome(scanKernelLog({ path: '/dev/null' }));
    expect(device.error?.message).toContain('is a device');
    const below = await outcome(scanKernelLog({ path: join(fileOf('plain', 'x'), 'below') }));
    expect(below.error?.message).toContain('does not exist');
  });

  it('tells a stream that fails after giving what came before', async () => {
    async function* failing() {
      yield Buffer.from(log);
      throw Object.assign(new Error('i/o error'), { code: 'EIO' });
    }
    const { records, error } = await outcome(scanKernelLog({ stream: failing(), name: '-' }));
    expect(places(records)).toEqual(expected);
    expect(error).toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('stops waiting for a stream that never answers when the signal aborts', async () => {
    async function* hanging(): AsyncGenerator<Buffer> {
      yield Buffer.from('x\n'.repeat(40_000));
      await new Promise(() => {});
    }
    const abort = new AbortController();
    const scan = outcome(scanKernelLog({ stream: hanging(), name: '-' }, { signal: abort.signal }));
    setImmediate(() => abort.abort());
    expect((await scan).error?.code).toBe('CANCELLED');
    const late = new AbortController();
    late.abort(new DOMException('deadline', 'TimeoutError'));
    const second = await outcome(scanKernelLog({ stream: hanging(), name: '-' }, { signal: late.signal }));
    expect(second.error?.code).toBe('TIMEOUT');
  });

  it('closes the file when the caller stops early', async () => {
    const path = fileOf('early.txt', `${log}${'y\n'.repeat(2_000_000)}`);
    for await (const record of scanKernelLog({ path })) {
      expect(record.line).toBe(2);
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
