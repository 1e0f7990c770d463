import { close, fstat, open, read, type Stats } from 'node:fs';
import { promisify } from 'node:util';
import { GpuError } from '@k8s-gpu-mcp/core';
import { errorCodeOf } from '../os/errno.ts';

export type ByteSource =
  | { readonly path: string }
  | { readonly stream: AsyncIterable<Uint8Array>; readonly name: string };

const openFile = promisify(open);
const closeFile = promisify(close);
const statDescriptor = promisify(fstat);

function readInto(descriptor: number, buffer: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, buffer, 0, buffer.length, null, (error, length) => {
      if (error) reject(error);
      else resolve(length);
    });
  });
}

/**
 * The bytes of a source in order. A chunk is valid only until the next one is asked for, or the reading ends: files are read into two buffers in turn, so
 * that the disk works while the caller does, and a file of any size needs the memory of two chunks.
 */
export async function* readBytes(source: ByteSource, chunkBytes: number): AsyncGenerator<Buffer, void, void> {
  if ('path' in source) {
    yield* readFileBytes(source.path, chunkBytes);
    return;
  }
  try {
    for await (const chunk of source.stream) {
      if (chunk.length > 0) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    }
  } catch (error) {
    throw readError(source.name, error);
  }
}

/**
 * The buffers of the last reading that ended. A log that is read again and again would otherwise have V8 collect all its garbage each
 * time, for two objects that it counts as a megabyte. Nothing keeps them when that memory is wanted.
 */
let spare: WeakRef<readonly [Buffer, Buffer]> | undefined;

function takeBuffers(chunkBytes: number): readonly [Buffer, Buffer] {
  const kept = spare?.deref();
  spare = undefined;
  if (kept?.[0].length === chunkBytes) return kept;
  return [Buffer.allocUnsafeSlow(chunkBytes), Buffer.allocUnsafeSlow(chunkBytes)];
}

async function* readFileBytes(path: string, chunkBytes: number): AsyncGenerator<Buffer, void, void> {
  let descriptor: number;
  try {
    descriptor = await openFile(path, 'r');
  } catch (error) {
    throw readError(path, error);
  }
  let pending: Promise<number> | undefined;
  const buffers = takeBuffers(chunkBytes);
  try {
    refuseWhatIsNoFile(path, await statDescriptor(descriptor));
    let [current, other] = buffers;
    pending = readInto(descriptor, current);
    for (;;) {
      const length = await pending.catch((error: unknown) => {
        throw readError(path, error);
      });
      if (length === 0) return;
      pending = readInto(descriptor, other);
      // Its failure is told when its turn comes.
      pending.catch(() => undefined);
      yield current.subarray(0, length);
      [current, other] = [other, current];
    }
  } finally {
    await pending?.catch(() => undefined);
    // Nothing writes into them any more.
    spare = new WeakRef(buffers);
    await closeFile(descriptor);
  }
}

function refuseWhatIsNoFile(path: string, stats: Stats): void {
  if (stats.isDirectory()) {
    throw new GpuError('INVALID_INPUT', `${path} is a directory`, {
      hint: 'Name the log files in it, for example DIRECTORY/kern.log*.',
    });
  }
  if (stats.isCharacterDevice() || stats.isBlockDevice()) {
    throw new GpuError('INVALID_INPUT', `${path} is a device, not a log file`, {
      hint: 'The running kernel is read with --kernel-log kmsg or syslog; for a file, save the log first (dmesg > FILE).',
    });
  }
}

function readError(name: string, error: unknown): GpuError {
  const code = errorCodeOf(error) ?? 'unknown error';
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new GpuError('INVALID_INPUT', `${name} does not exist`, {
      hint: 'Check the path; in a container, the file has to be mounted. - reads standard input.',
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new GpuError('NO_PERMISSION', `${name} may not be read (${code})`, {
      hint: 'Run as a user who may read the file, or pipe it in: sudo cat FILE | ... analyze -',
      cause: error,
    });
  }
  return new GpuError('UNAVAILABLE', `${name} cannot be read (${code})`, {
    hint: 'Check that the file can be read to its end (cat FILE > /dev/null).',
    cause: error,
  });
}
