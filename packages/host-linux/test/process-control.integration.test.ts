import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import type { ProcessIdentity } from '@k8s-gpu-mcp/core';
import { createHostProcesses, createProcessControl } from '@k8s-gpu-mcp/host-linux';
import { afterEach, describe, expect, it } from 'vitest';
import { neverAborted } from './kernel-log-samples.ts';

const started: number[] = [];
afterEach(() => {
  for (const pid of started.splice(0)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended, as it should.
    }
  }
});

/** A process that is no child of ours: the shell that starts it ends, and init (or whoever stands in for it) takes it over. */
async function startOrphan(script: string, options: { uid?: number } = {}): Promise<ProcessIdentity> {
  const shell = spawn('/bin/sh', ['-c', script], { ...options, stdio: ['ignore', 'pipe', 'ignore'] });
  const exited = once(shell, 'exit');
  let output = '';
  for await (const chunk of shell.stdout) output += String(chunk);
  await exited;
  const pid = Number(output);
  started.push(pid);
  return identify(pid);
}
const sleeper = 'sleep 1000 >/dev/null & echo $!';
/** What a shell ignores its children ignore from their first instruction on. */
const ignoringSleeper = `trap '' TERM; ${sleeper}`;

async function identify(pid: number): Promise<ProcessIdentity> {
  const { processes } = await createHostProcesses().describe([pid], neverAborted());
  const found = processes[0];
  if (!found) throw new Error(`there is no process ${pid}`);
  return { pid, startTicks: found.startTicks };
}
async function isRunning({ pid, startTicks }: ProcessIdentity): Promise<boolean> {
  const { processes } = await createHostProcesses().describe([pid], neverAborted());
  return processes.some((process) => process.startTicks === startTicks && process.state !== 'Z');
}
const openPidfds = (): number =>
  readdirSync('/proc/self/fd').filter((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`).includes('pidfd');
    } catch {
      return false;
    }
  }).length;

const control = createProcessControl();
const pid1 = await control.refusal(await identify(1));
const refusal = pid1?.result === 'protected' ? undefined : (pid1?.detail ?? 'pid 1 is not protected');

describe.skipIf(refusal?.includes('pidfd_open') ?? false)(
  `real processes (${refusal ?? 'possible here'})`,
  () => {
    it('ends one that heeds SIGTERM', async () => {
      const target = await startOrphan(sleeper);
      expect(await control.refusal(target)).toBeUndefined();
      expect(await isRunning(target), 'asking sends nothing').toBe(true);
      const startedAt = performance.now();
      expect(await control.terminate(target, 10_000)).toMatchObject({ result: 'ended-by-sigterm' });
      expect(performance.now() - startedAt, 'the grace is not waited out').toBeLessThan(5000);
      expect(await isRunning(target)).toBe(false);
      expect(await control.terminate(target, 100)).toMatchObject({ result: 'gone' });
      expect(openPidfds()).toBe(0);
    });

    it('kills one that ignores SIGTERM, after the grace', async () => {
      const target = await startOrphan(ignoringSleeper);
      const startedAt = performance.now();
      expect(await control.terminate(target, 300)).toMatchObject({ result: 'ended-by-sigkill' });
      expect(performance.now() - startedAt).toBeGreaterThanOrEqual(295);
      expect(await isRunning(target)).toBe(false);
      expect(openPidfds()).toBe(0);
    });

    it('does not touch a process with the same pid and another start', async () => {
      const target = await startOrphan(sleeper);
      const other = { ...target, startTicks: target.startTicks - 1 };
      expect(await control.refusal(other)).toMatchObject({ result: 'gone' });
      expect(await control.terminate(other, 100)).toMatchObject({ result: 'gone' });
      expect(await isRunning(target)).toBe(true);
      expect(openPidfds()).toBe(0);
    });

    it('protects init, this process, its parents and its children', async () => {
      const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
      started.push(child.pid ?? 0);
      for (const pid of [1, process.pid, process.ppid, child.pid ?? 0]) {
        const identity = await identify(pid);
        expect(await control.refusal(identity)).toMatchObject({ result: 'protected' });
        expect(await control.terminate(identity, 100)).toMatchObject({ result: 'protected' });
        expect(await isRunning(identity)).toBe(true);
      }
      expect(openPidfds()).toBe(0);
    });

    it.skipIf(process.getuid?.() !== 0)(
      'is not permitted on another user without CAP_KILL (needs root)',
      async () => {
        const target = await startOrphan(sleeper, { uid: 65533 });
        const isAnswered = async (): Promise<void> => {
          expect(await control.refusal(target)).toMatchObject({ result: 'not-permitted' });
          expect(await control.terminate(target, 100)).toMatchObject({ result: 'not-permitted' });
        };
        process.seteuid?.(65534);
        try {
          await isAnswered();
        } finally {
          process.seteuid?.(0);
        }
        expect(await isRunning(target)).toBe(true);
        expect(
          await control.refusal(target),
          'planted fault: with the right it is permitted',
        ).toBeUndefined();
      },
    );

    it('is protected from itself by thread ids, too', async () => {
      const thread = readdirSync('/proc/self/task')
        .map(Number)
        .find((id) => id !== process.pid);
      const answer = await control.refusal({ pid: thread ?? 0, startTicks: 0 });
      expect(answer).toMatchObject({ result: 'gone' });
    });
  },
);
