import { isGpuError } from '../errors.ts';
import type { GpuReader } from '../gpu-reader.ts';
import type { WatchNotice } from '../ports/gpu-event-source.ts';
import type { Clock } from '../ports/runtime.ts';
import { type GpuEventSources, mergeGpuEvents } from './merge-gpu-events.ts';
import { type GpuNodeEvent, gpuResolver, type ResolveGpuNaming } from './node-event.ts';

/** Events that are kept to be shown. */
const maximumEvents = 256;
/** Notices that are kept beside them: a source that comes and goes must not fill memory. */
const maximumNotices = 32;
const describeMilliseconds = 10_000;

export interface NodeEventFeedOptions {
  readonly clock: Clock;
  readonly sources: GpuEventSources;
  /** Names the GPUs that events are about; asked once when listening begins, and again after the driver was loaded anew. */
  readonly reader: Pick<GpuReader, 'describe'>;
  /** How long the sources stay open after the last listener or reader. Default 60,000. */
  readonly lingerMilliseconds?: number;
}

interface Listening {
  readonly controller: AbortController;
  readonly since: string;
  /** Every source has ended by itself, and a notice said so. */
  hasEnded: boolean;
}

/** What is known at one moment. */
export interface FeedSnapshot {
  /** ISO 8601; null when there is nothing to listen to. */
  readonly listeningSince: string | null;
  /** Oldest first; the last revision of each. */
  readonly events: readonly GpuNodeEvent[];
  /** How many events are not among them any more, or were lost by a source that counted them. */
  readonly lost: number;
  /** When something could not be seen, oldest first. */
  readonly notices: readonly WatchNotice[];
}

/**
 * The live events of a node, kept for whoever asks later. The sources are opened when somebody first listens or reads, and let go a minute
 * after the last of them: nobody's interest must not hold the driver. What was heard stays; a time that was not listened to is a notice.
 * Memory is bounded, whatever the flood.
 */
export class NodeEventFeed {
  readonly #options: NodeEventFeedOptions;
  readonly #linger: number;
  readonly #listeners = new Set<(item: GpuNodeEvent | WatchNotice) => void>();
  readonly #events = new Map<number, GpuNodeEvent>();
  readonly #notices: WatchNotice[] = [];
  #lost = 0;
  /** Added to the ids of a stream, which count from 1 each time. */
  #idOffset = 0;
  #lastId = 0;
  #listening: Listening | undefined;
  #letGoAt: string | undefined;
  #cancelLetGo: () => void = () => {};
  #resolve: ResolveGpuNaming = () => undefined;
  #isClosed = false;

  constructor(options: NodeEventFeedOptions) {
    this.#options = options;
    this.#linger = options.lingerMilliseconds ?? 60_000;
  }

  /** Tells of every event, revision and notice from now on. The returned function ends it; calling that again does nothing. */
  onItem(listener: (item: GpuNodeEvent | WatchNotice) => void): () => void {
    const own = (item: GpuNodeEvent | WatchNotice) => listener(item);
    this.#listeners.add(own);
    this.#cancelLetGo();
    this.#listen();
    return () => {
      if (this.#listeners.delete(own)) this.#letGoLater();
    };
  }

  /** What was heard so far. Begins to listen when nobody does yet. */
  read(): FeedSnapshot {
    this.#listen();
    this.#letGoLater();
    return {
      listeningSince: this.#listening && !this.#listening.hasEnded ? this.#listening.since : null,
      events: [...this.#events.values()],
      lost: this.#lost,
      notices: [...this.#notices],
    };
  }

  /** Lets go of the sources for good. */
  close(): void {
    this.#isClosed = true;
    this.#listeners.clear();
    this.#cancelLetGo();
    this.#letGo();
  }

  #now(): string {
    return new Date(this.#options.clock.now()).toISOString();
  }

  #listen(): void {
    if (this.#listening || this.#isClosed) return;
    const { clock, sources } = this.#options;
    const controller = new AbortController();
    const listening: Listening = { controller, since: this.#now(), hasEnded: false };
    this.#listening = listening;
    this.#idOffset = this.#lastId;
    if (this.#letGoAt !== undefined) this.#keepNotice(notListening(this.#letGoAt, listening.since));
    this.#nameGpus(controller.signal);
    const stream = mergeGpuEvents(sources, {
      clock,
      resolve: (naming) => this.#resolve(naming),
      signal: controller.signal,
    });
    const take = async () => {
      for await (const item of stream) if (!controller.signal.aborted) this.#accept(item);
    };
    // Not begun anew at once: sources that end at once must not be opened in a loop.
    const ended = () => {
      listening.hasEnded = true;
    };
    take().then(ended, ended);
  }

  #letGoLater(): void {
    this.#cancelLetGo();
    this.#cancelLetGo = () => {};
    if (this.#listeners.size > 0 || !this.#listening) return;
    this.#cancelLetGo = this.#options.clock.after(this.#linger, () => this.#letGo());
  }

  #letGo(): void {
    if (!this.#listening) return;
    const { controller } = this.#listening;
    this.#listening = undefined;
    this.#letGoAt = this.#now();
    controller.abort();
  }

  #accept(item: GpuNodeEvent | WatchNotice): void {
    if ('notice' in item) {
      this.#keepNotice(item);
      this.#tell(item);
      return;
    }
    const event = { ...item, id: this.#idOffset + item.id };
    // Of one that is not shown any more the revision comes too late: it is counted as lost already.
    if (event.revision > 0 && !this.#events.has(event.id)) return;
    this.#lastId = Math.max(this.#lastId, event.id);
    this.#events.set(event.id, event);
    const [oldest] = this.#events.keys();
    if (this.#events.size > maximumEvents && oldest !== undefined) {
      this.#events.delete(oldest);
      this.#lost += 1;
    }
    if (event.kind === 'driver-load' && this.#listening) this.#nameGpus(this.#listening.controller.signal);
    this.#tell(event);
  }

  #keepNotice(notice: WatchNotice): void {
    this.#notices.push(notice);
    if (this.#notices.length > maximumNotices) this.#notices.shift();
    this.#lost += notice.lostCount ?? 0;
  }

  #tell(item: GpuNodeEvent | WatchNotice): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(item);
      } catch {
        // One listener's trouble is not the others'.
      }
    }
  }

  /** In the background: an event that comes before the names is told without them. */
  #nameGpus(stop: AbortSignal): void {
    const controller = new AbortController();
    const abort = () => controller.abort();
    const cancel = this.#options.clock.after(describeMilliseconds, abort);
    stop.addEventListener('abort', abort, { once: true });
    const done = () => {
      cancel();
      stop.removeEventListener('abort', abort);
    };
    this.#options.reader.describe(controller.signal).then((node) => {
      done();
      if (!isGpuError(node)) this.#resolve = gpuResolver(node.gpus);
    }, done);
  }
}

const notListening = (from: string, to: string): WatchNotice => ({
  notice: 'restored',
  gap: { field: 'events', reason: 'not-observable', detail: `nobody listened from ${from} to ${to}` },
  at: to,
});
