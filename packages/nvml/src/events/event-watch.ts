import type { Clock, Gap, GpuDriverEvent, GpuRef, Logger, WatchNotice } from '@k8s-gpu-mcp/core';
import { crashed, driverUnresponsive, gapReasonByCode, gpuHung } from '../executor/errors.ts';
import type { StartHelper } from '../executor/helper-process.ts';
import type { Incident } from '../executor/suspicions.ts';
import { toGpuRef, unknownGpu } from '../gpu-ref.ts';
import type { OperationResults, RawEvent } from '../protocol/protocol.ts';
import { type Answer, EventHelper } from './event-helper.ts';

export interface EventWatchOptions {
  readonly startHelper: StartHelper;
  readonly library: string | null;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly openDeadlineMilliseconds: number;
  readonly stallMilliseconds: number;
  readonly sliceMilliseconds: number;
}

const firstBackOffMilliseconds = 1_000;
const longestBackOffMilliseconds = 60_000;
/** GPUs that could not be registered are tried again after this long; those that hung, after twice as long each time. */
const againMilliseconds = 60_000;
const longestAgainMilliseconds = 3_600_000;
/** A wait may end early, but one that does so every time must not spin. */
const shortestSliceShare = 0.5;

type What = number | 'all';

/** Listens until it is stopped, and tells what it hears and what it cannot. */
export class EventWatch {
  readonly #options: EventWatchOptions;
  readonly #tell: (item: GpuDriverEvent | WatchNotice) => void;
  readonly #blind = new Map<What, Gap>();
  readonly #hung = new Map<number, { readonly failures: number; readonly retryAt: number }>();
  #gpus: readonly GpuRef[] = [];
  #helper: EventHelper | undefined;
  #failures = 0;
  #isStopped = false;
  #isSuspended = false;
  #wake: () => void = () => {};

  constructor(options: EventWatchOptions, tell: (item: GpuDriverEvent | WatchNotice) => void) {
    this.#options = options;
    this.#tell = tell;
  }

  start(isSuspended: boolean): void {
    if (isSuspended) void this.suspend();
    void this.#run();
  }

  stop(): void {
    this.#isStopped = true;
    this.#helper?.end();
    this.#wake();
  }

  /** The operation on which the process hangs, when it cannot be ended. */
  async suspend(): Promise<Incident | undefined> {
    this.#isSuspended = true;
    this.#lose('all', 'not-observable', 'the driver was let go of, as a reset needs');
    const helper = this.#helper;
    helper?.end();
    return helper === undefined || (await helper.ended) ? undefined : helper.incident;
  }

  resume(): void {
    this.#isSuspended = false;
    this.#wake();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      if (this.#isSuspended) {
        await this.#sleep();
        continue;
      }
      const helper = new EventHelper(this.#options);
      this.#helper = helper;
      const gap = await this.#listen(helper);
      // Said before the process is gone, which it may never be.
      if (!this.#isOver) this.#lose('all', gap.reason, gap.detail);
      helper.end();
      // While this one is not gone, a second could only hang beside it.
      await helper.gone;
      this.#helper = undefined;
      if (this.#isOver) continue;
      this.#failures += 1;
      const doublings = Math.min(this.#failures - 1, 16);
      await this.#sleep(Math.min(firstBackOffMilliseconds * 2 ** doublings, longestBackOffMilliseconds));
    }
  }

  /** Until it cannot: the gap says why. */
  async #listen(helper: EventHelper): Promise<Omit<Gap, 'field' | 'gpu'>> {
    const { openDeadlineMilliseconds: open, stallMilliseconds: stall, library, logger } = this.#options;
    try {
      const opened = await helper.request({ kind: 'open', library }, open, stall);
      if (!('result' in opened)) return this.#explain(opened, helper);
      while (!this.#isOver) {
        const leftOut = this.#leftOut();
        const watched = await helper.request({ kind: 'watch', leftOut }, open, stall);
        if (!('result' in watched)) return this.#explain(watched, helper);
        const { gpus } = watched.result as OperationResults['watch'];
        if (!this.#takeRegistered(gpus)) {
          const reasons = new Set([...this.#blind.values()].map(({ reason }) => reason));
          const reason = reasons.size === 1 && reasons.has('unsupported') ? 'unsupported' : 'error';
          return { reason, detail: 'no GPU of this node can be listened to' };
        }
        const end = await this.#hear(helper);
        if (end !== undefined) return this.#explain(end, helper);
      }
    } catch (error) {
      logger.error('listening to GPU events failed', { helperPid: helper.pid, error });
    }
    return { reason: 'error', detail: 'listening has ended' };
  }

  get #isOver(): boolean {
    return this.#isStopped || this.#isSuspended;
  }

  /** Until something fails, or until it is time to try the GPUs that are not heard. */
  async #hear(helper: EventHelper): Promise<Answer | undefined> {
    const { clock, sliceMilliseconds, stallMilliseconds } = this.#options;
    const registeredAt = clock.now();
    while (!this.#isOver) {
      const startedAt = clock.now();
      const answer = await helper.request(
        { kind: 'wait', timeoutMilliseconds: sliceMilliseconds },
        sliceMilliseconds + stallMilliseconds,
        sliceMilliseconds + stallMilliseconds,
      );
      if (!('result' in answer)) return answer;
      const { events } = answer.result as OperationResults['wait'];
      // The last word of one that was asked to go restores nothing.
      if (!this.#isOver) {
        this.#failures = 0;
        this.#regain('all');
      }
      for (const event of events) this.#pass(event);
      const left = startedAt + sliceMilliseconds - clock.now();
      if (events.length === 0 && left > sliceMilliseconds * shortestSliceShare) await this.#sleep(left);
      const mayImprove = [...this.#blind.values()].some(({ reason }) => reason !== 'unsupported');
      if (mayImprove && clock.now() - registeredAt >= againMilliseconds) return undefined;
    }
    return undefined;
  }

  /** False when no GPU is heard. */
  #takeRegistered(watched: OperationResults['watch']['gpus']): boolean {
    this.#gpus = watched.map((gpu) => toGpuRef(gpu.index, gpu).gpu);
    let isAnyHeard = false;
    for (const { index, gaps } of watched) {
      const gap = gaps.find(({ field }) => field === 'events');
      if (gap !== undefined) this.#lose(index, gap.reason, gap.detail);
      else {
        isAnyHeard = true;
        this.#hung.delete(index);
        this.#regain(index);
      }
    }
    return isAnyHeard;
  }

  #leftOut(): readonly number[] {
    const now = this.#options.clock.now();
    return [...this.#hung].filter(([, { retryAt }]) => now < retryAt).map(([index]) => index);
  }

  #pass({ index, type, typeBits, data, gpuInstanceId, computeInstanceId }: RawEvent): void {
    const gpu = this.#gpus.find((each) => each.index === index);
    if (gpu === undefined || type === null) {
      // Something happened that cannot be said; silence would claim that nothing did.
      const what = type ?? `event type ${typeBits}, which is newer than this program`;
      const whose = gpu === undefined ? ', of a device that was not registered' : '';
      const field = { field: 'events', reason: 'error', detail: `${what}${whose}` } as const;
      const gap: Gap = index === null ? field : { gpu: index, ...field };
      this.#tell({ notice: 'blind', gap, at: this.#timestamp() });
      this.#tell({ notice: 'restored', gap, at: this.#timestamp() });
      return;
    }
    const value = type === 'xid' || type === 'recovery-action' ? data : null;
    this.#tell({ type, gpu, at: this.#timestamp(), value, gpuInstanceId, computeInstanceId });
  }

  #explain(answer: Answer, { pid }: EventHelper): Omit<Gap, 'field' | 'gpu'> {
    const now = this.#options.clock.now();
    if ('failure' in answer) {
      const { code, message } = answer.failure;
      return { reason: gapReasonByCode[code] ?? 'error', detail: message };
    }
    if ('exit' in answer) {
      const incident = {
        suspect: 'driver',
        since: now,
        operation: 'listen',
        pid,
        waitChannel: null,
      } as const;
      return { reason: 'error', detail: crashed(answer.exit, incident, undefined).message };
    }
    if (!('hung' in answer)) return { reason: 'error', detail: 'no answer' };
    const { suspect } = answer.hung;
    if (suspect === 'driver')
      return { reason: 'timeout', detail: driverUnresponsive(answer.hung, now).message };
    const { message } = gpuHung(
      answer.hung,
      now,
      this.#gpus.find(({ index }) => index === suspect) ?? unknownGpu(suspect),
    );
    this.#leaveOut(suspect, message);
    return { reason: 'timeout', detail: message };
  }

  /** A GPU that hangs would make the others unheard again and again. */
  #leaveOut(index: number, detail: string): void {
    const failures = (this.#hung.get(index)?.failures ?? 0) + 1;
    const wait = Math.min(againMilliseconds * 2 ** (failures - 1), longestAgainMilliseconds);
    this.#hung.set(index, { failures, retryAt: this.#options.clock.now() + wait });
    this.#lose(index, 'timeout', detail);
  }

  /** Told once for as long as it lasts. */
  #lose(what: What, reason: Gap['reason'], detail: string): void {
    if (this.#blind.get(what)?.reason === reason) return;
    const gap: Gap = { ...(what === 'all' ? {} : { gpu: what }), field: 'events', reason, detail };
    this.#blind.set(what, gap);
    this.#tell({ notice: 'blind', gap, at: this.#timestamp() });
  }

  #regain(what: What): void {
    const gap = this.#blind.get(what);
    if (gap === undefined) return;
    this.#blind.delete(what);
    this.#tell({ notice: 'restored', gap, at: this.#timestamp() });
  }

  #timestamp(): string {
    return new Date(this.#options.clock.now()).toISOString();
  }

  /** Until it is woken, or for so long. */
  #sleep(milliseconds?: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = milliseconds === undefined ? () => {} : this.#options.clock.after(milliseconds, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
      if (this.#isStopped) this.#wake();
    });
  }
}
