import { expect, test } from 'vitest';
import { Slots } from './slots.ts';

test('never more than the limit, and a place that is given back goes on', () => {
  const slots = new Slots(2);
  const begun: string[] = [];
  const releases: (() => void)[] = [];
  for (const name of ['a', 'b', 'c', 'd']) {
    slots.request(slots, (release) => {
      begun.push(name);
      releases.push(release);
    });
  }
  expect(begun).toEqual(['a', 'b']);
  releases[0]?.();
  releases[0]?.();
  expect(begun).toEqual(['a', 'b', 'c']);
  expect(slots.inUse).toBe(2);
});

test('questions take turns: a small one does not wait for all of a large one', () => {
  const slots = new Slots(1);
  const begun: string[] = [];
  let held = () => {};
  const [large, small] = [{}, {}];
  const ask = (question: object, name: string) =>
    slots.request(question, (release) => {
      begun.push(name);
      held = release;
    });
  for (let index = 0; index < 1_000; index += 1) ask(large, `large-${index}`);
  ask(small, 'small');
  held();
  held();
  expect(begun).toContain('small');
  expect(begun).toHaveLength(3);
});

test('a request that is taken back never begins', () => {
  const slots = new Slots(1);
  let held = () => {};
  slots.request(slots, (release) => {
    held = release;
  });
  const takeBack = slots.request(slots, () => expect.unreachable());
  takeBack();
  held();
  expect(slots.inUse).toBe(0);
});

test('a hundred thousand that end at once do not grow the stack', () => {
  const slots = new Slots(1);
  let held = () => {};
  slots.request(slots, (release) => {
    held = release;
  });
  let ended = 0;
  for (let index = 0; index < 100_000; index += 1) {
    slots.request(slots, (release) => {
      ended += 1;
      release();
    });
  }
  held();
  expect(ended).toBe(100_000);
});
