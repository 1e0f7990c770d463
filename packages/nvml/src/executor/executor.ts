import { type Clock, GpuError, type GpuRef, type GpuSample, type Logger } from '@k8s-gpu-mcp/core';
import type { LibraryFile } from '../helper/library-file.ts';
import type { Failure, OpenResult, Operation, OperationResults, Reply } from '../protocol/protocol.ts';
import { crashed, driverUnresponsive, gpuHung, suspectError, timedOut } from './errors.ts';
import type { HelperExit, StartHelper } from './helper-process.ts';
import { type ExecutorView, maxHelpers, noHelperLeft, refusal, whatHolds } from './outlook.ts';
import { withPeerGaps, withPeers } from './peers.ts';
import { exitGraceMilliseconds, HelperSlot, type Job, suspectOf, type Task } from './slot.ts';
import { Suspicions } from './suspicions.ts';

export interface ExecutorOptions {
  readonly startHelper: StartHelper;
  readonly library: string | null;
  /** Whether another file is where a helper's library was loaded from. */
  readonly isLibraryReplaced: (file: LibraryFile) => Promise<boolean>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Without an answer for this long, waiting GPUs are served by a second helper. */
  readonly stallMilliseconds: number;
  /** Hardware deadline of opening the library, of counting and of identifying a GPU. */
  readonly openDeadlineMilliseconds: number;
  /** Hardware deadline of a read, to which `readDeadlinePerGpuMilliseconds` is added for each GPU of the node. */
  readonly readDeadlineMilliseconds: number;
  readonly readDeadlinePerGpuMilliseconds: number;
  /** Without progress for this long, an operation counts as hung; before, it is only not done in time. */
  readonly hungAfterMilliseconds: number;
  readonly idleExitMilliseconds: number;
  /** Called with true while a caller waits: the event loop must live until it has its answer, and not a moment longer. */
  readonly keepAlive: (isNeeded: boolean) => void;
}

export interface SubmitOptions {
  readonly signal: AbortSignal;
  readonly gpu?: GpuRef;
  /** Give up on it this long after it was started, before `signal` does. */
  readonly patienceMilliseconds?: number;
}

const closeGraceMilliseconds = 1_000;

/**
 * Runs operations one at a time in a helper process, with deadlines of the hardware's own, and keeps one hung GPU from
 * holding up the others: they move to a second helper. What hung is left alone for a while, then tried again, last.
 *
 * A helper that SIGKILL does not end stays where it is, named in every refusal, and one may work beside it. While it hangs in the driver
 * as a whole none is started beside it, and when a second one hangs too everything is refused until one of them answers or is gone.
 */
export class NvmlExecutor {
  readonly #options: ExecutorOptions;
  readonly #suspicions = new Suspicions();
  #slots: HelperSlot[] = [];
  #queue: Task[] = [];
  #waiting = 0;
  #gpuCount = 1;
  #cancelIdle: () => void = () => {};
  #onSlotGone: () => void = () => {};

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  submit<Kind extends Operation['kind']>(
    operation: Extract<Operation, { kind: Kind }>,
    { signal, gpu, patienceMilliseconds }: SubmitOptions,
  ): Promise<OperationResults[Kind]> {
    if (signal.aborted) return Promise.reject(timedOut('the call was cut off before it began', gpu));
    const refused = refusal(this.#view(), operation, gpu) ?? noHelperLeft(this.#view());
    if (refused) return Promise.reject(refused);
    this.#countWaiting(1);
    return new Promise<OperationResults[Kind]>((resolve, reject) => {
      let isSettled = false;
      const task: Task = {
        operation,
        gpu,
        patienceMilliseconds,
        settle: (outcome) => {
          if (isSettled) return;
          isSettled = true;
          signal.removeEventListener('abort', onAbort);
          this.#countWaiting(-1);
          if ('error' in outcome) reject(outcome.error);
          else resolve(outcome.result as OperationResults[Kind]);
        },
      };
      const onAbort = () => this.#abandon(task);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(task);
      this.#pump();
    });
  }

  /**
   * Ends every helper, within 2.5 s, so that nothing of ours holds a GPU. A later call opens again.
   * @throws GpuError DRIVER_UNRESPONSIVE when one cannot be ended
   */
  async release(): Promise<void> {
    await this.close('NVML was released');
    const left = this.#slots.find((slot) => slot.state === 'dying' || slot.state === 'stuck')?.incident;
    if (left) throw driverUnresponsive(left, this.#options.clock.now());
  }

  /** Ends every helper. Resolves within 2.5 s, also when one cannot be ended. */
  async close(reason = 'the NVML adapter was closed'): Promise<void> {
    const { clock } = this.#options;
    this.#cancelIdle();
    const error = new GpuError('CANCELLED', reason);
    this.#rejectQueue(error);
    for (const slot of [...this.#slots]) {
      for (const job of [slot.job, ...slot.ahead]) {
        job?.task?.settle({ error });
        if (job) job.task = undefined;
      }
      if (slot.job?.isStalled) this.#kill(slot);
      else slot.retire(closeGraceMilliseconds);
    }
    const isGone = () => this.#slots.every((slot) => slot.state === 'stuck');
    if (isGone()) return;
    this.#countWaiting(1);
    await new Promise<void>((resolve) => {
      const cancel = clock.after(exitGraceMilliseconds, resolve);
      this.#onSlotGone = () => {
        if (!isGone()) return;
        cancel();
        resolve();
      };
    });
    this.#onSlotGone = () => {};
    this.#countWaiting(-1);
  }

  /** Sends the next task to a helper, if one is free and nothing that answers is in flight. */
  #pump(): void {
    this.#refuseBlocked();
    this.#retireSpare();
    if (this.#queue.length === 0) {
      this.#armIdleExit();
      return;
    }
    this.#cancelIdle();
    const working = this.#slots.find((slot) => slot.isWorking);
    if (working) {
      this.#sendAhead(working);
      return;
    }
    const task = this.#nextTask();
    if (task === undefined) return;
    const slot = this.#slots.find((other) => other.isIdle) ?? this.#startSlot();
    if (slot === undefined || this.#isBeingChecked(slot)) return;
    if (slot.isOpen) {
      this.#queue = this.#queue.filter((other) => other !== task);
      this.#begin(slot, task.operation, task);
      this.#sendAhead(slot);
    } else {
      this.#begin(slot, { kind: 'open', library: this.#options.library }, undefined);
    }
  }

  /** Reads are sent before the one before them is answered, so that the helper never waits for us. Suspects go alone. */
  #sendAhead(slot: HelperSlot): void {
    while (slot.canSendAhead && !this.#isSuspect(slot.job?.operation)) {
      const task = this.#nextTask();
      // Which GPUs may be asked about depends on how the read before it ends.
      if (task?.operation.kind !== 'read' || task.operation.sections.includes('topology')) return;
      if (this.#isSuspect(task.operation)) return;
      this.#queue = this.#queue.filter((other) => other !== task);
      this.#awaitPatiently(task);
      slot.sendAhead(task.operation, task);
    }
  }

  #isSuspect(operation: Operation | undefined): boolean {
    return operation !== undefined && this.#suspicions.get(suspectOf(operation)) !== undefined;
  }

  /** Before a helper that was idle is used again: a library that was replaced under it answers with errors, or with old news. */
  #isBeingChecked(slot: HelperSlot): boolean {
    return !slot.isLibraryChecked(this.#options.isLibraryReplaced, (isReplaced) => {
      if (isReplaced && slot.isIdle) slot.retire();
      this.#pump();
    });
  }

  /** What became a suspect while others were waiting for it. */
  #refuseBlocked(): void {
    for (const task of [...this.#queue]) {
      const error = refusal(this.#view(), task.operation, task.gpu);
      if (error === undefined) continue;
      this.#queue = this.#queue.filter((other) => other !== task);
      task.settle({ error });
    }
  }

  /** First come, first served, but a suspect goes last and alone, and nobody goes to a GPU that another helper hangs on. */
  #nextTask(): Task | undefined {
    const jobs = this.#slots.flatMap(({ job, ahead }) => (job === undefined ? ahead : [job, ...ahead]));
    const inFlight = new Set(jobs.map(({ suspect }) => suspect));
    const open = this.#queue.filter((task) => !inFlight.has(suspectOf(task.operation)));
    const trusted = open.find((task) => this.#suspicions.get(suspectOf(task.operation)) === undefined);
    if (trusted !== undefined || inFlight.size === 0) return trusted ?? open[0];
    // What is stuck may be so for good. What crashed is tried beside it all the same; a second hang would cost everybody their answers.
    const isOnlyStuck = this.#slots.every(({ state, job }) => job === undefined || state === 'stuck');
    const hasCrashed = (task: Task) => this.#suspicions.get(suspectOf(task.operation))?.kind === 'crashed';
    return isOnlyStuck ? open.find(hasCrashed) : undefined;
  }

  #startSlot(): HelperSlot | undefined {
    const others = this.#slots;
    if (others.length >= maxHelpers) return undefined;
    // A killed helper is gone in milliseconds; one that hangs in the driver as a whole would only get company.
    if (others.some((slot) => slot.state === 'dying' || slot.job?.suspect === 'driver')) return undefined;
    const { startHelper, clock, logger } = this.#options;
    const slot = new HelperSlot({
      startHelper,
      clock,
      logger,
      onReply: (from, job, reply) => this.#onReply(from, job, reply),
      onStall: (from) => this.#onStall(from),
      onPeerStall: (from, job) => this.#onPeerStall(from, job),
      onPeerAnswer: ({ pid }, peer) => this.#suspicions.release(pid, peer),
      onDeadline: (from, job) => this.#onDeadline(from, job),
      onReturned: (task) => void this.#queue.unshift(task),
      onExit: (from, exit) => this.#onExit(from, exit),
      onStuck: () => {
        this.#giveUpQueueIfHopeless();
        this.#onSlotGone();
        this.#pump();
      },
    });
    this.#slots.push(slot);
    return slot;
  }

  #begin(slot: HelperSlot, operation: Operation, task: Task | undefined): void {
    const { stallMilliseconds } = this.#options;
    if (task) this.#awaitPatiently(task);
    slot.begin(withPeers(operation, this.#view()), task, {
      stallMilliseconds,
      deadlineMilliseconds: this.#deadlineOf(operation),
    });
  }

  #awaitPatiently(task: Task): void {
    const { patienceMilliseconds } = task;
    if (patienceMilliseconds === undefined) return;
    this.#options.clock.after(patienceMilliseconds, () => this.#abandon(task));
  }

  #view(): ExecutorView {
    return {
      gpuCount: this.#gpuCount,
      suspicions: this.#suspicions,
      slots: this.#slots,
      now: this.#options.clock.now(),
    };
  }

  #deadlineOf(operation: Operation): number {
    const options = this.#options;
    if (operation.kind !== 'read') return options.openDeadlineMilliseconds;
    return options.readDeadlineMilliseconds + options.readDeadlinePerGpuMilliseconds * this.#gpuCount;
  }

  #onReply(slot: HelperSlot, job: Job, reply: Reply): void {
    this.#suspicions.clear(suspectOf(job.operation));
    this.#suspicions.release(slot.pid, job.suspect);
    if ('failure' in reply) this.#onFailure(slot, job, reply.failure);
    else if ('result' in reply) {
      this.#onResult(slot, job, reply.result);
      // The answer has gaps where the driver was gone; only a new process can find it again.
      if (reply.hasLostDriver) slot.retire();
    }
    this.#pump();
  }

  #onResult(slot: HelperSlot, job: Job, result: unknown): void {
    if (job.operation.kind === 'open') {
      slot.isOpen = true;
      slot.libraryFile = (result as Partial<OpenResult>).file ?? null;
    } else slot.hasServed = true;
    if (job.operation.kind === 'read') {
      slot.readMilliseconds = (result as GpuSample).probeMilliseconds ?? Number.POSITIVE_INFINITY;
    }
    if (job.operation.kind === 'describe') {
      this.#gpuCount = Math.max(1, (result as OperationResults['describe']).gpuCount);
    }
    job.task?.settle({ result: withPeerGaps(job.operation, result, this.#view()) });
  }

  #onFailure(slot: HelperSlot, job: Job, { code, message, hint }: Failure): void {
    if (job.operation.kind === 'describe' && slot.hasServed) {
      // It was well when it was last asked: a driver that was reloaded or a node that was reset meanwhile is found again by a new process.
      this.#takeBack(job);
      slot.retire();
      return;
    }
    const gpu = job.task?.gpu;
    const error = new GpuError(code, message, {
      ...(hint === undefined ? {} : { hint }),
      ...(gpu === undefined ? {} : { gpuId: gpu.uuid ?? String(gpu.index) }),
    });
    job.task?.settle({ error });
    if (job.operation.kind === 'open') this.#rejectQueue(error);
    // A process holds one library and one session with the driver for life: where the driver as a whole refused, or left, only a new one
    // can find it mended.
    if (job.suspect === 'driver' || code === 'DRIVER_NOT_LOADED' || code === 'DRIVER_MISMATCH') {
      slot.retire();
    }
  }

  /** The GPU that was being read is well: it is read again, without asking about the one that does not answer. */
  #onPeerStall(slot: HelperSlot, job: Job): void {
    this.#takeBack(job);
    this.#onStall(slot);
  }

  #takeBack(job: Job): void {
    if (job.task) this.#queue.unshift(job.task);
    job.task = undefined;
  }

  #onStall(slot: HelperSlot): void {
    this.#options.logger.warn('nvml helper does not answer', slot.fields);
    this.#giveUpQueueIfHopeless();
    this.#holdAbandoned();
    this.#pump();
  }

  #onDeadline(slot: HelperSlot, job: Job): void {
    const now = this.#options.clock.now();
    const { incident } = slot;
    if (incident === undefined) return;
    if (job.suspect !== suspectOf(job.operation)) this.#takeBack(job);
    const { task } = job;
    job.task = undefined;
    this.#kill(slot);
    if (job.suspect === 'driver') {
      const error = driverUnresponsive(incident, now);
      task?.settle({ error });
      this.#rejectQueue(error);
    } else {
      task?.settle({ error: gpuHung(incident, now, task.gpu) });
    }
    this.#pump();
  }

  #onExit(slot: HelperSlot, exit: HelperExit): void {
    const { incident, job, state, pid } = slot;
    const { clock, logger } = this.#options;
    this.#slots = this.#slots.filter((other) => other !== slot);
    const fields = { helperPid: pid, code: exit.code, signal: exit.signal };
    if (job !== undefined && incident !== undefined && state === 'ready') {
      logger.warn('nvml helper died', { ...fields, operation: job.stage, gpu: job.suspect });
      this.#suspicions.strike('crashed', incident, clock.now());
      const error = crashed(exit, incident, job.task?.gpu);
      if (job.suspect === suspectOf(job.operation)) job.task?.settle({ error });
      else this.#takeBack(job);
      // With nothing open yet there is no GPU to blame: all who wait would meet the same.
      if (job.operation.kind === 'open') this.#rejectQueue(error);
    } else {
      logger.debug('nvml helper exited', fields);
    }
    this.#onSlotGone();
    this.#pump();
  }

  /** The caller goes; the operation goes on, and a late answer still clears the suspicion. */
  #abandon(task: Task): void {
    const now = this.#options.clock.now();
    const { gpu } = task;
    const own = this.#slots.find(({ job }) => job?.task === task);
    const busy = own ?? this.#slots.find(({ job }) => job !== undefined && job.suspect === gpu?.index);
    if (own?.job) own.job.task = undefined;
    const sent = this.#slots.flatMap(({ ahead }) => ahead).find((job) => job.task === task);
    if (sent) sent.task = undefined;
    this.#queue = this.#queue.filter((other) => other !== task);
    const suspicion = gpu && this.#suspicions.get(gpu.index);
    const hung = busy?.job && this.#isHung(busy.job) ? busy.incident : undefined;
    if (hung?.suspect === 'driver') task.settle({ error: driverUnresponsive(hung, now) });
    else if (hung && hung.suspect === gpu?.index) task.settle({ error: gpuHung(hung, now, gpu) });
    else if (gpu && suspicion?.kind === 'hung') task.settle({ error: suspectError(suspicion, now, gpu) });
    else task.settle({ error: timedOut(whatHolds(this.#view()), gpu) });
    this.#holdAbandoned();
  }

  /** A driver that is slow makes progress; one that hangs makes none. */
  #isHung({ progressAt }: Job): boolean {
    return this.#options.clock.now() - progressAt >= this.#options.hungAfterMilliseconds;
  }

  /** Opening is for everybody in the queue. */
  #hasCaller(job: Job): boolean {
    return job.operation.kind === 'open' ? this.#queue.length > 0 : job.task !== undefined;
  }

  /** What is stalled and awaited by nobody becomes a suspect; while somebody waits there is hope. */
  #holdAbandoned(): void {
    for (const slot of this.#slots) {
      const { job, state } = slot;
      if (state !== 'ready' || !job?.isStalled || this.#hasCaller(job) || !this.#isHung(job)) continue;
      if (slot.incident) this.#suspicions.hold(slot.incident);
    }
  }

  #giveUpQueueIfHopeless(): void {
    const error = noHelperLeft(this.#view());
    if (error) this.#rejectQueue(error);
  }

  #rejectQueue(error: GpuError): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const task of queue) task.settle({ error });
  }

  #kill(slot: HelperSlot): void {
    const { incident, job } = slot;
    slot.kill();
    if (!job?.isStalled || !incident) return;
    this.#suspicions.strike('hung', incident, this.#options.clock.now());
  }

  /** After a late answer there can be two that work: the one that was slow goes. */
  #retireSpare(): void {
    const idle = this.#slots.filter((slot) => slot.isIdle);
    for (const spare of idle.slice(0, -1)) spare.retire();
  }

  /** An open NVML client keeps a driver from being unloaded and a GPU from being reset. */
  #armIdleExit(): void {
    this.#cancelIdle();
    for (const slot of this.#slots) if (slot.isIdle) slot.libraryCheck = 'due';
    this.#cancelIdle = this.#options.clock.after(this.#options.idleExitMilliseconds, () => {
      for (const slot of this.#slots) if (slot.isIdle) slot.retire();
    });
  }

  #countWaiting(change: 1 | -1): void {
    this.#waiting += change;
    this.#options.keepAlive(this.#waiting > 0);
  }
}
