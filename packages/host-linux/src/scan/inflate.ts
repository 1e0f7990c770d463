import { createGunzip } from 'node:zlib';
import { GpuError } from '@k8s-gpu-mcp/core';

/**
 * Small slices of input bound what a bomb can put into memory at once (deflate grows at most about a thousandfold), and what is lost at
 * damaged data: zlib keeps back the output of the call that fails.
 */
const inputSliceBytes = 4 * 1024;
const outputChunkBytes = 128 * 1024;

/**
 * Inflates gzip data, several members included, as it arrives. What could be inflated comes out before the error about what could not:
 * all of a file that is cut short, and of a damaged one all but the last slice before the damage.
 */
export async function* inflateGzip(
  chunks: AsyncIterable<Buffer>,
  options: { readonly name: string; readonly maximumBytes: number },
): AsyncGenerator<Buffer, void, void> {
  const { name, maximumBytes } = options;
  const gunzip = createGunzip({ chunkSize: outputChunkBytes });
  let output: Buffer[] = [];
  let inflatedBytes = 0;
  let failure: Error | undefined;
  // A listener keeps the stream flowing: each piece is handed over at once, so none waits in a buffer that an error would throw away.
  gunzip.on('data', (piece: Buffer) => {
    inflatedBytes += piece.length;
    if (inflatedBytes <= maximumBytes) output.push(piece);
  });
  // The callback of a write that fails is never called: the error has to wake whoever waits for it.
  let wake = (): void => undefined;
  gunzip.on('error', (error) => {
    failure ??= error;
    wake();
  });
  gunzip.on('end', () => wake());
  function* drain(): Generator<Buffer, void, void> {
    const ready = output;
    output = [];
    yield* ready;
    if (inflatedBytes > maximumBytes) {
      throw new GpuError('INVALID_INPUT', `${name} inflates to more than ${maximumBytes} bytes`, {
        hint: 'Unpack the file yourself and pass the part that matters; a file that grows this much may be an attack.',
      });
    }
    if (failure) throw damaged(name, inflatedBytes, failure);
  }
  try {
    for await (const chunk of chunks) {
      for (let start = 0; start < chunk.length; start += inputSliceBytes) {
        const slice = chunk.subarray(start, start + inputSliceBytes);
        await new Promise<void>((resolve) => {
          wake = resolve;
          gunzip.write(slice, () => resolve());
        });
        yield* drain();
      }
    }
    if (!gunzip.readableEnded) {
      await new Promise<void>((resolve) => {
        wake = resolve;
        gunzip.end();
      });
    }
    yield* drain();
  } finally {
    gunzip.destroy();
  }
}

function damaged(name: string, inflatedBytes: number, cause: Error): GpuError {
  const cut = 'code' in cause && cause.code === 'Z_BUF_ERROR';
  return new GpuError(
    'INVALID_INPUT',
    cut
      ? `${name} is cut short: the gzip data ends too early, after ${inflatedBytes} bytes of text`
      : `${name} is damaged: the gzip data cannot be read after ${inflatedBytes} bytes of text`,
    { hint: 'What came before the damage was analyzed. Copy the file again to have the rest.', cause },
  );
}
