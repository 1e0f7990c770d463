// The health check where process 1 is not of the container: docs/docker.md has people run it so, to see whose process holds a GPU.
import { describe, expect, it } from 'vitest';
import { named, tellMissing } from '../missing.ts';
import { noContainers, tryPodman } from './built-image.ts';
import { removeContainersAfterEach, startContainer, stateOf } from './containers.ts';

tellMissing(noContainers);

const hostProcesses = ['--pid', 'host'];
const check = (name: string) => {
  const { code, stdout, stderr } = tryPodman(['exec', name, '/healthcheck']);
  return { code, said: stdout + stderr };
};

describe.skipIf(noContainers !== undefined)(
  named('health check among the processes of the host', noContainers),
  () => {
    removeContainersAfterEach();

    it.each([
      ['the agent', []],
      ['the agent as root', ['--user', '0:0', '--cap-drop', 'ALL']],
    ])('asks %s of its own container', async (_name, flags) => {
      // Another container with another port: the check must not take its processes for its own.
      startContainer(hostProcesses, ['--backend', 'mock', '--port', '8090']);
      const name = startContainer([...hostProcesses, ...flags], ['--backend', 'mock', '--port', '8091']);
      await expect
        .poll(() => check(name))
        .toEqual({ code: 0, said: 'healthy: http://127.0.0.1:8091/healthz\n' });
    });

    it('is unhealthy when that one no longer answers', async () => {
      const name = startContainer(hostProcesses, ['--backend', 'mock', '--port', '8091']);
      await expect.poll(() => check(name).code).toBe(0);
      const { Pid: program } = stateOf(name);
      process.kill(program, 'SIGSTOP');
      expect(check(name)).toMatchObject({ code: 1, said: expect.stringMatching(/^unhealthy: .*no answer/) });
      process.kill(program, 'SIGCONT');
      await expect.poll(() => check(name).code).toBe(0);
    });

    it('is healthy where the container sleeps', () => {
      expect(check(startContainer([...hostProcesses, '--entrypoint', '/pause']))).toEqual({
        code: 0,
        said: 'healthy: nothing listens here, and the program runs\n',
      });
    });

    it('is unhealthy where none of the programs runs', () => {
      const idle = ['--entrypoint', '/nodejs/bin/node'];
      const name = startContainer([...hostProcesses, ...idle], ['-e', 'setInterval(() => {}, 60_000)']);
      expect(check(name)).toEqual({
        code: 1,
        said: 'unhealthy: none of the programs runs in this container\n',
      });
    });
  },
);
