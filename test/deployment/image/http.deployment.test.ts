// MCP over HTTP out of a container: with a token, on a published port, ended by SIGTERM, watched by its health check.

import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../programs/run-program.ts';
import { answering, askHealth, statusWithoutToken } from '../ask-agent.ts';
import { named, tellMissing } from '../missing.ts';
import { builtImage, inspectImage, noContainers, podman, temporaryFolder, tryPodman } from './built-image.ts';
import { logOf, processesIn, removeContainersAfterEach, startContainer, stateOf } from './containers.ts';

tellMissing(noContainers);

const token = 'a-token-for-this-test-only';
const gateway = ['--entrypoint', '/gateway'];
const mock = ['--backend', 'mock'];

describe.skipIf(noContainers !== undefined)(named('MCP over HTTP', noContainers), () => {
  removeContainersAfterEach();
  let folder: string;

  beforeAll(() => {
    folder = temporaryFolder();
    writeFileSync(join(folder, 'token'), token);
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
        ...[
          '-subj',
          '/CN=somewhere.example',
          '-keyout',
          join(folder, 'tls.key'),
          '-out',
          join(folder, 'tls.crt'),
        ],
      ],
      { stdio: 'ignore' },
    );
    for (const name of ['', 'token', 'tls.key', 'tls.crt']) chmodSync(join(folder, name), 0o755);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const secrets = () => ['-v', `${folder}:/run/secrets:ro`];
  const withToken = ['--auth-token-file', '/run/secrets/token'];

  it('answers the bearer of the token on a published port, and nobody else; SIGTERM ends it with 0', async () => {
    const port = await freePort();
    const name = startContainer(
      ['-p', `127.0.0.1:${port}:8080`, '--read-only', '--cap-drop', 'ALL', ...secrets()],
      [...mock, '--port', '8080', '--addr', '0.0.0.0', ...withToken],
    );
    const origin = `http://127.0.0.1:${port}`;
    await answering(`${origin}/healthz`, { log: () => logOf(name) });
    expect(await statusWithoutToken(origin)).toBe(401);
    expect(await askHealth(origin, token)).toMatchObject({ verdict: 'ok' });
    // Process 1 is the launcher, the program its child.
    expect(processesIn(name)).toEqual([
      expect.stringMatching(/ \/agent /),
      expect.stringMatching(/ node .*\/app\/agent\//),
    ]);
    podman(['stop', '--time', '60', name]);
    expect(stateOf(name)).toMatchObject({ Running: false, ExitCode: 0, OOMKilled: false });
    expect(logOf(name)).toContain('SIGTERM');
  });

  it('the gateway serves too, and ends so', async () => {
    const port = await freePort();
    const name = startContainer(
      [...gateway, '--network', 'host'],
      ['--port', String(port), '--agents', `node-a=http://127.0.0.1:${await freePort()}`],
    );
    await answering(`http://127.0.0.1:${port}/healthz`, { log: () => logOf(name) });
    expect(tryPodman(['exec', name, '/healthcheck'])).toMatchObject({ code: 0 });
    podman(['stop', '--time', '60', name]);
    expect(stateOf(name)).toMatchObject({ Running: false, ExitCode: 0 });
  });

  describe('health check', () => {
    const check = (name: string) => {
      const { code, stdout, stderr } = tryPodman(['exec', name, '/healthcheck']);
      return { code, said: stdout + stderr };
    };

    it('is what the image names', () => {
      expect(inspectImage(builtImage()).Healthcheck).toMatchObject({ Test: ['CMD', '/healthcheck'] });
    });

    it.each([
      ['the port as an argument', [], ['--port', '8080'], 'http://127.0.0.1:8080'],
      [
        'the port in one word',
        [],
        ['--port=8081', '--addr=0.0.0.0', '--allow-unauthenticated'],
        'http://127.0.0.1:8081',
      ],
      ['the port in the environment', ['--env', 'K8S_GPU_MCP_PORT=8082'], [], 'http://127.0.0.1:8082'],
      [
        'TLS',
        [],
        ['--port', '8443', '--tls-cert', '/run/secrets/tls.crt', '--tls-key', '/run/secrets/tls.key'],
        'https://127.0.0.1:8443',
      ],
    ])('healthy with %s', async (_, flags, args, origin) => {
      const name = startContainer([...flags, ...secrets()], [...mock, ...args]);
      await expect.poll(() => check(name)).toEqual({ code: 0, said: `healthy: ${origin}/healthz\n` });
    });

    it('healthy behind an init of the container runtime', async () => {
      const name = startContainer(['--init'], [...mock, '--port', '8080']);
      await expect
        .poll(() => check(name))
        .toEqual({ code: 0, said: 'healthy: http://127.0.0.1:8080/healthz\n' });
    });

    it('healthy without a port, when the program runs', () => {
      expect(check(startContainer(['--entrypoint', '/pause', '--env', 'K8S_GPU_MCP_PORT=8080']))).toEqual({
        code: 0,
        said: 'healthy: nothing listens here, and the program runs\n',
      });
    });

    it('unhealthy when the program no longer answers', async () => {
      const name = startContainer([], [...mock, '--port', '8080']);
      await expect.poll(() => check(name).code).toBe(0);
      const [, program] = podman(['top', name, 'hpid']).trim().split('\n').slice(1);
      process.kill(Number(program), 'SIGSTOP');
      expect(check(name)).toEqual({
        code: 1,
        said: 'unhealthy: http://127.0.0.1:8080/healthz: no answer within 5000 ms\n',
      });
      process.kill(Number(program), 'SIGCONT');
      await expect.poll(() => check(name).code).toBe(0);
    });
  });
});
