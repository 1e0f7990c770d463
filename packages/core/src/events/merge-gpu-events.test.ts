import { describe, expect, test } from 'vitest';
import { h100Ref } from '../../test/h100.ts';
import { applicationFault, fellOffTheBus, record, turn, xidLine } from '../../test/rig.ts';
import type { KernelLogRecord } from '../domain/event.ts';
import type { GpuDriverEvent, WatchNotice } from '../ports/gpu-event-source.ts';
import { fixedClock } from '../testing.ts';
import { type GpuEventSources, type MergeOptions, mergeGpuEvents } from './merge-gpu-events.ts';
import { type GpuNodeEvent, gpuResolver } from './node-event.ts';

/** A source that a test drives by hand. */
function handDriven<T>() {
  const queue: (T | Error | 'end')[] = [];
  let wake = () => {};
  const send = (item: T | Error | 'end') => {
    queue.push(item);
    wake();
  };
  async function* open(signal: AbortSignal): AsyncGenerator<T> {
    signal.addEventListener('abort', () => wake(), { once: true });
    while (!signal.aborted) {
      const item = queue.shift();
      if (item === 'end') return;
      if (item instanceof Error) throw item;
      if (item !== undefined) yield item;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  }
  return { send, open, waitingCount: () => queue.length };
}

const gpus = Array.from({ length: 8 }, (_, index) => h100Ref(index));
const startedAt = '2026-11-21T12:00:00.000Z';

function rig(options: Partial<MergeOptions> = {}, only?: (keyof GpuEventSources)[]) {
  const clock = fixedClock(startedAt);
  const driver = handDriven<GpuDriverEvent | WatchNotice>();
  const log = handDriven<KernelLogRecord | WatchNotice>();
  const controller = new AbortController();
  const all: GpuEventSources = { driver: { watch: driver.open }, kernelLog: { follow: log.open } };
  const sources = only ? Object.fromEntries(only.map((name) => [name, all[name]])) : all;
  const stream = mergeGpuEvents(sources, {
    clock,
    resolve: gpuResolver(gpus),
    signal: controller.signal,
    ...options,
  });
  const seen: (GpuNodeEvent | WatchNotice)[] = [];
  const done = (async () => {
    for await (const item of stream) seen.push(item);
  })();
  return {
    clock,
    controller,
    done,
    seen,
    events: () => seen.filter((item): item is GpuNodeEvent => !('notice' in item)),
    notices: () => seen.filter((item): item is WatchNotice => 'notice' in item),
    async driver(...items: (GpuDriverEvent | WatchNotice | Error | 'end')[]) {
      for (const item of items) driver.send(item);
      await turn();
    },
    async log(...items: (KernelLogRecord | WatchNotice | Error | 'end')[]) {
      for (const item of items) log.send(item);
      await turn();
    },
    waitingCount: log.waitingCount,
    /** Lets the clock move on. */
    async pass(milliseconds: number) {
      clock.advance(milliseconds);
      await turn();
    },
  };
}

const xid = (value: number, index = 0, changes: Partial<GpuDriverEvent> = {}): GpuDriverEvent => ({
  type: 'xid',
  gpu: h100Ref(index),
  at: startedAt,
  value,
  gpuInstanceId: null,
  computeInstanceId: null,
  ...changes,
});
const buses = ['18', '2a', '3a', '5d'];
const lost = (index = 0) =>
  record(fellOffTheBus(`0000:${buses[index]}:00`), { at: '2026-11-21T11:59:59.500Z' });
const fault = (index = 0) => record(applicationFault(`0000:${buses[index]}:00`));

describe('an Xid that driver and kernel log tell', () => {
  test.each([
    ['the driver first', 'driver', 'kernel-log'],
    ['the log first', 'kernel-log', 'driver'],
  ] as const)(
    '%s: told at once, its twin swallowed, both sources named when the window ends',
    async (_, first, second) => {
      const { driver, log, pass, events } = rig();
      const tell = { driver: () => driver(xid(79)), 'kernel-log': () => log(lost()) };
      await tell[first]();
      expect(events()).toMatchObject([{ id: 1, revision: 0, xid: 79, sources: [first], repeatCount: 1 }]);
      await pass(2_000);
      await tell[second]();
      expect(events()).toHaveLength(1);
      await pass(3_000);
      expect(events()).toMatchObject([
        { id: 1, revision: 0 },
        {
          id: 1,
          revision: 1,
          xid: 79,
          gpu: { index: 0 },
          sources: ['driver', 'kernel-log'],
          repeatCount: 1,
          at: '2026-11-21T11:59:59.500Z',
          raw: expect.stringContaining('fallen off the bus'),
        },
      ]);
    },
  );

  test('alone: nothing more is told when the window ends', async () => {
    const { driver, pass, events } = rig();
    await driver(xid(79));
    await pass(60_000);
    expect(events()).toHaveLength(1);
  });

  test.each([
    ['another GPU', xid(79, 1)],
    ['another number', xid(48)],
    ['another kind of event', xid(79, 0, { type: 'gpu-unavailable' })],
  ])('planted: %s is no twin', async (_, other) => {
    const { driver, log, events } = rig();
    await log(lost());
    await driver(other);
    expect(events().map(({ id, revision }) => [id, revision])).toEqual([
      [1, 0],
      [2, 0],
    ]);
  });

  test('planted: after the window it is another event', async () => {
    const { driver, log, pass, events } = rig();
    await log(lost());
    await pass(5_000);
    await driver(xid(79));
    expect(events()).toMatchObject([
      { id: 1, sources: ['kernel-log'] },
      { id: 2, sources: ['driver'] },
    ]);
  });

  test('two faults of two programs have two twins', async () => {
    const { driver, log, pass, events } = rig();
    const of = (pid: number) => record(xidLine(31, '0000:18:00', `pid=${pid}, name=python3, Ch 00000001`));
    await log(of(1), of(2));
    await driver(xid(31), xid(31));
    await pass(5_000);
    expect(
      events().map(({ id, pid, sources, repeatCount }) => [id, pid, sources.length, repeatCount]),
    ).toEqual([
      [1, 1, 1, 1],
      [2, 2, 1, 1],
      [1, 1, 2, 1],
      [2, 2, 2, 1],
    ]);
  });

  test('what a program wrote is not the twin of what the driver said', async () => {
    const { driver, log, pass, events } = rig();
    await driver(xid(79));
    await log({ ...lost(), trusted: false });
    await pass(5_000);
    expect(events()).toMatchObject([
      { id: 1, verdict: 'critical', sources: ['driver'] },
      { id: 2, verdict: 'unknown', trusted: false },
    ]);
  });

  test('a line that makes it worse is told at once', async () => {
    const { driver, log, pass, events } = rig();
    // Without its text, Xid 154 says that the advice changed, not to what.
    await driver(xid(154));
    const [first] = events();
    expect(first?.severity).not.toBe('fatal');
    await log(
      record(
        xidLine(
          154,
          '0000:18:00',
          'GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)',
        ),
      ),
    );
    expect(events()).toMatchObject([
      { id: 1 },
      { id: 1, revision: 1, severity: 'fatal', action: 'reboot-node' },
    ]);
    await pass(5_000);
    expect(events()).toHaveLength(2);
  });

  test('advice that is taken back is an event of its own', async () => {
    const { log, events } = rig();
    const advice = (to: string) =>
      record(xidLine(154, '0000:18:00', `GPU recovery action changed from 0x0 (None) to ${to}`));
    await log(advice('0x1 (GPU Reset Required)'), advice('0x0 (None)'));
    expect(events()).toMatchObject([
      { id: 1, action: 'reset-gpu' },
      { id: 2, action: 'none' },
    ]);
  });
});

describe('repeats', () => {
  test('are counted, and told once when the window ends', async () => {
    const { log, pass, events } = rig();
    await log(...Array.from({ length: 200 }, () => fault()));
    expect(events()).toMatchObject([{ xid: 13, repeatCount: 1 }]);
    await pass(5_000);
    expect(events()).toMatchObject([{ revision: 0 }, { revision: 1, repeatCount: 200 }]);
  });

  test('of both sources are not added up, those of the container are', async () => {
    const { driver, log, pass, events } = rig();
    await driver(xid(13), xid(13), xid(13));
    await log(fault(), { ...fault(), repeatCount: 4 });
    await pass(5_000);
    expect(events().at(-1)).toMatchObject({ repeatCount: 5, sources: ['driver', 'kernel-log'] });
  });

  test('that go on are one event for each window', async () => {
    const { log, pass, events } = rig({ windowMilliseconds: 1_000 });
    for (let second = 0; second < 3; second += 1) {
      await log(fault(), fault());
      await pass(1_000);
    }
    expect(events().map(({ id, revision, repeatCount }) => [id, revision, repeatCount])).toEqual([
      [1, 0, 1],
      [1, 1, 2],
      [2, 0, 1],
      [2, 1, 2],
      [3, 0, 1],
      [3, 1, 2],
    ]);
  });
});

describe('trouble', () => {
  const blind: WatchNotice = {
    notice: 'blind',
    gap: { field: 'gpuEvents', reason: 'timeout', detail: 'the driver does not answer' },
    at: startedAt,
  };

  test('that a source notices is passed on, and the other goes on', async () => {
    const { driver, log, seen } = rig();
    await driver(blind);
    await log(lost());
    await driver({ ...blind, notice: 'restored' });
    expect(seen).toMatchObject([blind, { xid: 79 }, { notice: 'restored' }]);
  });

  test.each([
    ['throws', new TypeError('secret path')],
    ['ends by itself', 'end' as const],
  ])('a source that %s becomes a notice, and the other goes on', async (_, failure) => {
    const { driver, log, seen } = rig();
    await log(failure);
    await driver(xid(79));
    expect(seen).toMatchObject([
      { notice: 'blind', gap: { field: 'kernelLog', reason: 'error' }, at: startedAt },
      { xid: 79 },
    ]);
    expect(JSON.stringify(seen)).not.toContain('secret');
  });

  test('the stream ends when all sources have, after telling what is open', async () => {
    const { driver, log, done, events } = rig();
    await log(fault(), fault(), 'end');
    await driver('end');
    await done;
    expect(events().at(-1)).toMatchObject({ revision: 1, repeatCount: 2 });
  });

  test('without any source it says so and ends', async () => {
    const { done, notices } = rig({}, []);
    await done;
    expect(notices()).toMatchObject([{ notice: 'blind', gap: { field: 'gpuEvents' } }]);
  });

  test('one source is enough', async () => {
    const { driver, notices, events } = rig({}, ['driver']);
    await driver(xid(79));
    expect(notices()).toEqual([]);
    expect(events()).toHaveLength(1);
  });

  test('an inventory that fails costs the attribution, not the event', async () => {
    const resolve = () => {
      throw new Error('no inventory');
    };
    const { log, events } = rig({ resolve });
    await log(lost());
    expect(events()).toMatchObject([{ xid: 79, gpu: null, pciAddress: '0000:18:00' }]);
  });

  test('lines that are no events, or only name a GPU, are not told', async () => {
    const { log, seen } = rig();
    await log(record('usb 1-1: new device'), record(''), record('\u0000'.repeat(5_000)));
    expect(seen).toEqual([]);
  });
});

describe('the end', () => {
  test('comes with the signal, at once, and nothing is told after it', async () => {
    const { log, driver, controller, done, pass, seen } = rig();
    await log(fault(), fault());
    controller.abort();
    await done;
    const { length } = seen;
    await driver(xid(79));
    await pass(10_000);
    expect(seen).toHaveLength(length);
  });

  test('does not wait for a source that ignores it', async () => {
    const deaf = {
      watch: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) }),
    };
    const controller = new AbortController();
    const stream = mergeGpuEvents(
      { driver: deaf },
      { clock: fixedClock(), resolve: () => undefined, signal: controller.signal },
    );
    const next = stream.next();
    await turn();
    controller.abort();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  test('a signal that has aborted opens nothing', async () => {
    const { seen, done } = rig({ signal: AbortSignal.abort() });
    await done;
    expect(seen).toEqual([]);
  });

  test('a consumer that leaves stops the sources', async () => {
    const log = handDriven<KernelLogRecord>();
    let signal: AbortSignal | undefined;
    const follow = (given: AbortSignal) => {
      signal = given;
      return log.open(given);
    };
    const stream = mergeGpuEvents(
      { kernelLog: { follow } },
      { clock: fixedClock(), resolve: () => undefined, signal: new AbortController().signal },
    );
    log.send(lost());
    expect((await stream.next()).value).toMatchObject({ xid: 79 });
    await stream.return();
    expect(signal?.aborted).toBe(true);
  });
});

describe('a flood', () => {
  const distinct = (count: number) =>
    Array.from({ length: count }, (_, pid) =>
      record(xidLine(31, '0000:18:00', `pid=${pid + 1}, name=x, Ch 00000001`)),
    );

  test('of distinct events is bounded: the oldest are told to their end early', async () => {
    const { log, events } = rig();
    await log(fault(1), fault(1), ...distinct(1_100));
    const ended = events().filter(({ revision }) => revision > 0);
    expect(ended).toMatchObject([{ id: 1, repeatCount: 2 }]);
  });

  test('with a slow consumer holds the sources back', async () => {
    const clock = fixedClock();
    const log = handDriven<KernelLogRecord>();
    for (const line of distinct(5_000)) log.send(line);
    const stream = mergeGpuEvents(
      { kernelLog: { follow: log.open } },
      { clock, resolve: () => undefined, signal: new AbortController().signal },
    );
    await stream.next();
    await turn();
    expect(log.waitingCount()).toBeGreaterThan(3_000);
    let count = 1;
    while (count < 5_000) {
      const { value } = await stream.next();
      if (value && !('notice' in value) && value.revision === 0) count += 1;
    }
    expect(log.waitingCount()).toBe(0);
    await stream.return();
  });
});
