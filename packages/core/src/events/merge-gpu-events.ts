import type { KernelLogRecord } from '../domain/event.ts';
import type { GpuDriverEvent, GpuEventSource, WatchNotice } from '../ports/gpu-event-source.ts';
import type { KernelLogFollower } from '../ports/kernel-log.ts';
import type { Clock } from '../ports/runtime.ts';
import { parseKernelEvent } from '../xid/parse.ts';
import { BoundedQueue } from './bounded-queue.ts';
import { EventMerger } from './event-merger.ts';
import {
  type GpuNodeEvent,
  observeDriverEvent,
  observeKernelEvent,
  type ResolveGpuNaming,
} from './node-event.ts';

/** Where events come from; either may be missing. */
export interface GpuEventSources {
  readonly driver?: GpuEventSource;
  readonly kernelLog?: KernelLogFollower;
}

export interface MergeOptions {
  readonly clock: Clock;
  /** The GPU that an event names; `gpuResolver` makes one of an inventory. */
  readonly resolve: ResolveGpuNaming;
  /** Within this after an event was first told, its twin and its repeats belong to it. Default 5,000. */
  readonly windowMilliseconds?: number;
  readonly signal: AbortSignal;
}

/** Events that wait for a slow consumer. Past it the sources wait, and tell by themselves what they lost meanwhile. */
const maximumQueued = 1024;

/**
 * The live events of a node as one stream: a driver's Xid and the kernel-log line of the same Xid on the same GPU are one event, and so
 * are its repeats within the window. Each event is yielded as soon as the first source tells of it (`revision` 0). If its twin or repeats
 * come within the window, it is yielded once more under the same `id` when the window ends, with both `sources` and the `repeatCount`;
 * sooner if they make it worse. So a consumer that shows events live need not wait, and one that records keeps the last of each `id`.
 *
 * Ends when `signal` aborts (what is open then is dropped), or when all sources have ended. Never throws: a source that does, or that
 * ends by itself, becomes a `blind` notice. What the sources notice is passed on. Memory is bounded, whatever the flood.
 */
export async function* mergeGpuEvents(
  sources: GpuEventSources,
  options: MergeOptions,
): AsyncGenerator<GpuNodeEvent | WatchNotice, void, undefined> {
  const { clock, windowMilliseconds = 5_000, signal } = options;
  const resolve = harmless(options.resolve);
  const queue = new BoundedQueue<GpuNodeEvent | WatchNotice>(maximumQueued);
  const merger = new EventMerger(clock, windowMilliseconds, (event) => queue.push(event));
  const now = () => new Date(clock.now()).toISOString();
  const controller = new AbortController();
  const stop = () => {
    merger.dispose();
    queue.end({ discard: true });
    controller.abort();
  };
  if (signal.aborted) return;
  signal.addEventListener('abort', stop, { once: true });

  const blind = (field: string, detail: string) =>
    queue.push({ notice: 'blind', gap: { field, reason: 'error', detail }, at: now() });

  async function pump<T extends object>(
    field: string,
    open: () => AsyncIterable<T | WatchNotice>,
    accept: (item: T) => void,
  ): Promise<void> {
    try {
      for await (const item of open()) {
        await queue.room();
        if (controller.signal.aborted) return;
        if ('notice' in item) queue.push(item);
        else accept(item);
      }
      if (!controller.signal.aborted) blind(field, 'the source of events ended by itself');
    } catch (error) {
      if (!controller.signal.aborted)
        blind(field, `the source of events failed: ${error instanceof Error ? error.name : typeof error}`);
    }
  }

  const acceptRecord = (record: KernelLogRecord) => {
    const event = parseKernelEvent(record);
    // Which GPU sits where is known; a reloaded driver is news.
    if (!event || event.kind === 'gpu-identity') return;
    merger.accept(observeKernelEvent(event, now(), resolve));
  };
  const acceptDriverEvent = (event: GpuDriverEvent) => merger.accept(observeDriverEvent(event, resolve));

  try {
    const { driver, kernelLog } = sources;
    if (!driver && !kernelLog) blind('gpuEvents', 'there is no source of events');
    const pumps = [
      driver && pump('gpuEvents', () => driver.watch(controller.signal), acceptDriverEvent),
      kernelLog && pump('kernelLog', () => kernelLog.follow(controller.signal), acceptRecord),
    ];
    Promise.all(pumps).then(
      () => {
        merger.flush();
        queue.end();
      },
      () => queue.end(),
    );
    for (;;) {
      const item = await queue.take();
      if (item === undefined) return;
      yield item;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

/** An inventory that cannot be asked costs the attribution, not the event. */
function harmless(resolve: ResolveGpuNaming): ResolveGpuNaming {
  return (naming) => {
    try {
      return resolve(naming);
    } catch {
      return undefined;
    }
  };
}
