import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { failure, manualClock } from '../../test/fake-clock.ts';
import { neverAborted } from '../../test/kernel-log-samples.ts';
import { createHostProcesses, type HostProcessesOptions } from './host-processes.ts';

interface FakeProcess {
  readonly name?: string;
  readonly state?: string;
  readonly parent?: number;
  readonly start?: number;
  readonly uid?: string;
  readonly command?: string | Buffer;
  readonly cgroup?: string;
}

let procRoot: string;
let passwdFile: string;
beforeEach(() => {
  procRoot = mkdtempSync(join(tmpdir(), 'host-processes-'));
  passwdFile = join(procRoot, 'passwd');
  writeFileSync(
    passwdFile,
    'root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\nlater:x:1000:1::/:/\n',
  );
  writeFileSync(join(procRoot, 'stat'), 'cpu 1 2 3\nbtime 1772323200\nprocesses 9\n');
  mkdirSync(join(procRoot, '1/ns'), { recursive: true });
  symlinkSync('pid:[4026531836]', join(procRoot, '1/ns/pid'));
});
afterEach(() => rmSync(procRoot, { recursive: true }));

function addProcess(pid: number, process: FakeProcess = {}): void {
  const folder = join(procRoot, String(pid));
  mkdirSync(folder, { recursive: true });
  const { name = 'python3', state = 'S', parent = 7, start = 6000 } = process;
  const stat = `${pid} (${name}) ${state} ${parent} 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 ${start} 0 0\n`;
  writeFileSync(join(folder, 'stat'), stat);
  const uid = process.uid ?? '1000\t1000\t1000\t1000';
  writeFileSync(
    join(folder, 'status'),
    `Name:\t${name}\nState:\tS (sleeping)\nUid:\t${uid}\nGid:\t0\t0\t0\t0\n`,
  );
  writeFileSync(join(folder, 'cmdline'), process.command ?? 'python3\0train.py\0--lr\x000.1\0');
  writeFileSync(join(folder, 'cgroup'), process.cgroup ?? '0::/user.slice\n');
}
const describePids = (pids: readonly number[], more: HostProcessesOptions = {}) =>
  createHostProcesses({ procRoot, passwdFile, ...more }).describe(pids, neverAborted());

describe('createHostProcesses', () => {
  it('tells who, since when, what and for whom', async () => {
    const id = '594f6557dc0faa92e0ceac237b78c9e19ad12db5c471c3d2d950d4f2d6b98e4d';
    addProcess(42, {
      cgroup: `0::/kubepods.slice/kubepods-pod019c1fe8_0d92_4aa0_b61c_4df58bdde71c.slice/cri-containerd-${id}.scope\n`,
    });
    expect(await describePids([42])).toEqual({
      processes: [
        {
          pid: 42,
          startTicks: 6000,
          // 6000 ticks of a hundredth of a second after btime, which is 2026-03-01T00:00:00Z.
          startedAt: '2026-03-01T00:01:00.000Z',
          state: 'S',
          userId: 1000,
          userName: 'ada',
          name: 'python3',
          command: 'python3 train.py --lr 0.1',
          parentPid: 7,
          container: { id, runtime: 'containerd' },
          podUid: '019c1fe8-0d92-4aa0-b61c-4df58bdde71c',
          slurmJobId: null,
        },
      ],
      seesAllProcesses: true,
      gaps: [],
    });
  });

  it('leaves out what does not exist, each pid once, and what is no pid', async () => {
    addProcess(42);
    const { processes, gaps } = await describePids([42, 42, 43, 0, -1, 1.5, Number.NaN, 2 ** 40]);
    expect(processes.map(({ pid }) => pid)).toEqual([42]);
    expect(gaps).toEqual([]);
  });

  it('leaves out a pid that was given to another process while it was read', async () => {
    addProcess(42, { start: 6000 });
    addProcess(43, { start: 6000 });
    const { processes } = await describePids([42, 43], {
      readFile: async (path) => {
        if (path.endsWith('42/cmdline')) addProcess(42, { start: 7000 });
        if (path.endsWith('43/cmdline')) rmSync(join(procRoot, '43'), { recursive: true });
        return Buffer.from('0::/\n');
      },
    });
    expect(processes).toEqual([]);
  });

  it('planted fault: a pid that stays the same process is not left out', async () => {
    addProcess(42);
    const { processes } = await describePids([42], { readFile: async () => Buffer.from('0::/\n') });
    expect(processes).not.toEqual([]);
  });

  it('caps arguments and shows none where there are none', async () => {
    addProcess(42, { command: `${'ä'.repeat(600)}\0--more\0` });
    addProcess(43, { command: '', state: 'Z' });
    addProcess(44, { command: Buffer.from([0xff, 0xfe, 0, 0x41, 0, 0]) });
    const { processes, gaps } = await describePids([42, 43, 44]);
    expect(processes.map(({ command }) => command)).toEqual(['ä'.repeat(256), null, '\ufffd\ufffd A']);
    expect(gaps).toEqual([]);
  });

  it('does not ask a process that sleeps in the kernel for its arguments', async () => {
    addProcess(42, { state: 'D' });
    const read: string[] = [];
    const { processes, gaps } = await describePids([42], {
      readFile: async (path) => {
        read.push(path);
        return Buffer.from('0::/\n');
      },
    });
    expect(processes[0]).toMatchObject({ state: 'D', command: null });
    expect(read.some((path) => path.endsWith('cmdline'))).toBe(false);
    expect(gaps).toMatchObject([{ field: 'hostProcesses.command', reason: 'not-observable' }]);
  });

  it('answers when the arguments of a process never come, and asks nobody else until they do', async () => {
    addProcess(42);
    addProcess(43);
    const clock = manualClock();
    let reads = 0;
    const answer = describePids([42, 43], {
      clock,
      readFile: (path) => {
        if (path.endsWith('cgroup')) return Promise.resolve(Buffer.from('0::/slurm/uid_0/job_5\n'));
        reads += 1;
        setImmediate(() => clock.advance(500));
        return new Promise(() => undefined);
      },
    });
    const { processes, gaps } = await answer;
    expect(processes).toMatchObject([
      { pid: 42, command: null, slurmJobId: '5' },
      { pid: 43, command: null, container: null },
    ]);
    expect(reads).toBe(1);
    expect(gaps.map(({ field, reason }) => `${field} ${reason}`)).toEqual([
      'hostProcesses.command timeout',
      'hostProcesses.container timeout',
      'hostProcesses.command timeout',
    ]);
  });

  it('tells what may not be read', async () => {
    addProcess(42);
    const { processes, gaps } = await describePids([42], {
      readFile: async () => {
        throw failure('EACCES');
      },
    });
    expect(processes).toMatchObject([{ pid: 42, command: null, container: null }]);
    expect(gaps).toMatchObject([
      { field: 'hostProcesses.container', reason: 'no-permission' },
      { field: 'hostProcesses.command', reason: 'no-permission' },
    ]);
  });

  it('has a gap for garbage', async () => {
    addProcess(42, { uid: 'nobody' });
    addProcess(43);
    writeFileSync(join(procRoot, '43/stat'), 'garbage');
    writeFileSync(join(procRoot, 'stat'), 'btime soon\n');
    const { processes, gaps } = await describePids([42, 43]);
    expect(processes).toMatchObject([{ pid: 42, userId: null, userName: null, startedAt: null }]);
    expect(gaps.map(({ field }) => field)).toEqual([
      'hostProcesses.userId',
      'hostProcesses',
      'hostProcesses.startedAt',
    ]);
  });

  it('cannot be told a user by the name of a program', async () => {
    // The kernel writes the line feed of a name as two characters in the status file.
    addProcess(42, { name: 'x\\nUid:\\t0\\t0' });
    expect((await describePids([42])).processes[0]?.userId).toBe(1000);
  });

  it('names users from the first entry, and says for whom it has none', async () => {
    addProcess(42, { uid: '0\t0\t0\t0' });
    addProcess(43, { uid: '4242\t0\t0\t0' });
    const { processes, gaps } = await describePids([42, 43]);
    expect(processes.map(({ userName }) => userName)).toEqual(['root', null]);
    expect(gaps).toEqual([
      { field: 'hostProcesses.userName', reason: 'not-observable', detail: 'no name for uid 4242' },
    ]);
  });

  it('does not name the users of a container image', async () => {
    addProcess(42);
    mkdirSync(join(procRoot, 'self'));
    const mount = '1531 1200 0:59 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/a\n';
    writeFileSync(join(procRoot, 'self/mountinfo'), mount);
    const { processes, gaps } = await createHostProcesses({ procRoot }).describe([42], neverAborted());
    expect(processes[0]?.userName).toBeNull();
    expect(gaps[0]).toMatchObject({ field: 'hostProcesses.userName', reason: 'not-observable' });
    expect((await describePids([42])).processes[0]?.userName, 'a file named outright').toBe('ada');
  });

  it('knows whether it sees the whole machine', async () => {
    const sees = async () => (await describePids([])).seesAllProcesses;
    expect(await sees()).toBe(true);
    rmSync(join(procRoot, '1/ns/pid'));
    expect(await sees()).toBeNull();
    mkdirSync(join(procRoot, 'self/ns'), { recursive: true });
    symlinkSync('pid:[4026532201]', join(procRoot, 'self/ns/pid'));
    expect(await sees()).toBe(false);
    rmSync(join(procRoot, 'self/ns/pid'));
    symlinkSync('pid:[4026531836]', join(procRoot, 'self/ns/pid'));
    expect(await sees()).toBe(true);
    rmSync(join(procRoot, '1'), { recursive: true });
    expect(await sees(), 'hidepid').toBe(false);
    rmSync(procRoot, { recursive: true });
    const { seesAllProcesses, gaps } = await describePids([]);
    expect(seesAllProcesses).toBeNull();
    expect(gaps).toMatchObject([{ field: 'hostProcesses.seesAllProcesses', reason: 'not-observable' }]);
    mkdirSync(procRoot);
  });

  it('bounds what is asked for', async () => {
    const { gaps } = await describePids(Array.from({ length: 5000 }, (_, index) => index + 100_000));
    expect(gaps[0]?.detail).toBe('only the first 4096 of 5000 pids were looked at');
  });

  it('rejects when the signal aborts, also while a file hangs', async () => {
    addProcess(42);
    const late = AbortSignal.abort(new DOMException('late', 'TimeoutError'));
    await expect(createHostProcesses({ procRoot }).describe([42], late)).rejects.toMatchObject({
      code: 'TIMEOUT',
    });
    const abort = new AbortController();
    const processes = createHostProcesses({
      procRoot,
      clock: manualClock(),
      readFile: () => {
        setImmediate(() => abort.abort());
        return new Promise(() => undefined);
      },
    });
    await expect(processes.describe([42], abort.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
