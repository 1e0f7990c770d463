import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { failure, instantClock } from '../../test/fake-clock.ts';
import type { PidfdCalls } from './pidfd.ts';
import { createProcessControl } from './process-control.ts';

const own = process.pid;
const target = { pid: 4_000_000, startTicks: 500 };

let procRoot: string;
beforeEach(() => {
  procRoot = mkdtempSync(join(tmpdir(), 'process-control-'));
  symlinkSync(String(own), join(procRoot, 'self'));
  // init -> 3000001 -> us; init -> 3000009 -> the target.
  addProcess(1, 0);
  addProcess(3_000_001, 1);
  addProcess(own, 3_000_001);
  addProcess(3_000_009, 1);
  addProcess(target.pid, 3_000_009, { start: 500 });
});
afterEach(() => rmSync(procRoot, { recursive: true }));

function addProcess(
  pid: number,
  parent: number,
  more: { start?: number; flags?: number; state?: string } = {},
): void {
  mkdirSync(join(procRoot, String(pid)), { recursive: true });
  const { start = 10, flags = 4194304, state = 'S' } = more;
  const stat = `${pid} (p) ${state} ${parent} 1 1 0 -1 ${flags} 0 0 0 0 0 0 0 0 20 0 1 0 ${start} 0 0\n`;
  writeFileSync(join(procRoot, String(pid), 'stat'), stat);
}

interface Script {
  readonly openError?: string;
  /** By signal number. */
  readonly sendErrors?: Readonly<Record<number, string>>;
  /** The signal that ends it. */
  readonly endsBy?: number;
  readonly hasEnded?: boolean;
}
function fakeCalls(script: Script = {}) {
  let ended = script.hasEnded ?? false;
  const log = { sent: [] as number[], opened: 0, closed: 0 };
  const calls: PidfdCalls = {
    open() {
      if (script.openError !== undefined) throw failure(script.openError);
      log.opened += 1;
      return 77;
    },
    send(_, signal) {
      const code = script.sendErrors?.[signal];
      if (code !== undefined) throw failure(code);
      log.sent.push(signal);
      if (signal === script.endsBy) ended = true;
    },
    hasEnded: () => ended,
    close() {
      log.closed += 1;
    },
  };
  const clock = instantClock(0);
  const control = createProcessControl({ procRoot, clock, loadPidfdCalls: async () => calls });
  return { control, log, clock };
}
const sigterm = 15;
const sigkill = 9;

describe('refusal', () => {
  it('has nothing against a process of somebody else, and sends nothing', async () => {
    const { control, log } = fakeCalls();
    expect(await control.refusal(target)).toBeUndefined();
    expect(log).toEqual({ sent: [0], opened: 1, closed: 1 });
  });

  it.each([
    ['pid 1', 1, 'init'],
    ['this process', own, 'this server itself'],
    ['its parent', 3_000_001, 'ancestor'],
  ])('protects %s', async (_, pid, word) => {
    const { control, log } = fakeCalls();
    for (const answer of [
      await control.refusal({ pid, startTicks: 10 }),
      await control.terminate({ pid, startTicks: 10 }, 100),
    ]) {
      expect(answer).toMatchObject({ result: 'protected' });
      expect(answer?.detail).toContain(word);
    }
    expect(log).toEqual({ sent: [], opened: 2, closed: 2 });
  });

  it('protects children, grandchildren and kernel threads', async () => {
    addProcess(3_100_000, own);
    addProcess(3_100_001, 3_100_000);
    addProcess(3_200_000, 2, { flags: 0x00200040 });
    const { control } = fakeCalls();
    for (const pid of [3_100_000, 3_100_001, 3_200_000]) {
      expect(await control.refusal({ pid, startTicks: 10 })).toMatchObject({ result: 'protected' });
    }
    addProcess(3_300_000, 2);
    expect(await control.refusal({ pid: 3_300_000, startTicks: 10 }), 'pid 2 of a container').toBeUndefined();
  });

  it('ends its search in a tree that goes in circles', async () => {
    addProcess(3_400_000, 3_400_001);
    addProcess(3_400_001, 3_400_000);
    expect(await fakeCalls().control.refusal({ pid: 3_400_000, startTicks: 10 })).toBeUndefined();
  });

  it('knows a pid that was given to another process', async () => {
    const { control, log } = fakeCalls();
    const answer = await control.refusal({ ...target, startTicks: 499 });
    expect(answer).toEqual({
      result: 'gone',
      detail: 'pid 4000000 belongs to another process now: it started at tick 500, not 499',
    });
    expect(log).toEqual({ sent: [], opened: 1, closed: 1 });
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 33])('has no process for the pid %s', async (pid) => {
    const { control, log } = fakeCalls();
    expect(await control.refusal({ pid, startTicks: 500 })).toMatchObject({ result: 'gone' });
    expect(log.opened).toBe(0);
  });

  it('takes a zombie, and one whose stat is gone, for gone', async () => {
    expect(await fakeCalls({ hasEnded: true }).control.refusal(target)).toMatchObject({ result: 'gone' });
    rmSync(join(procRoot, String(target.pid)), { recursive: true });
    const { control, log } = fakeCalls();
    expect(await control.refusal(target)).toMatchObject({ result: 'gone' });
    expect(log.closed).toBe(1);
  });

  it.each([
    ['ESRCH', 'gone', 'no process'],
    ['EINVAL', 'gone', 'thread'],
    ['ENOSYS', 'not-permitted', 'Linux 5.3'],
    ['EPERM', 'not-permitted', 'profile forbids'],
    ['EMFILE', 'not-permitted', 'EMFILE'],
  ])('%s from pidfd_open is %s', async (openError, result, word) => {
    const answer = await fakeCalls({ openError }).control.refusal(target);
    expect(answer).toMatchObject({ result });
    expect(answer?.detail).toContain(word);
  });

  it('says why where the system calls cannot be loaded', async () => {
    const control = createProcessControl({
      procRoot,
      loadPidfdCalls: async () => {
        throw new Error('koffi has no build for this platform');
      },
    });
    expect(await control.refusal(target)).toMatchObject({ result: 'not-permitted' });
  });

  it('is not permitted on a process of another user', async () => {
    const { control, log } = fakeCalls({ sendErrors: { 0: 'EPERM', [sigterm]: 'EPERM' } });
    expect(await control.refusal(target)).toMatchObject({ result: 'not-permitted' });
    expect(await control.terminate(target, 10)).toMatchObject({ result: 'not-permitted' });
    expect(log).toEqual({ sent: [], opened: 2, closed: 2 });
  });

  it('trusts no pid of another pid namespace', async () => {
    rmSync(join(procRoot, 'self'));
    symlinkSync('12345', join(procRoot, 'self'));
    const { control, log } = fakeCalls();
    expect(await control.refusal(target)).toMatchObject({ result: 'not-permitted' });
    expect(log.opened).toBe(0);
  });
});

describe('terminate', () => {
  it('is content with SIGTERM', async () => {
    const { control, log } = fakeCalls({ endsBy: sigterm });
    expect(await control.terminate(target, 1000)).toMatchObject({ result: 'ended-by-sigterm' });
    expect(log).toEqual({ sent: [sigterm], opened: 1, closed: 1 });
  });

  it('kills after the grace, not before', async () => {
    const { control, log, clock } = fakeCalls({ endsBy: sigkill });
    expect(await control.terminate(target, 1000)).toMatchObject({ result: 'ended-by-sigkill' });
    expect(log).toEqual({ sent: [sigterm, sigkill], opened: 1, closed: 1 });
    expect(clock.waits).toContain(1000);
  });

  it('says that it is still there when SIGKILL does not end it', async () => {
    addProcess(target.pid, 3_000_009, { start: 500, state: 'D' });
    writeFileSync(join(procRoot, String(target.pid), 'wchan'), 'os_acquire_rwlock_write');
    const { control, log, clock } = fakeCalls();
    expect(await control.terminate(target, 0)).toEqual({
      result: 'still-running',
      detail: 'process 4000000 is still there (state D in os_acquire_rwlock_write) after SIGKILL',
    });
    expect(log).toEqual({ sent: [sigterm, sigkill], opened: 1, closed: 1 });
    expect(clock.waits).toContain(5000);
  });

  it('sees that it ended just before SIGKILL', async () => {
    const { control } = fakeCalls({ sendErrors: { [sigkill]: 'ESRCH' } });
    expect(await control.terminate(target, 10)).toMatchObject({ result: 'ended-by-sigterm' });
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, 3_600_001])('refuses a grace of %s', async (grace) => {
    const { control, log } = fakeCalls();
    await expect(control.terminate(target, grace)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    expect(log.opened).toBe(0);
  });

  it('closes its descriptor when waiting fails', async () => {
    let closed = 0;
    const calls: PidfdCalls = {
      open: () => 77,
      send: () => undefined,
      hasEnded: (() => {
        let asked = 0;
        return () => {
          asked += 1;
          if (asked > 2) throw failure('EBADF');
          return false;
        };
      })(),
      close: () => {
        closed += 1;
      },
    };
    const control = createProcessControl({
      procRoot,
      clock: instantClock(),
      loadPidfdCalls: async () => calls,
    });
    await expect(control.terminate(target, 1000)).rejects.toThrow('EBADF');
    expect(closed).toBe(1);
  });

  it('planted fault: without the comparison of start times another process would be ended', async () => {
    const { control, log } = fakeCalls({ endsBy: sigterm });
    await control.terminate({ ...target, startTicks: 1 }, 10);
    expect(log.sent).toEqual([]);
    await control.terminate(target, 10);
    expect(log.sent, 'the same call with the right time').toEqual([sigterm]);
  });
});
