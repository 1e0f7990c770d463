import type { Clock, GpuError, GpuRef, Logger } from '@k8s-gpu-mcp/core';
import type { LibraryFile } from '../helper/library-file.ts';
import { type Operation, type Reply, suspectOfStage } from '../protocol/protocol.ts';
import type { Helper, HelperExit, StartHelper } from './helper-process.ts';
import type { Incident, Suspect } from './suspicions.ts';

/** A caller's request that has no answer yet. */
export interface Task {
  readonly operation: Operation;
  readonly gpu: GpuRef | undefined;
  readonly patienceMilliseconds: number | undefined;
  readonly settle: (outcome: { result: unknown } | { error: GpuError }) => void;
}

/** An operation that a helper is busy with. Its caller may be gone. */
export interface Job {
  readonly id: number;
  readonly operation: Operation;
  /** What is to blame when no answer comes: the GPU being read, or the one it is being asked about. */
  suspect: Suspect;
  startedAt: number;
  task: Task | undefined;
  /** What the helper said last that it was about to do. */
  stage: string;
  /** When the helper last said that it got further. */
  progressAt: number;
  isStalled: boolean;
}

export interface SlotOptions {
  readonly startHelper: StartHelper;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onReply: (slot: HelperSlot, job: Job, reply: Reply) => void;
  /** The job has taken too long for others to wait for it. */
  readonly onStall: (slot: HelperSlot, job: Job) => void;
  /** It is another GPU than the one being read that does not answer. */
  readonly onPeerStall: (slot: HelperSlot, job: Job) => void;
  /** The GPU that was asked about has answered. */
  readonly onPeerAnswer: (slot: HelperSlot, peer: Suspect) => void;
  /** The job has passed its hardware deadline. */
  readonly onDeadline: (slot: HelperSlot, job: Job) => void;
  readonly onExit: (slot: HelperSlot, exit: HelperExit) => void;
  /** SIGKILL did not end the process. */
  readonly onStuck: (slot: HelperSlot) => void;
  /** What had been sent ahead will not be done here. */
  readonly onReturned: (task: Task) => void;
}

export interface JobLimits {
  readonly stallMilliseconds: number;
  readonly deadlineMilliseconds: number;
}

/** How long a killed or retired process may take to go. */
export const exitGraceMilliseconds = 2_000;

/** How much work may be with a process beyond what it does, by what its last read took, and how many reads at most: those of a large node. */
const aheadMilliseconds = 100;
const mostAhead = 16;

/** A file system that does not say in this time whether the library was replaced is not waited for. */
const libraryCheckMilliseconds = 250;

const notStarted: Helper = { pid: undefined, send() {}, retire() {}, kill() {}, waitChannel: () => null };

/** One helper process and where it stands. `dying`: killed, not yet gone. `stuck`: SIGKILL does not end it. */
export class HelperSlot {
  state: 'ready' | 'retiring' | 'dying' | 'stuck' | 'gone' = 'ready';
  isOpen = false;
  /** It has answered something since it was opened. */
  hasServed = false;
  /** What it loaded. */
  libraryFile: LibraryFile | null = null;
  /** Whether somebody has looked, since it was idle, that this is still what is installed. */
  libraryCheck: 'due' | 'running' | 'done' = 'done';
  job: Job | undefined;
  /** Sent already, and begun by the process, in this order, the moment it is done with `job`: it need not wait for us to ask. */
  ahead: readonly Job[] = [];
  /** What its last read took, on which depends how much may be sent ahead. */
  readMilliseconds = Number.POSITIVE_INFINITY;
  readonly #options: SlotOptions;
  #helper = notStarted;
  #timers: (() => void)[] = [];
  #jobCount = 0;
  #isStallPending = false;
  #cancelPeerStall: () => void = () => {};
  #retiredAt = 0;
  #limits: JobLimits = { stallMilliseconds: 0, deadlineMilliseconds: 0 };
  /** It still has something to do that nobody waits for here any more. */
  #isBehind = false;

  constructor(options: SlotOptions) {
    this.#options = options;
    try {
      this.#helper = options.startHelper({
        onReply: (reply) => this.#onReply(reply),
        onExit: (exit) => this.#onExit(exit),
      });
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error));
      queueMicrotask(() => this.#onExit({ code: null, signal: null, error: cause }));
    }
    options.logger.debug('nvml helper started', { helperPid: this.pid });
  }

  get pid(): number | undefined {
    return this.#helper.pid;
  }

  get isIdle(): boolean {
    return this.state === 'ready' && this.job === undefined;
  }

  /** Busy with something that others may wait for. */
  get isWorking(): boolean {
    return this.state === 'ready' && this.job?.isStalled === false;
  }

  /** Nothing can be expected of it before it answers or goes. */
  get isHopeless(): boolean {
    return this.state === 'stuck' || (this.state === 'ready' && this.job?.isStalled === true);
  }

  /** The same for the log. */
  get fields(): Readonly<Record<string, unknown>> {
    const { incident, pid } = this;
    const { operation, suspect, waitChannel } = incident ?? {};
    return { helperPid: pid, operation, gpu: suspect, waitChannel };
  }

  /** What it is doing, for the record. Undefined while it does nothing. */
  get incident(): Incident | undefined {
    const { job, pid } = this;
    if (job === undefined && (this.state === 'ready' || this.state === 'gone')) return undefined;
    return {
      suspect: job?.suspect ?? 'driver',
      since: job?.startedAt ?? this.#retiredAt,
      operation: job?.stage ?? 'shut NVML down',
      pid,
      waitChannel: this.#helper.waitChannel(),
    };
  }

  begin(operation: Operation, task: Task | undefined, limits: JobLimits): void {
    const job = this.#jobOf(operation, task);
    this.#limits = limits;
    this.#start(job);
    this.#helper.send(job.id, operation);
  }

  /** Only while it works: behind what hangs nothing is begun. */
  sendAhead(operation: Operation, task: Task): void {
    const job = this.#jobOf(operation, task);
    this.ahead = [...this.ahead, job];
    this.#helper.send(job.id, operation);
  }

  /**
   * One read always, and more where reads are so quick that the process would otherwise wait for us after each. What was sent cannot be
   * taken back when its caller goes, so it must not be work for long.
   */
  get canSendAhead(): boolean {
    const room = Math.min(mostAhead, Math.max(1, Math.floor(aheadMilliseconds / this.readMilliseconds)));
    const isReading = this.isWorking && this.isOpen && this.job?.operation.kind === 'read';
    return isReading && this.ahead.length < room;
  }

  #jobOf(operation: Operation, task: Task | undefined): Job {
    const { clock } = this.#options;
    this.#jobCount += 1;
    return {
      id: this.#jobCount,
      operation,
      suspect: suspectOf(operation),
      startedAt: clock.now(),
      task,
      stage: operation.kind,
      progressAt: clock.now(),
      isStalled: false,
    };
  }

  #start(job: Job): void {
    const { clock, onDeadline } = this.#options;
    this.job = job;
    this.#timers = [
      clock.after(this.#limits.deadlineMilliseconds, () => {
        job.isStalled = true;
        this.#returnAhead();
        onDeadline(this, job);
      }),
    ];
    // A process that still starts (a busy machine) is no driver that hangs: its first word starts the count.
    this.#isStallPending = job.operation.kind === 'open';
    if (!this.#isStallPending) this.#watchForStall(job);
  }

  #watchForStall(job: Job): void {
    const { clock, onStall } = this.#options;
    this.#isStallPending = false;
    const cancel = clock.after(this.#limits.stallMilliseconds, () => {
      job.isStalled = true;
      this.#returnAhead();
      onStall(this, job);
    });
    this.#timers.push(cancel);
  }

  /** False while it is being looked whether the library is still the one that was loaded; `onChecked` says. */
  isLibraryChecked(
    isReplaced: (file: LibraryFile) => Promise<boolean>,
    onChecked: (isReplaced: boolean) => void,
  ): boolean {
    const { libraryFile } = this;
    if (libraryFile === null || this.libraryCheck === 'done') return true;
    if (this.libraryCheck === 'running') return false;
    const { clock, logger } = this.#options;
    this.libraryCheck = 'running';
    const finish = (wasReplaced: boolean) => {
      cancel();
      if (this.libraryCheck !== 'running') return;
      this.libraryCheck = 'done';
      if (wasReplaced)
        logger.info('the NVML library was replaced', { helperPid: this.pid, library: libraryFile.path });
      onChecked(wasReplaced);
    };
    const cancel = clock.after(libraryCheckMilliseconds, () => finish(false));
    isReplaced(libraryFile).then(finish, () => finish(false));
    return false;
  }

  /** While one GPU is asked about another, it is the other that does not answer. */
  #followSuspect(job: Job): void {
    const { clock, onPeerStall, onPeerAnswer } = this.#options;
    const own = suspectOf(job.operation);
    const before = job.suspect;
    job.suspect = suspectOfStage(job.stage) ?? own;
    this.#cancelPeerStall();
    if (before !== own && before !== job.suspect) onPeerAnswer(this, before);
    if (job.suspect === own) return;
    this.#cancelPeerStall = clock.after(this.#limits.stallMilliseconds, () => {
      job.isStalled = true;
      this.#returnAhead();
      onPeerStall(this, job);
    });
  }

  /** Asks the process to shut NVML down and go; kills it when it does not. */
  retire(graceMilliseconds = exitGraceMilliseconds): void {
    if (this.state !== 'ready') return;
    this.state = 'retiring';
    this.#returnAhead();
    this.#returnJob();
    this.#retiredAt = this.#options.clock.now();
    this.#helper.retire();
    this.#options.clock.after(graceMilliseconds, () => this.kill());
  }

  /** SIGKILL, once. */
  kill(): void {
    if (this.state !== 'ready' && this.state !== 'retiring') return;
    const { clock, logger, onStuck } = this.#options;
    this.state = 'dying';
    this.#returnAhead();
    this.#cancelTimers();
    this.#helper.kill();
    clock.after(exitGraceMilliseconds, () => {
      if (this.state !== 'dying') return;
      this.state = 'stuck';
      logger.error('nvml helper cannot be ended: it sleeps in the driver', this.fields);
      onStuck(this);
    });
  }

  #onReply(reply: Reply): void {
    const { job } = this;
    // After SIGKILL nothing counts any more; an answer to another job is none.
    if (this.state === 'dying' || this.state === 'stuck' || job?.id !== reply.id) return;
    if ('stage' in reply) {
      job.stage = reply.stage;
      const now = this.#options.clock.now();
      job.progressAt = Math.min(reply.at ?? now, now);
      this.#followSuspect(job);
      if (this.#isStallPending) this.#watchForStall(job);
      return;
    }
    this.#cancelTimers();
    const [next, ...ahead] = this.ahead;
    this.ahead = ahead;
    this.job = undefined;
    if (next) {
      next.startedAt = next.progressAt = this.#options.clock.now();
      this.#start(next);
    }
    // What it does now is not known here, so a hang there would be blamed on whatever came next. Before anybody hears that it is free.
    if (this.#isBehind) this.retire();
    this.#options.onReply(this, job, reply);
  }

  #returnAhead(): void {
    const { ahead } = this;
    this.ahead = [];
    if (ahead.length > 0) this.#isBehind = true;
    // The last one first: each is put in front of those that wait.
    for (const { task } of ahead.toReversed()) if (task) this.#options.onReturned(task);
  }

  /** What had been sent ahead may have been begun already. It may come to no answer before the process is killed. */
  #returnJob(): void {
    const { job } = this;
    if (job?.task === undefined) return;
    this.#options.onReturned(job.task);
    job.task = undefined;
  }

  #onExit(exit: HelperExit): void {
    this.#cancelTimers();
    this.#returnAhead();
    this.#options.onExit(this, exit);
    this.state = 'gone';
  }

  #cancelTimers(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers = [];
    this.#cancelPeerStall();
  }
}

export function suspectOf(operation: Operation): Suspect {
  return 'index' in operation ? operation.index : 'driver';
}
