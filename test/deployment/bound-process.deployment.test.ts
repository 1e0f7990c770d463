import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { bound, canBind, end } from './bound-process.ts';
import { named, tellMissing } from './missing.ts';

const missing = canBind ? undefined : 'setpriv is not installed: apt-get install util-linux';
tellMissing(missing);

/** Starts what it is given, tells its process id, and stays. */
const starter = `
  const child = require('node:child_process').spawn(...JSON.parse(process.argv[1]), { stdio: 'ignore' });
  console.log(child.pid);
  setInterval(() => {}, 1 << 30);`;

const left: number[] = [];
afterEach(() => {
  for (const pid of left.splice(0)) if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL');
});

/** The process id of a program that was started by one which is killed then. */
async function outlivesOf(command: readonly [string, readonly string[]]): Promise<number> {
  const parent = spawn(process.execPath, ['-e', starter, JSON.stringify(command)]);
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(line);
  left.push(pid);
  parent.kill('SIGKILL');
  await once(parent, 'close');
  return pid;
}

describe.skipIf(missing !== undefined)(named('a program whose starter is killed', missing), () => {
  it('ends too', async () => {
    const pid = await outlivesOf(bound('sleep', ['600']));
    await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false);
  });

  it('planted: lives on when it is not bound', async () => {
    const pid = await outlivesOf(['sleep', ['600']]);
    expect(existsSync(`/proc/${pid}`)).toBe(true);
  });
});

describe('end', () => {
  it('waits for what ends by itself', async () => {
    const child = spawn('sleep', ['600']);
    await end(child);
    expect(child.signalCode).toBe('SIGTERM');
  });

  it('kills what does not', async () => {
    const child = spawn(process.execPath, [
      '-e',
      "process.on('SIGTERM', () => {}); console.log(); setInterval(() => {}, 1 << 30)",
    ]);
    await once(child.stdout, 'data');
    await end(child, { graceMilliseconds: 1 });
    expect(child.signalCode).toBe('SIGKILL');
  });
});
