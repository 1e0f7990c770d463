import { isGpuError } from '../errors.ts';
import type { RecordedSample, RecorderStore } from '../ports/recorder-store.ts';
import type { Clock, Logger } from '../ports/runtime.ts';

/** Samples that wait for a store that does not get on; the oldest are given up beyond. */
const maximumPending = 4_096;
/** How long the end of the program may wait for a store. */
const closeMilliseconds = 2_000;

/** Hands samples to the store, one batch at a time. Nothing here ever rejects: recording goes on without its store. */
export class SampleWriter {
  readonly #store: RecorderStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #pending: RecordedSample[] = [];
  #appending: Promise<void> | undefined;
  #isFailing = false;
  /** What is in the log already. */
  #loggedDetail: string | undefined;
  failedAppendCount = 0;
  droppedSampleCount = 0;
  /** Of the last failure. */
  detail: string | undefined;

  constructor(store: RecorderStore, clock: Clock, logger: Logger) {
    this.#store = store;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Whether the last batch could not be written. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** A failure that is in the log: that it also keeps samples from being written is not logged again. */
  noteLogged(detail: string): void {
    this.#loggedDetail = detail;
  }

  add(sample: RecordedSample): void {
    this.#pending.push(sample);
    if (this.#pending.length <= maximumPending) return;
    this.#pending.shift();
    this.droppedSampleCount += 1;
  }

  /** Writes what waits, unless a batch is still being written: then that is for the next time. */
  flush(): void {
    if (this.#appending || this.#pending.length === 0) return;
    const samples = this.#pending;
    this.#pending = [];
    this.#appending = this.#append(samples).finally(() => {
      this.#appending = undefined;
    });
  }

  /** Writes what waits and closes the store, in so far as it can be done in two seconds. */
  async close(): Promise<void> {
    let cancel = () => {};
    const late = new Promise<'late'>((resolve) => {
      cancel = this.#clock.after(closeMilliseconds, () => resolve('late'));
    });
    try {
      const outcome = await Promise.race([this.#finish(), late]);
      if (outcome === 'late') this.#logger.warn('the store of the flight recorder did not finish');
    } catch (error) {
      this.#logger.warn('the store of the flight recorder was not closed', { error });
    } finally {
      cancel();
    }
  }

  async #finish(): Promise<void> {
    await this.#appending;
    this.flush();
    await this.#appending;
    await this.#store.close();
  }

  /** A store that fails is tried again with each interval, and logged once until it works again. */
  async #append(samples: readonly RecordedSample[]): Promise<void> {
    try {
      await this.#store.append(samples);
      this.#isFailing = false;
      this.#loggedDetail = undefined;
    } catch (error) {
      this.failedAppendCount += 1;
      this.detail = isGpuError(error) ? error.message : 'samples could not be written';
      if (!this.#isFailing && this.detail !== this.#loggedDetail)
        this.#logger.warn('the flight recorder cannot write its samples', { error });
      this.#isFailing = true;
    }
  }
}
