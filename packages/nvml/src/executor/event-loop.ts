import type { Clock } from '@k8s-gpu-mcp/core';

/** Timers that never keep the process alive; `eventLoopHold` does while somebody waits. */
export const unreferencedClock: Clock = {
  now: () => Date.now(),
  after(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

export function eventLoopHold(): (isNeeded: boolean) => void {
  let timer: NodeJS.Timeout | undefined;
  return (isNeeded) => {
    if (isNeeded) timer ??= setInterval(() => {}, 2 ** 30);
    else {
      clearInterval(timer);
      timer = undefined;
    }
  };
}
