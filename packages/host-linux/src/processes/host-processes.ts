import { join } from 'node:path';
import type { Clock, Gap, HostProcess, HostProcesses } from '@k8s-gpu-mcp/core';
import { orAborted, throwIfAborted, yieldToEventLoop } from '../os/abort.ts';
import { errnoGap, errorCodeOf } from '../os/errno.ts';
import { createPatientReader, type ReadFile, readSmallFile } from '../os/small-file.ts';
import { type CgroupOwner, parseCgroupOwner } from './cgroup-owner.ts';
import { seesAllProcesses } from './pid-namespace.ts';
import { isPid, type ProcStat, readProcStat } from './proc-stat.ts';
import { readUserNames } from './user-names.ts';

export interface HostProcessesOptions {
  /** Default `/proc`. */
  readonly procRoot?: string;
  /** The machine's passwd file; default `/etc/passwd`, except in a container, whose own names other users. */
  readonly passwdFile?: string;
  readonly clock?: Pick<Clock, 'after'>;
  /** How files are read that may wait for a lock of the process; default: through the thread pool. */
  readonly readFile?: ReadFile;
}

const what = 'reading processes';
const processesPerTurn = 16;
const maximumProcesses = 4096;
const maximumCommandLength = 256;
/** The kernel counts in these towards user space, whatever its own tick is. Source: x86 and arm64 asm/param.h, USER_HZ. */
const ticksPerSecond = 100;

/** Processes by what /proc tells of them. Their arguments are as they stand there: untrusted, and secrets in them stay. */
export function createHostProcesses(options: HostProcessesOptions = {}): HostProcesses {
  const { procRoot = '/proc', passwdFile } = options;
  const readFile = createPatientReader(options);

  return {
    async describe(pids, signal) {
      throwIfAborted(signal, what);
      const wanted = [...new Set(pids)].filter(isPid);
      const gaps: Gap[] = [];
      if (wanted.length > maximumProcesses) {
        const detail = `only the first ${maximumProcesses} of ${wanted.length} pids were looked at`;
        gaps.push({ field: 'hostProcesses', reason: 'error', detail });
      }
      const found: Unnamed[] = [];
      for (const [index, pid] of wanted.slice(0, maximumProcesses).entries()) {
        if (index % processesPerTurn === 0) await yieldToEventLoop();
        throwIfAborted(signal, what);
        const described = await orAborted(describeOne(procRoot, pid, readFile), signal, what);
        if (!described) continue;
        gaps.push(...described.gaps);
        if (described.process) found.push(described.process);
      }
      const sees = seesAllProcesses(procRoot);
      if (sees === null) {
        const detail = `${join(procRoot, 'self/ns/pid')} cannot be read`;
        gaps.push({ field: 'hostProcesses.seesAllProcesses', reason: 'not-observable', detail });
      }
      const dated = addTimes(procRoot, found, gaps);
      return { processes: addNames(procRoot, passwdFile, dated, gaps), seesAllProcesses: sees, gaps };
    },
  };
}

type Unnamed = Omit<HostProcess, 'userName' | 'startedAt'>;
interface Described {
  readonly process?: Unnamed;
  readonly gaps: readonly Gap[];
}

/** Undefined when there is no such process, or when the pid changed hands while it was read. */
async function describeOne(
  procRoot: string,
  pid: number,
  readFile: ReadFile,
): Promise<Described | undefined> {
  const gaps: Gap[] = [];
  const failed = (field: string, error: unknown): null => {
    if (!isGone(error)) gaps.push(errnoGap(`hostProcesses.${field}`, error, `pid ${pid}`));
    return null;
  };
  let stat: ProcStat | undefined;
  try {
    stat = readProcStat(procRoot, pid);
  } catch (error) {
    return isGone(error) ? undefined : { gaps: [errnoGap('hostProcesses', error, `pid ${pid}`)] };
  }
  if (!stat) {
    const detail = `pid ${pid}: its stat file has another form than proc(5) says`;
    return { gaps: [{ field: 'hostProcesses', reason: 'error', detail }] };
  }
  const userId = ((): number | null => {
    try {
      const status = readSmallFile(join(procRoot, String(pid), 'status'), 8192).toString('utf8');
      // The first of four is the real one: who started it. The kernel escapes line feeds in the name above it.
      const uid = /^Uid:\t(\d{1,10})\t/m.exec(status)?.[1];
      return uid === undefined ? failed('userId', new Error('its status file has no Uid')) : Number(uid);
    } catch (error) {
      return failed('userId', error);
    }
  })();
  const owner = await readFile(join(procRoot, String(pid), 'cgroup'), 64 * 1024).then(
    (bytes): CgroupOwner => parseCgroupOwner(bytes.toString('utf8')),
    (error: unknown) => failed('container', error),
  );
  let command: string | null = null;
  if (stat.state === 'D') {
    // The arguments lie in its memory, and whoever sleeps in the kernel may hold the lock of that: `ps` hangs there.
    const detail = `pid ${pid}: not asked for, as it sleeps in the kernel (state D)`;
    gaps.push({ field: 'hostProcesses.command', reason: 'not-observable', detail });
  } else {
    command = await readCommand(procRoot, pid, readFile).catch((error: unknown) => failed('command', error));
  }
  try {
    if (readProcStat(procRoot, pid)?.startTicks !== stat.startTicks) return undefined;
  } catch {
    return undefined;
  }
  return {
    gaps,
    process: {
      pid,
      startTicks: stat.startTicks,
      state: stat.state,
      userId,
      name: stat.name,
      command,
      parentPid: stat.parentPid,
      container: owner?.container ?? null,
      podUid: owner?.podUid ?? null,
      slurmJobId: owner?.slurmJobId ?? null,
    },
  };
}

/** Null for kernel threads and the dead, which have no arguments. */
async function readCommand(procRoot: string, pid: number, readFile: ReadFile): Promise<string | null> {
  // A character takes up to four bytes.
  const bytes = await readFile(join(procRoot, String(pid), 'cmdline'), 4 * maximumCommandLength);
  const text = bytes.toString('utf8').replace(/\0+$/, '').replaceAll('\0', ' ');
  return text === '' ? null : Array.from(text).slice(0, maximumCommandLength).join('');
}

function addTimes(
  procRoot: string,
  processes: readonly Unnamed[],
  gaps: Gap[],
): Omit<HostProcess, 'userName'>[] {
  let bootSeconds: number | undefined;
  if (processes.length > 0) {
    const field = 'hostProcesses.startedAt';
    try {
      // Its first line counts each processor's interrupts and may be long.
      const text = readSmallFile(join(procRoot, 'stat'), 1024 * 1024).toString('latin1');
      const seconds = /^btime (\d{1,11})$/m.exec(text)?.[1];
      if (seconds !== undefined) bootSeconds = Number(seconds);
      else gaps.push({ field, reason: 'error', detail: `${join(procRoot, 'stat')} has no btime` });
    } catch (error) {
      gaps.push(errnoGap(field, error));
    }
  }
  return processes.map((process) => ({ ...process, startedAt: startOf(bootSeconds, process.startTicks) }));
}

function startOf(bootSeconds: number | undefined, ticks: number): string | null {
  if (bootSeconds === undefined) return null;
  const milliseconds = (bootSeconds + ticks / ticksPerSecond) * 1000;
  return milliseconds <= 8.64e15 ? new Date(milliseconds).toISOString() : null;
}

function addNames(
  procRoot: string,
  passwdFile: string | undefined,
  processes: readonly Omit<HostProcess, 'userName'>[],
  gaps: Gap[],
): HostProcess[] {
  if (processes.length === 0) return [];
  const field = 'hostProcesses.userName';
  const names = readUserNames(procRoot, passwdFile);
  if ('unusable' in names) {
    gaps.push({ field, reason: 'not-observable', detail: names.unusable });
    return processes.map((process) => ({ ...process, userName: null }));
  }
  const unlisted = new Set<number>();
  const named = processes.map((process) => {
    const { userId } = process;
    const userName = userId === null ? null : (names.get(userId) ?? null);
    if (userId !== null && userName === null) unlisted.add(userId);
    return { ...process, userName };
  });
  if (unlisted.size > 0) {
    // Users of a directory service, or of another container.
    const detail = `no name for uid ${[...unlisted].slice(0, 10).join(', ')}${unlisted.size > 10 ? ', ...' : ''}`;
    gaps.push({ field, reason: 'not-observable', detail });
  }
  return named;
}

/** ESRCH: it ended between the opening of one of its files and the reading. */
function isGone(error: unknown): boolean {
  const code = errorCodeOf(error);
  return code === 'ENOENT' || code === 'ESRCH';
}
