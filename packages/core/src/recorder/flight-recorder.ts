import type { GpuRef } from '../domain/gpu.ts';
import { isGpuError } from '../errors.ts';
import type { GpuReader } from '../gpu-reader.ts';
import type { RecordedSample, RecorderStore } from '../ports/recorder-store.ts';
import type { Clock, Logger } from '../ports/runtime.ts';
import { type GpuKey, GpuRings } from './gpu-rings.ts';
import type { RecorderOptions } from './options.ts';
import type { RecordedRows } from './ring.ts';
import { SampleWriter } from './sample-writer.ts';
import { type RecordedSeriesId, recordedSections, recordedValues } from './series.ts';
import type { Cadence } from './timeline.ts';

/** Without `--record`, recording goes on for this long after the last call. */
export const wakeMilliseconds = 15 * 60_000;
/** Of one reading of one GPU. Long, as giving up on a slow driver early would only record that it was given up on. */
const readMilliseconds = 5_000;
/** How often the driver is asked which GPUs there are. */
const refreshMilliseconds = 30_000;
/** The same while it cannot say: a driver that is being loaded, or is not there. */
const retryMilliseconds = 10_000;
const maximumPauses = 64;
/** Taken up at a time from a store, in some 20 ms; then whoever waits for an answer has a turn. */
const loadBatch = 4_096;

/**
 * Why nothing was recorded. `not-running`: between two runs of this program. `asleep`: nobody asked for 15 minutes. `clock-set-back`:
 * the clock of the machine was; what was recorded before was moved with it.
 */
export type PauseReason = 'not-running' | 'asleep' | 'clock-set-back';

export interface RecorderPause {
  readonly fromMilliseconds: number;
  readonly toMilliseconds: number;
  readonly reason: PauseReason;
}

export interface RecorderStatus {
  readonly recording: boolean;
  /** What the store kept is still being read: nothing of it can be seen yet. */
  readonly loading: boolean;
  /** Also when nobody asks. */
  readonly always: boolean;
  /** ISO 8601: when the present recording began; null while asleep. */
  readonly since: string | null;
  /** ISO 8601 of the oldest and newest sample kept. */
  readonly from: string | null;
  readonly to: string | null;
  readonly intervalMilliseconds: number;
  readonly retentionMilliseconds: number;
  /** Taken since the program started, those of the store included. One is of one GPU. */
  readonly sampleCount: number;
  readonly gpuCount: number;
  /** GPUs that are not recorded, as there are more than `maximumGpus`. */
  readonly refusedGpuCount: number;
  readonly memoryBytes: number;
  /** Oldest first, the newest 64. */
  readonly gaps: readonly RecorderPause[];
  /** Why the driver could not say which GPUs there are, when it last was asked. */
  readonly detail?: string;
  /** Absent without a store. */
  readonly store?: {
    readonly loadedSampleCount: number;
    /** Damaged ones, and those that the store was too slow to take. */
    readonly lostSampleCount: number;
    readonly failedAppendCount: number;
    /** Nothing is kept at present: what is recorded now would not outlive the process. */
    readonly failing: boolean;
    /** Of the last failure, which may be over. */
    readonly detail?: string;
  };
}

/**
 * Keeps what was read of every GPU, so that the minutes before a failure can be asked for after it. Each GPU is read at its own pace: one
 * that hangs misses its turns until its deadline and then stands as hung, while the others go on. Asleep it has no timer and asks for
 * nothing, so that the adapter lets go of the driver.
 */
export class FlightRecorder {
  readonly #reader: GpuReader;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #options: RecorderOptions;
  readonly #store: RecorderStore | null;
  readonly #writer: SampleWriter | null;
  readonly #rings: GpuRings;
  /** Of what is asked of the driver. One signal for all would gather more listeners than the runtime thinks sane. */
  readonly #inFlight = new Set<AbortController>();
  readonly #busy = new Map<number, Promise<void>>();
  #phase: 'new' | 'loading' | 'ready' | 'stopped' = 'new';
  #loading: Promise<void> = Promise.resolve();
  #always = false;
  #isTouched = false;
  #isRecording = false;
  #sinceMilliseconds = 0;
  #ticksLeft = 0;
  #ticksToRefresh = 0;
  #lastTickAt = Number.NEGATIVE_INFINITY;
  /** What the clock was set back by, altogether: a reading under way began before that. */
  #setBackMilliseconds = 0;
  #cancelTick: () => void = () => {};
  #refs: readonly GpuRef[] = [];
  #refreshing: Promise<void> | undefined;
  #describeDetail: string | undefined;
  #pauses: RecorderPause[] = [];
  #sampleCount = 0;
  #loadedSampleCount = 0;
  #lostSampleCount = 0;
  #loadDetail: string | undefined;
  /** Of the newest sample that came from the store. */
  #storedUntil = Number.NEGATIVE_INFINITY;

  /** @param options As `recorderOptions` made them. */
  constructor(
    reader: GpuReader,
    clock: Clock,
    logger: Logger,
    options: RecorderOptions,
    store: RecorderStore | null = null,
  ) {
    this.#reader = reader;
    this.#clock = clock;
    this.#logger = logger;
    this.#options = options;
    this.#store = store;
    this.#writer = store && new SampleWriter(store, clock, logger);
    this.#rings = new GpuRings(options);
  }

  /**
   * Takes up what the store kept, and begins to record when `always`, or when somebody has asked meanwhile. Never rejects: a store that
   * cannot be read is logged and told by the status.
   */
  async start(always: boolean): Promise<void> {
    if (this.#phase !== 'new') return;
    this.#phase = 'loading';
    this.#always = always;
    this.#loading = this.#load();
    await this.#loading;
    if (this.#is('stopped')) return;
    this.#phase = 'ready';
    if (always || this.#isTouched) this.#wake();
  }

  /** Resolves when what the store kept can be seen, or at the signal: a disk may hang. Never rejects. */
  async loaded(signal: AbortSignal): Promise<void> {
    if (this.#phase !== 'loading' || signal.aborted) return;
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      void this.#loading.then(resolve);
    });
  }

  /** Somebody asks: record for a while from now on. */
  touch(): void {
    this.#isTouched = true;
    if (this.#phase !== 'ready') return;
    if (this.#isRecording) this.#ticksLeft = this.#ticksPer(wakeMilliseconds);
    else this.#wake();
  }

  /** Ends readings under way, writes what the store has not got yet, and closes it. Never rejects. */
  async stop(): Promise<void> {
    if (this.#phase === 'stopped') return;
    this.#phase = 'stopped';
    this.#isRecording = false;
    this.#cancelTick();
    for (const controller of this.#inFlight) controller.abort();
    await Promise.all([this.#refreshing, ...this.#busy.values()]);
    await this.#writer?.close();
  }

  /** GPUs of which anything was recorded, in index order, as they were last seen. */
  get gpus(): readonly GpuRef[] {
    return this.#rings.gpus;
  }

  /** Of the oldest sample of a GPU that is kept; Infinity when there is none. */
  firstAtMilliseconds(gpu: GpuKey): number {
    return this.#rings.find(gpu)?.firstAtMilliseconds ?? Number.POSITIVE_INFINITY;
  }

  /** Of the buffers that are allocated; at most `recorderBytes(options, maximumGpus)`. */
  get memoryBytes(): number {
    return this.#rings.bytes;
  }

  /** How often samples of any time are to be expected. A store may have thinned what it gave back down to the coarse interval. */
  get cadence(): Cadence {
    const { intervalMilliseconds, coarseIntervalMilliseconds } = this.#options;
    if (!Number.isFinite(this.#storedUntil)) return { intervalMilliseconds };
    const thinned = {
      untilMilliseconds: this.#storedUntil,
      intervalMilliseconds: coarseIntervalMilliseconds,
    };
    return { intervalMilliseconds, thinned };
  }

  /** What was recorded of a GPU from one time to another, both included; undefined when nothing ever was. */
  series(
    gpu: GpuKey,
    ids: readonly RecordedSeriesId[],
    fromMilliseconds: number,
    toMilliseconds: number,
  ): RecordedRows | undefined {
    return this.#rings.find(gpu)?.rows(ids, fromMilliseconds, toMilliseconds);
  }

  get status(): RecorderStatus {
    const timestamp = (milliseconds: number) =>
      Number.isFinite(milliseconds) ? new Date(milliseconds).toISOString() : null;
    const { intervalMilliseconds, coarseRetentionMilliseconds } = this.#options;
    const detail = this.#writer?.detail ?? this.#loadDetail;
    return {
      recording: this.#isRecording,
      loading: this.#phase === 'loading',
      always: this.#always,
      since: this.#isRecording ? timestamp(this.#sinceMilliseconds) : null,
      from: timestamp(this.#rings.firstAtMilliseconds),
      to: timestamp(this.#rings.lastAtMilliseconds),
      intervalMilliseconds,
      retentionMilliseconds: coarseRetentionMilliseconds,
      sampleCount: this.#sampleCount,
      gpuCount: this.#rings.gpus.length,
      refusedGpuCount: this.#rings.refusedCount,
      memoryBytes: this.memoryBytes,
      gaps: this.#pauses,
      ...(this.#describeDetail === undefined ? {} : { detail: this.#describeDetail }),
      ...(this.#writer
        ? {
            store: {
              loadedSampleCount: this.#loadedSampleCount,
              lostSampleCount: this.#lostSampleCount + this.#writer.droppedSampleCount,
              failedAppendCount: this.#writer.failedAppendCount,
              failing: this.#writer.isFailing,
              ...(detail === undefined ? {} : { detail }),
            },
          }
        : {}),
    };
  }

  #is(phase: 'stopped'): boolean {
    return this.#phase === phase;
  }

  #ticksPer(milliseconds: number): number {
    return Math.ceil(milliseconds / this.#options.intervalMilliseconds);
  }

  async #load(): Promise<void> {
    if (!this.#store) return;
    try {
      const { samples, lostSampleCount } = await this.#store.load();
      this.#lostSampleCount = lostSampleCount;
      let taken = 0;
      for (const sample of samples) {
        this.#takeUp(sample);
        taken += 1;
        if (taken % loadBatch === 0) await this.#breathe();
        if (this.#is('stopped')) return;
      }
    } catch (error) {
      this.#loadDetail = isGpuError(error) ? error.message : 'what was kept could not be read';
      this.#writer?.noteLogged(this.#loadDetail);
      this.#logger.warn('the store of the flight recorder could not be read', { error });
    }
    this.#lastTickAt = this.#rings.lastAtMilliseconds;
    this.#storedUntil = this.#lastTickAt;
  }

  #breathe(): Promise<void> {
    return new Promise((resolve) => void this.#clock.after(0, resolve));
  }

  #takeUp(sample: RecordedSample): void {
    const { atMilliseconds, gpuIndex, values } = sample;
    const isUsable =
      Number.isFinite(new Date(atMilliseconds).getTime()) && Number.isInteger(gpuIndex) && gpuIndex >= 0;
    const ring = isUsable ? this.#rings.takeStored(sample) : undefined;
    const wentBack = ring !== undefined && atMilliseconds <= ring.lastAtMilliseconds;
    // A clock is set back now and then; a store in which it always is was tampered with.
    if (!ring || (wentBack && this.#pauses.length >= maximumPauses)) {
      this.#lostSampleCount += 1;
      return;
    }
    if (wentBack) this.#setBack(ring.lastAtMilliseconds, atMilliseconds);
    ring.push(atMilliseconds, values);
    this.#loadedSampleCount += 1;
    this.#sampleCount += 1;
  }

  #wake(): void {
    const now = this.#clock.now();
    const hasRun = this.#sinceMilliseconds > 0;
    this.#pause(this.#lastTickAt, now, hasRun ? 'asleep' : 'not-running');
    this.#isRecording = true;
    this.#sinceMilliseconds = now;
    this.#ticksLeft = this.#ticksPer(wakeMilliseconds);
    this.#ticksToRefresh = 0;
    this.#tick();
  }

  #pause(fromMilliseconds: number, toMilliseconds: number, reason: PauseReason): void {
    if (!Number.isFinite(fromMilliseconds)) return;
    if (toMilliseconds - fromMilliseconds <= this.#options.intervalMilliseconds && reason === 'asleep')
      return;
    const pause = { fromMilliseconds, toMilliseconds: Math.max(fromMilliseconds, toMilliseconds), reason };
    this.#pauses = [...this.#pauses, pause].slice(-maximumPauses);
  }

  /** The clock was set back. What was recorded moves with it, so that the time between samples stays what it was. */
  #setBack(lastAt: number, now: number): void {
    const by = lastAt + this.#options.intervalMilliseconds - now;
    this.#rings.shift(-by);
    this.#setBackMilliseconds += by;
    this.#storedUntil -= by;
    this.#pauses = this.#pauses.map((pause) => ({
      ...pause,
      fromMilliseconds: pause.fromMilliseconds - by,
      toMilliseconds: pause.toMilliseconds - by,
    }));
    this.#pause(lastAt - by, now, 'clock-set-back');
  }

  #tick(): void {
    if (!this.#isRecording) return;
    if (!this.#always && this.#ticksLeft <= 0) {
      this.#isRecording = false;
      return;
    }
    this.#ticksLeft -= 1;
    this.#cancelTick = this.#clock.after(this.#options.intervalMilliseconds, () => this.#tick());
    const now = this.#clock.now();
    if (now <= this.#lastTickAt) this.#setBack(this.#lastTickAt, now);
    this.#lastTickAt = now;
    // What a hung GPU kept from being written with its interval.
    this.#writer?.flush();
    this.#ticksToRefresh -= 1;
    if (this.#ticksToRefresh <= 0 && !this.#refreshing) this.#refresh();
    this.#readAll();
  }

  #readAll(): void {
    for (const ref of this.#refs) {
      if (this.#busy.has(ref.index)) continue;
      const reading = this.#read(ref).finally(() => {
        this.#busy.delete(ref.index);
        if (this.#busy.size === 0) this.#writer?.flush();
      });
      this.#busy.set(ref.index, reading);
    }
  }

  async #read(ref: GpuRef): Promise<void> {
    const [beganAt, setBackBefore] = [this.#clock.now(), this.#setBackMilliseconds];
    const [reading] = await this.#within((signal) => this.#reader.readGpus([ref], recordedSections, signal));
    // A reading that was cut off because the program ends says nothing of the GPU.
    if (!reading || this.#is('stopped')) return;
    if (reading.errorCode === 'GPU_NOT_FOUND') this.#ticksToRefresh = 0;
    const ring = this.#rings.take(reading.gpu, this.#refs);
    if (!ring) return;
    const atMilliseconds = beganAt - (this.#setBackMilliseconds - setBackBefore);
    const values = recordedValues(reading);
    ring.push(atMilliseconds, values);
    this.#sampleCount += 1;
    const { uuid, index } = reading.gpu;
    this.#writer?.add({ gpuUuid: uuid ?? '', gpuIndex: index, atMilliseconds, values });
  }

  /** Until the driver has answered for the first time there is nothing to read; then there is at once. */
  #refresh(): void {
    this.#ticksToRefresh = this.#ticksPer(refreshMilliseconds);
    this.#refreshing = this.#within((signal) => this.#reader.describe(signal)).then((node) => {
      this.#refreshing = undefined;
      if (this.#is('stopped')) return;
      if (isGpuError(node)) {
        this.#describeDetail = `${node.code}: ${node.message}`;
        this.#ticksToRefresh = Math.min(this.#ticksToRefresh, this.#ticksPer(retryMilliseconds));
        return;
      }
      this.#describeDetail = undefined;
      const isFirst = this.#refs.length === 0;
      this.#refs = node.gpus;
      if (isFirst && this.#isRecording) this.#readAll();
    });
  }

  /** Ends with the program, or at its own deadline. */
  async #within<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const cancel = this.#clock.after(readMilliseconds, () => controller.abort());
    this.#inFlight.add(controller);
    try {
      return await work(controller.signal);
    } finally {
      cancel();
      this.#inFlight.delete(controller);
    }
  }
}
