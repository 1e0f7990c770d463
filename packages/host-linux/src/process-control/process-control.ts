import { constants } from 'node:os';
import { join } from 'node:path';
import {
  type Clock,
  GpuError,
  type ProcessControl,
  type ProcessIdentity,
  systemClock,
  type Termination,
} from '@k8s-gpu-mcp/core';
import { errorCodeOf, messageOf } from '../os/errno.ts';
import { readSmallFile } from '../os/small-file.ts';
import { isPid, type ProcStat, readProcStat } from '../processes/proc-stat.ts';
import { isOwnProc, protectionOf } from './kinship.ts';
import { loadPidfdCalls, type PidfdCalls } from './pidfd.ts';

export interface ProcessControlOptions {
  /** Default `/proc`. It must be of the pid namespace that this process is in. */
  readonly procRoot?: string;
  readonly clock?: Pick<Clock, 'after'>;
  /** Loads the system calls at first use; default: libc's through koffi. */
  readonly loadPidfdCalls?: () => Promise<PidfdCalls>;
}

type Refusal = NonNullable<Awaited<ReturnType<ProcessControl['refusal']>>>;

const { SIGTERM, SIGKILL } = constants.signals;
const pollMilliseconds = 25;
/** A process that outlives SIGKILL by this sleeps in the kernel, and nobody knows for how long. */
const killWaitMilliseconds = 5000;
const maximumGraceMilliseconds = 3_600_000;

/**
 * Ends processes by descriptors that name one process for as long as they are open. The start time is compared after the opening, so
 * that a pid given to another process since it was read is found out before anything is sent. Needs Linux 5.3.
 *
 * `terminate` rejects with `GpuError` INVALID_INPUT, and sends nothing, for a grace that is not a time between 0 and an hour.
 */
export function createProcessControl(options: ProcessControlOptions = {}): ProcessControl {
  const { procRoot = '/proc', clock = systemClock } = options;
  const load = options.loadPidfdCalls ?? loadPidfdCalls;
  let loaded: PidfdCalls | undefined;

  /** Hands `use` a descriptor of exactly this process, which may be ended; gives the refusal otherwise. */
  const withProcess = async <T>(
    { pid, startTicks }: ProcessIdentity,
    use: (calls: PidfdCalls, pidfd: number) => T | Promise<T>,
  ): Promise<T | Refusal> => {
    if (!isPid(pid)) return { result: 'gone', detail: `${pid} is no pid` };
    if (!isOwnProc(procRoot, process.pid)) {
      const detail = `${procRoot} does not show the pid namespace of this server, so pids cannot be trusted`;
      return { result: 'not-permitted', detail };
    }
    let calls: PidfdCalls;
    let pidfd: number;
    try {
      calls = loaded ??= await load();
      pidfd = calls.open(pid);
    } catch (error) {
      return openRefusal(pid, error);
    }
    try {
      const stat = statOf(procRoot, pid);
      if (!stat || stat.startTicks !== startTicks) {
        const detail = stat
          ? `pid ${pid} belongs to another process now: it started at tick ${stat.startTicks}, not ${startTicks}`
          : `there is no process ${pid} any more`;
        return { result: 'gone', detail };
      }
      const protection = protectionOf(stat, procRoot, process.pid);
      if (protection !== undefined) return { result: 'protected', detail: protection };
      if (calls.hasEnded(pidfd)) return { result: 'gone', detail: `process ${pid} has ended already` };
      return await use(calls, pidfd);
    } finally {
      calls.close(pidfd);
    }
  };

  const waitForEnd = (calls: PidfdCalls, pidfd: number, milliseconds: number): Promise<boolean> =>
    new Promise((resolve, reject) => {
      let isOver = false;
      let cancelPoll = (): void => undefined;
      const check = (): void => {
        cancelPoll();
        try {
          const ended = calls.hasEnded(pidfd);
          if (!ended && !isOver) {
            cancelPoll = clock.after(pollMilliseconds, check);
            return;
          }
          cancelDeadline();
          resolve(ended);
        } catch (error) {
          cancelDeadline();
          reject(error);
        }
      };
      const cancelDeadline = clock.after(milliseconds, () => {
        isOver = true;
        check();
      });
      check();
    });

  return {
    async refusal(identity) {
      return withProcess(identity, (calls, pidfd) => sendRefusal(calls, pidfd, 0, identity.pid));
    },

    async terminate(identity, graceMilliseconds) {
      if (!(graceMilliseconds >= 0 && graceMilliseconds <= maximumGraceMilliseconds)) {
        throw new GpuError(
          'INVALID_INPUT',
          `a grace of ${graceMilliseconds} ms is not between 0 and an hour`,
        );
      }
      const { pid } = identity;
      return withProcess<Termination>(identity, async (calls, pidfd) => {
        const refused = sendRefusal(calls, pidfd, SIGTERM, pid);
        if (refused) return refused;
        if (await waitForEnd(calls, pidfd, graceMilliseconds)) {
          return { result: 'ended-by-sigterm', detail: `process ${pid} ended after SIGTERM` };
        }
        const killRefused = sendRefusal(calls, pidfd, SIGKILL, pid);
        if (killRefused?.result === 'gone') {
          return { result: 'ended-by-sigterm', detail: `process ${pid} ended after SIGTERM` };
        }
        if (killRefused) return killRefused;
        if (await waitForEnd(calls, pidfd, killWaitMilliseconds)) {
          const detail = `process ${pid} did not end within ${graceMilliseconds} ms of SIGTERM and was killed`;
          return { result: 'ended-by-sigkill', detail };
        }
        return { result: 'still-running', detail: `${stuckText(procRoot, pid)} after SIGKILL` };
      });
    },
  };
}

function statOf(procRoot: string, pid: number): ProcStat | undefined {
  try {
    return readProcStat(procRoot, pid);
  } catch {
    return undefined;
  }
}

function openRefusal(pid: number, error: unknown): Refusal {
  switch (errorCodeOf(error)) {
    case 'ESRCH':
      return { result: 'gone', detail: `there is no process ${pid}` };
    case 'EINVAL':
    case 'ENOENT':
      return {
        result: 'gone',
        detail: `pid ${pid} names a thread, or a process whose main thread has ended`,
      };
    case 'ENOSYS':
      return { result: 'not-permitted', detail: 'this kernel has no pidfd_open(2): Linux 5.3 is needed' };
    case 'EPERM':
    case 'EACCES':
      return { result: 'not-permitted', detail: 'a seccomp or security profile forbids pidfd_open(2)' };
    default:
      return { result: 'not-permitted', detail: `no descriptor of process ${pid}: ${messageOf(error)}` };
  }
}

/** Sends, and tells why not; nothing when it was sent. */
function sendRefusal(calls: PidfdCalls, pidfd: number, signal: number, pid: number): Refusal | undefined {
  try {
    calls.send(pidfd, signal);
    return undefined;
  } catch (error) {
    switch (errorCodeOf(error)) {
      case 'ESRCH':
        return { result: 'gone', detail: `process ${pid} has ended already` };
      case 'EPERM': {
        const detail = `process ${pid} belongs to another user: this needs CAP_KILL or the same user`;
        return { result: 'not-permitted', detail };
      }
      default:
        return { result: 'not-permitted', detail: `process ${pid} cannot be signalled: ${messageOf(error)}` };
    }
  }
}

/** State and, where it may be read, the kernel function it sleeps in. */
function stuckText(procRoot: string, pid: number): string {
  let place = '';
  try {
    const channel = readSmallFile(join(procRoot, String(pid), 'wchan'), 128).toString('latin1');
    if (/^[\w.]{2,64}$/.test(channel)) place = ` in ${channel}`;
  } catch {
    // Needs the right to trace it.
  }
  return `process ${pid} is still there (state ${statOf(procRoot, pid)?.state ?? 'unknown'}${place})`;
}
