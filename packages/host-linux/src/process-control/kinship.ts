import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isPid, type ProcStat, readProcStat } from '../processes/proc-stat.ts';

/** Deeper trees are not followed further. */
const maximumDepth = 1024;

/**
 * Why a process is not ended by anybody through this server; undefined when nothing speaks against it. `stat` was read while a descriptor
 * of the process was held.
 */
export function protectionOf(stat: ProcStat, procRoot: string, ownPid: number): string | undefined {
  const { pid } = stat;
  if (pid === 1) return 'pid 1 is the init process: ending it ends everything';
  if (pid === ownPid) return `pid ${pid} is this server itself`;
  if (stat.isKernelThread) return `pid ${pid} is a kernel thread`;
  if (ancestorsOf(ownPid, procRoot).has(pid)) return `pid ${pid} is an ancestor of this server`;
  if (ancestorsOf(pid, procRoot).has(ownPid)) return `pid ${pid} belongs to this server, which started it`;
  return undefined;
}

/** Whether this /proc numbers processes as our own pid namespace does: elsewhere a pid is another process. */
export function isOwnProc(procRoot: string, ownPid: number): boolean {
  try {
    return readlinkSync(join(procRoot, 'self')) === String(ownPid);
  } catch {
    return false;
  }
}

/** As far as they can be seen: with hidepid other users' processes cannot, and none of them is ours. */
function ancestorsOf(pid: number, procRoot: string): ReadonlySet<number> {
  const ancestors = new Set<number>();
  let next = parentOf(pid, procRoot);
  while (isPid(next) && !ancestors.has(next) && ancestors.size < maximumDepth) {
    ancestors.add(next);
    next = parentOf(next, procRoot);
  }
  return ancestors;
}

function parentOf(pid: number, procRoot: string): number {
  try {
    return readProcStat(procRoot, pid)?.parentPid ?? 0;
  } catch {
    return 0;
  }
}
