import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Shutdown, watchForShutdown } from './shutdown.ts';

let shutdown: Shutdown | undefined;
afterEach(() => shutdown?.unwatch());

function watching() {
  const input = new PassThrough();
  const stop = vi.fn();
  shutdown = watchForShutdown({ stop }, input);
  return { input, shutdown, stop };
}

describe('watchForShutdown', () => {
  it('the first signal asks, the second urges', async () => {
    const { shutdown: made, stop } = watching();
    let isUrgent = false;
    const urgent = made.isUrgent.then(() => {
      isUrgent = true;
    });
    process.emit('SIGTERM', 'SIGTERM');
    expect(await made.isAsked).toBe('SIGTERM');
    expect(stop).toHaveBeenCalledTimes(1);
    expect(isUrgent).toBe(false);
    process.emit('SIGINT', 'SIGINT');
    await urgent;
    expect(await made.isAsked).toBe('SIGTERM');
  });

  it('the end of the input stops the operations and asks for nothing else', async () => {
    const { input, stop } = watching();
    input.resume().end();
    await new Promise((resolve) => input.on('close', resolve));
    expect(stop).toHaveBeenCalledTimes(1);
  });

  it('leaves no listener behind', () => {
    const before = process.listenerCount('SIGTERM');
    const { input, shutdown: made } = watching();
    expect(process.listenerCount('SIGTERM')).toBe(before + 1);
    made.unwatch();
    expect(process.listenerCount('SIGTERM')).toBe(before);
    expect(input.listenerCount('end')).toBe(new PassThrough().listenerCount('end'));
  });
});
