import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, test } from 'vitest';
import { AgentFailure, type AgentFailureKind } from '../ports/agent-client.ts';
import { type CircuitPermit, Circuits, circuitEffectOf } from './circuit.ts';

const node = { name: 'gpu-1', instance: 'uid-1' };

function enter(circuits: Circuits, of = node): CircuitPermit {
  const entry = circuits.enter(of);
  if (!entry.isAllowed) throw new Error(`refused: ${entry.status.state}`);
  return entry;
}

function failing(circuits: Circuits, times: number, of = node): void {
  for (let time = 0; time < times; time += 1) enter(circuits, of).fail('timeout');
}

describe('a circuit', () => {
  test('opens at the third failure in a row, not at the second', () => {
    const circuits = new Circuits({ clock: fixedClock() });
    failing(circuits, 2);
    expect(circuits.status(node)).toMatchObject({ state: 'closed', consecutiveFailures: 2 });
    failing(circuits, 1);
    expect(circuits.status(node)).toEqual({
      node: 'gpu-1',
      instance: 'uid-1',
      state: 'open',
      consecutiveFailures: 3,
      lastFailure: 'timeout',
      openedAt: '2026-01-01T00:00:00.000Z',
      retryAt: '2026-01-01T00:00:30.000Z',
    });
    expect(circuits.enter(node)).toMatchObject({ isAllowed: false });
  });

  test('an agent that was not reachable is tried every half second at first, then less and less often', () => {
    const clock = fixedClock();
    const circuits = new Circuits({ clock });
    const waits: number[] = [];
    for (let time = 0; time < 2; time += 1) enter(circuits).fail('unreachable');
    while (waits.length < 13) {
      enter(circuits).fail('unreachable');
      const wait = Date.parse(circuits.status(node).retryAt ?? '') - clock.now();
      waits.push(wait);
      clock.advance(wait);
    }
    expect(waits.map((wait) => wait / 1_000)).toEqual([0.5, 0.5, 0.5, 0.5, 0.5, 1, 2, 4, 8, 16, 32, 64, 128]);
  });

  test('a success between begins the count anew', () => {
    const circuits = new Circuits({ clock: fixedClock() });
    failing(circuits, 2);
    enter(circuits).succeed();
    failing(circuits, 2);
    expect(circuits.status(node).state).toBe('closed');
  });

  test('after 30 s exactly one probe at a time, and its success closes', () => {
    const clock = fixedClock();
    const circuits = new Circuits({ clock });
    failing(circuits, 3);
    clock.advance(29_999);
    expect(circuits.enter(node).isAllowed).toBe(false);
    clock.advance(1);
    expect(circuits.status(node)).toMatchObject({ state: 'half-open', retryAt: null });
    const entries = Array.from({ length: 100 }, () => circuits.enter(node));
    const allowed = entries.filter((entry) => entry.isAllowed);
    expect(allowed).toHaveLength(1);
    expect(allowed[0]).toMatchObject({ isProbe: true });
    if (allowed[0]?.isAllowed) allowed[0].succeed();
    expect(circuits.status(node)).toMatchObject({
      state: 'closed',
      consecutiveFailures: 0,
      lastFailure: null,
      openedAt: null,
    });
    expect(enter(circuits).isProbe).toBe(false);
  });

  test('a probe that is cancelled gives its place back, once', () => {
    const clock = fixedClock();
    const circuits = new Circuits({ clock });
    failing(circuits, 3);
    clock.advance(30_000);
    const first = enter(circuits);
    first.release();
    const second = enter(circuits);
    first.release();
    first.succeed();
    expect(circuits.enter(node).isAllowed).toBe(false);
    expect(circuits.status(node).state).toBe('half-open');
    second.release();
    expect(circuits.enter(node).isAllowed).toBe(true);
  });

  test('every failed probe doubles the wait, up to five minutes, and a success forgets that', () => {
    const clock = fixedClock();
    const circuits = new Circuits({ clock });
    failing(circuits, 3);
    const waits = [30, 60, 120, 240, 300, 300];
    for (const seconds of waits) {
      const { openedAt, retryAt } = circuits.status(node);
      expect((Date.parse(retryAt ?? '') - Date.parse(openedAt ?? '')) / 1_000).toBe(seconds);
      clock.advance(seconds * 1_000);
      failing(circuits, 1);
      expect(circuits.status(node).state).toBe('open');
    }
    clock.advance(300_000);
    enter(circuits).succeed();
    failing(circuits, 3);
    expect(circuits.status(node).retryAt).toBe(new Date(clock.now() + 30_000).toISOString());
  });

  test('a call from before it opened has no say', () => {
    const clock = fixedClock();
    const circuits = new Circuits({ clock });
    const [early, late] = [enter(circuits), enter(circuits)];
    failing(circuits, 3);
    early.succeed();
    expect(circuits.status(node).state).toBe('open');
    clock.advance(30_000);
    const probe = enter(circuits);
    late.fail('timeout');
    expect(circuits.status(node).state).toBe('half-open');
    probe.succeed();
    expect(circuits.status(node).state).toBe('closed');
  });

  test('a new instance at the same node begins closed, other nodes are not touched', () => {
    const circuits = new Circuits({ clock: fixedClock() });
    failing(circuits, 3);
    expect(circuits.enter({ name: 'gpu-1', instance: 'uid-2' }).isAllowed).toBe(true);
    expect(circuits.enter({ name: 'gpu-2', instance: 'uid-3' }).isAllowed).toBe(true);
  });

  test('changes are told, in order, and only changes', () => {
    const clock = fixedClock();
    const circuits = new Circuits({ clock });
    const seen: string[] = [];
    const stop = circuits.onChange(({ state }) => seen.push(state));
    failing(circuits, 3);
    clock.advance(30_000);
    enter(circuits).succeed();
    enter(circuits).succeed();
    expect(seen).toEqual(['open', 'half-open', 'closed']);
    stop();
    failing(circuits, 3);
    expect(seen).toHaveLength(3);
  });

  test('what is not retained is forgotten, with its timer', () => {
    const clock = fixedClock();
    const circuits = new Circuits({ clock });
    const running = enter(circuits);
    failing(circuits, 3);
    const seen: string[] = [];
    circuits.onChange(({ state }) => seen.push(state));
    circuits.retain(new Set(['uid-2']));
    running.fail('timeout');
    clock.advance(600_000);
    expect(seen).toEqual([]);
    expect(circuits.statuses()).toEqual([]);
    expect(circuits.status(node).state).toBe('closed');
  });
});

describe('what a failure tells about the agent', () => {
  const rows: readonly (readonly [AgentFailureKind, boolean, string])[] = [
    ['unreachable', true, 'failure'],
    ['timeout', false, 'failure'],
    ['garbage', false, 'failure'],
    ['unauthorized', false, 'failure'],
    ['certificate', false, 'failure'],
    ['overloaded', true, 'failure'],
    // 429
    ['overloaded', false, 'answered'],
    ['refused', false, 'answered'],
    ['incompatible', false, 'answered'],
    ['cancelled', false, 'nothing'],
  ];
  test.each(rows)('%s, retryable %s: %s', (kind, isRetryable, effect) => {
    expect(circuitEffectOf(new AgentFailure(kind, 'x', { isRetryable }))).toBe(effect);
  });
});
