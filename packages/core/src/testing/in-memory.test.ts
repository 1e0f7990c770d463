import { describe, expect, test } from 'vitest';
import { GpuError } from '../errors.ts';
import type { AuditRecord } from '../ports/audit-log.ts';
import type { GpuDriverEvent } from '../ports/gpu-event-source.ts';
import {
  inMemoryAuditLog,
  inMemoryGpuControl,
  inMemoryGpuEventSource,
  inMemoryHostDevices,
  inMemoryHostProcesses,
  inMemoryProcessControl,
} from '../testing.ts';

const never = new AbortController().signal;
const gpu = (index: number) => ({ index, uuid: `GPU-${index}`, pciAddress: null, name: null });

describe('the host', () => {
  test('shows the processes asked for that exist, whole', async () => {
    const host = inMemoryHostProcesses([{ pid: 10, state: 'D' }, { pid: 11 }]);
    const { processes, seesAllProcesses } = await host.describe([10, 12], never);
    expect(processes).toMatchObject([{ pid: 10, state: 'D', parentPid: 1 }]);
    expect(seesAllProcesses).toBe(true);
    const blind = inMemoryHostProcesses([], { seesAllProcesses: false });
    expect(await blind.describe([1], never)).toMatchObject({ processes: [], seesAllProcesses: false });
  });

  test('shows the devices given; a bus that could not be read stays null', async () => {
    const host = inMemoryHostDevices({ pciGpus: null });
    expect(await host.read(never)).toEqual({ pciGpus: null, deviceNodes: [], gaps: [] });
  });

  test('rejects when its signal has aborted', async () => {
    const aborted = AbortSignal.abort();
    await expect(inMemoryHostDevices().read(aborted)).rejects.toMatchObject({ code: 'TIMEOUT' });
    await expect(inMemoryHostProcesses([]).describe([], aborted)).rejects.toMatchObject({ code: 'TIMEOUT' });
  });
});

describe('inMemoryGpuControl', () => {
  test('remembers what it was asked to reset, and never resets nothing or somebody', async () => {
    const control = inMemoryGpuControl({ outcome: { succeeded: false, exitCode: 3 } });
    expect(await control.reset([gpu(2), gpu(3)])).toMatchObject({ succeeded: false, exitCode: 3 });
    await expect(control.reset([])).rejects.toBeInstanceOf(GpuError);
    await expect(control.reset([{ ...gpu(9), uuid: null }])).rejects.toMatchObject({ code: 'GPU_NOT_FOUND' });
    expect(control.resets).toEqual([[2, 3]]);
  });

  test('fails as told', async () => {
    const control = inMemoryGpuControl({ outcome: new GpuError('NO_PERMISSION', 'not root') });
    await expect(control.reset([gpu(0)])).rejects.toMatchObject({ code: 'NO_PERMISSION' });
    expect(control.resets).toEqual([]);
  });
});

describe('inMemoryProcessControl', () => {
  const at = (pid: number) => ({ pid, startTicks: 7 });

  test('sends SIGTERM, then SIGKILL to who stays', async () => {
    const control = inMemoryProcessControl([
      at(10),
      { ...at(11), manner: 'stubborn' },
      { ...at(12), manner: 'unkillable' },
    ]);
    const results = await Promise.all([10, 11, 12].map(async (pid) => control.terminate(at(pid), 10)));
    expect(results.map(({ result }) => result)).toEqual([
      'ended-by-sigterm',
      'ended-by-sigkill',
      'still-running',
    ]);
    expect(control.signals.map(({ pid, signal }) => `${pid} ${signal}`)).toEqual([
      '10 SIGTERM',
      '11 SIGTERM',
      '11 SIGKILL',
      '12 SIGTERM',
      '12 SIGKILL',
    ]);
    expect([10, 11, 12].map((pid) => control.isRunning(at(pid)))).toEqual([false, false, true]);
  });

  test('sends nothing to another process with the pid, nor to whom it must not', async () => {
    const control = inMemoryProcessControl([
      at(10),
      { ...at(1), manner: 'protected' },
      { ...at(11), manner: 'foreign' },
    ]);
    expect(await control.refusal(at(10))).toBeUndefined();
    expect(await control.terminate({ pid: 10, startTicks: 8 }, 10)).toMatchObject({ result: 'gone' });
    expect(await control.terminate(at(1), 10)).toMatchObject({ result: 'protected' });
    expect(await control.terminate(at(11), 10)).toMatchObject({ result: 'not-permitted' });
    expect(control.signals).toEqual([]);
  });
});

describe('inMemoryGpuEventSource', () => {
  const xid = (value: number): GpuDriverEvent => ({
    type: 'xid',
    gpu: gpu(0),
    at: '2026-01-01T00:00:00.000Z',
    value,
    gpuInstanceId: null,
    computeInstanceId: null,
  });

  test('gives each watcher what is sent while it watches, and ends with the signal', async () => {
    const source = inMemoryGpuEventSource();
    const caller = new AbortController();
    source.send(xid(1));
    const watching = source.watch(caller.signal);
    source.send(xid(2));
    const seen: unknown[] = [];
    for await (const item of watching) {
      seen.push('value' in item ? item.value : item.notice);
      if (seen.length === 1) source.send(xid(3));
      else caller.abort();
    }
    expect(seen).toEqual([2, 3]);
    expect(source.watcherCount()).toBe(0);
  });

  test('ends while it waits', async () => {
    const source = inMemoryGpuEventSource();
    const caller = new AbortController();
    const next = source.watch(caller.signal)[Symbol.asyncIterator]().next();
    expect(source.watcherCount()).toBe(1);
    caller.abort();
    expect(await next).toMatchObject({ done: true });
  });
});

test('inMemoryAuditLog keeps records, or refuses them all', async () => {
  const entry: AuditRecord = {
    at: '2026-01-01T00:00:00.000Z',
    caller: 'local',
    tool: 'reset_gpu',
    node: 'n',
    phase: 'act',
    outcome: 'done',
    target: {},
    detail: '',
  };
  const log = inMemoryAuditLog();
  await log.record(entry);
  expect(log.entries).toEqual([entry]);
  await expect(inMemoryAuditLog(new Error('disk full')).record(entry)).rejects.toThrow('disk full');
});
