import type { GpuDriverEvent, WatchNotice } from '@k8s-gpu-mcp/core';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, it } from 'vitest';
import type { HelperEvents } from '../executor/helper-process.ts';
import { listeningStage, type Operation, type RawEvent, type WatchedGpu } from '../protocol/protocol.ts';
import { HelperBackedEventSource } from './event-source.ts';

type Reaction =
  | { readonly result: unknown }
  | { readonly failure: { readonly code: 'GPU_LOST' | 'DRIVER_NOT_LOADED'; readonly message: string } }
  | { readonly hangs: string }
  | 'crashes'
  /** A wait that has its time and hears nothing. */
  | 'waits';
type React = (operation: Operation, helper: number) => Reaction;

const watched = (index: number, gaps: WatchedGpu['gaps'] = []): WatchedGpu => ({
  index,
  uuid: `GPU-${index}`,
  busId: `00000000:1${index}:00.0`,
  name: 'H100',
  gaps,
});
const both: Reaction = { result: { gpus: [watched(0), watched(1)] } };
const opened: Reaction = { result: { library: 'x', file: null } };
const xid = (index: number | null, data: number, more: Partial<RawEvent> = {}): RawEvent => ({
  index,
  type: 'xid',
  typeBits: '0x8',
  data,
  gpuInstanceId: null,
  computeInstanceId: null,
  ...more,
});
const heard = (...events: RawEvent[]): Reaction => ({ result: { events } });

/** Does as told for each operation; `immune`: SIGKILL does not end it. */
function setUp(react: React, { immune = false, queueLimit = 100, stallMilliseconds = 10_000 } = {}) {
  const clock = fixedClock();
  const helpers: { readonly sent: Operation[]; isGone: boolean; events: HelperEvents; finish: () => void }[] =
    [];
  const rules = { react, immune };
  const source = new HelperBackedEventSource(
    {
      startHelper: (events) => {
        const number = helpers.length;
        let isIdle = true;
        let finishWait = () => {};
        const exit = (signal: string | null) => {
          if (helper.isGone) return;
          helper.isGone = true;
          queueMicrotask(() => events.onExit({ code: signal === null ? 0 : null, signal }));
        };
        const helper = { sent: [] as Operation[], isGone: false, events, finish: () => exit('SIGKILL') };
        helpers.push(helper);
        return {
          pid: 100 + number,
          send: (id, operation) => {
            helper.sent.push(operation);
            isIdle = false;
            const reaction = rules.react(operation, number);
            const answer = (reply: object) =>
              queueMicrotask(() => {
                isIdle = true;
                if (!helper.isGone)
                  events.onReply({ id, ...reply } as Parameters<HelperEvents['onReply']>[0]);
              });
            events.onReply({ id, stage: operation.kind });
            if (reaction === 'crashes') exit('SIGSEGV');
            else if (reaction === 'waits') {
              const cancel = clock.after(1_000, () => finishWait());
              finishWait = () => {
                cancel();
                finishWait = () => {};
                answer({ result: { events: [] } });
              };
            }
            if (typeof reaction === 'string') return;
            if ('hangs' in reaction) events.onReply({ id, stage: reaction.hangs });
            else answer(reaction);
          },
          retire: () => {
            // A wait that is under way still has its answer.
            finishWait();
            queueMicrotask(() => {
              if (isIdle || !rules.immune) exit(null);
            });
          },
          kill: () => {
            if (!rules.immune) exit('SIGKILL');
          },
          waitChannel: () => 'down_write',
        };
      },
      library: null,
      clock,
      logger: { debug() {}, info() {}, warn() {}, error() {} },
      openDeadlineMilliseconds: 30_000,
      stallMilliseconds,
      sliceMilliseconds: 1_000,
    },
    queueLimit,
  );
  const controller = new AbortController();
  const items: (GpuDriverEvent | WatchNotice)[] = [];
  let isOver = false;
  const stream = source.watch(controller.signal)[Symbol.asyncIterator]();
  return {
    clock,
    source,
    helpers,
    rules,
    items,
    stream,
    /** Takes whatever comes. */
    consume: () => {
      void (async () => {
        for (let next = await stream.next(); !next.done; next = await stream.next()) items.push(next.value);
        isOver = true;
      })();
    },
    isOver: () => isOver,
    abort: () => controller.abort(),
    live: () => helpers.filter(({ isGone }) => !isGone).length,
    advance: async (milliseconds: number) => {
      await settled();
      for (let left = milliseconds; left > 0; left -= 250) {
        clock.advance(Math.min(250, left));
        await settled();
      }
    },
    notices: () => items.flatMap((item) => ('notice' in item ? [[item.notice, item.gap.gpu ?? 'all']] : [])),
    xids: () => items.flatMap((item) => ('type' in item ? [item.value] : [])),
  };
}
const settled = async () => {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
};

/** Opens, registers both GPUs, and hears the given events in the first wait. */
const hearing =
  (...events: RawEvent[]): React =>
  ({ kind }) => {
    if (kind === 'open') return opened;
    if (kind === 'watch') return both;
    const now = events.splice(0);
    return now.length > 0 ? heard(...now) : 'waits';
  };

describe('events', () => {
  it('come with GPU, time, number and instance; a number that means nothing is left out', async () => {
    const { advance, clock, consume, items, abort, live, helpers } = setUp(
      hearing(
        xid(1, 79),
        xid(0, 31, { gpuInstanceId: 3, computeInstanceId: 0 }),
        xid(0, 4, { type: 'performance-state', typeBits: '0x4' }),
        xid(0, 2, { type: 'recovery-action', typeBits: '0x8000' }),
      ),
    );
    expect(live()).toBe(0);
    const at = new Date(clock.now()).toISOString();
    consume();
    await advance(0);
    const gpu = (index: number) => ({
      index,
      uuid: `GPU-${index}`,
      pciAddress: `0000:1${index}:00.0`,
      name: 'H100',
    });
    const none = { gpuInstanceId: null, computeInstanceId: null };
    expect(items).toEqual([
      { type: 'xid', gpu: gpu(1), at, value: 79, ...none },
      { type: 'xid', gpu: gpu(0), at, value: 31, gpuInstanceId: 3, computeInstanceId: 0 },
      { type: 'performance-state', gpu: gpu(0), at, value: null, ...none },
      { type: 'recovery-action', gpu: gpu(0), at, value: 2, ...none },
    ]);
    await advance(5_000);
    expect(helpers).toHaveLength(1);
    abort();
    await settled();
    expect(live()).toBe(0);
  });

  it('of a type or a device that is not known are told, not swallowed', async () => {
    const { advance, consume, items, abort } = setUp(
      hearing(xid(null, 79), xid(0, 1, { type: null, typeBits: '0x20000' })),
    );
    consume();
    await advance(0);
    expect(items).toMatchObject([
      { notice: 'blind', gap: { field: 'events', detail: 'xid, of a device that was not registered' } },
      { notice: 'restored' },
      { notice: 'blind', gap: { gpu: 0, detail: expect.stringContaining('0x20000') } },
      { notice: 'restored' },
    ]);
    abort();
  });

  it('that come faster than they are read push out the oldest, with a notice of how many', async () => {
    const many = Array.from({ length: 10 }, (_, data) => xid(0, data));
    const { advance, stream, abort } = setUp(hearing(...many), { queueLimit: 4 });
    const first = stream.next();
    await advance(0);
    // The first next() may have been given whatever was oldest when it was woken.
    const seen = [(await first).value];
    while (seen.length < 6) seen.push((await stream.next()).value);
    expect(seen).toMatchObject([
      { notice: 'blind', gap: { reason: 'not-observable', detail: expect.stringMatching(/^6 events/) } },
      { notice: 'restored' },
      { value: 6 },
      { value: 7 },
      { value: 8 },
      { value: 9 },
    ]);
    abort();
    expect((await stream.next()).done).toBe(true);
  });

  it('a wait that returns at once and empty does not spin', async () => {
    const { advance, consume, helpers, abort } = setUp(({ kind }) =>
      kind === 'open' ? opened : kind === 'watch' ? both : heard(),
    );
    consume();
    await advance(10_000);
    const waits = helpers[0]?.sent.filter(({ kind }) => kind === 'wait').length;
    expect(waits).toBeGreaterThanOrEqual(9);
    expect(waits).toBeLessThanOrEqual(11);
    abort();
  });
});

describe('the end', () => {
  it('comes at once when the signal aborts, while nothing happens and while the driver hangs', async () => {
    for (const react of [hearing(), (() => ({ hangs: 'nvmlInit_v2' })) as React]) {
      const { advance, consume, isOver, abort, live } = setUp(react);
      consume();
      await advance(500);
      abort();
      await settled();
      expect(isOver()).toBe(true);
      await advance(2_000);
      expect(live()).toBe(0);
    }
  });

  it('starts nothing when the signal was aborted before, and ends the helper when the reader leaves', async () => {
    const early = setUp(hearing());
    early.abort();
    expect((await early.stream.next()).done).toBe(true);
    expect(early.helpers).toHaveLength(0);
    const { advance, stream, live } = setUp(hearing(xid(0, 1)));
    const next = stream.next();
    await advance(0);
    await next;
    await stream.return?.();
    await settled();
    expect(live()).toBe(0);
  });
});

describe('a helper that fails', () => {
  it.each<[string, Reaction, string, RegExp]>([
    ['crashes', 'crashes', 'error', /helper process 100 was ended by SIGSEGV/],
    [
      'hangs',
      { hangs: 'nvmlEventSetWait_v2' },
      'timeout',
      /in helper process 100, which sleeps in down_write/,
    ],
    [
      'finds a lost GPU',
      { failure: { code: 'GPU_LOST', message: 'nvmlEventSetWait_v2 returned 15' } },
      'gpu-lost',
      /returned 15/,
    ],
  ])('%s: one notice, a new one after 1 s, restored once it hears', async (_, fault, reason, detail) => {
    const { advance, consume, items, notices, rules, live, abort } = setUp(({ kind }, helper) => {
      if (kind !== 'wait') return hearing()({ kind } as Operation, helper);
      return helper === 0 ? fault : 'waits';
    });
    consume();
    await advance(13_000);
    expect(items[0]).toMatchObject({
      notice: 'blind',
      gap: { field: 'events', reason, detail: expect.stringMatching(detail) },
    });
    await advance(3_000);
    expect(notices()).toEqual([
      ['blind', 'all'],
      ['restored', 'all'],
    ]);
    rules.react = hearing(xid(1, 48));
    await advance(2_000);
    expect(items.at(-1)).toMatchObject({ type: 'xid', value: 48 });
    expect(live()).toBe(1);
    abort();
  });

  it('again and again: told once, tried after 1, 2, 4, ... 60 s', async () => {
    const { clock, advance, consume, helpers, notices, abort } = setUp(() => ({
      failure: { code: 'DRIVER_NOT_LOADED', message: 'nvmlInit_v2 returned 9' },
    }));
    const starts: number[] = [];
    consume();
    const began = clock.now();
    for (let seconds = 0; seconds < 200; seconds += 1) {
      await advance(1_000);
      while (starts.length < helpers.length) starts.push((clock.now() - began) / 1_000);
    }
    // Seen at the end of the second in which they started: 0, 1, 3, 7, 15, 31, 63, 123, 183.
    expect(starts).toEqual([1, 1, 3, 7, 15, 31, 63, 123, 183]);
    expect(notices()).toEqual([['blind', 'all']]);
    abort();
  });

  it('and cannot be ended: no second is started beside it until it is gone', async () => {
    const { advance, consume, helpers, items, rules, live, abort } = setUp(
      ({ kind }) =>
        kind === 'wait' ? { hangs: 'nvmlEventSetWait_v2' } : hearing()({ kind } as Operation, 0),
      { immune: true },
    );
    consume();
    await advance(600_000);
    expect(items).toHaveLength(1);
    expect(helpers).toHaveLength(1);
    rules.react = hearing(xid(0, 1));
    rules.immune = false;
    helpers[0]?.finish();
    await advance(1_000);
    expect(items.at(-1)).toMatchObject({ type: 'xid', value: 1 });
    expect(live()).toBe(1);
    abort();
  });
});

describe('one GPU of several', () => {
  const lost = {
    gpu: 1,
    field: 'events',
    reason: 'gpu-lost',
    detail: 'nvmlDeviceGetHandleByIndex_v2: 15',
  } as const;

  it('that cannot be registered is told, the other is heard, and it is tried again after a minute', async () => {
    const { advance, consume, helpers, notices, items, rules, abort } = setUp((operation, helper) =>
      operation.kind === 'watch'
        ? { result: { gpus: [watched(0), watched(1, [lost])] } }
        : hearing()(operation, helper),
    );
    consume();
    await advance(59_000);
    expect(items).toMatchObject([{ notice: 'blind', gap: lost }]);
    expect(helpers[0]?.sent.filter(({ kind }) => kind === 'watch')).toHaveLength(1);
    rules.react = hearing();
    await advance(2_000);
    expect(helpers).toHaveLength(1);
    expect(notices()).toEqual([
      ['blind', 1],
      ['restored', 1],
    ]);
    abort();
  });

  it('on which registering hangs is left out of the next try, so that the other is heard', async () => {
    const { advance, consume, helpers, items, notices, rules, abort } = setUp((operation, helper) => {
      if (operation.kind !== 'watch') return hearing()(operation, helper);
      if (!operation.leftOut.includes(1)) return { hangs: listeningStage(1) };
      return { result: { gpus: [watched(0)] } };
    });
    consume();
    await advance(15_000);
    expect(notices()).toEqual([
      ['blind', 1],
      ['blind', 'all'],
      ['restored', 'all'],
    ]);
    expect(items[0]).toMatchObject({
      gap: {
        gpu: 1,
        reason: 'timeout',
        detail: expect.stringMatching(/^GPU 1 does not answer: "listen to GPU 1"/),
      },
    });
    expect(helpers.map(({ isGone }) => isGone)).toEqual([true, false]);
    rules.react = hearing();
    await advance(60_000);
    expect(notices().at(-1)).toEqual(['restored', 1]);
    abort();
  });

  it('that reports no events is told once and not tried again', async () => {
    const none = { ...lost, reason: 'unsupported' } as const;
    const { advance, consume, helpers, notices, abort } = setUp((operation, helper) =>
      operation.kind === 'watch'
        ? { result: { gpus: [watched(0), watched(1, [none])] } }
        : hearing()(operation, helper),
    );
    consume();
    await advance(300_000);
    expect(notices()).toEqual([['blind', 1]]);
    expect(helpers[0]?.sent.filter(({ kind }) => kind === 'watch')).toHaveLength(1);
    abort();
  });

  it('where all report none, the driver is not held open for nothing', async () => {
    const none = { ...lost, reason: 'unsupported' } as const;
    const { advance, consume, items, live, abort } = setUp((operation, helper) =>
      operation.kind === 'watch' ? { result: { gpus: [watched(1, [none])] } } : hearing()(operation, helper),
    );
    consume();
    await advance(500);
    expect(live()).toBe(0);
    expect(items.at(-1)).toMatchObject({ notice: 'blind', gap: { reason: 'unsupported' } });
    abort();
  });
});

describe('suspend', () => {
  it('lets go of the driver, stays blind, and goes on when resumed', async () => {
    const { advance, consume, live, items, notices, source, rules, abort } = setUp(hearing());
    consume();
    await advance(1_500);
    const resume = await source.suspend();
    expect(live()).toBe(0);
    await advance(120_000);
    expect(live()).toBe(0);
    expect(notices()).toEqual([['blind', 'all']]);
    rules.react = hearing(xid(0, 7));
    resume();
    await advance(1_000);
    expect(items).toMatchObject([
      { notice: 'blind', gap: { reason: 'not-observable' } },
      { notice: 'restored' },
      { type: 'xid', value: 7 },
    ]);
    abort();
  });

  it('says which process cannot be ended', async () => {
    const { advance, consume, source, abort } = setUp(
      ({ kind }) => (kind === 'wait' ? { hangs: 'wait for events' } : hearing()({ kind } as Operation, 0)),
      { immune: true },
    );
    consume();
    await advance(500);
    const suspended = source.suspend();
    suspended.catch(() => {});
    await advance(5_000);
    await expect(suspended).rejects.toMatchObject({
      code: 'DRIVER_UNRESPONSIVE',
      message: expect.stringContaining('helper process 100, which sleeps in down_write'),
    });
    abort();
  });
});

it('planted fault: without a deadline on the wait a hang goes untold', async () => {
  const isTold = async (stallMilliseconds: number) => {
    const { advance, consume, items, abort } = setUp(
      ({ kind }) => (kind === 'wait' ? { hangs: 'wait for events' } : hearing()({ kind } as Operation, 0)),
      { stallMilliseconds },
    );
    consume();
    await advance(12_000);
    abort();
    return items.some((item) => 'notice' in item && item.notice === 'blind');
  };
  expect(await isTold(10_000)).toBe(true);
  expect(await isTold(Number.MAX_SAFE_INTEGER)).toBe(false);
});
