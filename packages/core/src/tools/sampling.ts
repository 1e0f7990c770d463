import type { GpuReading, GpuRef, GpuSection } from '../domain/gpu.ts';
import { GpuError } from '../errors.ts';
import type { Clock } from '../ports/runtime.ts';
import type { Toolkit } from './toolkit.ts';

/** Kept back from the deadline for the last reading and the answer. */
const reserveSeconds = 2;
const minimumIntervalMilliseconds = 100;
const usualIntervalMilliseconds = 1_000;
/** Of one GPU: what bounds the memory a window takes. */
const maximumSamples = 120;

export interface SamplingPlan {
  readonly windowMilliseconds: number;
  readonly intervalMilliseconds: number;
}

/** The longest window, in seconds, that leaves time to answer; below 1 there is room for none. */
export const maximumWindowSeconds = (deadlineMilliseconds: number) =>
  Math.floor(deadlineMilliseconds / 1_000 - reserveSeconds);

/** @throws GpuError INVALID_INPUT naming the argument and what is allowed. */
export function samplingPlan(windowSeconds: number, intervalMilliseconds: number | undefined): SamplingPlan {
  const windowMilliseconds = windowSeconds * 1_000;
  const least = Math.max(minimumIntervalMilliseconds, Math.ceil(windowMilliseconds / maximumSamples));
  const interval = intervalMilliseconds ?? Math.max(usualIntervalMilliseconds, least);
  if (interval >= least && interval <= windowMilliseconds)
    return { windowMilliseconds, intervalMilliseconds: interval };
  throw new GpuError(
    'INVALID_INPUT',
    `intervalMilliseconds = ${interval}: expected ${least} to ${windowMilliseconds} for a window of ${windowSeconds} s (at most ${maximumSamples} samples).`,
    { hint: 'Correct intervalMilliseconds or leave it out.' },
  );
}

export interface SampledGpu {
  /** Oldest first. */
  readonly readings: readonly GpuReading[];
  /** False when the window ended early, by the signal or because the GPU failed. */
  readonly isComplete: boolean;
}

function pause(clock: Clock, milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(milliseconds, done);
    signal.addEventListener('abort', done, { once: true });
  });
}

/**
 * Reads each GPU again and again until the window is over, each at its own pace: one that hangs holds no other up. A GPU that failed is
 * not asked again. The first reading is at the beginning, the last at the end; a reading that takes longer than the interval delays the
 * next and is not made up for. When `signal` aborts, what was read until then is the result.
 */
export async function sampleGpus(
  toolkit: Toolkit,
  gpus: readonly GpuRef[],
  sections: readonly GpuSection[],
  plan: SamplingPlan,
  signal: AbortSignal,
  onReading: () => void = () => {},
): Promise<readonly SampledGpu[]> {
  // A signal for each GPU: one for all would gather more listeners than the runtime thinks sane.
  const controllers = gpus.map(() => new AbortController());
  const abort = () => {
    for (const controller of controllers) controller.abort();
  };
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.all(
      gpus.map((gpu, position) => {
        const own = controllers[position]?.signal ?? signal;
        return sampleGpu(toolkit, gpu, sections, plan, own, onReading);
      }),
    );
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** The time, without the steps back of a clock that is set: a window must not last until the old time comes again. */
function steadily(clock: Clock): () => number {
  let latest = clock.now();
  let stepsBack = 0;
  return () => {
    const now = clock.now();
    stepsBack += Math.max(0, latest - now);
    latest = now;
    return now + stepsBack;
  };
}

async function sampleGpu(
  { reader, clock }: Toolkit,
  gpu: GpuRef,
  sections: readonly GpuSection[],
  { windowMilliseconds, intervalMilliseconds }: SamplingPlan,
  signal: AbortSignal,
  onReading: () => void,
): Promise<SampledGpu> {
  const readings: GpuReading[] = [];
  const now = steadily(clock);
  const startedAt = now();
  const endsAt = startedAt + windowMilliseconds;
  for (let due = startedAt; ; ) {
    const [reading] = await reader.readGpus([gpu], sections, signal);
    if (!reading) return { readings, isComplete: false };
    readings.push(reading);
    onReading();
    if (reading.state !== 'ok') return { readings, isComplete: false };
    if (due >= endsAt) return { readings, isComplete: true };
    const ticks = Math.floor((now() - startedAt) / intervalMilliseconds) + 1;
    due = Math.min(endsAt, startedAt + ticks * intervalMilliseconds);
    await pause(clock, Math.max(0, due - now()), signal);
    if (signal.aborted) return { readings, isComplete: false };
  }
}
