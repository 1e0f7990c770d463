import assert from 'node:assert/strict';
import {
  type GpuDriverEvent,
  type GpuEventSource,
  gapReasons,
  gpuEventTypes,
  type WatchNotice,
} from '@k8s-gpu-mcp/core';
import { type ContractOptions, createContractSuite, type Requirement } from './contract-suite.ts';
import { findJsonFaults, isText, keyFaults, record } from './inspect.ts';
import { textKinds } from './kinds.ts';
import { abortLimitMilliseconds, answerOf, attempt, outcomeWithin, pause } from './outcomes.ts';

/** What a rig can stage. `event`: the driver reports something. `blind`: the driver cannot be asked, and later it can. */
export const gpuEventSourceStages = ['event', 'blind'] as const;
export type GpuEventSourceStage = (typeof gpuEventSourceStages)[number];

/** What a port to a driver's live events must do. */
export const gpuEventSourceRequirements = {
  'ES-ABORTED': { text: 'A watch whose signal has aborted before it begins ends with nothing said.' },
  'ES-ABORT': { text: 'A watch that waits ends within 250 ms of the abort, without an exception.' },
  'ES-EVENT': {
    text: 'What the driver reports while somebody watches is yielded, with its type and its number.',
    needs: 'event',
  },
  'ES-EVENT-SHAPE': {
    text: 'An event has exactly the keys of the port, a type of the closed list, a GPU, and the time at which it was received.',
    needs: 'event',
  },
  'ES-TWO-WATCHERS': { text: 'Each of two that watch at the same time is told.', needs: 'event' },
  'ES-AGAIN': { text: 'After a watch has ended, another one is told what happens then.', needs: 'event' },
  'ES-BREAK': { text: 'Leaving the loop ends the watch, without an abort.', needs: 'event' },
  'ES-BLIND': {
    text: 'A source that cannot see says so, once for each time: a notice blind with a reason and a detail, never an exception, never silence.',
    needs: 'blind',
  },
  'ES-RESTORED': {
    text: 'A source that was blind goes on trying, and says restored once it can see again.',
    needs: 'blind',
  },
} as const satisfies Record<string, Requirement<GpuEventSourceStage>>;
export type GpuEventSourceRequirementId = keyof typeof gpuEventSourceRequirements;

export interface GpuEventSourceFixture {
  readonly source: GpuEventSource;
  /** Makes the driver report something to whoever watches, where the stage is `event`; resolves with what it reported. */
  report?(): Promise<Pick<GpuDriverEvent, 'type' | 'value'>>;
  /** Makes the driver answer nobody, and answer again, where the stage is `blind`. */
  blind?(): Promise<void>;
  restore?(): Promise<void>;
  /** Resolves once a watch that has begun would be told. Without it the suite waits 300 ms. */
  untilWatching?(): Promise<void>;
  dispose?(): Promise<void>;
}

const suite = createContractSuite<GpuEventSourceRequirementId, GpuEventSourceStage, GpuEventSourceFixture>(
  gpuEventSourceRequirements,
);
const { proves } = suite;

export interface GpuEventSourceContractOptions
  extends Omit<ContractOptions<GpuEventSourceStage, GpuEventSourceFixture>, 'staged'> {
  readonly staged?: readonly GpuEventSourceStage[];
}

/** Registers one test per requirement with the given runner, and one that every requirement has a test. */
export function runGpuEventSourceContract({ staged = [], ...options }: GpuEventSourceContractOptions): void {
  suite.register({ ...options, staged });
}

type Item = GpuDriverEvent | WatchNotice;

/** A watch in progress: what it says next, and its end. */
function watch({ source }: GpuEventSourceFixture) {
  const caller = new AbortController();
  const iterator = source.watch(caller.signal)[Symbol.asyncIterator]();
  return {
    next: () => attempt(() => iterator.next()),
    async leave() {
      await answerOf('leaving the watch', async () => iterator.return?.());
    },
    /** Aborts while `waiting` waits, and tells how that ended. */
    async end(waiting = attempt(() => iterator.next())): Promise<void> {
      caller.abort();
      const outcome = await outcomeWithin(abortLimitMilliseconds, waiting);
      assert.equal(outcome.kind, 'resolved', `the watch did not end in time: ${outcome.kind}`);
      assert.ok(outcome.kind === 'resolved' && outcome.value.done, 'the watch goes on after the abort');
    },
  };
}

async function itemOf(next: Promise<IteratorResult<Item>>): Promise<Item> {
  const result = await answerOf('the next event', () => next);
  assert.ok(!result.done, 'the watch ended');
  return result.value;
}

const eventOf = async (next: Promise<IteratorResult<Item>>): Promise<GpuDriverEvent> => {
  const item = await itemOf(next);
  assert.ok(!('notice' in item), `a notice instead of the event: ${JSON.stringify(item)}`);
  return item;
};
const noticeOf = async (next: Promise<IteratorResult<Item>>): Promise<WatchNotice> => {
  const item = await itemOf(next);
  assert.ok('notice' in item, `an event instead of a notice: ${JSON.stringify(item)}`);
  return item;
};

const untilWatching = (fixture: GpuEventSourceFixture) => fixture.untilWatching?.() ?? pause(300);

/** The next event of a watch, and what the driver reported. */
async function reportTo(fixture: GpuEventSourceFixture, next: Promise<IteratorResult<Item>>) {
  await untilWatching(fixture);
  assert.ok(fixture.report, 'the rig says that it stages "event", but reports none');
  const reported = await fixture.report();
  return { event: await eventOf(next), reported };
}

proves('ES-ABORTED', async ({ source }) => {
  const iterator = source.watch(AbortSignal.abort())[Symbol.asyncIterator]();
  const outcome = await outcomeWithin(
    abortLimitMilliseconds,
    attempt(() => iterator.next()),
  );
  assert.ok(outcome.kind === 'resolved' && outcome.value.done, 'the watch began');
});

proves('ES-ABORT', async (fixture) => {
  const { next, end } = watch(fixture);
  const waiting = next();
  await untilWatching(fixture);
  await end(waiting);
});

proves('ES-EVENT', async (fixture) => {
  const { next, end } = watch(fixture);
  const { event, reported } = await reportTo(fixture, next());
  assert.deepEqual({ type: event.type, value: event.value }, reported);
  await end();
});

proves('ES-EVENT-SHAPE', async (fixture) => {
  const { next, end } = watch(fixture);
  const { event } = await reportTo(fixture, next());
  assert.deepEqual(findJsonFaults(event, 'event'), []);
  const keys = ['type', 'gpu', 'at', 'value', 'gpuInstanceId', 'computeInstanceId'];
  assert.deepEqual(keyFaults('event', event, keys), []);
  assert.deepEqual(keyFaults('event.gpu', event.gpu, ['index', 'uuid', 'pciAddress', 'name']), []);
  assert.ok(
    gpuEventTypes.some((known) => known === event.type),
    `unknown type ${event.type}`,
  );
  assert.match(event.at, textKinds.instant);
  await end();
});

proves('ES-TWO-WATCHERS', async (fixture) => {
  const watches = [watch(fixture), watch(fixture)];
  const waiting = watches.map(({ next }) => next());
  await untilWatching(fixture);
  assert.ok(fixture.report, 'the rig says that it stages "event", but reports none');
  await fixture.report();
  for (const next of waiting) await eventOf(next);
  for (const { end } of watches) await end();
});

proves('ES-AGAIN', async (fixture) => {
  for (let round = 0; round < 2; round += 1) {
    const { next, end } = watch(fixture);
    await reportTo(fixture, next());
    await end();
  }
});

proves('ES-BREAK', async (fixture) => {
  const { next, leave } = watch(fixture);
  await reportTo(fixture, next());
  await leave();
  assert.equal((await answerOf('the end of the watch', next)).done, true, 'the watch goes on');
});

proves('ES-BLIND', async (fixture) => {
  const { next, end } = watch(fixture);
  const waiting = next();
  await untilWatching(fixture);
  assert.ok(fixture.blind, 'the rig says that it stages "blind", but cannot');
  await fixture.blind();
  const { notice, gap, at } = await noticeOf(waiting);
  assert.equal(notice, 'blind');
  assert.ok(
    gapReasons.some((known) => known === record(gap)['reason']),
    'a blind notice without a reason',
  );
  assert.ok(isText(gap.field) && isText(gap.detail), 'a blind notice that does not say why');
  assert.match(at, textKinds.instant);
  await end();
});

proves('ES-RESTORED', async (fixture) => {
  const { next, end } = watch(fixture);
  const waiting = next();
  await untilWatching(fixture);
  await fixture.blind?.();
  await noticeOf(waiting);
  const restored = next();
  assert.ok(fixture.restore, 'the rig says that it stages "blind", but cannot end it');
  await fixture.restore();
  assert.equal((await noticeOf(restored)).notice, 'restored');
  await end();
});
