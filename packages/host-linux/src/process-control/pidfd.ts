import { closeSync } from 'node:fs';
import { loadLibc } from '../os/libc.ts';

/** The system calls on a process descriptor. Each throws an error with `code` (ESRCH, EPERM, ENOSYS, ...) where the call fails. */
export interface PidfdCalls {
  open(pid: number): number;
  /** Signal 0 asks whether it would be permitted. */
  send(pidfd: number, signal: number): void;
  /** Also true of a zombie: all that is left of it is its exit status. */
  hasEnded(pidfd: number): boolean;
  close(pidfd: number): void;
}

// The same numbers on x86-64 and arm64, as for all calls since Linux 5.0. Source: asm-generic/unistd.h.
const pidfdSendSignal = 424;
const pidfdOpen = 434;
/** Source: poll(2): `struct pollfd` is an int and two shorts. */
const pollIn = 1;
const returnedEventsOffset = 6;

/** libc has no functions for these before glibc 2.36, so they go through its `syscall`. */
export async function loadPidfdCalls(): Promise<PidfdCalls> {
  const libc = await loadLibc();
  const syscall = libc.func('long syscall(long number, ...)');
  const poll = libc.func('int poll(void *descriptors, unsigned long count, int timeout)');
  return {
    open(pid) {
      const pidfd = Number(syscall(pidfdOpen, 'long', pid, 'long', 0));
      if (pidfd < 0) throw libc.failure('pidfd_open');
      return pidfd;
    },
    send(pidfd, signal) {
      const result = syscall(pidfdSendSignal, 'long', pidfd, 'long', signal, 'void *', null, 'long', 0);
      if (Number(result) < 0) throw libc.failure('pidfd_send_signal');
    },
    hasEnded(pidfd) {
      const entry = Buffer.alloc(8);
      entry.writeInt32LE(pidfd, 0);
      entry.writeInt16LE(pollIn, 4);
      return Number(poll(entry, 1, 0)) === 1 && (entry.readInt16LE(returnedEventsOffset) & pollIn) !== 0;
    },
    close: closeSync,
  };
}
