// MCP over stdio out of a container, both ways that people use: `docker run -i IMAGE` and `exec -i` into a container that sleeps.

import { randomUUID } from 'node:crypto';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { describe, expect, it } from 'vitest';
import { health } from '../ask-agent.ts';
import { named, tellMissing } from '../missing.ts';
import { builtImage, noContainers, podman, runFlags, tryPodman } from './built-image.ts';
import {
  processesIn,
  removeContainersAfterEach,
  startContainer,
  stateOf,
  stdioCommand,
} from './containers.ts';

tellMissing(noContainers);

const mock = ['--backend', 'mock', '--scenario', 'fallen-off-bus'];

async function connected(args: readonly string[]): Promise<Client> {
  const client = new Client({ name: 'test', version: '0' });
  await client.connect(new StdioClientTransport(stdioCommand(args)));
  return client;
}

describe.skipIf(noContainers !== undefined)(named('MCP over stdio', noContainers), () => {
  removeContainersAfterEach();

  it('run -i: a session, and nothing is left when the client goes', async () => {
    const name = `k8s-gpu-mcp-${randomUUID()}`;
    const client = await connected(['run', '--rm', '-i', '--name', name, ...runFlags, builtImage(), ...mock]);
    expect(await health(client)).toMatchObject({ verdict: 'critical' });
    await client.close();
    await expect.poll(() => tryPodman(['container', 'exists', name]).code).toBe(1);
  });

  it('run -i: the end of the input is the end of the container, with code 0', () => {
    const { code, stdout } = tryPodman(['run', '--rm', '-i', ...runFlags, builtImage(), ...mock]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
  });

  it('exec -i into a sleeping container: one session after another, and it sleeps on', async () => {
    const name = startContainer([
      '--entrypoint',
      '/pause',
      '--read-only',
      '--cap-drop',
      'ALL',
      '--network',
      'none',
    ]);
    for (const session of ['first', 'second']) {
      const client = await connected(['exec', '-i', name, '/agent', ...mock]);
      expect(await health(client), session).toMatchObject({ verdict: 'critical' });
      expect(processesIn(name).length).toBeGreaterThan(1);
      await client.close();
      await expect.poll(() => processesIn(name)).toEqual([expect.stringMatching(/\/pause/)]);
    }
    podman(['stop', '--time', '30', name]);
    expect(stateOf(name)).toMatchObject({ Running: false, ExitCode: 0 });
  });

  it('exec -i shares what the environment of the container says', async () => {
    const name = startContainer(['--entrypoint', '/pause', '--env', 'K8S_GPU_MCP_BACKEND=mock']);
    const { stdout, code } = tryPodman(['exec', name, '/agent', 'inventory', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ gpuCount: 8 });
  });
});
