import type { Gap } from '../domain/gap.ts';
import type { GpuRef } from '../domain/gpu.ts';
import type { GpuEventType } from '../domain/readings/events.ts';

/** Something the driver reported at the moment it happened. */
export interface GpuDriverEvent {
  readonly type: GpuEventType;
  readonly gpu: GpuRef;
  /** ISO 8601: when it was received, as the driver does not say when it happened. */
  readonly at: string;
  /** The number that comes with it: the Xid, or the recovery action; null when the type has none. */
  readonly value: number | null;
  /** Set for events inside a MIG instance. */
  readonly gpuInstanceId: number | null;
  readonly computeInstanceId: number | null;
}

/** What a stream yields instead of silence when it cannot see: why, and `restored` once it can again. */
export interface WatchNotice {
  readonly notice: 'blind' | 'restored';
  readonly gap: Gap;
  /** ISO 8601. */
  readonly at: string;
  /** How many events were lost, where the source counted them. */
  readonly lostCount?: number;
}

/** The port to a driver's live events. Nothing that happened before is reported. */
export interface GpuEventSource {
  /** Ends when `signal` aborts and never throws: trouble is a notice, and the source goes on trying. */
  watch(signal: AbortSignal): AsyncIterable<GpuDriverEvent | WatchNotice>;
}
