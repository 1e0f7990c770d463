import type { GpuDriverEvent, GpuEventSource, WatchNotice } from '@k8s-gpu-mcp/core';
import { inMemoryGpuEventSource } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, test } from 'vitest';
import {
  type GpuEventSourceFixture,
  type GpuEventSourceRequirementId,
  gpuEventSourceRequirements,
  gpuEventSourceStages,
  runGpuEventSourceContract,
} from '../src/index.ts';
import { failuresOf } from './failures-of.ts';

type Item = GpuDriverEvent | WatchNotice;
type Break = (good: GpuEventSource) => GpuEventSource;

const at = '2026-01-01T00:00:00.000Z';
const event: GpuDriverEvent = {
  type: 'xid',
  gpu: { index: 0, uuid: 'GPU-0', pciAddress: '0000:10:00.0', name: 'Example GPU' },
  at,
  value: 79,
  gpuInstanceId: null,
  computeInstanceId: null,
};
const notice = (kind: WatchNotice['notice']): WatchNotice => ({
  notice: kind,
  gap: { field: 'driverEvents', reason: 'error', detail: 'the driver does not answer' },
  at,
});

function fixture(broken: Break = (good) => good): GpuEventSourceFixture {
  const source = inMemoryGpuEventSource();
  return {
    source: broken(source),
    async report() {
      source.send(event);
      return { type: event.type, value: event.value };
    },
    blind: async () => source.send(notice('blind')),
    restore: async () => source.send(notice('restored')),
    untilWatching: async () => {},
  };
}

const each =
  (change: (item: Item) => unknown): Break =>
  (good) => ({
    async *watch(signal) {
      for await (const item of good.watch(signal)) yield change(item) as Item;
    },
  });
const isNotice = (item: Item) => 'notice' in item;

/** One source per requirement that breaks this requirement and no other. */
const broken: Readonly<Record<GpuEventSourceRequirementId, Break>> = {
  'ES-ABORTED': (good) => ({
    async *watch(signal) {
      if (signal.aborted) yield event;
      yield* good.watch(signal);
    },
  }),
  'ES-ABORT': (good) => ({
    async *watch(signal) {
      const isLate = signal.aborted;
      let saidNothing = true;
      for await (const item of good.watch(signal)) {
        saidNothing = false;
        yield item;
      }
      if (saidNothing && !isLate) throw new Error('aborted');
    },
  }),
  'ES-EVENT': each((item) => (isNotice(item) ? item : { ...item, value: null })),
  'ES-EVENT-SHAPE': each((item) => (isNotice(item) ? item : { ...item, at: '1767225600' })),
  'ES-TWO-WATCHERS': (good) => {
    let watching = 0;
    return {
      watch(signal) {
        watching += 1;
        const isSecond = watching > 1;
        signal.addEventListener('abort', () => {
          watching -= 1;
        });
        return isSecond ? good.watch(AbortSignal.abort()) : good.watch(signal);
      },
    };
  },
  'ES-AGAIN': (good) => {
    let ended = false;
    return {
      watch(signal) {
        if (ended) return good.watch(AbortSignal.abort());
        signal.addEventListener('abort', () => {
          ended = true;
        });
        return good.watch(signal);
      },
    };
  },
  'ES-BREAK': (good) => ({
    watch(signal) {
      const inner = good.watch(signal)[Symbol.asyncIterator]();
      let left = false;
      return {
        [Symbol.asyncIterator]: () => ({
          next: async () => (left ? { done: false, value: event } : inner.next()),
          return: async () => {
            left = true;
            return { done: true, value: undefined };
          },
        }),
      };
    },
  }),
  'ES-BLIND': each((item) =>
    'notice' in item && item.notice === 'blind' ? { ...item, gap: { ...item.gap, detail: '' } } : item,
  ),
  'ES-RESTORED': each((item) =>
    'notice' in item && item.notice === 'restored' ? { ...item, notice: 'blind' } : item,
  ),
};

describe('a source that keeps the contract', () => {
  runGpuEventSourceContract({ test, createFixture: () => fixture(), staged: gpuEventSourceStages });
});

describe('a source that breaks one requirement fails in that requirement and no other', () => {
  test.each(Object.keys(gpuEventSourceRequirements) as GpuEventSourceRequirementId[])('%s', async (id) => {
    const failed = await failuresOf((run) =>
      runGpuEventSourceContract({
        test: run,
        createFixture: () => fixture(broken[id]),
        staged: gpuEventSourceStages,
      }),
    );
    expect(failed).toEqual([id]);
  });
});
