import { join } from 'node:path';
import { messageOf } from '../os/errno.ts';
import { readSmallFile } from '../os/small-file.ts';

export type UserNames = ReadonlyMap<number, string> | { readonly unusable: string };

const maximumBytes = 4 * 1024 * 1024;

/** `name:password:uid:...`; of two names for a uid the first counts, as it does for the C library. Source: passwd(5). */
function parseUserNames(text: string): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [, name, uid] = /^([^:#\s][^:]{0,255}):[^:]*:(\d{1,10}):/.exec(line) ?? [];
    if (name !== undefined && uid !== undefined && !names.has(Number(uid))) names.set(Number(uid), name);
  }
  return names;
}

/**
 * Without `passwdFile`, the system's own, unless this is a container: an image's users are not the machine's, and a wrong name is worse
 * than none.
 */
export function readUserNames(procRoot: string, passwdFile: string | undefined): UserNames {
  const path = passwdFile ?? '/etc/passwd';
  if (passwdFile === undefined && runsInImage(procRoot)) {
    return { unusable: `${path} here belongs to a container image, not to the machine` };
  }
  try {
    return parseUserNames(readSmallFile(path, maximumBytes).toString('utf8'));
  } catch (error) {
    return { unusable: messageOf(error) };
  }
}

/** Container runtimes stack an image's layers into an overlay as the root. */
function runsInImage(procRoot: string): boolean {
  try {
    const mounts = readSmallFile(join(procRoot, 'self/mountinfo'), maximumBytes).toString('latin1');
    // Fields: proc(5). The fifth is the mount point; the type follows the separating dash.
    return /^\S+ \S+ \S+ \S+ \/ [^\n]* - (?:overlay|fuse\.fuse-overlayfs) /m.test(mounts);
  } catch {
    return false;
  }
}
