// The launcher on its own, without a container: as PID 1 of a new namespace it must do what an init process does, elsewhere become node.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { agentFlags } from '../../../scripts/agent-flags.js';
import { named, tellMissing } from '../missing.ts';
import { repositoryRoot, temporaryFolder } from './built-image.ts';
import { endAll, type InNamespace, program, startInNamespace } from './namespaced-program.ts';

const source = join(repositoryRoot, 'deployment/container/launcher/launcher.c');
const programs = ['agent', 'gateway', 'bridge', 'kubectl-mcp'];

const missing: string | undefined = (() => {
  if (spawnSync('cc', ['--version']).status !== 0) return 'no C compiler (cc) on this machine';
  const { status } = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']);
  return status === 0 ? undefined : 'a process namespace of its own needs root and unshare';
})();
tellMissing(missing);

describe.skipIf(missing !== undefined)(named('launcher', missing), () => {
  let folder: string;
  const launcher = (name: string) => join(folder, name);
  const compile = (name: string, definitions: readonly string[]) =>
    execFileSync('cc', [
      ...['-static', '-Os', '-Wall', '-Wextra', '-Werror', ...definitions.map((each) => `-D${each}`)],
      ...['-o', launcher(name), source],
    ]);

  beforeAll(() => {
    folder = temporaryFolder();
    compile('agent', [`PROGRAMS="${folder}/app"`, `NODES="${folder}/nowhere/node","${process.execPath}"`]);
    for (const name of [...programs.slice(1), 'pause', 'something-else'])
      symlinkSync('agent', launcher(name));
    for (const name of programs) {
      mkdirSync(join(folder, 'app', name, 'dist'), { recursive: true });
      writeFileSync(join(folder, 'app', name, 'dist/main.js'), program);
    }
  });
  afterEach(endAll);
  afterAll(() => rmSync(folder, { recursive: true }));

  const started = async (name: string, args: readonly string[] = []): Promise<InNamespace> => {
    const running = startInNamespace([launcher(name), ...args]);
    await running.line(/^started /);
    return running;
  };

  const flagsOf = (name: string) => ({ agent: agentFlags, gateway: [] })[name] ?? ['--max-semi-space-size=1'];

  it.each(programs)('%s: becomes node with its script, our flag and the arguments as they came', (name) => {
    const { stdout } = spawnSync(launcher(name), ['--a', 'b c', ''], { encoding: 'utf8', input: 'exit 0\n' });
    expect(JSON.parse(stdout.replace('started ', ''))).toMatchObject({
      script: join(folder, 'app', name, 'dist/main.js'),
      args: ['--a', 'b c', ''],
      flags: flagsOf(name),
    });
  });

  it('is not in between where it is not PID 1: the program has its process id', async () => {
    const { pid, stdout } = spawnSync(launcher('agent'), [], { encoding: 'utf8', input: 'exit 0\n' });
    expect(JSON.parse(stdout.replace('started ', ''))).toMatchObject({ pid });
  });

  it('as PID 1 stays, with the program in a process group of its own', async () => {
    const running = await started('agent');
    const told = JSON.parse((await running.line(/^started /)).replace('started ', '')) as { pid: number };
    expect(told).toMatchObject({ leadsItsGroup: true });
    expect(told.pid).toBeGreaterThan(1);
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'] as const)(
    'as PID 1 passes on %s',
    async (signal) => {
      const running = await started('agent');
      running.signal(signal);
      await running.line(new RegExp(`^got ${signal}$`));
    },
  );

  it.each([0, 3, 137])('as PID 1 ends with the code %d of the program', async (code) => {
    const running = await started('agent');
    running.send(`exit ${code}`);
    expect(await running.code).toBe(code);
  });

  it('as PID 1 ends with 128 and the number of the signal that ended the program', async () => {
    const running = await started('agent');
    running.send('die SIGKILL');
    expect(await running.code).toBe(128 + 9);
  });

  /** What becomes of a process that the program leaves behind: `-` is nothing, Z a zombie that nobody waits for. */
  async function expectOrphanToBecome(state: '-' | 'Z', running: InNamespace): Promise<void> {
    running.send('orphan');
    const orphan = (await running.line(/^orphan \d+$/)).slice('orphan '.length);
    const told = new RegExp(`^state ${orphan} `);
    await expect
      .poll(() => {
        const answer = running.line(told, true);
        running.send(`state ${orphan}`);
        return answer;
      })
      .toBe(`state ${orphan} ${state}`);
  }

  it('as PID 1 waits for orphans', async () => {
    await expectOrphanToBecome('-', await started('agent'));
  });

  it('planted: node itself as PID 1 leaves the orphan a zombie', async () => {
    const running = startInNamespace([process.execPath, join(folder, 'app/agent/dist/main.js')]);
    await running.line(/^started /);
    await expectOrphanToBecome('Z', running);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('pause: %s ends it at once with 0', async (signal) => {
    const running = startInNamespace([launcher('pause')]);
    await running.isAsleep();
    running.signal(signal);
    expect(await running.code).toBe(0);
  });

  it('pause: holds less than a megabyte', async () => {
    const running = startInNamespace([launcher('pause')]);
    await running.isAsleep();
    expect(running.residentKilobytes()).toBeLessThan(1_024);
  });

  it('pause: waits for orphans of what is run beside it', async () => {
    const running = startInNamespace([launcher('pause')]);
    await running.isAsleep();
    const { stdout } = running.beside(['/bin/sh', '-c', '(true & echo $!) | cat']);
    const orphan = Number(stdout.trim());
    expect(orphan).toBeGreaterThan(1);
    await expect.poll(() => running.beside(['/bin/ls', `/proc/${orphan}`]).status).not.toBe(0);
  });

  it('refuses a name it does not know', () => {
    const { status, stderr } = spawnSync(launcher('something-else'), { encoding: 'utf8' });
    expect(status).toBe(64);
    expect(stderr).toMatch(/^unknown program \(agent, .*healthcheck\): something-else\n$/);
  });

  it('says that there is no node, and that one cannot be run', () => {
    compile('without', ['PROGRAMS="/app"', `NODES="${folder}/nowhere/node"`]);
    rmSync(launcher('bridge'));
    symlinkSync('without', launcher('bridge'));
    const none = spawnSync(launcher('bridge'), { encoding: 'utf8' });
    expect(none).toMatchObject({ status: 127, stderr: 'no node in this image for: bridge\n' });
    compile('without', ['PROGRAMS="/app"', `NODES="${source}"`]);
    const broken = spawnSync(launcher('bridge'), { encoding: 'utf8' });
    expect(broken).toMatchObject({ status: 126, stderr: `Permission denied: ${source}\n` });
  });
});
