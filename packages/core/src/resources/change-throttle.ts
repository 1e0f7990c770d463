import type { Clock } from '../ports/runtime.ts';

/** Between two notifications of one key. */
const quietMilliseconds = 1_000;
/** Keys told of less than a second ago: four for each of a thousand nodes, and as many for single GPUs. */
const maximumQuiet = 8_192;

export interface ChangeThrottleOptions {
  readonly clock: Clock;
  /** Called at most once a second for one key, of up to 8,192 keys. */
  readonly tell: (key: string) => void;
  /** Keys that nobody wants take no memory. Default: all are wanted. */
  readonly isWanted?: (key: string) => boolean;
}

/** Lets changes of one key through at most once a second; the last one always. Bounded: keys beyond the bound are told at once. */
export class ChangeThrottle {
  readonly #options: ChangeThrottleOptions;
  /** Whether a key that was told of has changed since. */
  readonly #quiet = new Map<string, { hasChanged: boolean }>();

  constructor(options: ChangeThrottleOptions) {
    this.#options = options;
  }

  changed(key: string): void {
    const { clock, tell, isWanted } = this.#options;
    const waiting = this.#quiet.get(key);
    if (waiting) {
      waiting.hasChanged = true;
      return;
    }
    if (isWanted?.(key) === false) return;
    // Whoever fills the bound must not silence the others.
    if (this.#quiet.size >= maximumQuiet) {
      tell(key);
      return;
    }
    const state = { hasChanged: false };
    this.#quiet.set(key, state);
    clock.after(quietMilliseconds, () => {
      this.#quiet.delete(key);
      if (state.hasChanged) this.changed(key);
    });
    tell(key);
  }
}
