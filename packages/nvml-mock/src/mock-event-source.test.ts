import type { GpuDriverEvent } from '@k8s-gpu-mcp/core';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { expect, test } from 'vitest';
import { createMockProvider, type MockScenarioName, mockEventSource } from './index.ts';

/** What a watch of this scenario says while the clock runs on for a minute. */
async function watchFor(scenario: MockScenarioName): Promise<readonly GpuDriverEvent[]> {
  const clock = fixedClock();
  const caller = new AbortController();
  clock.after(60_000, () => caller.abort());
  const seen: GpuDriverEvent[] = [];
  const watching = (async () => {
    for await (const item of mockEventSource({ scenario, clock }).watch(caller.signal)) {
      if (!('notice' in item)) seen.push(item);
    }
  })();
  for (let tick = 0; tick < 600; tick += 1) {
    clock.advance(100);
    await Promise.resolve();
    await Promise.resolve();
    await Promise.resolve();
  }
  await watching;
  return seen;
}

test.each<readonly [MockScenarioName, readonly (readonly [string, number])[]]>([
  ['healthy-8xh100', []],
  ['nvlink-down', [['xid', 74]]],
  // Recovery actions by number: 2 is a reboot of the node. Source: nvml.h, nvmlDeviceGpuRecoveryAction_t.
  [
    'fallen-off-bus',
    [
      ['xid', 79],
      ['recovery-action', 2],
    ],
  ],
  [
    'ecc-uncorrectable',
    [
      ['xid', 48],
      ['xid', 63],
      ['xid', 94],
      ['xid', 45],
    ],
  ],
])('%s reports %j', async (scenario, expected) => {
  const events = await watchFor(scenario);
  expect(events.map(({ type, value }) => [type, value])).toEqual(expected);
});

test('an event comes a moment after the watch began, and names the GPU as its node does', async () => {
  const [event] = await watchFor('nvlink-down');
  const { gpus } = await createMockProvider({ scenario: 'nvlink-down', clock: fixedClock() }).describeNode(
    new AbortController().signal,
  );
  expect(event?.gpu).toEqual(gpus[4]);
  expect(event?.at).toBe('2026-01-01T00:00:02.000Z');
});

test('an unknown scenario is refused by name', () => {
  const scenario = 'no-such' as MockScenarioName;
  expect(() => mockEventSource({ scenario, clock: fixedClock() })).toThrow(/no-such/);
});
