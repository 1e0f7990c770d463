import { type Clock, GpuError, type GpuRef, type Logger } from '@k8s-gpu-mcp/core';
import { crashed, driverUnresponsive, gpuHung, suspectError, timedOut } from './errors.ts';
import type { Helper, HelperExit, StartHelper } from './helper-process.ts';
import type { Failure, Operation, OperationResults, Reply } from './protocol.ts';
import { type Suspect, Suspicions } from './suspicions.ts';

export interface ExecutorOptions {
  readonly startHelper: StartHelper;
  readonly library: string | null;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Without an answer for this long, waiting GPUs are served by a second helper. */
  readonly stallMilliseconds: number;
  /** Hardware deadline of opening the library, of counting and of identifying a GPU. */
  readonly openDeadlineMilliseconds: number;
  /** Hardware deadline of a read, to which `readDeadlinePerGpuMilliseconds` is added for each GPU of the node. */
  readonly readDeadlineMilliseconds: number;
  readonly readDeadlinePerGpuMilliseconds: number;
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

/** A caller's request that has no answer yet. */
interface Task {
  readonly operation: Operation;
  readonly gpu: GpuRef | undefined;
  readonly patienceMilliseconds: number | undefined;
  readonly settle: (outcome: { result: unknown } | { error: GpuError }) => void;
}

/** An operation that a helper is busy with. Its caller may be gone. */
interface Job {
  readonly id: number;
  readonly operation: Operation;
  readonly suspect: Suspect;
  readonly startedAt: number;
  task: Task | undefined;
  stage: string;
  isStalled: boolean;
  readonly timers: (() => void)[];
}

/** One helper process and where it stands. `dying`: killed, not yet gone. `stuck`: SIGKILL does not end it. */
interface Slot {
  helper: Helper;
  state: 'ready' | 'retiring' | 'dying' | 'stuck';
  isOpen: boolean;
  job: Job | undefined;
}

/** How long a killed or retired process may take to go. */
const exitGraceMilliseconds = 2_000;
const closeGraceMilliseconds = 1_000;
/** One that hangs (perhaps for good) and one that works. A third could only hang as well. */
const maxHelpers = 2;

/**
 * Runs operations one at a time in a helper process, with deadlines of the hardware's own, and keeps one hung GPU from
 * holding up the others: they move to a second helper. What hung is left alone for a while, then tried again, last.
 */
export class NvmlExecutor {
  readonly #options: ExecutorOptions;
  readonly #suspicions = new Suspicions();
  #slots: Slot[] = [];
  #queue: Task[] = [];
  #jobCount = 0;
  #waiting = 0;
  #gpuCount = 1;
  #cancelIdle: () => void = () => {};
  #onSlotGone: () => void = () => {};

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /** The error with which an operation on this suspect would be turned away now. */
  turnedAway(suspect: Suspect, gpu?: GpuRef): GpuError | undefined {
    const now = this.#options.clock.now();
    const suspicion = this.#suspicions.blocking(suspect, now);
    if (suspicion !== undefined) return suspectError(suspicion, now, gpu);
    const stuck = this.#slots.find((slot) => slot.state === 'stuck' && slot.job?.suspect === suspect);
    if (!stuck?.job) return undefined;
    const { startedAt, stage } = stuck.job;
    const pid = stuck.helper.pid;
    return suspectError(
      { kind: 'hung', since: startedAt, operation: stage, pid, failures: 1, retryAt: null },
      now,
      gpu,
    );
  }

  submit<Kind extends Operation['kind']>(
    operation: Extract<Operation, { kind: Kind }>,
    { signal, gpu, patienceMilliseconds }: SubmitOptions,
  ): Promise<OperationResults[Kind]> {
    if (signal.aborted) return Promise.reject(timedOut('the call was cut off before it began', gpu));
    const refused =
      this.turnedAway('driver') ?? (gpu && this.turnedAway(gpu.index, gpu)) ?? this.#noHelperLeft();
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

  /** Ends every helper. Resolves within 2.5 s, also when one cannot be ended. */
  async close(): Promise<void> {
    const { clock } = this.#options;
    this.#cancelIdle();
    const error = new GpuError('CANCELLED', 'the NVML adapter was closed');
    this.#rejectQueue(error);
    for (const slot of [...this.#slots]) {
      slot.job?.task?.settle({ error });
      if (slot.job) slot.job.task = undefined;
      if (slot.job?.isStalled) this.#kill(slot);
      else this.#retire(slot, closeGraceMilliseconds);
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
    this.#retireSpare();
    if (this.#queue.length === 0) {
      this.#armIdleExit();
      return;
    }
    this.#cancelIdle();
    if (this.#slots.some((slot) => slot.state === 'ready' && slot.job && !slot.job.isStalled)) return;
    const task = this.#nextTask();
    if (task === undefined) return;
    const slot = this.#slots.find((other) => other.state === 'ready' && !other.job) ?? this.#startSlot();
    if (slot === undefined) return;
    if (slot.isOpen) {
      this.#queue = this.#queue.filter((other) => other !== task);
      this.#start(slot, task.operation, task);
    } else {
      this.#start(slot, { kind: 'open', library: this.#options.library }, undefined);
    }
  }

  /** First come, first served, but a suspect goes last and alone, and nobody goes to a GPU that another helper hangs on. */
  #nextTask(): Task | undefined {
    const inFlight = new Set(this.#slots.flatMap((slot) => (slot.job ? [slot.job.suspect] : [])));
    const open = this.#queue.filter((task) => !inFlight.has(suspectOf(task.operation)));
    const trusted = open.find((task) => this.#suspicions.get(suspectOf(task.operation)) === undefined);
    return trusted ?? (inFlight.size === 0 ? open[0] : undefined);
  }

  #startSlot(): Slot | undefined {
    const others = this.#slots.filter((slot) => slot.state !== 'retiring');
    if (others.length >= maxHelpers) return undefined;
    // A killed helper is gone in milliseconds; one that hangs in the driver as a whole would only get company.
    if (others.some((slot) => slot.state === 'dying' || slot.job?.suspect === 'driver')) return undefined;
    const slot: Slot = { helper: notStarted, state: 'ready', isOpen: false, job: undefined };
    this.#slots.push(slot);
    try {
      slot.helper = this.#options.startHelper({
        onReply: (reply) => this.#onReply(slot, reply),
        onExit: (exit) => this.#onExit(slot, exit),
      });
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error));
      queueMicrotask(() => this.#onExit(slot, { code: null, signal: null, error: cause }));
    }
    this.#options.logger.debug('nvml helper started', { pid: slot.helper.pid });
    return slot;
  }

  #start(slot: Slot, operation: Operation, task: Task | undefined): void {
    const { clock, stallMilliseconds } = this.#options;
    this.#jobCount += 1;
    const job: Job = {
      id: this.#jobCount,
      operation,
      suspect: suspectOf(operation),
      startedAt: clock.now(),
      task,
      stage: operation.kind,
      isStalled: false,
      timers: [],
    };
    slot.job = job;
    job.timers.push(
      clock.after(stallMilliseconds, () => this.#onStall(slot, job)),
      clock.after(this.#deadlineOf(operation), () => this.#onDeadline(slot, job)),
    );
    if (task?.patienceMilliseconds !== undefined) {
      job.timers.push(clock.after(task.patienceMilliseconds, () => this.#abandon(task)));
    }
    slot.helper.send(job.id, operation);
  }

  #deadlineOf(operation: Operation): number {
    const options = this.#options;
    if (operation.kind !== 'read') return options.openDeadlineMilliseconds;
    return options.readDeadlineMilliseconds + options.readDeadlinePerGpuMilliseconds * this.#gpuCount;
  }

  #onReply(slot: Slot, reply: Reply): void {
    const job = slot.job;
    if (slot.state !== 'ready' && slot.state !== 'retiring') return;
    if (job === undefined || job.id !== reply.id) return;
    if ('stage' in reply) {
      job.stage = reply.stage;
      return;
    }
    this.#finish(slot);
    this.#suspicions.clear(job.suspect);
    if ('failure' in reply) this.#onFailure(slot, job, reply.failure);
    else this.#onResult(slot, job, reply.result);
    this.#pump();
  }

  #onResult(slot: Slot, job: Job, result: unknown): void {
    if (job.operation.kind === 'open') slot.isOpen = true;
    if (job.operation.kind === 'describe') {
      this.#gpuCount = Math.max(1, (result as OperationResults['describe']).gpuCount);
    }
    job.task?.settle({ result });
  }

  #onFailure(slot: Slot, job: Job, { code, message, hint }: Failure): void {
    const gpu = job.task?.gpu;
    const error = new GpuError(code, message, {
      ...(hint === undefined ? {} : { hint }),
      ...(gpu === undefined ? {} : { gpuId: gpu.uuid ?? String(gpu.index) }),
    });
    job.task?.settle({ error });
    // A process holds one library for life, so after these only a new one can find a mended driver.
    if (job.operation.kind === 'open') this.#rejectQueue(error);
    if (job.operation.kind === 'open' || code === 'DRIVER_NOT_LOADED' || code === 'DRIVER_MISMATCH') {
      this.#retire(slot);
    }
  }

  #onStall(slot: Slot, job: Job): void {
    job.isStalled = true;
    this.#options.logger.warn('nvml helper does not answer', {
      pid: slot.helper.pid,
      operation: job.stage,
      gpu: job.suspect,
    });
    this.#giveUpQueueIfHopeless();
    this.#holdAbandoned();
    this.#pump();
  }

  #onDeadline(slot: Slot, job: Job): void {
    const now = this.#options.clock.now();
    const incident = { since: job.startedAt, operation: job.stage, pid: slot.helper.pid };
    const { task } = job;
    job.task = undefined;
    job.isStalled = true;
    if (job.suspect === 'driver') {
      const error = driverUnresponsive(incident, now);
      task?.settle({ error });
      this.#rejectQueue(error);
    } else {
      task?.settle({ error: gpuHung(incident, now, task.gpu) });
    }
    this.#kill(slot);
    this.#pump();
  }

  #onExit(slot: Slot, exit: HelperExit): void {
    const { job, state } = slot;
    const { clock, logger } = this.#options;
    this.#slots = this.#slots.filter((other) => other !== slot);
    this.#finish(slot);
    const fields = { pid: slot.helper.pid, code: exit.code, signal: exit.signal };
    if (job !== undefined && state === 'ready') {
      logger.warn('nvml helper died', { ...fields, operation: job.stage, gpu: job.suspect });
      const incident = { since: job.startedAt, operation: job.stage, pid: slot.helper.pid };
      this.#suspicions.strike(job.suspect, 'crashed', incident, clock.now());
      const error = crashed(exit, incident, job.task?.gpu);
      job.task?.settle({ error });
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
    const slot = this.#slots.find(({ job }) => job?.task === task);
    const busy = this.#slots.find(({ job }) => job !== undefined && job.suspect === gpu?.index);
    const job = slot?.job ?? busy?.job;
    if (slot?.job) slot.job.task = undefined;
    this.#queue = this.#queue.filter((other) => other !== task);
    const incident = job && {
      since: job.startedAt,
      operation: job.stage,
      pid: (slot ?? busy)?.helper.pid,
    };
    const suspicion = gpu && this.#suspicions.get(gpu.index);
    if (gpu && incident) task.settle({ error: gpuHung(incident, now, gpu) });
    else if (gpu && suspicion?.kind === 'hung') task.settle({ error: suspectError(suspicion, now, gpu) });
    else task.settle({ error: timedOut(this.#whatHolds(now), gpu) });
    this.#holdAbandoned();
  }

  /** Opening is for everybody in the queue. */
  #hasCaller(job: Job): boolean {
    return job.operation.kind === 'open' ? this.#queue.length > 0 : job.task !== undefined;
  }

  /** What is stalled and awaited by nobody becomes a suspect; while somebody waits there is hope. */
  #holdAbandoned(): void {
    for (const { job, state, helper } of this.#slots) {
      if (state !== 'ready' || !job?.isStalled || this.#hasCaller(job)) continue;
      this.#suspicions.hold(job.suspect, { since: job.startedAt, operation: job.stage, pid: helper.pid });
    }
  }

  #whatHolds(now: number): string {
    const busy = this.#slots.find((slot) => slot.job !== undefined);
    if (!busy?.job) return 'the driver was not reached in time';
    const where = typeof busy.job.suspect === 'number' ? ` of GPU ${busy.job.suspect}` : '';
    const seconds = ((now - busy.job.startedAt) / 1000).toFixed(1);
    return `no answer in time: the driver has been busy with "${busy.job.stage}"${where} for ${seconds} s`;
  }

  /** Set when no helper answers and none may be started. */
  #noHelperLeft(): GpuError | undefined {
    const hopeless = this.#slots.filter(
      (slot) => slot.state === 'stuck' || (slot.state === 'ready' && slot.job?.isStalled),
    );
    const last = hopeless.at(-1);
    if (hopeless.length < maxHelpers || !last?.job) return undefined;
    const { startedAt, stage } = last.job;
    return driverUnresponsive(
      { since: startedAt, operation: stage, pid: last.helper.pid },
      this.#options.clock.now(),
    );
  }

  #giveUpQueueIfHopeless(): void {
    const error = this.#noHelperLeft();
    if (error) this.#rejectQueue(error);
  }

  #rejectQueue(error: GpuError): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const task of queue) task.settle({ error });
  }

  #finish(slot: Slot): void {
    for (const cancel of slot.job?.timers ?? []) cancel();
    slot.job = undefined;
  }

  #kill(slot: Slot): void {
    if (slot.state === 'dying' || slot.state === 'stuck') return;
    const { clock, logger } = this.#options;
    slot.state = 'dying';
    if (slot.job?.isStalled) {
      const { startedAt, stage, suspect } = slot.job;
      const incident = { since: startedAt, operation: stage, pid: slot.helper.pid };
      this.#suspicions.strike(suspect, 'hung', incident, clock.now());
    }
    for (const cancel of slot.job?.timers ?? []) cancel();
    slot.helper.kill();
    clock.after(exitGraceMilliseconds, () => {
      if (!this.#slots.includes(slot)) return;
      slot.state = 'stuck';
      logger.error('nvml helper cannot be ended: it sleeps in the driver', {
        pid: slot.helper.pid,
        operation: slot.job?.stage,
        gpu: slot.job?.suspect,
        waitChannel: slot.helper.waitChannel(),
      });
      this.#giveUpQueueIfHopeless();
      this.#onSlotGone();
      this.#pump();
    });
  }

  #retire(slot: Slot, graceMilliseconds = exitGraceMilliseconds): void {
    if (slot.state !== 'ready') return;
    slot.state = 'retiring';
    slot.helper.retire();
    this.#options.clock.after(graceMilliseconds, () => {
      if (this.#slots.includes(slot)) this.#kill(slot);
    });
  }

  /** After a late answer there can be two that work: the one that was slow goes. */
  #retireSpare(): void {
    const idle = this.#slots.filter((slot) => slot.state === 'ready' && !slot.job);
    for (const spare of idle.slice(0, -1)) this.#retire(spare);
  }

  /** An open NVML client keeps a driver from being unloaded and a GPU from being reset. */
  #armIdleExit(): void {
    this.#cancelIdle();
    this.#cancelIdle = this.#options.clock.after(this.#options.idleExitMilliseconds, () => {
      for (const slot of this.#slots) if (!slot.job) this.#retire(slot);
    });
  }

  #countWaiting(change: 1 | -1): void {
    this.#waiting += change;
    this.#options.keepAlive(this.#waiting > 0);
  }
}

const notStarted: Helper = {
  pid: undefined,
  send() {},
  retire() {},
  kill() {},
  waitChannel: () => null,
};

function suspectOf(operation: Operation): Suspect {
  return 'index' in operation ? operation.index : 'driver';
}
