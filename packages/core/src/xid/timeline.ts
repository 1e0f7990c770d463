import type { KernelEvent } from '../domain/event.ts';

/** Milliseconds since 1970; `undefined` when the log tells no time, or one that nobody can read. */
export function millisecondsOf(at: string | null | undefined): number | undefined {
  const time = at === null || at === undefined ? Number.NaN : Date.parse(at);
  return Number.isNaN(time) ? undefined : time;
}

/** Where an event stands: by the clock, by the time since boot, and in the order of the log. */
export interface Place {
  readonly milliseconds: number | undefined;
  readonly uptimeSeconds: number | null;
  readonly order: number;
}

export function placeOf(event: KernelEvent, order: number): Place {
  return { milliseconds: millisecondsOf(event.at), uptimeSeconds: event.uptimeSeconds, order };
}

/** Seconds from one to the other; without a common clock the order of the lines is all there is, and they count as near. */
export function secondsBetween(earlier: Place, later: Place): number {
  if (earlier.milliseconds !== undefined && later.milliseconds !== undefined)
    return (later.milliseconds - earlier.milliseconds) / 1000;
  if (earlier.uptimeSeconds === null || later.uptimeSeconds === null) return 0;
  return later.uptimeSeconds - earlier.uptimeSeconds;
}

/** The clock of a boot running backwards by more than the window is another boot. */
export function isWithin(earlier: Place, later: Place, windowSeconds: number): boolean {
  return Math.abs(secondsBetween(earlier, later)) <= windowSeconds;
}

/** Whether one is known to be after the other. A time and no time cannot be compared: sections of one file need not be in order. */
export function isAfter(later: Place, earlier: Place): boolean {
  if (later.milliseconds !== undefined && earlier.milliseconds !== undefined) {
    return later.milliseconds === earlier.milliseconds
      ? later.order > earlier.order
      : later.milliseconds > earlier.milliseconds;
  }
  const isTimeless = later.milliseconds === undefined && earlier.milliseconds === undefined;
  return isTimeless && later.order > earlier.order;
}

/** The latest of places that can be compared: one with a time and one without. */
export interface Latest<T extends Place> {
  timed?: T;
  timeless?: T;
}

export function keepLatest<T extends Place>(latest: Latest<T>, place: T): void {
  const slot = place.milliseconds === undefined ? 'timeless' : 'timed';
  const known = latest[slot];
  if (!known || isAfter(place, known)) latest[slot] = place;
}

/** A start of machine or driver, or the driver's word that nothing is to be done any more. */
export interface Restart extends Place {
  readonly kind: 'boot' | 'driver-load' | 'recovery';
}

/** Uptime that runs backwards by more than this is another boot; less is two processors racing to print. */
const backwardsSeconds = 60;

/**
 * Whether a machine was started anew between two lines of its log: the boot id changed, or the time since boot ran backwards while the clock
 * did not. A log read over again (sections of a bug report) takes the clock back, too, and is no boot.
 */
export function isNewBoot(
  before: Place & { readonly bootId?: string | undefined },
  now: Place & { readonly bootId?: string | undefined },
): boolean {
  const isRead = now.milliseconds !== undefined;
  if (isRead !== (before.milliseconds !== undefined)) return false;
  if (isRead && before.milliseconds !== undefined && now.milliseconds < before.milliseconds) return false;
  if (before.bootId !== undefined && now.bootId !== undefined) return before.bootId !== now.bootId;
  if (before.uptimeSeconds === null || now.uptimeSeconds === null) return false;
  return now.uptimeSeconds < before.uptimeSeconds - backwardsSeconds;
}
