import { readFileSync, realpathSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * Which file a library was loaded from. An upgrade of the driver's package replaces the file under a process that goes on with the old
 * one, which the new kernel module then refuses (NVML_ERROR_LIB_RM_VERSION_MISMATCH).
 */
export interface LibraryFile {
  /** As the loader would find it again: a link is followed anew each time. */
  readonly path: string;
  readonly device: number;
  readonly inode: number;
  readonly modifiedMilliseconds: number;
}

interface FileStatus {
  readonly dev: number;
  readonly ino: number;
  readonly mtimeMs: number;
}

/** The file behind what was just given to dlopen; null where that cannot be told. */
export function libraryFileOf(loaded: string): LibraryFile | null {
  try {
    const path = loaded.includes('/') ? loaded : mappedPath(loaded);
    if (path === undefined) return null;
    const { dev, ino, mtimeMs }: FileStatus = statSync(path);
    return { path, device: dev, inode: ino, modifiedMilliseconds: mtimeMs };
  } catch {
    return null;
  }
}

/** A bare name is searched for by the dynamic loader; the kernel knows what came of that. */
function mappedPath(name: string): string | undefined {
  const family = name.replace(/\.so.*$/, '.so');
  const mapped = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .map((line) => /\s(\/.*)$/.exec(line)?.[1])
    .find((path) => path?.slice(path.lastIndexOf('/') + 1).startsWith(family));
  if (mapped === undefined) return undefined;
  // The link beside it is what an upgrade moves; the file it pointed to may stay.
  const link = join(dirname(mapped), name);
  try {
    return realpathSync(link) === mapped ? link : mapped;
  } catch {
    return mapped;
  }
}

/** Whether another file (or none) is where this one was. What cannot be looked at counts as unchanged. */
export async function isLibraryReplaced(file: LibraryFile): Promise<boolean> {
  try {
    const { dev, ino, mtimeMs }: FileStatus = await stat(file.path);
    return dev !== file.device || ino !== file.inode || mtimeMs !== file.modifiedMilliseconds;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT';
  }
}
