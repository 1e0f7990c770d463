/** One process, once: the pid alone may belong to another by the time it is used. */
export interface ProcessIdentity {
  readonly pid: number;
  /** `HostProcess.startTicks`. */
  readonly startTicks: number;
}

export const terminationResults = [
  'ended-by-sigterm',
  'ended-by-sigkill',
  /** It was sent SIGKILL and is still there: it sleeps in the kernel. */
  'still-running',
  /** It was gone, or the pid belongs to another process, before anything was sent. */
  'gone',
  'not-permitted',
  /** pid 1, this process, one of its children or parents, or a kernel thread. */
  'protected',
] as const;
export type TerminationResult = (typeof terminationResults)[number];

export interface Termination {
  readonly result: TerminationResult;
  readonly detail: string;
}

/** The port that ends processes. It is bound in operator mode only. */
export interface ProcessControl {
  /** Why this process would not be ended; undefined when it would. Sends nothing. */
  refusal(
    process: ProcessIdentity,
  ): Promise<
    (Pick<Termination, 'detail'> & { readonly result: 'gone' | 'not-permitted' | 'protected' }) | undefined
  >;

  /**
   * SIGTERM, then SIGKILL after the grace. Through a pidfd whose start time was compared after it was opened, so a signal never reaches
   * another process. An aborted `signal` does not call it back; what has been sent is sent.
   */
  terminate(process: ProcessIdentity, graceMilliseconds: number): Promise<Termination>;
}
