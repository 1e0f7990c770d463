import { describe, expect, test } from 'vitest';
import { h100Sample } from '../test/h100.ts';
import type { KernelLogRecord } from './domain/event.ts';
import { fixedClock, inMemoryKernelLog, stubProvider } from './testing.ts';

const never = new AbortController().signal;
const record = (at: string | null): KernelLogRecord => ({
  text: 'NVRM: x',
  raw: 'NVRM: x',
  at,
  uptimeSeconds: null,
  trusted: true,
});

describe('fixedClock', () => {
  test('stands still until it is moved', () => {
    const clock = fixedClock('2026-03-01T12:00:00.000Z');
    const start = clock.now();
    expect(start).toBe(Date.UTC(2026, 2, 1, 12));
    clock.advance(1_500);
    expect(clock.now() - start).toBe(1_500);
  });

  test('calls back in order of time, each at its own time, once', () => {
    const clock = fixedClock();
    const start = clock.now();
    const calls: [string, number][] = [];
    const note = (name: string) => () => calls.push([name, clock.now() - start]);
    clock.after(200, note('late'));
    clock.after(100, note('early'));
    const cancel = clock.after(150, note('cancelled'));
    clock.after(50, () => clock.after(25, note('nested')));
    cancel();
    clock.advance(199);
    expect(calls).toEqual([
      ['nested', 75],
      ['early', 100],
    ]);
    clock.advance(1_000);
    expect(calls.at(-1)).toEqual(['late', 200]);
    expect(calls).toHaveLength(3);
  });
});

describe('inMemoryKernelLog', () => {
  const times = ['2026-01-01T10:00:00.000Z', null, '2026-01-01T12:00:00.000Z'];

  test('gives what is not known to be older, and says what it covers', async () => {
    const log = inMemoryKernelLog(times.map(record));
    const all = await log.read({ signal: never });
    expect(all.records).toHaveLength(3);
    expect(all.coverage).toMatchObject({ readable: true, from: times[0], to: times[2] });
    const recent = await log.read({ signal: never, since: '2026-01-01T11:00:00.000Z' });
    expect(recent.records.map(({ at }) => at)).toEqual([null, times[2]]);
  });

  test('rejects when its signal has aborted', async () => {
    await expect(inMemoryKernelLog([]).read({ signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'TIMEOUT',
    });
  });
});

describe('stubProvider', () => {
  test('gives the sections asked for and their gaps, and nothing else', async () => {
    const provider = stubProvider({ gpus: [{ sample: { ...h100Sample(0), probeMilliseconds: 3 } }] });
    const { gpus } = await provider.describeNode(never);
    const sample = await provider.readGpu(gpus[0]!, ['thermal', 'power'], never);
    expect(Object.keys(sample).sort()).toEqual(['gaps', 'power', 'probeMilliseconds', 'thermal']);
    expect(sample.gaps.length).toBeGreaterThan(0);
    expect(sample.gaps.every((gap) => gap.field.startsWith('thermal.'))).toBe(true);
  });
});
