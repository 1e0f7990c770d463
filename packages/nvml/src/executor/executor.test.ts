import type { GpuRef } from '@k8s-gpu-mcp/core';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, it } from 'vitest';
import type { LibraryFile } from '../helper/library-file.ts';
import type { Operation } from '../protocol/protocol.ts';
import { NvmlExecutor } from './executor.ts';
import type { HelperEvents } from './helper-process.ts';

/**
 * What a scripted helper does with an operation. `immune`: hangs and SIGKILL does not end it. `starts`: is not up yet. With `peer`: does so
 * once it asks about that GPU, if it may.
 */
type Fate = 'answers' | 'fails' | 'hangs' | 'immune' | 'crashes' | 'starts';
type Behaviour = Fate | { readonly peer: number; readonly fate: Fate };

const libraryFile: LibraryFile = { path: '/lib/nvml.so', device: 1, inode: 2, modifiedMilliseconds: 3 };

class ScriptedHelper {
  readonly sent: { id: number; operation: Operation }[] = [];
  readonly pid: number;
  isGone = false;
  killCount = 0;
  readonly #events: HelperEvents;
  readonly #behave: (operation: Operation) => Behaviour;
  isImmune = false;

  constructor(pid: number, events: HelperEvents, behave: (operation: Operation) => Behaviour) {
    this.pid = pid;
    this.#events = events;
    this.#behave = behave;
  }

  send(id: number, operation: Operation): void {
    this.sent.push({ id, operation });
    const planned = this.#behave(operation);
    const isPlain = typeof planned === 'string';
    const asksPeer = !isPlain && operation.kind === 'read' && operation.peers.includes(planned.peer);
    const behaviour = isPlain ? planned : asksPeer ? planned.fate : 'answers';
    if (behaviour !== 'starts') this.#events.onReply({ id, stage: `${operation.kind} stage` });
    if (asksPeer) this.#events.onReply({ id, stage: `relation to GPU ${planned.peer}` });
    if (behaviour === 'answers') this.answer(id);
    if (behaviour === 'fails') {
      const failure = { code: 'UNAVAILABLE', message: 'NVML_ERROR_UNKNOWN (999)' } as const;
      queueMicrotask(() => this.#events.onReply({ id, failure }));
    }
    if (behaviour === 'immune') this.isImmune = true;
    if (behaviour === 'crashes') this.exit(null, 'SIGSEGV');
  }

  /** A result that has something for every kind of operation. */
  answer(
    id: number,
    { probeMilliseconds, ...more }: { hasLostDriver?: boolean; probeMilliseconds?: number } = {},
  ): void {
    const result = { gpuCount: 4, id, gaps: [], pid: this.pid, file: libraryFile, probeMilliseconds };
    queueMicrotask(() => this.#events.onReply({ id, result, ...more }));
  }

  /** Goes on with another stage of what it was sent last. */
  say(stage: string): void {
    this.#events.onReply({ id: this.sent.at(-1)?.id ?? -1, stage });
  }

  /** Answers what it was sent last, late. */
  answerLast(more: { probeMilliseconds?: number } = {}): void {
    this.answer(this.sent.at(-1)?.id ?? -1, more);
  }

  exit(code: number | null, signal: string | null): void {
    if (this.isGone) return;
    this.isGone = true;
    queueMicrotask(() => this.#events.onExit({ code, signal }));
  }

  retire(): void {
    if (!this.isImmune) this.exit(0, null);
  }

  kill(): void {
    this.killCount += 1;
    if (!this.isImmune) this.exit(null, 'SIGKILL');
  }

  waitChannel() {
    return 'down_write';
  }
}

function setUp(behave: (operation: Operation) => Behaviour = () => 'answers', stallMilliseconds = 2_000) {
  const clock = fixedClock();
  const helpers: ScriptedHelper[] = [];
  let keptAlive = false;
  let peak = 0;
  const rules = { behave, isLibraryReplaced: () => Promise.resolve(false) };
  let libraryChecks = 0;
  const logged: { message: string; fields: unknown }[] = [];
  const log = (message: string, fields?: unknown) => void logged.push({ message, fields });
  const executor = new NvmlExecutor({
    startHelper: (events) => {
      const helper = new ScriptedHelper(100 + helpers.length, events, (operation) => rules.behave(operation));
      helpers.push(helper);
      peak = Math.max(peak, helpers.filter(({ isGone }) => !isGone).length);
      return helper;
    },
    library: null,
    isLibraryReplaced: () => {
      libraryChecks += 1;
      return rules.isLibraryReplaced();
    },
    clock,
    logger: { debug: log, info: log, warn: log, error: log },
    stallMilliseconds,
    hungAfterMilliseconds: 2_000,
    openDeadlineMilliseconds: 15_000,
    readDeadlineMilliseconds: 5_000,
    readDeadlinePerGpuMilliseconds: 1_000,
    idleExitMilliseconds: 30_000,
    keepAlive: (isNeeded) => {
      keptAlive = isNeeded;
    },
  });
  const read = (index: number, controller = new AbortController()) => {
    const gpu: GpuRef = { index, uuid: `GPU-${index}`, pciAddress: null, name: null };
    const promise = executor.submit(
      { kind: 'read', index, uuid: gpu.uuid, sections: ['topology'], peers: [] },
      { signal: controller.signal, gpu },
    );
    promise.catch(() => {});
    return { promise, abort: () => controller.abort() };
  };
  return {
    clock,
    executor,
    helpers,
    rules,
    logged,
    read,
    /** Opens, counts four GPUs, and hands back the helper. */
    start: async () => {
      await executor.submit({ kind: 'describe' }, { signal: new AbortController().signal });
    },
    advance: async (milliseconds: number) => {
      await settled();
      // In steps, so that what a timer sets off (an exit, an answer) has happened before the next one.
      for (let left = milliseconds; left > 0; left -= 250) {
        clock.advance(Math.min(250, left));
        await settled();
      }
    },
    live: () => helpers.filter(({ isGone }) => !isGone),
    peak: () => peak,
    libraryChecks: () => libraryChecks,
    isKeptAlive: () => keptAlive,
  };
}

const settled = async () => {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
};
const hangsOn =
  (...indexes: number[]) =>
  (operation: Operation): Behaviour =>
    operation.kind === 'read' && indexes.includes(operation.index) ? 'hangs' : 'answers';
const indexesSentTo = (helper: ScriptedHelper | undefined) =>
  helper?.sent.flatMap(({ operation }) => (operation.kind === 'read' ? [operation.index] : []));

describe('a healthy driver', () => {
  it('starts nothing before the first call, then one helper, one operation at a time', async () => {
    const { executor, helpers, read, start, isKeptAlive } = setUp();
    expect(helpers).toHaveLength(0);
    await start();
    await Promise.all([0, 1, 2, 3].map((index) => read(index).promise));
    expect(helpers).toHaveLength(1);
    expect(helpers[0]?.sent.map(({ operation }) => operation.kind)).toEqual([
      'open',
      'describe',
      'read',
      'read',
      'read',
      'read',
    ]);
    expect(isKeptAlive()).toBe(false);
    await executor.close();
  });

  it('retires the idle helper after 30 s, and not before', async () => {
    const { advance, helpers, live, read, start } = setUp();
    await start();
    await advance(29_000);
    expect(live()).toHaveLength(1);
    await advance(1_000);
    expect(live()).toHaveLength(0);
    expect(helpers[0]?.killCount).toBe(0);
    await read(0).promise;
    expect(live()).toHaveLength(1);
  });

  it('refuses a call that is aborted before it begins', async () => {
    const { executor, helpers } = setUp();
    const signal = AbortSignal.abort();
    await expect(executor.submit({ kind: 'describe' }, { signal })).rejects.toMatchObject({
      code: 'TIMEOUT',
    });
    expect(helpers).toHaveLength(0);
  });
});

describe('one GPU hangs', () => {
  it('serves its siblings from a second helper after the stall, before any abort', async () => {
    const { advance, helpers, peak, read, start } = setUp(hangsOn(1));
    await start();
    const reads = [0, 1, 2, 3].map((index) => read(index));
    await advance(2_000);
    await Promise.all([0, 2, 3].map((index) => reads[index]?.promise));
    expect(indexesSentTo(helpers[1])).toEqual([2, 3]);
    expect(peak()).toBe(2);
  });

  it('does not take a second helper that is slow to start for a driver that hangs', async () => {
    const { advance, helpers, read, rules, start } = setUp(hangsOn(1));
    await start();
    rules.behave = (operation) => (operation.kind === 'open' ? 'starts' : hangsOn(1)(operation));
    read(1);
    const sibling = read(2);
    await advance(6_000);
    helpers[1]?.answerLast();
    await sibling.promise;
  });

  it('rejects it on abort with GPU_HUNG that names GPU, UUID, operation, time and process', async () => {
    const { advance, read, start } = setUp(hangsOn(1));
    await start();
    const { promise, abort } = read(1);
    await advance(3_000);
    abort();
    await expect(promise).rejects.toMatchObject({
      code: 'GPU_HUNG',
      gpuId: 'GPU-1',
      message:
        'GPU 1 (GPU-1) does not answer: "read stage" has taken 3.0 s in helper process 100, which sleeps in down_write',
    });
  });

  it('rejects everybody with TIMEOUT when they give up before anything counts as hung', async () => {
    const { read, start } = setUp(hangsOn(1));
    await start();
    const hung = read(1);
    const waiting = read(2);
    const sameGpu = read(1);
    await settled();
    for (const { abort } of [waiting, sameGpu, hung]) abort();
    await expect(waiting.promise).rejects.toMatchObject({ code: 'TIMEOUT' });
    await expect(sameGpu.promise).rejects.toMatchObject({ code: 'TIMEOUT' });
    await expect(hung.promise).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  it('never sends a second read of the same GPU to the second helper', async () => {
    const { advance, helpers, read, start } = setUp(hangsOn(1));
    await start();
    read(1);
    read(1);
    const sibling = read(2);
    await advance(2_500);
    await sibling.promise;
    expect(helpers.flatMap((helper) => indexesSentTo(helper)).filter((index) => index === 1)).toHaveLength(1);
  });

  it('refuses a second read of the GPU that was waiting when the first passed the deadline', async () => {
    const { advance, read, start } = setUp(hangsOn(1));
    await start();
    const first = read(1);
    const second = read(1);
    await advance(9_000);
    await expect(first.promise).rejects.toThrow(/has taken 9\.0 s/);
    await expect(second.promise).rejects.toThrow(/tried again at the earliest in 1\.0 s/);
  });

  it('turns the GPU away at once while it hangs unattended, and a late answer clears it', async () => {
    const { advance, helpers, read, rules, start } = setUp(hangsOn(1));
    await start();
    const first = read(1);
    await advance(2_500);
    first.abort();
    await expect(read(1).promise).rejects.toMatchObject({ code: 'GPU_HUNG' });
    await read(2).promise;
    rules.behave = () => 'answers';
    helpers[0]?.answerLast();
    await settled();
    await read(1).promise;
  });

  it('an abort before the stall leaves no suspicion behind', async () => {
    const { advance, helpers, read, start } = setUp(hangsOn(1));
    await start();
    const first = read(1);
    await advance(500);
    first.abort();
    const second = read(1);
    helpers[0]?.answerLast();
    await settled();
    expect(indexesSentTo(helpers[0])).toEqual([1, 1]);
    second.abort();
  });

  it('kills the helper once at the hardware deadline (5 s + 1 s for each of 4 GPUs), backs off 1 s, 2 s, ... 60 s', async () => {
    const { advance, clock, helpers, read, start } = setUp(hangsOn(1));
    await start();
    for (const backOff of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      const { promise } = read(1);
      await advance(8_750);
      const helper = helpers.find((each) => indexesSentTo(each)?.at(-1) === 1 && !each.isGone);
      expect(helper?.killCount).toBe(0);
      await advance(250);
      expect(helper?.killCount).toBe(1);
      await expect(promise).rejects.toMatchObject({ code: 'GPU_HUNG' });
      await advance(backOff - 250);
      const refused = read(1);
      await expect(refused.promise).rejects.toThrow(
        /has not answered since .*tried again at the earliest in 0\.\d s/,
      );
      await read(0).promise;
      await advance(250);
      expect(clock.now()).toBeGreaterThan(0);
    }
    const last = read(1);
    await settled();
    expect(helpers.at(-1)?.sent.at(-1)?.operation).toMatchObject({ kind: 'read', index: 1 });
    last.abort();
  });

  it('tries a suspect again alone and last', async () => {
    const { advance, helpers, read, rules, start } = setUp(hangsOn(0));
    await start();
    read(0);
    await advance(9_000 + 1_000);
    rules.behave = () => 'answers';
    await Promise.all([0, 1, 2, 3].map((index) => read(index).promise));
    expect(indexesSentTo(helpers.at(-1))).toEqual([1, 2, 3, 0]);
  });
});

describe('a helper that cannot be killed', () => {
  const immuneOn =
    (index: number) =>
    (operation: Operation): Behaviour =>
      operation.kind === 'read' && operation.index === index ? 'immune' : 'answers';

  it('is kept as stuck, one helper works beside it, and its GPU is refused until it is gone', async () => {
    const { advance, helpers, logged, peak, read, start } = setUp(immuneOn(2));
    await start();
    const { promise } = read(2);
    await advance(9_000);
    await expect(promise).rejects.toMatchObject({ code: 'GPU_HUNG' });
    await advance(2_000);
    expect(logged).toContainEqual({
      message: 'nvml helper cannot be ended: it sleeps in the driver',
      fields: { helperPid: 100, operation: 'read stage', gpu: 2, waitChannel: 'down_write' },
    });
    await advance(300_000);
    await expect(read(2).promise).rejects.toThrow(/once the driver comes back/);
    await Promise.all([0, 1, 3].map((index) => read(index).promise));
    expect(peak()).toBe(2);
    expect(helpers[0]?.killCount).toBe(1);
    helpers[0]?.exit(null, 'SIGKILL');
    await settled();
    const again = read(2);
    await settled();
    expect(helpers.flatMap((helper) => indexesSentTo(helper)).filter((index) => index === 2)).toHaveLength(2);
    again.abort();
  });

  it('beside it, what has crashed is tried again all the same', async () => {
    const { advance, read, rules, start } = setUp((operation) => {
      if (operation.kind !== 'read' || operation.index > 1) return 'answers';
      return operation.index === 0 ? 'immune' : 'crashes';
    });
    await start();
    const stuck = read(0);
    await advance(12_000);
    await expect(stuck.promise).rejects.toMatchObject({ code: 'GPU_HUNG' });
    await expect(read(1).promise).rejects.toMatchObject({ code: 'ADAPTER_CRASHED' });
    rules.behave = () => 'answers';
    const { promise } = read(1);
    await settled();
    await expect(Promise.race([promise, 'nothing'])).resolves.toMatchObject({ pid: 102 });
  });

  it('never has a third: with both places taken everything is DRIVER_UNRESPONSIVE at once', async () => {
    const { advance, peak, read, start } = setUp((operation) =>
      operation.kind === 'read' && operation.index < 2 ? 'immune' : 'answers',
    );
    await start();
    const reads = [0, 1, 2, 3].map((index) => read(index));
    await advance(4_000);
    await expect(reads[2]?.promise).rejects.toMatchObject({ code: 'DRIVER_UNRESPONSIVE' });
    await expect(reads[3]?.promise).rejects.toMatchObject({ code: 'DRIVER_UNRESPONSIVE' });
    await expect(read(3).promise).rejects.toMatchObject({ code: 'DRIVER_UNRESPONSIVE' });
    await advance(100_000);
    await expect(read(3).promise).rejects.toMatchObject({ code: 'DRIVER_UNRESPONSIVE' });
    expect(peak()).toBe(2);
  });
});

describe('initialisation hangs', () => {
  it('ends the first call with TIMEOUT on its abort, and turns later ones away at once', async () => {
    const { advance, executor, helpers, read, rules } = setUp((operation) =>
      operation.kind === 'open' ? 'hangs' : 'answers',
    );
    const first = read(0);
    await advance(3_000);
    first.abort();
    await expect(first.promise).rejects.toMatchObject({ code: 'TIMEOUT' });
    const signal = new AbortController().signal;
    await expect(executor.submit({ kind: 'describe' }, { signal })).rejects.toMatchObject({
      code: 'DRIVER_UNRESPONSIVE',
    });
    await advance(12_000);
    expect(helpers[0]?.killCount).toBe(1);
    await expect(read(1).promise).rejects.toMatchObject({ code: 'DRIVER_UNRESPONSIVE' });
    expect(helpers).toHaveLength(1);
    await advance(1_000);
    rules.behave = () => 'answers';
    await read(1).promise;
  });
});

describe('a helper crashes', () => {
  const crashesOn =
    (index: number) =>
    (operation: Operation): Behaviour =>
      operation.kind === 'read' && operation.index === index ? 'crashes' : 'answers';

  it('rejects the operation in flight with the signal, and goes on with the queue on a new helper', async () => {
    const { helpers, read, start } = setUp(crashesOn(1));
    await start();
    const reads = [0, 1, 2, 3].map((index) => read(index).promise);
    await expect(reads[1]).rejects.toMatchObject({
      code: 'ADAPTER_CRASHED',
      message: 'helper process 100 was ended by SIGSEGV during "read stage" of GPU 1 (GPU-1)',
    });
    await Promise.all([reads[0], reads[2], reads[3]]);
    expect(helpers).toHaveLength(2);
  });

  it('tries again after one crash, and backs off after the second in a row', async () => {
    const { advance, read, rules, start } = setUp(crashesOn(1));
    await start();
    await expect(read(1).promise).rejects.toThrow(/SIGSEGV/);
    await expect(read(1).promise).rejects.toThrow(/SIGSEGV/);
    await expect(read(1).promise).rejects.toMatchObject({
      code: 'ADAPTER_CRASHED',
      message: expect.stringMatching(/2 times in a row/),
    });
    await read(0).promise;
    await advance(1_000);
    rules.behave = () => 'answers';
    await read(1).promise;
    rules.behave = crashesOn(1);
    await expect(read(1).promise).rejects.toThrow(/SIGSEGV/);
  });

  it('that cannot be started at all is an error, not an endless loop', async () => {
    let starts = 0;
    const executor = new NvmlExecutor({
      startHelper: () => {
        starts += 1;
        throw new Error('spawn ENOMEM');
      },
      library: null,
      isLibraryReplaced: () => Promise.resolve(false),
      clock: fixedClock(),
      logger: { debug() {}, info() {}, warn() {}, error() {} },
      stallMilliseconds: 1,
      hungAfterMilliseconds: 1,
      openDeadlineMilliseconds: 1,
      readDeadlineMilliseconds: 1,
      readDeadlinePerGpuMilliseconds: 1,
      idleExitMilliseconds: 1,
      keepAlive() {},
    });
    const { signal } = new AbortController();
    await expect(executor.submit({ kind: 'describe' }, { signal })).rejects.toMatchObject({
      code: 'ADAPTER_CRASHED',
      message: 'the helper process cannot be started: spawn ENOMEM',
    });
    expect(starts).toBe(1);
  });
});

describe('asking a GPU about another one', () => {
  const peersSent = (helper: ScriptedHelper | undefined) =>
    helper?.sent.flatMap(({ operation }) =>
      operation.kind === 'read' ? [[operation.index, operation.peers]] : [],
    );

  it('may be done for all others of the node', async () => {
    const { helpers, read, start } = setUp();
    await start();
    expect(await read(1).promise).toMatchObject({ gaps: [] });
    expect(peersSent(helpers[0])).toEqual([[1, [0, 2, 3]]]);
  });

  it('may not be done for one that hangs elsewhere, and the answer says of which and why', async () => {
    const { advance, helpers, read, start } = setUp(hangsOn(1));
    await start();
    read(1);
    const sibling = read(2);
    await advance(2_000);
    expect(peersSent(helpers[1])).toEqual([[2, [0, 3]]]);
    expect(await sibling.promise).toMatchObject({
      gaps: [
        {
          gpu: 2,
          field: 'topology.peers',
          reason: 'timeout',
          detail: expect.stringMatching(/^GPU 1 does not answer: "read stage" .* in helper process 100/),
        },
      ],
    });
  });

  it('a hang is blamed on the other, and the one that was read is read again without it', async () => {
    const { advance, helpers, live, peak, read, start } = setUp((operation) =>
      operation.kind === 'read' ? { peer: 3, fate: 'hangs' } : 'answers',
    );
    await start();
    const { promise } = read(0);
    await advance(2_000);
    expect(await promise).toMatchObject({
      pid: 101,
      gaps: [
        { gpu: 0, field: 'topology.peers', reason: 'timeout', detail: expect.stringContaining('GPU 3') },
      ],
    });
    expect(peersSent(helpers[1])).toEqual([[0, [1, 2]]]);
    await advance(7_000); // the deadline of the first
    expect(live()).toEqual([helpers[1]]);
    await expect(read(3).promise).rejects.toMatchObject({
      code: 'GPU_HUNG',
      gpuId: 'GPU-3',
      message: expect.stringMatching(/"relation to GPU 3" in helper process 100, which sleeps in down_write/),
    });
    await read(0).promise;
    expect(peak()).toBe(2);
  });

  it('a crash is counted against the other, and the one that was read has its answer', async () => {
    const { helpers, read, start } = setUp((operation) =>
      operation.kind === 'read' ? { peer: 3, fate: 'crashes' } : 'answers',
    );
    await start();
    expect(await read(0).promise).toMatchObject({
      gaps: [{ field: 'topology.peers', reason: 'error', detail: expect.stringContaining('GPU 3') }],
    });
    expect(peersSent(helpers[1])).toEqual([[0, [1, 2]]]);
  });

  it('one that answers late after all is nobody to avoid', async () => {
    const { advance, helpers, read, rules, start } = setUp((operation) =>
      operation.kind === 'read' ? { peer: 3, fate: 'hangs' } : 'answers',
    );
    await start();
    await Promise.all([read(0).promise, advance(2_500)]);
    helpers[0]?.say('read memory');
    rules.behave = () => 'answers';
    helpers[0]?.answerLast();
    await settled();
    expect(await read(3).promise).toMatchObject({ gaps: [] });
    expect(await read(0).promise).toMatchObject({ gaps: [] });
  });

  it('many peers that each answer in time are no hang, however long they take together', async () => {
    const { advance, helpers, peak, read, start } = setUp(hangsOn(0));
    await start();
    const slow = read(0);
    for (let peer = 1; peer < 4; peer += 1) {
      await settled();
      helpers[0]?.say(`relation to GPU ${peer}`);
      await advance(1_750);
    }
    helpers[0]?.say('read memory');
    helpers[0]?.answerLast();
    expect(await slow.promise).toMatchObject({ pid: 100 });
    expect(peak()).toBe(1);
  });
});

describe('at most one that cannot be ended', () => {
  it('while it hangs in the driver as a whole none is started, and every refusal names it', async () => {
    const { advance, helpers, live, read, rules } = setUp((operation) =>
      operation.kind === 'open' ? 'immune' : 'answers',
    );
    const first = read(0);
    await advance(15_000);
    await expect(first.promise).rejects.toMatchObject({ code: 'DRIVER_UNRESPONSIVE' });
    await advance(600_000);
    rules.behave = () => 'answers';
    for (const index of [0, 1, 2]) {
      await expect(read(index).promise).rejects.toMatchObject({
        code: 'DRIVER_UNRESPONSIVE',
        message: expect.stringMatching(/"open stage" in helper process 100, which sleeps in down_write/),
      });
    }
    expect(live()).toHaveLength(1);
    helpers[0]?.exit(null, 'SIGKILL');
    await settled();
    await read(0).promise;
    expect(helpers).toHaveLength(2);
  });

  it('a second hang beside it is ended and never makes a third process', async () => {
    const { advance, peak, read, rules, start } = setUp((operation) =>
      operation.kind === 'read' && operation.index === 2 ? 'immune' : hangsOn(1)(operation),
    );
    await start();
    const first = read(2);
    await advance(11_000);
    await expect(first.promise).rejects.toMatchObject({ code: 'GPU_HUNG' });
    const second = read(1);
    const waiting = read(0);
    await advance(2_000);
    await expect(waiting.promise).rejects.toMatchObject({ code: 'DRIVER_UNRESPONSIVE' });
    await advance(7_000);
    await expect(second.promise).rejects.toMatchObject({ code: 'GPU_HUNG' });
    rules.behave = () => 'answers';
    await read(0).promise;
    expect(peak()).toBe(2);
  });

  it('counts one that hangs in its shutdown, and says so', async () => {
    const { advance, helpers, peak, read, start } = setUp((operation) =>
      operation.kind === 'describe' || (operation.kind === 'read' && operation.index === 1)
        ? 'answers'
        : operation.kind === 'read'
          ? 'immune'
          : 'answers',
    );
    await start();
    if (helpers[0]) helpers[0].isImmune = true;
    await advance(30_000 + 4_000); // idle, asked to go, killed
    await read(1).promise;
    read(2);
    await advance(11_000);
    await expect(read(1).promise).rejects.toMatchObject({ code: 'DRIVER_UNRESPONSIVE' });
    expect(peak()).toBe(2);
    helpers[1]?.exit(null, 'SIGKILL');
    await settled();
    await read(1).promise;
    expect(peak()).toBe(2);
  });
});

describe('a library that is replaced', () => {
  it('is noticed before an idle helper is used again: it goes, and a new one opens', async () => {
    const { helpers, libraryChecks, live, read, rules, start } = setUp();
    await start();
    await read(0).promise;
    expect(helpers).toHaveLength(1);
    rules.isLibraryReplaced = () => Promise.resolve(true);
    const reads = await Promise.all([0, 1, 2].map((index) => read(index).promise));
    expect(reads.map((each) => (each as unknown as { pid: number }).pid)).toEqual([101, 101, 101]);
    expect(live()).toEqual([helpers[1]]);
    expect(helpers[0]?.killCount).toBe(0);
    expect(libraryChecks()).toBe(2);
  });

  it('that cannot be looked at is not waited for', async () => {
    const { advance, read, rules, start } = setUp();
    await start();
    rules.isLibraryReplaced = () => new Promise(() => {});
    const waiting = read(0);
    await advance(250);
    expect(await waiting.promise).toMatchObject({ pid: 100 });
    rules.isLibraryReplaced = () => Promise.reject(new Error('EIO'));
    expect(await read(0).promise).toMatchObject({ pid: 100 });
  });

  it('a helper that lost the driver in the middle of a read answers, and is not used again', async () => {
    const { helpers, read, start } = setUp(hangsOn(0));
    await start();
    const partial = read(0);
    await settled();
    helpers[0]?.answer(helpers[0].sent.at(-1)?.id ?? -1, { hasLostDriver: true });
    expect(await partial.promise).toMatchObject({ pid: 100 });
    expect(await read(1).promise).toMatchObject({ pid: 101 });
  });
});

describe('an error', () => {
  it('of the driver as a whole is tried again by a new helper, one of a GPU by the same', async () => {
    const { executor, helpers, live, read, rules, start } = setUp((operation) =>
      operation.kind === 'describe' || operation.kind === 'read' ? 'fails' : 'answers',
    );
    const { signal } = new AbortController();
    await expect(executor.submit({ kind: 'describe' }, { signal })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    await expect(read(0).promise).rejects.toMatchObject({ code: 'UNAVAILABLE', gpuId: 'GPU-0' });
    rules.behave = () => 'answers';
    await start();
    expect(helpers).toHaveLength(2);
    expect(live()).toEqual([helpers[1]]);
  });
});

it('a driver that was reloaded behind an open helper is found again by the same call, once', async () => {
  const { executor, helpers, rules, start } = setUp();
  await start();
  rules.behave = (operation) => (operation.kind === 'describe' && helpers.length === 1 ? 'fails' : 'answers');
  await start();
  expect(helpers).toHaveLength(2);
  rules.behave = (operation) => (operation.kind === 'describe' ? 'fails' : 'answers');
  const { signal } = new AbortController();
  await expect(executor.submit({ kind: 'describe' }, { signal })).rejects.toMatchObject({
    code: 'UNAVAILABLE',
  });
  expect(helpers).toHaveLength(3);
});

describe('sending ahead', () => {
  const setUpPlain = async (behave: (operation: Operation) => Behaviour) => {
    const made = setUp(behave);
    await made.start();
    /** Without topology: whom a GPU may be asked about is only known when the one before it has answered. */
    const readPlain = (index: number) => {
      const gpu: GpuRef = { index, uuid: `GPU-${index}`, pciAddress: null, name: null };
      const signal = new AbortController().signal;
      const promise = made.executor.submit(
        { kind: 'read', index, uuid: gpu.uuid, sections: ['thermal'], peers: [] },
        { signal, gpu },
      );
      promise.catch(() => {});
      return promise;
    };
    const sentReads = (helper = 0) =>
      made.helpers[helper]?.sent.flatMap(({ operation }) =>
        operation.kind === 'read' ? [operation.index] : [],
      );
    return { ...made, readPlain, sentReads };
  };

  it('one read is with the helper before the one before it is answered, and no more than one', async () => {
    const { readPlain, sentReads, helpers } = await setUpPlain((operation) =>
      operation.kind === 'read' ? 'hangs' : 'answers',
    );
    for (const index of [0, 1, 2]) void readPlain(index);
    await settled();
    expect(sentReads()).toEqual([0, 1]);
    helpers[0]?.answer(helpers[0]?.sent.at(-2)?.id ?? -1);
    await settled();
    expect(sentReads()).toEqual([0, 1, 2]);
  });

  it.each([
    [50, 2],
    [10, 7],
    [1, 7],
  ])(
    'where a read takes %i ms, %i more are with the helper: 0.1 s of work',
    async (probeMilliseconds, count) => {
      const { readPlain, sentReads, helpers } = await setUpPlain((operation) =>
        operation.kind === 'read' ? 'hangs' : 'answers',
      );
      const first = readPlain(0);
      await settled();
      helpers[0]?.answerLast({ probeMilliseconds });
      await first;
      for (let index = 0; index < 8; index += 1) void readPlain(index);
      await settled();
      expect(sentReads()?.slice(1)).toEqual(Array.from({ length: 1 + count }, (_, index) => index));
    },
  );

  it('all that was sent behind a hang is read by the other helper, in its order', async () => {
    const { readPlain, sentReads, helpers, rules, advance } = await setUpPlain(() => 'answers');
    rules.behave = (operation) => (operation.kind === 'read' ? 'hangs' : 'answers');
    const quick = readPlain(3);
    await settled();
    helpers[0]?.answerLast({ probeMilliseconds: 1 });
    await quick;
    rules.behave = hangsOn(0);
    void readPlain(0);
    const behind = [1, 2, 3].map((index) => readPlain(index));
    await advance(2_000);
    for (const read of behind) await expect(read).resolves.toMatchObject({ pid: 101 });
    expect(sentReads(0)).toEqual([3, 0, 1, 2, 3]);
    expect(sentReads(1)).toEqual([1, 2, 3]);
  });

  it('what was sent behind a hang is read by the other helper, and the first one goes when it answers late', async () => {
    const { readPlain, sentReads, helpers, advance } = await setUpPlain((operation) =>
      operation.kind === 'read' && operation.index === 0 ? 'hangs' : 'answers',
    );
    const first = readPlain(0);
    const behind = readPlain(1);
    await advance(2_000);
    await expect(behind).resolves.toMatchObject({ pid: 101 });
    expect(sentReads(1)).toEqual([1]);
    // What the first one does next is not known here.
    helpers[0]?.answer(helpers[0]?.sent.at(-2)?.id ?? -1);
    await expect(first).resolves.toMatchObject({ pid: 100 });
    await settled();
    expect(helpers[0]?.isGone).toBe(true);
  });

  it('what was sent behind a crash is read by a new helper', async () => {
    const { readPlain } = await setUpPlain((operation) =>
      operation.kind === 'read' && operation.index === 0 ? 'crashes' : 'answers',
    );
    const crashed = readPlain(0);
    const behind = readPlain(1);
    await expect(crashed).rejects.toMatchObject({ code: 'ADAPTER_CRASHED' });
    await expect(behind).resolves.toMatchObject({ pid: 101 });
  });

  it('nothing is sent behind a suspect, and a suspect is sent behind nothing', async () => {
    let isMended = false;
    const { readPlain, sentReads, advance, helpers } = await setUpPlain((operation) =>
      operation.kind === 'read' && operation.index === 0 && !isMended ? 'hangs' : 'answers',
    );
    await expect(Promise.race([readPlain(0), advance(9_000).then(() => 'killed')])).rejects.toMatchObject({
      code: 'GPU_HUNG',
    });
    isMended = true;
    await advance(2_000);
    const reads = [readPlain(0), readPlain(1), readPlain(2)];
    await Promise.all(reads);
    expect(sentReads(helpers.length - 1)?.at(-1)).toBe(0);
  });

  it('a helper that still has to do what was sent behind a hang is given nothing more when it answers late', async () => {
    const { readPlain, helpers, rules, advance } = await setUpPlain((operation) =>
      operation.kind === 'read' ? 'hangs' : 'answers',
    );
    const slow = readPlain(0);
    void readPlain(1);
    const again = readPlain(0);
    await advance(2_250);
    const [first, second] = helpers;
    // The other one goes too, so that there is none but the first when it answers.
    second?.answer(second?.sent.at(-1)?.id ?? -1, { hasLostDriver: true });
    await settled();
    expect(second?.isGone).toBe(true);
    rules.behave = () => 'answers';
    const sentBefore = first?.sent.length;
    first?.answer(first?.sent.at(-2)?.id ?? -1);
    await expect(slow).resolves.toMatchObject({ pid: 100 });
    await expect(again).resolves.toMatchObject({ pid: 102 });
    expect(first?.sent).toHaveLength(sentBefore ?? -1);
  });

  it('what was sent ahead to a helper that lost the driver is read by a new one', async () => {
    const { readPlain, helpers, rules } = await setUpPlain((operation) =>
      operation.kind === 'read' ? 'hangs' : 'answers',
    );
    const first = readPlain(0);
    const behind = readPlain(1);
    await settled();
    rules.behave = () => 'answers';
    helpers[0]?.answer(helpers[0]?.sent.at(-2)?.id ?? -1, { hasLostDriver: true });
    await expect(first).resolves.toMatchObject({ pid: 100 });
    await expect(behind).resolves.toMatchObject({ pid: 101 });
  });

  it('a hang in what was sent ahead to a helper that lost the driver leaves nobody without an answer', async () => {
    const { readPlain, helpers, advance } = await setUpPlain((operation) =>
      operation.kind === 'read' ? 'hangs' : 'answers',
    );
    const [first] = helpers;
    void readPlain(0);
    const behind = readPlain(1);
    await settled();
    // It hangs in the second read and does not go when asked to.
    if (first) first.retire = () => {};
    first?.answer(first?.sent.at(-2)?.id ?? -1, { hasLostDriver: true });
    await settled();
    const outcome = Promise.race([
      behind.catch((error) => error.code),
      advance(30_000).then(() => 'nothing'),
    ]);
    expect(await outcome).toBe('GPU_HUNG');
  });

  it('closing rejects what was sent ahead too', async () => {
    const { readPlain, executor, advance } = await setUpPlain((operation) =>
      operation.kind === 'read' ? 'hangs' : 'answers',
    );
    const reads = [readPlain(0), readPlain(1), readPlain(2)];
    const closed = executor.close();
    await advance(3_000);
    await closed;
    for (const read of reads) await expect(read).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('release', () => {
  it('resolves once every process is gone, and a later call opens again', async () => {
    const { executor, helpers, live, read, start } = setUp();
    await start();
    await executor.release();
    expect(live()).toHaveLength(0);
    await executor.release();
    await read(0).promise;
    expect(helpers).toHaveLength(2);
  });

  it('says which process still holds the driver', async () => {
    const { advance, executor, read, start } = setUp((operation) =>
      operation.kind === 'read' && operation.index === 2 ? 'immune' : 'answers',
    );
    await start();
    const hung = read(2);
    await settled();
    const released = executor.release();
    released.catch(() => {});
    await advance(2_500);
    await expect(hung.promise).rejects.toMatchObject({ code: 'CANCELLED' });
    await advance(1_000);
    await expect(released).rejects.toMatchObject({
      code: 'DRIVER_UNRESPONSIVE',
      message: expect.stringMatching(
        /"read stage" of GPU 2 .* helper process 100, which sleeps in down_write/,
      ),
    });
  });
});

describe('close', () => {
  it('resolves with an unkillable helper within 2.5 s, rejects who waits, and a later call opens again', async () => {
    const { advance, clock, executor, isKeptAlive, read, start, live } = setUp((operation) =>
      operation.kind === 'read' && operation.index === 2 ? 'immune' : 'answers',
    );
    await start();
    const hung = read(2);
    const waiting = read(3);
    await settled();
    const began = clock.now();
    let isClosed = false;
    void executor.close().then(() => {
      isClosed = true;
    });
    await expect(hung.promise).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(waiting.promise).rejects.toMatchObject({ code: 'CANCELLED' });
    await advance(2_500);
    expect(isClosed).toBe(true);
    expect(clock.now() - began).toBe(2_500);
    expect(isKeptAlive()).toBe(false);
    expect(live()).toHaveLength(1);
    await advance(1_000);
    await read(0).promise;
  });

  it('after a hang that SIGKILL ended, the GPU is not refused for ever', async () => {
    const { advance, executor, read, rules, start } = setUp(hangsOn(1));
    await start();
    const hung = read(1);
    await advance(2_500);
    hung.abort();
    await executor.close();
    rules.behave = () => 'answers';
    await advance(1_000);
    await read(1).promise;
  });

  it('resolves before first use and when called again', async () => {
    const { executor, start } = setUp();
    await executor.close();
    await start();
    await executor.close();
    await executor.close();
  });
});

it('planted fault: an executor without a second helper leaves the siblings of a hung GPU unanswered', async () => {
  const never = Number.MAX_SAFE_INTEGER;
  expect(await areSiblingsAnswered(2_000)).toBe(true);
  expect(await areSiblingsAnswered(never)).toBe(false);
});

async function areSiblingsAnswered(stallMilliseconds: number): Promise<boolean> {
  const { advance, read, start } = setUp(hangsOn(1), stallMilliseconds);
  await start();
  read(1);
  let isAnswered = false;
  void read(2).promise.then(
    () => {
      isAnswered = true;
    },
    () => {},
  );
  await advance(3_000);
  return isAnswered;
}
