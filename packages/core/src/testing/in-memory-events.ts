import type { GpuDriverEvent, GpuEventSource, WatchNotice } from '../ports/gpu-event-source.ts';

/** Live events that a test sends by hand. Whoever watches gets what is sent from then on. */
export function inMemoryGpuEventSource(): GpuEventSource & {
  send(item: GpuDriverEvent | WatchNotice): void;
  /** How many watch at this moment. */
  watcherCount(): number;
} {
  const watchers = new Set<(item: GpuDriverEvent | WatchNotice) => void>();
  return {
    watch(signal) {
      const queue: (GpuDriverEvent | WatchNotice)[] = [];
      let wake = () => {};
      const receive = (item: GpuDriverEvent | WatchNotice) => {
        queue.push(item);
        wake();
      };
      const leave = () => {
        watchers.delete(receive);
        wake();
      };
      if (!signal.aborted) watchers.add(receive);
      signal.addEventListener('abort', leave, { once: true });
      return (async function* () {
        try {
          while (!signal.aborted) {
            const item = queue.shift();
            if (item) yield item;
            else
              await new Promise<void>((resolve) => {
                wake = resolve;
              });
          }
        } finally {
          leave();
        }
      })();
    },
    send(item) {
      for (const receive of watchers) receive(item);
    },
    watcherCount: () => watchers.size,
  };
}
