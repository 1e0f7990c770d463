import { describe, expect, test } from 'vitest';
import { event } from '../../test/cluster-events-rig.ts';
import type { AgentEvent, AgentEventsReading } from '../ports/agent-events.ts';
import { newsOf } from './cluster-events-news.ts';

const at = '2026-01-01T00:00:00.000Z';
const reading = (
  events: readonly AgentEvent[],
  more: Partial<AgentEventsReading> = {},
): AgentEventsReading => ({
  ...{ observedAt: at, listeningSince: at, events, lost: 0, unreadable: 0, notices: [] },
  ...more,
});
const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => event(from + index));
const ids = (events: readonly AgentEvent[]) => events.map(({ id }) => id);

test('first all, then what is new', () => {
  const first = newsOf(reading(range(1, 3)), undefined);
  expect([ids(first.events), first.isHistory, first.lost]).toEqual([[1, 2, 3], true, 0]);
  const second = newsOf(reading(range(1, 5)), first.position);
  expect([ids(second.events), second.isHistory, second.lost]).toEqual([[4, 5], false, 0]);
  expect(newsOf(reading(range(1, 5)), second.position).events).toEqual([]);
});

test('a revision once, and never an older one', () => {
  const first = newsOf(reading([event(1, { revision: 2 })]), undefined);
  const revised = newsOf(reading([event(1, { revision: 3 })]), first.position);
  expect(revised.events).toMatchObject([{ id: 1, revision: 3 }]);
  expect(newsOf(reading([event(1, { revision: 1 })]), revised.position).events).toEqual([]);
});

describe('loss', () => {
  const first = newsOf(reading(range(1, 10)), undefined);
  test('of what made room unseen', () => {
    // 11 to 20 were told and made room, with 1 to 10: the agent counts 20.
    expect(newsOf(reading(range(21, 30), { lost: 20 }), first.position).lost).toBe(10);
  });
  test('not of what was seen before it made room', () => {
    expect(newsOf(reading(range(8, 12), { lost: 7 }), first.position).lost).toBe(0);
  });
  test('of what a source lost', () => {
    expect(newsOf(reading(range(1, 12), { lost: 4 }), first.position).lost).toBe(4);
  });
  test('is not counted twice', () => {
    const second = newsOf(reading(range(1, 12), { lost: 4 }), first.position);
    expect(newsOf(reading(range(1, 13), { lost: 4 }), second.position).lost).toBe(0);
  });
  test('what could not be understood is not lost on the way', () => {
    expect(newsOf(reading([...range(1, 10), event(12)], { unreadable: 1 }), first.position).lost).toBe(0);
  });
  test('is bounded, whatever the numbers', () => {
    const huge = newsOf(
      reading([event(Number.MAX_SAFE_INTEGER)], { lost: Number.MAX_SAFE_INTEGER }),
      first.position,
    );
    expect(huge.lost).toBe(1_000_000_000);
  });
});

describe('numbers', () => {
  const first = newsOf(reading(range(1, 10)), undefined);
  test('that begin anew: the agent was restarted', () => {
    const later = '2026-01-01T01:00:00.000Z';
    const news = newsOf(reading([event(1, { at: later })], { listeningSince: later }), first.position);
    expect([ids(news.events), news.isRenumbered, news.isHistory]).toEqual([[1], true, false]);
  });
  test('that begin anew and have come as far: the events are others', () => {
    const later = '2026-01-01T01:00:00.000Z';
    const others = range(1, 11).map((each) => ({ ...each, at: later }));
    expect(newsOf(reading(others, { listeningSince: later }), first.position).events.length).toBe(11);
  });
  test('that go on: the agent only did not listen for a while', () => {
    const later = '2026-01-01T01:00:00.000Z';
    const news = newsOf(reading(range(1, 11), { listeningSince: later }), first.position);
    expect([ids(news.events), news.isRenumbered]).toEqual([[11], false]);
  });
});

test('planted fault: a loss that is not looked for would be zero', () => {
  const first = newsOf(reading(range(1, 2)), undefined);
  expect(newsOf(reading([event(9)], { lost: 8 }), first.position).lost).not.toBe(0);
});
