import { describe, expect, test } from 'vitest';
import { fixedClock } from '../testing.ts';
import { ChangeThrottle } from './change-throttle.ts';

function rig(isWanted?: (key: string) => boolean) {
  const clock = fixedClock('2026-11-21T12:00:00.000Z');
  const told: string[] = [];
  const throttle = new ChangeThrottle({
    clock,
    tell: (key) => told.push(key),
    ...(isWanted ? { isWanted } : {}),
  });
  return { clock, told, throttle };
}

describe('a change throttle', () => {
  test('tells the first at once and the last a second later, each key for itself', () => {
    const { clock, told, throttle } = rig();
    for (const key of ['a', 'a', 'a', 'b']) throttle.changed(key);
    expect(told).toEqual(['a', 'b']);
    clock.advance(999);
    expect(told).toEqual(['a', 'b']);
    clock.advance(1);
    expect(told).toEqual(['a', 'b', 'a']);
    clock.advance(5_000);
    expect(told).toHaveLength(3);
  });

  test('passes over what nobody wants, also when the second is over', () => {
    const wanted = new Set(['a']);
    const { clock, told, throttle } = rig((key) => wanted.has(key));
    for (const key of ['a', 'a', 'b']) throttle.changed(key);
    wanted.clear();
    clock.advance(1_000);
    expect(told).toEqual(['a']);
  });

  test('remembers no more than 8192 keys; whoever fills them does not silence the others', () => {
    const { told, throttle } = rig();
    for (let key = 0; key < 8_192; key += 1) throttle.changed(String(key));
    for (let time = 0; time < 2; time += 1) {
      throttle.changed('first');
      throttle.changed('late');
      throttle.changed('0');
    }
    expect(told.slice(8_192)).toEqual(['first', 'late', 'first', 'late']);
  });
});
