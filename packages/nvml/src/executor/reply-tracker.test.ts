import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ProgressFile, ProgressNote } from '../protocol/progress-file.ts';
import type { Reply } from '../protocol/protocol.ts';
import { ReplyTracker } from './reply-tracker.ts';

const result = (id: number): Reply => ({ id, result: { of: id } });
const lines = (...replies: Reply[]) =>
  Buffer.from(replies.map((reply) => `${JSON.stringify(reply)}\n`).join(''));

function setUp(ids: readonly number[]) {
  let note: ProgressNote | undefined;
  let isClosed = false;
  const file: ProgressFile = {
    fd: -1,
    read: () => (isClosed ? undefined : note),
    close: () => {
      isClosed = true;
    },
  };
  const replies: Reply[] = [];
  const tracker = new ReplyTracker(file, (reply) => replies.push(reply));
  for (const id of ids) tracker.sent(id);
  return {
    tracker,
    replies,
    notes: (id: number, stage: string, held: readonly Reply[] = []) => {
      note = { id, stage, at: 1, held: lines(...held) };
    },
    look: () => void vi.advanceTimersByTime(100),
  };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('the replies of a helper', () => {
  it('are found where they are held while the next request hangs, and count once when they are sent after all', () => {
    const { tracker, replies, notes, look } = setUp([1, 2, 3]);
    notes(3, 'read thermal', [result(1), result(2)]);
    look();
    expect(replies).toEqual([result(1), result(2), { id: 3, stage: 'read thermal', at: 1 }]);
    for (const id of [1, 2, 3]) tracker.receive(result(id));
    expect(replies.slice(3)).toEqual([result(3)]);
  });

  it('keep their order when those before what is held are still on their way', () => {
    const { tracker, replies, notes, look } = setUp([1, 2, 3]);
    notes(3, 'read thermal', [result(2)]);
    look();
    expect(replies).toEqual([]);
    for (const id of [1, 2, 3]) tracker.receive(result(id));
    expect(replies).toEqual([result(1), result(2), result(3)]);
  });

  it('are found after it has died', () => {
    const { tracker, replies, notes } = setUp([1, 2]);
    notes(2, 'read thermal', [result(1)]);
    expect(replies).toEqual([]);
    tracker.end();
    expect(replies).toEqual([result(1), { id: 2, stage: 'read thermal', at: 1 }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('tell each note once', () => {
    const { replies, notes, look } = setUp([1]);
    notes(1, 'read thermal');
    look();
    look();
    notes(1, 'read ecc');
    look();
    expect(replies.map((reply) => 'stage' in reply && reply.stage)).toEqual(['read thermal', 'read ecc']);
  });

  it('are not looked for once there is nothing to answer', () => {
    const { tracker, replies, notes, look } = setUp([1]);
    tracker.receive(result(1));
    expect(vi.getTimerCount()).toBe(0);
    notes(1, 'read thermal');
    look();
    expect(replies).toEqual([result(1)]);
  });

  it('say whether the process had nothing else to do', () => {
    const { tracker } = setUp([]);
    expect([tracker.sent(1), tracker.sent(2)]).toEqual([true, false]);
    tracker.receive(result(1));
    tracker.receive(result(2));
    expect(tracker.sent(3)).toBe(true);
  });
});
