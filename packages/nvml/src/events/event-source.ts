import {
  type Clock,
  type Gap,
  type GpuDriverEvent,
  type GpuEventSource,
  type Logger,
  silentLogger,
  type WatchNotice,
} from '@k8s-gpu-mcp/core';
import { driverUnresponsive } from '../executor/errors.ts';
import { eventLoopHold, unreferencedClock } from '../executor/event-loop.ts';
import { defaultHelperPath, helperStarter } from '../executor/helper-process.ts';
import { EventQueue } from './event-queue.ts';
import { EventWatch, type EventWatchOptions } from './event-watch.ts';

export interface NvmlEventSourceOptions {
  /** A libnvidia-ml to use instead of searching `nvmlLibraryCandidates`. */
  readonly library?: string;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Deadline for opening the driver, and for registering all GPUs. Default 30,000. */
  readonly openDeadlineMilliseconds?: number;
  /** Deadline for what one GPU may take of it, and for a wait past its own time. Default 10,000. */
  readonly stallMilliseconds?: number;
  /** How long the driver is asked to wait for an event at a time. Default 1,000. */
  readonly sliceMilliseconds?: number;
  /** How many events are kept for a reader that is slow; beyond, the oldest is dropped, with a notice. Default 1,000. */
  readonly queueLimit?: number;
  /** The built helper.js; only needed when the package is bundled. */
  readonly helperPath?: string;
  /** Added to the environment of the helper process. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface NvmlEventSource extends GpuEventSource {
  /**
   * Lets go of the driver, as a reset needs: every helper process is gone when it resolves, and the streams are blind until the function it
   * resolves with is called.
   * @throws GpuError DRIVER_UNRESPONSIVE when a process cannot be ended; the streams then go on trying
   */
  suspend(): Promise<() => void>;
}

/**
 * The driver's live events. Each stream has a helper process of its own, apart from the one that reads: a wait occupies a process, and one
 * that hangs must not cost a reading. Nothing is started before the first event is asked for.
 */
export function createNvmlEventSource(options: NvmlEventSourceOptions = {}): NvmlEventSource {
  return new HelperBackedEventSource(
    {
      startHelper: helperStarter(options.helperPath ?? defaultHelperPath(), options.environment),
      library: options.library ?? null,
      clock: options.clock ?? unreferencedClock,
      logger: options.logger ?? silentLogger,
      openDeadlineMilliseconds: options.openDeadlineMilliseconds ?? 30_000,
      stallMilliseconds: options.stallMilliseconds ?? 10_000,
      sliceMilliseconds: options.sliceMilliseconds ?? 1_000,
    },
    options.queueLimit ?? 1_000,
  );
}

/** For tests too, which bring a helper of their own. */
export class HelperBackedEventSource implements NvmlEventSource {
  readonly #options: EventWatchOptions;
  readonly #queueLimit: number;
  readonly #watches = new Set<EventWatch>();
  readonly #suspensions = new Set<symbol>();

  constructor(options: EventWatchOptions, queueLimit: number) {
    this.#options = options;
    this.#queueLimit = queueLimit;
  }

  async *watch(signal: AbortSignal): AsyncGenerator<GpuDriverEvent | WatchNotice, void, undefined> {
    if (signal.aborted) return;
    const queue = new EventQueue<GpuDriverEvent | WatchNotice>(this.#queueLimit);
    const watch = new EventWatch(this.#options, (item) => queue.push(item));
    const holdEventLoop = eventLoopHold();
    const stop = () => {
      watch.stop();
      queue.wake();
    };
    signal.addEventListener('abort', stop, { once: true });
    this.#watches.add(watch);
    holdEventLoop(true);
    watch.start(this.#suspensions.size > 0);
    try {
      while (!signal.aborted) {
        const next = queue.take();
        if (next === undefined) {
          await queue.changed();
          continue;
        }
        if (next.dropped > 0) yield* this.#tellDropped(next.dropped);
        yield next.item;
      }
    } finally {
      signal.removeEventListener('abort', stop);
      watch.stop();
      this.#watches.delete(watch);
      holdEventLoop(false);
    }
  }

  async suspend(): Promise<() => void> {
    const suspension = Symbol('suspension');
    const resume = () => {
      if (!this.#suspensions.delete(suspension) || this.#suspensions.size > 0) return;
      for (const watch of this.#watches) watch.resume();
    };
    this.#suspensions.add(suspension);
    const stuck = await Promise.all([...this.#watches].map((watch) => watch.suspend()));
    const incident = stuck.find((each) => each !== undefined);
    if (incident === undefined) return resume;
    resume();
    throw driverUnresponsive(incident, this.#options.clock.now());
  }

  *#tellDropped(count: number): Generator<WatchNotice> {
    const detail = `${count} events were dropped: they came faster than they were read`;
    const gap: Gap = { field: 'events', reason: 'not-observable', detail };
    const at = new Date(this.#options.clock.now()).toISOString();
    yield { notice: 'blind', gap, at, lostCount: count };
    yield { notice: 'restored', gap, at };
  }
}
