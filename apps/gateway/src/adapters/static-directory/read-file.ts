import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { AgentListError } from './agent-list.ts';
import { maximumFileBytes } from './agents-file.ts';

/** Differs when the file behind the path is another one, or was written to. */
export type FileSignature = string;

const signatureOf = (stats: {
  dev: bigint;
  ino: bigint;
  size: bigint;
  mtimeNs: bigint;
  ctimeNs: bigint;
}): FileSignature => `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;

/** Follows symbolic links, so that the swap of a ConfigMap's `..data` shows. Null when there is no such file to look at. */
export async function signFile(path: string): Promise<FileSignature | null> {
  try {
    return signatureOf(await stat(path, { bigint: true }));
  } catch {
    return null;
  }
}

const wordsByCode: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  ENOTDIR: 'it does not exist',
  EACCES: 'it may not be read',
  EPERM: 'it may not be read',
  ELOOP: 'its symbolic links go in a circle',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open',
};

function asListError(error: unknown): AgentListError {
  if (error instanceof AgentListError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return new AgentListError(wordsByCode[code] ?? 'it cannot be read', { cause: error });
}

async function readCapped(file: FileHandle): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(maximumFileBytes + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  if (length > maximumFileBytes) throw new AgentListError(`it is larger than ${maximumFileBytes / 1024} KiB`);
  return buffer.subarray(0, length);
}

/**
 * The whole text, and the signature it had. Null when the file was written to meanwhile: half a list is not read as a list.
 * @throws AgentListError in our words.
 */
export async function readWhole(
  path: string,
): Promise<{ readonly text: string; readonly signature: FileSignature } | null> {
  try {
    // O_NONBLOCK: opening a named pipe must not wait for a writer.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const before = await file.stat({ bigint: true });
      if (!before.isFile()) throw new AgentListError('it is not a regular file');
      const bytes = await readCapped(file);
      const signature = signatureOf(before);
      if (signatureOf(await file.stat({ bigint: true })) !== signature) return null;
      let text: string;
      try {
        text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
      } catch {
        throw new AgentListError('it is not UTF-8 text');
      }
      return { text, signature };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw asListError(error);
  }
}
