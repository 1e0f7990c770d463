import type { Cause, NotYourCode } from '../domain/diagnosis.ts';

/** What an end says, and what it does not. Sentences of our own words; `where` goes before them. */
export interface EndMeaning {
  readonly kind: EndKind;
  readonly statement: string;
  /** What this end alone says of the person's program. */
  readonly notYourCode: NotYourCode;
  /** Where it points to a cause of the diagnosis at all. */
  readonly cause?: Cause;
}

export const endKinds = [
  'completed',
  'host-memory',
  'killed',
  'asked-to-stop',
  'crashed',
  'aborted',
  'own-error',
  'not-startable',
  'not-started',
  'status-lost',
  'evicted',
  'preempted',
  'deadline',
  'node-lost',
  'device-unavailable',
  'backing-off',
  'unknown',
] as const;
export type EndKind = (typeof endKinds)[number];

const gpuMemoryNote =
  'Running out of GPU memory is an error that the program gets and reports itself: no exit code tells it.';

/** Reasons that the kubelet gives, which say more than the exit code beside them. */
export const reasonMeanings: Readonly<Record<string, EndMeaning>> = {
  OOMKilled: {
    kind: 'host-memory',
    statement: `The kernel ended it because main memory ran out, at the container's limit or on the host; this is not GPU memory. ${gpuMemoryNote}`,
    notYourCode: false,
    cause: 'host-memory',
  },
  // The kubelet writes exit code 137 beside it, though nobody saw the container end.
  ContainerStatusUnknown: {
    kind: 'status-lost',
    statement:
      'Nobody saw how it ended: the node or its runtime lost it. The exit code beside it was made up by the kubelet.',
    notYourCode: 'undecided',
  },
  // As containerd has it, with exit code 255, of what was not running any more when it came up: after a boot of the node.
  Unknown: {
    kind: 'status-lost',
    statement:
      'Nobody saw how it ended: the node or its runtime was away, as in a boot. The exit code beside it was made up by the runtime.',
    notYourCode: 'undecided',
  },
  StartError: {
    kind: 'not-started',
    statement:
      'The container runtime could not start it: the command, the image, or the GPU hook of the runtime failed.',
    notYourCode: 'undecided',
  },
  ContainerCannotRun: {
    kind: 'not-started',
    statement:
      'The container runtime could not start it: the command, the image, or the GPU hook of the runtime failed.',
    notYourCode: 'undecided',
  },
  DeadlineExceeded: {
    kind: 'deadline',
    statement:
      'It ran longer than its activeDeadlineSeconds: too slow, or hung; that it was ended says nothing of why.',
    notYourCode: 'undecided',
  },
};

const signalled = (signal: string, rest: string) => `It ended by ${signal}. ${rest}`;

/** Exit codes by the convention of shells and runtimes: 128 and the number of the signal. */
const codeMeanings: Readonly<Record<number, EndMeaning>> = {
  0: { kind: 'completed', statement: 'It ended without an error.', notYourCode: 'undecided' },
  1: {
    kind: 'own-error',
    statement: `It ended itself with an error. A CUDA error that a hardware fault raised ends the same way. ${gpuMemoryNote}`,
    notYourCode: 'undecided',
  },
  2: {
    kind: 'own-error',
    statement: 'It ended itself with exit code 2, which many programs use for wrong arguments.',
    notYourCode: 'undecided',
  },
  126: {
    kind: 'not-startable',
    statement: 'Its command was found and could not be run: permission or format.',
    notYourCode: false,
    cause: 'application-fault',
  },
  127: {
    kind: 'not-startable',
    statement: 'Its command, or a library that it needs to start, was not found.',
    notYourCode: false,
    cause: 'application-fault',
  },
  128: {
    kind: 'not-started',
    statement: 'The container runtime could not start it.',
    notYourCode: 'undecided',
  },
  130: {
    kind: 'asked-to-stop',
    statement: signalled('SIGINT', 'Somebody asked it to stop.'),
    notYourCode: 'undecided',
  },
  132: {
    kind: 'crashed',
    statement: signalled(
      'SIGILL',
      'The program ran an instruction that this processor does not have, or a trap of its own.',
    ),
    notYourCode: 'undecided',
  },
  134: {
    kind: 'aborted',
    statement: signalled(
      'SIGABRT',
      'The program or a library gave up: a failed assertion, or an NCCL watchdog or CUDA error, which a hardware fault raises, too.',
    ),
    notYourCode: 'undecided',
  },
  135: {
    kind: 'crashed',
    statement: signalled(
      'SIGBUS',
      'Often shared memory (/dev/shm) ran full; a dying disk or GPU mapping does the same.',
    ),
    notYourCode: 'undecided',
  },
  136: {
    kind: 'crashed',
    statement: signalled('SIGFPE', 'The program divided by zero or the like.'),
    notYourCode: false,
    cause: 'application-fault',
  },
  137: {
    kind: 'killed',
    statement: signalled(
      'SIGKILL',
      'Somebody ended it, and the kubelet does not say that memory ran out: the end of a grace period, a failed probe, an eviction, or the kernel killing a child process.',
    ),
    notYourCode: 'undecided',
  },
  139: {
    kind: 'crashed',
    statement: signalled(
      'SIGSEGV',
      'The program or a native library touched memory that it may not: nearly always software, though bad host memory does the same.',
    ),
    notYourCode: 'undecided',
    cause: 'application-fault',
  },
  143: {
    kind: 'asked-to-stop',
    statement: signalled(
      'SIGTERM',
      'Somebody asked it to stop: a deletion, a drain, a failed probe, or its own launcher.',
    ),
    notYourCode: 'undecided',
  },
};

/** What an exit code says by itself, without a reason of the kubelet. */
export function meaningOfCode(exitCode: number | null, signal: number | null): EndMeaning {
  const code = signal !== null && signal > 0 ? 128 + signal : exitCode;
  if (code === null)
    return { kind: 'unknown', statement: 'How it ended is not told.', notYourCode: 'undecided' };
  const known = codeMeanings[code];
  if (known) return known;
  if (code > 128 && code <= 192)
    return {
      kind: 'killed',
      statement: `It ended with exit code ${code}, by convention signal ${code - 128}.`,
      notYourCode: 'undecided',
    };
  return {
    kind: 'own-error',
    statement: `It ended itself with exit code ${code}, whose meaning is its own.`,
    notYourCode: 'undecided',
  };
}
