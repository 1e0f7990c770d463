import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { endOfTurn } from './end-of-turn.ts';

test('answers of one turn go on together, after all of them are there', async () => {
  const seen: string[] = [];
  const answer = async (name: string, work: Promise<void>) => {
    await work;
    seen.push(`${name} made`);
    await endOfTurn();
    seen.push(`${name} written`);
  };
  // The second takes longer, but not another turn.
  const longer = Promise.resolve().then(() => Promise.resolve());
  await Promise.all([answer('a', Promise.resolve()), answer('b', longer)]);
  expect(seen).toEqual(['a made', 'b made', 'a written', 'b written']);
});

test('a later turn ends by itself', async () => {
  await endOfTurn();
  const first = endOfTurn();
  await nextTurn();
  await first;
  let isOver = false;
  const second = endOfTurn().then(() => {
    isOver = true;
  });
  await Promise.resolve();
  expect(isOver).toBe(false);
  await second;
  expect(isOver).toBe(true);
});
