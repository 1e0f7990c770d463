import type { Clock } from '@k8s-gpu-mcp/core';

/** Time that passes as soon as somebody waits for it; remembers what was waited for. */
export function instantClock(
  start = Date.parse('2026-03-01T01:00:00.000Z'),
): Clock & { readonly waits: number[] } {
  let now = start;
  const waits: number[] = [];
  return {
    waits,
    now: () => now,
    after(milliseconds, callback) {
      const timer = setImmediate(() => {
        waits.push(milliseconds);
        now += milliseconds;
        callback();
      });
      return () => clearImmediate(timer);
    },
  };
}

/** Time that passes only when the test says so. */
export function manualClock(): Clock & { advance(milliseconds: number): void; readonly pending: number } {
  let now = 0;
  let timers: { readonly at: number; readonly callback: () => void }[] = [];
  return {
    now: () => now,
    get pending() {
      return timers.length;
    },
    after(milliseconds, callback) {
      const timer = { at: now + milliseconds, callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    advance(milliseconds) {
      const until = now + milliseconds;
      for (;;) {
        const due = timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
        if (!due) break;
        timers = timers.filter((timer) => timer !== due);
        now = due.at;
        due.callback();
      }
      now = until;
    },
  };
}

/** An error as node:fs makes it. */
export const failure = (code: string): Error => Object.assign(new Error(`${code}: refused`), { code });
