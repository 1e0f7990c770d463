import type { GpuError, GpuRef } from '@k8s-gpu-mcp/core';
import type { Operation } from '../protocol/protocol.ts';
import { driverUnresponsive, suspectError } from './errors.ts';
import { type HelperSlot, suspectOf } from './slot.ts';
import type { Suspect, Suspicions } from './suspicions.ts';

/** One that hangs (perhaps for good) and one that works. A third could only hang as well. */
export const maxHelpers = 2;

/** Where the executor stands. What can be expected of it is told here; what it does about that is its own. */
export interface ExecutorView {
  readonly gpuCount: number;
  readonly suspicions: Suspicions;
  readonly slots: readonly HelperSlot[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** The error with which an operation is turned away now; undefined when it may be tried. */
export function refusal(
  view: ExecutorView,
  operation: Operation,
  gpu: GpuRef | undefined,
): GpuError | undefined {
  const suspect = suspectOf(operation);
  return turnedAway(view, 'driver') ?? (suspect === 'driver' ? undefined : turnedAway(view, suspect, gpu));
}

function turnedAway(
  { suspicions, slots, now }: ExecutorView,
  suspect: Suspect,
  gpu?: GpuRef,
): GpuError | undefined {
  const suspicion = suspicions.blocking(suspect, now);
  if (suspicion !== undefined) return suspectError(suspicion, now, gpu);
  const stuck = slots.find((slot) => slot.state === 'stuck' && slot.job?.suspect === suspect);
  if (!stuck?.incident) return undefined;
  return suspectError({ ...stuck.incident, kind: 'hung', failures: 1, retryAt: null }, now, gpu);
}

/** Set when no helper answers and none may be started. */
export function noHelperLeft({ slots, now }: ExecutorView): GpuError | undefined {
  const hopeless = slots.filter((slot) => slot.isHopeless);
  const incident = hopeless.at(-1)?.incident;
  if (hopeless.length < maxHelpers || incident === undefined) return undefined;
  return driverUnresponsive(incident, now);
}

/** Why there is no answer yet. */
export function whatHolds({ slots, now }: ExecutorView): string {
  const busy = slots.find((slot) => slot.job !== undefined);
  if (!busy?.job) return 'the driver was not reached in time';
  const where = typeof busy.job.suspect === 'number' ? ` of GPU ${busy.job.suspect}` : '';
  const seconds = ((now - busy.job.startedAt) / 1000).toFixed(1);
  return `no answer in time: the driver has been busy with "${busy.job.stage}"${where} for ${seconds} s`;
}
