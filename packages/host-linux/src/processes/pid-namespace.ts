import { existsSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** The kernel gives the machine's own pid namespace this inode. Source: linux/proc_ns.h, PROC_PID_INIT_INO = 0xEFFFFFFC. */
const initialPidNamespace = 'pid:[4026531836]';

/**
 * Whether this /proc shows the processes of the whole machine; null when that cannot be told. Its pid 1 knows best, but only a privileged
 * reader may ask it; else our own namespace counts.
 */
export function seesAllProcesses(procRoot: string): boolean | null {
  const namespace = ['1/ns/pid', 'self/ns/pid']
    .map((path) => namespaceOf(join(procRoot, path)))
    .find((found) => found !== undefined);
  if (namespace === undefined) return null;
  // Pid 1 always exists; where it cannot be seen, /proc is mounted with hidepid and other users' processes are hidden.
  return namespace === initialPidNamespace && existsSync(join(procRoot, '1'));
}

function namespaceOf(path: string): string | undefined {
  try {
    const target = readlinkSync(path);
    return /^pid:\[\d+\]$/.test(target) ? target : undefined;
  } catch {
    return undefined;
  }
}
