import { describe, expect, test } from 'vitest';
import { turn } from '../../test/rig.ts';
import { BoundedQueue } from './bounded-queue.ts';

describe('BoundedQueue', () => {
  test('hands out in order, then waits, then ends', async () => {
    const queue = new BoundedQueue<number>(8);
    queue.push(1);
    queue.push(2);
    expect([await queue.take(), await queue.take()]).toEqual([1, 2]);
    const waiting = queue.take();
    queue.push(3);
    expect(await waiting).toBe(3);
    const last = queue.take();
    queue.end();
    expect(await last).toBeUndefined();
    queue.push(4);
    expect(await queue.take()).toBeUndefined();
  });

  test('ending hands out what waits, unless it is discarded', async () => {
    const kept = new BoundedQueue<number>(8);
    kept.push(1);
    kept.end();
    expect([await kept.take(), await kept.take()]).toEqual([1, undefined]);
    const dropped = new BoundedQueue<number>(8);
    dropped.push(1);
    dropped.end({ discard: true });
    expect(await dropped.take()).toBeUndefined();
  });

  test('room: producers wait for the consumer, and no longer than the queue lives', async () => {
    const queue = new BoundedQueue<number>(2);
    const pushed: number[] = [];
    const produce = async () => {
      for (let item = 0; item < 5; item += 1) {
        await queue.room();
        queue.push(item);
        pushed.push(item);
      }
    };
    const producing = produce();
    await turn();
    expect(pushed).toEqual([0, 1]);
    await queue.take();
    await turn();
    expect(pushed).toEqual([0, 1, 2]);
    queue.end();
    await producing;
    expect(pushed).toHaveLength(5);
  });
});
