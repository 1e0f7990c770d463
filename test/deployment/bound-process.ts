// Programs that a test starts and that must not outlive it: not one that hangs, and not a run of the tests that is killed.
import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';

/** Linux, with util-linux. */
export const canBind = spawnSync('setpriv', ['--version']).status === 0;

/** What to give to `spawn` so that the kernel sends the program this signal when we are gone, killed or not. On Linux; elsewhere it is left. */
export function bound(
  program: string,
  args: readonly string[],
  signal: 'TERM' | 'KILL' = 'TERM',
): [program: string, args: string[]] {
  return canBind ? ['setpriv', ['--pdeathsig', signal, '--', program, ...args]] : [program, [...args]];
}

/** Resolves when it has ended: asked by `ask`, by default with SIGTERM, and made to when it has not after its grace. */
export async function end(
  child: ChildProcess,
  {
    ask = () => child.kill(),
    graceMilliseconds = 10_000,
  }: { ask?: () => void; graceMilliseconds?: number } = {},
): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  ask();
  const force = setTimeout(() => child.kill('SIGKILL'), graceMilliseconds);
  await ended;
  clearTimeout(force);
}
