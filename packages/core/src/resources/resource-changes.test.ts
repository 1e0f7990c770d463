import { describe, expect, test } from 'vitest';
import type { GpuNodeEvent } from '../events/node-event.ts';
import type { WatchNotice } from '../ports/gpu-event-source.ts';
import { fixedClock } from '../testing.ts';
import { createResourceChanges } from './resource-changes.ts';

const startedAt = '2026-11-21T12:00:00.000Z';
const uuid = 'GPU-4E0B6F2A-0000-1111-2222-333344445555';

function rig() {
  const clock = fixedClock(startedAt);
  const listeners = new Set<(item: GpuNodeEvent | WatchNotice) => void>();
  const feed = {
    onItem(listener: (item: GpuNodeEvent | WatchNotice) => void) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  const changes = createResourceChanges({ nodeName: 'node-a', feed, clock });
  const tell = (item: GpuNodeEvent | WatchNotice) => {
    for (const listener of listeners) listener(item);
  };
  return {
    clock,
    changes,
    tell,
    isFed: () => listeners.size > 0,
    /** Gathers what is told. */
    hear(uris?: readonly string[]) {
      const heard: string[] = [];
      const stop = changes.onChange((uri) => heard.push(uri), uris);
      return { heard, stop };
    },
  };
}

const event = (changes: Partial<GpuNodeEvent> = {}): GpuNodeEvent => ({
  id: 1,
  revision: 0,
  kind: 'xid',
  sources: ['driver'],
  at: startedAt,
  repeatCount: 1,
  xid: 79,
  gpu: { index: 3, uuid },
  pciAddress: '0000:3b:00',
  title: 'GPU has fallen off the bus',
  severity: 'fatal',
  verdict: 'critical',
  action: 'reboot-node',
  trusted: true,
  ...changes,
});
const { xid: _xid, ...plain } = event();
const notice: WatchNotice = {
  notice: 'blind',
  gap: { field: 'kernelLog', reason: 'error', detail: 'gone' },
  at: startedAt,
};

describe('what an event changes', () => {
  test.each<[string, GpuNodeEvent | WatchNotice, string[]]>([
    ['an Xid of a GPU', event(), ['events', 'xid', 'health', 'gpus/3']],
    ['an Xid of nobody we know', event({ gpu: null, pciAddress: null }), ['events', 'xid', 'health']],
    [
      'an NVSwitch',
      { ...plain, kind: 'sxid', sxid: 20034, gpu: null, pciAddress: null },
      ['events', 'xid', 'health'],
    ],
    [
      'a driver event',
      { ...plain, kind: 'gpu-unavailable', gpu: { index: 1, uuid: null }, pciAddress: null },
      ['events', 'xid', 'health', 'gpus/1'],
    ],
    ['the machine', { ...plain, kind: 'oom-kill', gpu: null, pciAddress: null }, ['events']],
    ['a source that went blind', notice, ['events']],
  ])('%s', (_, item, expected) => {
    const { hear, tell } = rig();
    const { heard } = hear();
    tell(item);
    expect(heard).toEqual(expected.map((path) => `gpu://node-a/${path}`));
  });

  test.each([
    'gpus/3',
    `gpus/${uuid}`,
    `gpus/${uuid.toLowerCase()}`,
    'gpus/0000:3b:00.0',
    'gpus/00000000%3A3B%3A00.0',
  ])('tells who listens to %s, in that spelling', (path) => {
    const { hear, tell } = rig();
    const uri = `gpu://node-a/${path}`;
    const { heard } = hear([uri]);
    tell(event({ gpu: { index: 4, uuid: null }, pciAddress: '0000:5d:00' }));
    expect(heard).toEqual([]);
    tell(event());
    expect(heard).toEqual([uri]);
  });

  test('one listener under two names hears both; another hears only what it asked for', () => {
    const { hear, tell } = rig();
    const both = hear(['gpu://node-a/gpus/3', `gpu://node-a/gpus/${uuid}`]);
    const health = hear(['gpu://node-a/health']);
    tell(event());
    expect(both.heard.sort()).toEqual(['gpu://node-a/gpus/3', `gpu://node-a/gpus/${uuid}`]);
    expect(health.heard).toEqual(['gpu://node-a/health']);
  });
});

describe('when the feed runs', () => {
  test('only while a resource that changes is listened to', () => {
    const { hear, isFed } = rig();
    expect(isFed()).toBe(false);
    const first = hear(['gpu://node-a/events']);
    const second = hear(['gpu://node-a/health']);
    first.stop();
    first.stop();
    expect(isFed()).toBe(true);
    second.stop();
    expect(isFed()).toBe(false);
  });

  test.each([
    'gpu://catalog/xid/79',
    'gpu://node-a/inventory',
    'gpu://node-b/events',
    'gpu://node-a/gpus/',
    'gpu://node-a/gpus/GPU-4e0b',
    'gpu://node-a/gpus/%',
    'gpu://node-a/gpus/3/more',
    'not a uri',
    '',
  ])('not for %j', (uri) => {
    const { hear, isFed } = rig();
    const { stop } = hear([uri]);
    expect(isFed()).toBe(false);
    stop();
    expect(isFed()).toBe(false);
  });
});

describe('how often', () => {
  test('at once, then at most once a second, the last one always', () => {
    const { hear, tell, clock } = rig();
    const { heard } = hear(['gpu://node-a/events']);
    tell(event());
    expect(heard).toHaveLength(1);
    tell(event());
    tell(event());
    clock.advance(999);
    expect(heard).toHaveLength(1);
    clock.advance(1);
    expect(heard).toHaveLength(2);
    clock.advance(60_000);
    expect(heard).toHaveLength(2);
    tell(event());
    expect(heard).toHaveLength(3);
  });

  test('a storm of 10,000 a second for ten seconds costs eleven notifications of each', () => {
    const { hear, tell, clock } = rig();
    const { heard } = hear(['gpu://node-a/events', 'gpu://node-a/health']);
    for (let passed = 0; passed < 10_000; passed += 1) {
      for (let each = 0; each < 10; each += 1) tell(event());
      clock.advance(1);
    }
    clock.advance(60_000);
    expect(heard.filter((uri) => uri.endsWith('events'))).toHaveLength(11);
    expect(heard.filter((uri) => uri.endsWith('health'))).toHaveLength(11);
  });

  test('nobody is told after they left, and one that throws harms none', () => {
    const { changes, hear, tell, clock } = rig();
    changes.onChange(() => {
      throw new Error('broken listener');
    });
    const gone = hear();
    const stays = hear();
    tell(event({ gpu: null, pciAddress: null }));
    tell(event({ gpu: null, pciAddress: null }));
    gone.stop();
    clock.advance(1_000);
    expect(gone.heard).toHaveLength(3);
    expect(stays.heard).toHaveLength(6);
  });

  test('planted fault: without a second of quiet every event would be told', () => {
    const { hear, tell, clock } = rig();
    const { heard } = hear(['gpu://node-a/events']);
    for (let each = 0; each < 10; each += 1) {
      tell(event());
      clock.advance(1_001);
    }
    expect(heard).toHaveLength(10);
  });
});
