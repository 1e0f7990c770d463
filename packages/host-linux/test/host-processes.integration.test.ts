import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createHostDevices, createHostProcesses } from '@k8s-gpu-mcp/host-linux';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { neverAborted } from './kernel-log-samples.ts';

let folder: string;
const children: ChildProcess[] = [];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'host-processes-'));
});
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

async function start(file: string, argv: readonly string[]): Promise<number> {
  const child = spawn(file, argv, { stdio: 'ignore' });
  children.push(child);
  await once(child, 'spawn');
  // The kernel sets the name first, and the arguments a moment later.
  const pid = child.pid ?? 0;
  await expect.poll(() => readFileSync(`/proc/${pid}/cmdline`).length).toBeGreaterThan(0);
  return pid;
}
const describePids = (pids: readonly number[]) =>
  createHostProcesses({ passwdFile: '/etc/passwd' }).describe(pids, neverAborted());

describe('createHostProcesses on this machine', () => {
  it('tells of this process what node does', async () => {
    const { processes } = await describePids([process.pid]);
    const { username, uid } = userInfo();
    expect(processes).toMatchObject([
      { pid: process.pid, parentPid: process.ppid, userId: uid, userName: username },
    ]);
    const startedAt = Date.parse(processes[0]?.startedAt ?? '');
    // btime is in whole seconds, and moves by one with the clock.
    expect(Math.abs(startedAt - (Date.now() - process.uptime() * 1000))).toBeLessThan(3000);
  });

  it('keeps the strangest name of a program, and its arguments', async () => {
    const name = 'a) S 1\n(b';
    copyFileSync('/bin/sleep', join(folder, name));
    const pid = await start(join(folder, name), ['1000', '0']);
    const { processes } = await describePids([pid]);
    expect(processes).toMatchObject([
      { pid, name, command: `${join(folder, name)} 1000 0`, userId: userInfo().uid },
    ]);
    expect(processes[0]?.parentPid).toBe(process.pid);
  });

  it('gives a process the same start time each time, and two processes different ones', async () => {
    const [one, other] = [await start('sleep', ['1000']), process.pid];
    const ticks = async () =>
      (await describePids([one, other])).processes.map(({ startTicks }) => startTicks);
    expect(await ticks()).toEqual(await ticks());
    expect(new Set(await ticks()).size).toBe(2);
  });

  it('leaves out a process that has ended', async () => {
    const child = spawn('true', { stdio: 'ignore' });
    await once(child, 'exit');
    expect((await describePids([child.pid ?? 0])).processes).toEqual([]);
    expect(
      (await describePids([process.pid])).processes,
      'planted fault: one that runs is there',
    ).not.toEqual([]);
  });

  it('shows kernel threads where it sees the whole machine', async () => {
    const { processes, seesAllProcesses } = await describePids([2]);
    if (seesAllProcesses !== true) return;
    expect(processes).toMatchObject([{ name: 'kthreadd', command: null, parentPid: 0 }]);
  });

  it('describes 500 processes quickly', async () => {
    const pids = execFileSync('ls', ['/proc'], { encoding: 'utf8' }).split('\n').map(Number);
    const startedAt = performance.now();
    const { processes } = await describePids(pids.slice(0, 500));
    expect(processes.length).toBeGreaterThan(5);
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });
});

const unshare = (script: string) =>
  spawnSync(
    '/usr/bin/unshare',
    ['--pid', '--fork', '--mount-proc', process.execPath, '--input-type=module', '-e', script],
    {
      encoding: 'utf8',
      // The package is found by name from here; a plain node runs what was built.
      cwd: fileURLToPath(new URL('.', import.meta.url)),
    },
  );
const refusal = unshare('').status === 0 ? undefined : 'no right to unshare(1) a pid namespace';

describe.skipIf(refusal !== undefined)(
  `in a pid namespace of its own (${refusal ?? 'possible here'})`,
  () => {
    it('knows that it does not see the whole machine', () => {
      const { stdout, stderr } = unshare(`
      const { createHostProcesses } = await import('@k8s-gpu-mcp/host-linux');
      const { processes, seesAllProcesses } =
        await createHostProcesses().describe([1, process.ppid], new AbortController().signal);
      console.log(JSON.stringify({ pids: processes.map(({ pid }) => pid), seesAllProcesses }));
    `);
      expect(stderr).toBe('');
      expect(JSON.parse(stdout)).toEqual({ pids: [1], seesAllProcesses: false });
    });
  },
);

describe('createHostDevices on this machine', () => {
  it('reads its bus and its device nodes', async () => {
    const { pciGpus, deviceNodes, gaps } = await createHostDevices().read(neverAborted());
    expect(deviceNodes).not.toBeNull();
    if (pciGpus === null) expect(gaps.map(({ field }) => field)).toContain('hostDevices.pciGpus');
    for (const gpu of pciGpus ?? []) {
      const vendor = readFileSync(`/sys/bus/pci/devices/${gpu.pciAddress}/vendor`, 'utf8').trim();
      expect(vendor).toBe('0x10de');
    }
  });
});
