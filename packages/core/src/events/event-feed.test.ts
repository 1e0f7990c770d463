import { describe, expect, test } from 'vitest';
import { h100Ref } from '../../test/h100.ts';
import { record, turn, xidLine } from '../../test/rig.ts';
import type { KernelLogRecord } from '../domain/event.ts';
import { GpuError } from '../errors.ts';
import { GpuReader } from '../gpu-reader.ts';
import type { GpuDriverEvent, WatchNotice } from '../ports/gpu-event-source.ts';
import { silentLogger } from '../ports/runtime.ts';
import { fixedClock, inMemoryGpuEventSource, stubProvider } from '../testing.ts';
import { type FeedSnapshot, NodeEventFeed, type NodeEventFeedOptions } from './event-feed.ts';
import type { GpuNodeEvent } from './node-event.ts';

const startedAt = '2026-11-21T12:00:00.000Z';
const gpus = Array.from({ length: 8 }, (_, index) => h100Ref(index));

function rig(options: Partial<NodeEventFeedOptions> & { describe?: GpuError | 'hang' } = {}) {
  const clock = fixedClock(startedAt);
  const driver = inMemoryGpuEventSource();
  const provider = stubProvider({ describe: options.describe ?? { gpus } });
  const reader = new GpuReader(provider, clock, silentLogger);
  const feed = new NodeEventFeed({ clock, sources: { driver }, reader, ...options });
  return {
    clock,
    driver,
    provider,
    feed,
    /** What the driver tells, and time for it to arrive. */
    async send(...items: (GpuDriverEvent | WatchNotice)[]) {
      for (const item of items) driver.send(item);
      await turn();
    },
    async pass(milliseconds: number) {
      clock.advance(milliseconds);
      await turn();
    },
  };
}

const xid = (value: number, index = 0): GpuDriverEvent => ({
  type: 'xid',
  gpu: h100Ref(index),
  at: startedAt,
  value,
  gpuInstanceId: null,
  computeInstanceId: null,
});
const xidsOf = ({ events }: FeedSnapshot) => events.map((event) => event.xid);

describe('when it listens', () => {
  test('not before somebody asks', async () => {
    const { driver, provider, clock } = rig();
    clock.advance(3_600_000);
    await turn();
    expect([driver.watcherCount(), provider.calls.describeNode]).toEqual([0, 0]);
  });

  test('from the first reader until a minute after the last', async () => {
    const { feed, driver, send, pass } = rig();
    expect(feed.read()).toEqual({ listeningSince: startedAt, events: [], lost: 0, notices: [] });
    await turn();
    expect(driver.watcherCount()).toBe(1);
    await send(xid(79));
    await pass(59_000);
    expect(xidsOf(feed.read())).toEqual([79]);
    await pass(59_999);
    expect(driver.watcherCount()).toBe(1);
    await pass(1);
    expect(driver.watcherCount()).toBe(0);
  });

  test('for as long as there is a listener, however many read meanwhile', async () => {
    const { feed, driver, pass } = rig();
    const stop = feed.onItem(() => {});
    feed.read();
    await pass(3_600_000);
    expect(driver.watcherCount()).toBe(1);
    stop();
    stop();
    await pass(59_999);
    expect(driver.watcherCount()).toBe(1);
    await pass(1);
    expect(driver.watcherCount()).toBe(0);
  });

  test('a listener that comes back within the minute finds it listening still', async () => {
    const { feed, driver, pass } = rig();
    feed.onItem(() => {})();
    await pass(30_000);
    const since = feed.read().listeningSince;
    const stop = feed.onItem(() => {});
    await pass(600_000);
    expect(driver.watcherCount()).toBe(1);
    expect(feed.read().listeningSince).toBe(since);
    stop();
  });

  test('begins anew with what it heard, new ids, and a notice of the time in between', async () => {
    const { feed, send, pass } = rig();
    feed.read();
    await turn();
    await send(xid(79), xid(48, 1));
    await pass(60_000);
    await pass(540_000);
    feed.read();
    await turn();
    await send(xid(31, 2));
    const { events, notices, listeningSince } = feed.read();
    expect(listeningSince).toBe('2026-11-21T12:10:00.000Z');
    expect(events.map(({ id, xid: code }) => [id, code])).toEqual([
      [1, 79],
      [2, 48],
      [3, 31],
    ]);
    expect(notices).toMatchObject([
      {
        notice: 'restored',
        at: '2026-11-21T12:10:00.000Z',
        gap: { detail: expect.stringContaining('12:01:00') },
      },
    ]);
  });

  test('closed, it lets go at once and for good', async () => {
    const { feed, driver, send } = rig();
    const heard: unknown[] = [];
    feed.onItem((item) => heard.push(item));
    await turn();
    feed.close();
    await turn();
    expect(driver.watcherCount()).toBe(0);
    await send(xid(79));
    expect(feed.read()).toMatchObject({ listeningSince: null, events: [] });
    expect([driver.watcherCount(), heard]).toEqual([0, []]);
  });
});

describe('what it tells', () => {
  test('events with their GPU, to every listener; one that throws harms none', async () => {
    const { feed, send } = rig();
    const heard: (GpuNodeEvent | WatchNotice)[] = [];
    feed.onItem(() => {
      throw new Error('broken listener');
    });
    feed.onItem((item) => heard.push(item));
    await turn();
    await send(xid(79, 3));
    expect(heard).toMatchObject([{ xid: 79, gpu: { index: 3, uuid: h100Ref(3).uuid }, severity: 'fatal' }]);
  });

  test('a revision replaces its event in place', async () => {
    const { feed, send, pass } = rig();
    feed.onItem(() => {});
    await turn();
    await send(xid(31), xid(48, 1), xid(31), xid(31));
    expect(feed.read().events).toMatchObject([
      { id: 1, revision: 0, repeatCount: 1 },
      { id: 2, revision: 0 },
    ]);
    await pass(5_000);
    expect(feed.read().events).toMatchObject([
      { id: 1, revision: 1, xid: 31, repeatCount: 3 },
      { id: 2, revision: 0, xid: 48 },
    ]);
    expect(feed.read().lost).toBe(0);
  });

  test('a storm: the newest 256, and how many are not shown', async () => {
    const { feed, send, pass } = rig();
    const heard: number[] = [];
    feed.onItem((item) => 'id' in item && item.revision === 0 && heard.push(item.id));
    await turn();
    // Each a different MIG instance, so that none is a repeat of another.
    const storm = Array.from({ length: 10_000 }, (_, gpuInstanceId) => ({ ...xid(31), gpuInstanceId }));
    await send(...storm);
    for (let turns = 0; turns < 100 && heard.length < 10_000; turns += 1) await turn();
    await pass(10_000);
    const { events, lost } = feed.read();
    expect(events).toHaveLength(256);
    expect(events.at(0)?.id).toBe(10_000 - 255);
    expect(events.at(-1)?.gpuInstanceId).toBe(9_999);
    expect(lost).toBe(10_000 - 256);
  });

  test('what a source lost and counted is lost', async () => {
    const { feed, send } = rig();
    feed.read();
    await turn();
    const gap = { field: 'events', reason: 'not-observable', detail: 'dropped' } as const;
    await send(
      { notice: 'blind', gap, at: startedAt, lostCount: 120 },
      { notice: 'restored', gap, at: startedAt },
    );
    expect(feed.read()).toMatchObject({ lost: 120, notices: [{ notice: 'blind' }, { notice: 'restored' }] });
  });

  test('a source that comes and goes does not fill memory with notices', async () => {
    const { feed, send } = rig();
    feed.read();
    await turn();
    const gap = { field: 'gpuEvents', reason: 'error', detail: 'again' } as const;
    await send(...Array.from({ length: 1_000 }, () => ({ notice: 'blind' as const, gap, at: startedAt })));
    for (let turns = 0; turns < 20; turns += 1) await turn();
    expect(feed.read().notices).toHaveLength(32);
  });
});

describe('trouble', () => {
  test('without sources it is blind and says so once, however often it is asked', async () => {
    const { feed } = rig({ sources: {} });
    feed.read();
    await turn();
    for (let asked = 0; asked < 3; asked += 1) {
      await turn();
      expect(feed.read()).toMatchObject({
        listeningSince: null,
        events: [],
        notices: [{ notice: 'blind', gap: { field: 'gpuEvents' } }],
      });
    }
  });

  test.each([
    ['answers with an error', new GpuError('DRIVER_NOT_LOADED', 'no driver.')],
    ['hangs', 'hang' as const],
  ])('an inventory that %s costs names, not events', async (_, describe) => {
    const line = record(xidLine(79, '0000:18:00', 'GPU has fallen off the bus.'), { at: startedAt });
    const kernelLog = {
      async *follow(signal: AbortSignal): AsyncGenerator<KernelLogRecord> {
        yield line;
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      },
    };
    const { feed, pass } = rig({ describe, sources: { kernelLog } });
    feed.read();
    await turn();
    expect(feed.read().events).toMatchObject([{ xid: 79, gpu: null, pciAddress: '0000:18:00' }]);
    feed.close();
    await pass(20_000);
  });
});

test('planted fault: a feed that keeps its sources open would be seen', async () => {
  const { feed, driver, pass } = rig({ lingerMilliseconds: Number.MAX_SAFE_INTEGER });
  feed.read();
  await pass(60_000);
  expect(driver.watcherCount()).toBe(1);
});
