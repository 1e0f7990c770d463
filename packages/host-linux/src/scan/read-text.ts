import { orAborted, throwIfAborted } from '../os/abort.ts';
import { type ByteSource, readBytes } from './byte-source.ts';
import { plainText } from './plain-text.ts';

export interface ReadTextOptions {
  readonly signal?: AbortSignal;
  /** Ends the reading of gzip data that inflates to more; default 16 GiB. */
  readonly maximumInflatedBytes?: number;
  /** Bytes read at once; default 512 KiB. */
  readonly chunkBytes?: number;
}

const what = 'reading the file';

/**
 * The text of a file or stream of any size in order: gzip inflated, UTF-16 turned into UTF-8, a byte order mark left out. A chunk is valid
 * only until the next one is asked for.
 *
 * Throws what `scanKernelLog` throws, and like it gives what came before the damage first.
 */
export async function* readText(
  source: ByteSource,
  options: ReadTextOptions = {},
): AsyncGenerator<Buffer, void, void> {
  const { signal } = options;
  throwIfAborted(signal, what);
  const chunks = plainText(readBytes(source, options.chunkBytes ?? 512 * 1024), {
    name: 'path' in source ? source.path : source.name,
    maximumInflatedBytes: options.maximumInflatedBytes ?? 16 * 1024 ** 3,
  });
  try {
    for (;;) {
      const next = await (signal ? orAborted(chunks.next(), signal, what) : chunks.next());
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // Not awaited after an abort: a source that hangs would hang its closing too.
    const closed = chunks.return();
    if (signal?.aborted) closed.catch(() => undefined);
    else await closed;
  }
}
