import { join } from 'node:path';
import { readSmallFile } from '../os/small-file.ts';

/** The part of /proc/PID/stat that names a process and its place in the tree. */
export interface ProcStat {
  readonly pid: number;
  readonly name: string;
  readonly state: string;
  readonly parentPid: number;
  readonly isKernelThread: boolean;
  /** Clock ticks since boot. */
  readonly startTicks: number;
}

/** Source: linux/sched.h, PF_KTHREAD. Unlike "a child of pid 2" it also holds inside a pid namespace, where 2 is a pid like any. */
const kernelThreadFlag = 0x00200000;

/**
 * Undefined for bytes that are no such file. The name may hold spaces, parentheses and line feeds: it ends at the last parenthesis, as
 * only numbers follow. Field numbers: proc(5).
 */
export function parseProcStat(bytes: Buffer): ProcStat | undefined {
  const text = bytes.toString('utf8');
  const nameStart = text.indexOf(' (');
  const nameEnd = text.lastIndexOf(') ');
  if (nameStart < 1 || nameEnd < nameStart) return undefined;
  const fields = text.slice(nameEnd + 2).split(' ');
  /** Field 3 is the first after the name. */
  const number = (field: number): number => {
    const value = fields[field - 3] ?? '';
    return /^\d{1,20}$/.test(value) ? Number(value) : Number.NaN;
  };
  const stat = {
    pid: Number(text.slice(0, nameStart)),
    name: text.slice(nameStart + 2, nameEnd),
    state: fields[0] ?? '',
    parentPid: number(4),
    isKernelThread: (number(9) & kernelThreadFlag) !== 0,
    startTicks: number(22),
  };
  const isWhole =
    [stat.pid, stat.parentPid, stat.startTicks].every(Number.isSafeInteger) && /^[A-Za-z]$/.test(stat.state);
  return isWhole ? stat : undefined;
}

/** Throws as node:fs does: ENOENT or ESRCH when there is no such process. */
export function readProcStat(procRoot: string, pid: number): ProcStat | undefined {
  return parseProcStat(readSmallFile(join(procRoot, String(pid), 'stat'), 4096));
}

/** Pids that Linux can give out. Source: linux/threads.h, PID_MAX_LIMIT. */
export const isPid = (pid: number): boolean => Number.isInteger(pid) && pid > 0 && pid <= 4_194_304;
