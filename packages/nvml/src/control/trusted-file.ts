import { lstat, readlink, realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

export type Trust = { readonly path: string } | { readonly refusal: string };

const groupOrOtherWritable = 0o022;
const anyExecutable = 0o111;
const maximumLinks = 40;

/**
 * Whether only root could have put this program here: a regular file, and it, every directory on the way to it and every link are owned
 * by root and writable by nobody else. Gives the path without links, to be run as it is.
 */
export async function trustedProgram(candidate: string): Promise<Trust> {
  try {
    const path = await realpath(candidate);
    const file = await lstat(path);
    if (!file.isFile()) return { refusal: `${candidate} is not a regular file` };
    if ((file.mode & anyExecutable) === 0) return { refusal: `${candidate} is not executable` };
    const weakness = (await weakestOf(candidate)) ?? (await weakestOf(path));
    return weakness === undefined ? { path } : { refusal: weakness };
  } catch (error) {
    return { refusal: `${candidate}: ${(error as NodeJS.ErrnoException).code ?? 'not readable'}` };
  }
}

/** Whether only root could have changed what is in this directory. */
export async function isTrustedDirectory(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory() && (await weakestOf(path)) === undefined;
  } catch {
    return false;
  }
}

/** The first part of the path, or of what its links point to, that somebody other than root could change. */
async function weakestOf(path: string, depth = 0): Promise<string | undefined> {
  if (depth > maximumLinks) return `${path} has too many links`;
  for (const part of partsOf(resolve(path))) {
    const { uid, mode, isLink } = await describe(part);
    if (uid !== 0) return `${part} is not owned by root`;
    // The permission bits of a link say nothing; what matters is where it is and where it leads.
    if (!isLink && (mode & groupOrOtherWritable) !== 0) return `${part} is writable by others than root`;
    if (!isLink) continue;
    const target = resolve(dirname(part), await readlink(part));
    const weakness = await weakestOf(target, depth + 1);
    if (weakness !== undefined) return weakness;
  }
  return undefined;
}

async function describe(path: string) {
  const stats = await lstat(path);
  return { uid: stats.uid, mode: stats.mode, isLink: stats.isSymbolicLink() };
}

/** `/`, `/usr`, `/usr/bin`, `/usr/bin/nvidia-smi`. */
function partsOf(path: string): readonly string[] {
  const names = path.split('/').filter(Boolean);
  return ['/', ...names.map((_, count) => `/${names.slice(0, count + 1).join('/')}`)];
}
