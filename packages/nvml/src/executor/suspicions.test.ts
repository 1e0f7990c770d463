import { describe, expect, it } from 'vitest';
import { Suspicions } from './suspicions.ts';

const incident = { suspect: 3, since: 0, operation: 'read thermal', pid: 7, waitChannel: null } as const;

describe('Suspicions', () => {
  it('backs off 1 s after a hang, doubling to 60 s', () => {
    const suspicions = new Suspicions();
    const waits = Array.from({ length: 8 }, () => {
      suspicions.strike('hung', incident, 0);
      return suspicions.get(3)?.retryAt;
    });
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  });

  it('forgives one crash and backs off from the second in a row', () => {
    const suspicions = new Suspicions();
    suspicions.strike('crashed', incident, 500);
    expect(suspicions.blocking(3, 500)).toBeUndefined();
    suspicions.strike('crashed', incident, 500);
    expect(suspicions.blocking(3, 1_499)).toBeDefined();
    expect(suspicions.blocking(3, 1_500)).toBeUndefined();
  });

  it('blocks without end what is held, and nobody else', () => {
    const suspicions = new Suspicions();
    suspicions.hold(incident);
    expect(suspicions.blocking(3, Number.MAX_SAFE_INTEGER)).toMatchObject({ kind: 'hung', pid: 7 });
    expect(suspicions.blocking(2, 0)).toBeUndefined();
    expect(suspicions.blocking('driver', 0)).toBeUndefined();
    suspicions.clear(3);
    expect(suspicions.get(3)).toBeUndefined();
  });

  it('does not wait for a clock that was set back to get there again', () => {
    const suspicions = new Suspicions();
    const hour = 3_600_000;
    suspicions.strike('hung', incident, 10 * hour);
    expect(suspicions.blocking(3, 10 * hour)).toBeDefined();
    expect(suspicions.blocking(3, 8 * hour)).toBeUndefined();
  });

  it('frees what is held when the same process gets further, and nothing that was struck', () => {
    const suspicions = new Suspicions();
    suspicions.hold(incident);
    suspicions.release(8, 3);
    expect(suspicions.get(3)).toBeDefined();
    suspicions.release(7, 3);
    expect(suspicions.get(3)).toBeUndefined();
    suspicions.strike('hung', incident, 0);
    suspicions.release(7, 3);
    expect(suspicions.get(3)).toBeDefined();
  });
});
