import { closeSync, constants, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { type Clock, systemClock } from '@k8s-gpu-mcp/core';

// O_NONBLOCK: a pipe where a file is expected holds nobody up.
const flags = constants.O_RDONLY | constants.O_NONBLOCK;

/**
 * The first bytes of a file of /proc or /sys. Only for those that the kernel answers from its own memory: others go through
 * `createPatientReader`.
 */
export function readSmallFile(path: string, maximumBytes: number): Buffer {
  const descriptor = openSync(path, flags);
  try {
    const buffer = Buffer.alloc(maximumBytes);
    let length = 0;
    while (length < maximumBytes) {
      const count = readSync(descriptor, buffer, length, maximumBytes - length, null);
      if (count === 0) break;
      length += count;
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(descriptor);
  }
}

export type ReadFile = (path: string, maximumBytes: number) => Promise<Buffer>;

const readInPool: ReadFile = async (path, maximumBytes) => {
  const handle = await open(path, flags);
  try {
    const buffer = Buffer.alloc(maximumBytes);
    let length = 0;
    while (length < maximumBytes) {
      const { bytesRead } = await handle.read(buffer, length, maximumBytes - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } finally {
    await handle.close();
  }
};

export interface PatientReaderOptions {
  readonly clock?: Pick<Clock, 'after'>;
  /** Default 500. */
  readonly deadlineMilliseconds?: number;
  readonly readFile?: ReadFile;
}

/**
 * Reads files behind which a lock or a device may hang for ever: a process's arguments need its memory map, a configuration space needs
 * the bus. A read past its deadline fails with ETIMEDOUT. As it cannot be called back and keeps a thread of the pool, there is one read
 * at a time, and none at all while one is stuck.
 */
export function createPatientReader(options: PatientReaderOptions = {}): ReadFile {
  const { clock = systemClock, deadlineMilliseconds = 500, readFile = readInPool } = options;
  let stuckPath: string | undefined;
  let queue: Promise<unknown> = Promise.resolve();

  const attempt = (path: string, maximumBytes: number): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      if (stuckPath !== undefined) {
        reject(timedOut(`${path} was not read: the read of ${stuckPath} has not returned yet`));
        return;
      }
      const cancel = clock.after(deadlineMilliseconds, () => {
        stuckPath = path;
        reject(timedOut(`${path} was not read within ${deadlineMilliseconds} ms`));
      });
      const settle = (): void => {
        cancel();
        if (stuckPath === path) stuckPath = undefined;
      };
      readFile(path, maximumBytes).then(resolve, reject).finally(settle);
    });

  return (path, maximumBytes) => {
    const read = queue.then(() => attempt(path, maximumBytes));
    queue = read.catch(() => undefined);
    return read;
  };
}

function timedOut(message: string): Error {
  return Object.assign(new Error(`ETIMEDOUT: ${message}`), { code: 'ETIMEDOUT' });
}
