/** What is suspected: a GPU by its index, or the driver as a whole. */
export type Suspect = number | 'driver';

/** An operation without an answer. */
export interface Incident {
  /** What is to blame. */
  readonly suspect: Suspect;
  /** When the operation was started. */
  readonly since: number;
  readonly operation: string;
  readonly pid: number | undefined;
  /** The kernel function in which the process sleeps, when it sleeps and the kernel tells. */
  readonly waitChannel: string | null;
}

export interface Suspicion extends Incident {
  readonly kind: 'hung' | 'crashed';
  /** How often in a row. */
  readonly failures: number;
  /** When it may be tried again; null while the helper that tried it has neither answered nor exited. */
  readonly retryAt: number | null;
}

const firstBackOffMilliseconds = 1_000;
const longestBackOffMilliseconds = 60_000;

/**
 * What hung or crashed, and when it may be tried again: 1 s after the first hang, then doubling to 60 s. One crash is not held against
 * a GPU, the second in a row is.
 */
export class Suspicions {
  readonly #known = new Map<Suspect, Suspicion>();

  get(suspect: Suspect): Suspicion | undefined {
    return this.#known.get(suspect);
  }

  /** The operation has neither answered nor been given up: nothing else may be sent that way. */
  hold(incident: Incident): void {
    const failures = this.#known.get(incident.suspect)?.failures ?? 0;
    this.#known.set(incident.suspect, { kind: 'hung', ...incident, failures, retryAt: null });
  }

  /** The operation failed. */
  strike(kind: Suspicion['kind'], incident: Incident, now: number): void {
    const failures = (this.#known.get(incident.suspect)?.failures ?? 0) + 1;
    const retryAt = now + backOff(kind, failures);
    this.#known.set(incident.suspect, { kind, ...incident, failures, retryAt });
  }

  clear(suspect: Suspect): void {
    this.#known.delete(suspect);
  }

  /** This process got further after all: what was held because of it is free. */
  release(pid: number | undefined, suspect: Suspect): void {
    const known = this.#known.get(suspect);
    if (known?.retryAt === null && known.pid === pid) this.#known.delete(suspect);
  }

  /** The suspicion that forbids a try now. */
  blocking(suspect: Suspect, now: number): Suspicion | undefined {
    const known = this.#known.get(suspect);
    if (known === undefined || known.retryAt === null) return known;
    const wait = known.retryAt - now;
    // Longer than any back-off: the clock was set back, which must not keep anything refused until it is there again.
    return wait > 0 && wait <= longestBackOffMilliseconds ? known : undefined;
  }
}

function backOff(kind: Suspicion['kind'], failures: number): number {
  const doublings = kind === 'hung' ? failures - 1 : failures - 2;
  if (doublings < 0) return 0;
  return Math.min(firstBackOffMilliseconds * 2 ** doublings, longestBackOffMilliseconds);
}
