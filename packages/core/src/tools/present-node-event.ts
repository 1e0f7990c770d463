import type { GpuNodeEvent } from '../events/node-event.ts';
import { quarantine } from './untrusted-text.ts';

/** A live event as a person or a model may see it: JSON-safe, and text of the log made harmless. */
export function presentNodeEvent(event: GpuNodeEvent): GpuNodeEvent {
  const { processName, raw, decoded } = event;
  return {
    ...event,
    ...(processName === undefined ? {} : { processName: quarantine(processName, 64) }),
    ...(decoded === undefined
      ? {}
      : {
          decoded: Object.fromEntries(
            Object.entries(decoded).map(([key, value]) => [
              key,
              typeof value === 'string' ? quarantine(value, 64) : value,
            ]),
          ),
        }),
    ...(raw === undefined ? {} : { raw: quarantine(raw, 240) }),
  };
}
