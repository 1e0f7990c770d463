import { GpuError } from '@k8s-gpu-mcp/core';
import { inflateGzip } from './inflate.ts';

const signatures: readonly {
  readonly bytes: readonly number[];
  readonly what: string;
  readonly unpack: string;
}[] = [
  { bytes: [0x28, 0xb5, 0x2f, 0xfd], what: 'zstd', unpack: 'zstd -dc' },
  { bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], what: 'xz', unpack: 'xz -dc' },
  { bytes: [0x42, 0x5a, 0x68], what: 'bzip2', unpack: 'bzip2 -dc' },
  { bytes: [0x50, 0x4b, 0x03, 0x04], what: 'zip', unpack: 'unzip -p' },
  {
    bytes: [0x4c, 0x50, 0x4b, 0x53, 0x48, 0x48, 0x52, 0x48],
    what: 'systemd journal',
    unpack: 'journalctl -k -o json --file',
  },
];
const longestSignature = 8;

/** UTF-8 (or plain byte) text out of what may be gzip or UTF-16, told by the first bytes, never by the name. */
export async function* plainText(
  chunks: AsyncIterable<Buffer>,
  options: { readonly name: string; readonly maximumInflatedBytes: number },
): AsyncGenerator<Buffer, void, void> {
  const { name } = options;
  const outer = await peek(chunks, longestSignature);
  if (startsWith(outer.head, [0x1f, 0x8b])) {
    const inflated = inflateGzip(outer.all, { name, maximumBytes: options.maximumInflatedBytes });
    yield* decodeText(await peek(inflated, longestSignature));
    return;
  }
  for (const { bytes, what, unpack } of signatures) {
    if (!startsWith(outer.head, bytes)) continue;
    await outer.close();
    throw new GpuError('INVALID_INPUT', `${name} is ${what} data, which is not read directly`, {
      hint: `Unpack it into standard input: ${unpack} FILE | k8s-gpu-mcp-server analyze -`,
    });
  }
  yield* decodeText(outer);
}

async function* decodeText(source: Peeked): AsyncGenerator<Buffer, void, void> {
  const { head, all } = source;
  if (startsWith(head, [0xff, 0xfe])) yield* fromUtf16(all, 'utf-16le');
  else if (startsWith(head, [0xfe, 0xff])) yield* fromUtf16(all, 'utf-16be');
  else if (startsWith(head, [0xef, 0xbb, 0xbf])) yield* withoutFirst(all, 3);
  else yield* all;
}

/** The decoder drops the byte order mark and keeps a character cut between chunks. */
async function* fromUtf16(
  chunks: AsyncIterable<Buffer>,
  encoding: string,
): AsyncGenerator<Buffer, void, void> {
  const decoder = new TextDecoder(encoding);
  for await (const chunk of chunks) yield Buffer.from(decoder.decode(chunk, { stream: true }));
  yield Buffer.from(decoder.decode());
}

async function* withoutFirst(
  chunks: AsyncIterable<Buffer>,
  count: number,
): AsyncGenerator<Buffer, void, void> {
  let left = count;
  for await (const chunk of chunks) {
    const skipped = Math.min(left, chunk.length);
    left -= skipped;
    if (skipped < chunk.length) yield chunk.subarray(skipped);
  }
}

export interface Peeked {
  /** The first bytes: fewer than asked for only when the source has no more. Valid until `all` is asked for what follows them. */
  readonly head: Buffer;
  /** Everything, `head` included. Can be read once. */
  readonly all: AsyncIterable<Buffer>;
  /** Releases the source when `all` is not read. */
  close(): Promise<void>;
}

/** Reads ahead without losing anything. An error that comes while peeking is thrown where it belongs: after the bytes before it. */
export async function peek(source: AsyncIterable<Buffer>, minimumBytes: number): Promise<Peeked> {
  const iterator = source[Symbol.asyncIterator]();
  const close = async (): Promise<void> => {
    await iterator.return?.();
  };
  let head: Buffer = Buffer.alloc(0);
  let failure: { readonly error: unknown } | undefined;
  let done = false;
  while (head.length < minimumBytes && !done) {
    try {
      const next = await iterator.next();
      if (next.done) done = true;
      // A chunk is overwritten when the next one is asked for.
      else if (head.length > 0 || next.value.length < minimumBytes) head = Buffer.concat([head, next.value]);
      else head = next.value;
    } catch (error) {
      failure = { error };
      done = true;
    }
  }
  async function* all(): AsyncGenerator<Buffer, void, void> {
    try {
      if (head.length > 0) yield head;
      if (failure) throw failure.error;
      while (!done) {
        const next = await iterator.next();
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await close();
    }
  }
  return { head, all: all(), close };
}

function startsWith(bytes: Buffer, prefix: readonly number[]): boolean {
  return prefix.every((byte, index) => bytes[index] === byte);
}
