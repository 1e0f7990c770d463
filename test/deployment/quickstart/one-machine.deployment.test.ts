import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { builtImage, noContainers, podmanCommand, runFlags } from '../image/built-image.ts';
import { health } from './ask.ts';
import { createDriver, type Driver, noCompiler } from './driver.ts';
import { Reader } from './reader.ts';
import { createWorkstation, repositoryRoot, type Workstation } from './workstation.ts';

const quickstart = readFileSync(join(repositoryRoot, 'docs/quickstart.md'), 'utf8');
const named = (name: string, reason: string | undefined) => (reason === undefined ? name : `${name} (${reason})`);

describe.skipIf(noCompiler !== undefined)(named('the quickstart on a machine with two GPUs', noCompiler), () => {
  let driver: Driver;
  let workstation: Workstation;
  beforeAll(() => {
    driver = createDriver();
    const environment = { ...driver.variables, K8S_GPU_MCP_KERNEL_LOG: `file:${driver.kernelLog}` };
    const inside = '/usr/lib/nvidia-driver';
    const gpuFlags = [
      ...['-v', `${driver.folder}:${inside}`, '-e', `LD_LIBRARY_PATH=${inside}`, '-e', `FAKE_NVML_CONFIG=${inside}/config`],
      ...['-e', `K8S_GPU_MCP_KERNEL_LOG=file:${inside}/kernel-log`],
    ];
    const docker =
      noContainers === undefined
        ? { podman: podmanCommand, runFlags, image: builtImage(), gpuFlags }
        : undefined;
    workstation = createWorkstation({ environment, docker });
  });
  afterAll(() => {
    workstation?.dispose();
    driver?.dispose();
  });

  async function expectAsWritten(heading: string, simulated: RegExp): Promise<void> {
    const reader = new Reader(quickstart, workstation);
    const done = await reader.follow(heading);
    expect(done.length).toBeGreaterThan(0);
    for (const { text, stdout } of done) {
      if (!text.includes('health')) continue;
      if (text.includes('--backend mock')) expect(stdout).toMatch(simulated);
      else expect(stdout).not.toMatch(simulated);
    }
    for (const server of reader.servers(heading))
      await workstation.withServer(server, async (client) => {
        expect(await health(client)).toMatchObject({ verdict: 'ok' });
      });
  }

  it('with npx', () => expectAsWritten('With npx', /simulated/i));

  it('as a server of an MCP host', async () => {
    const servers = new Reader(quickstart, workstation).servers('In an assistant');
    const own = servers.filter((each) => each.includes('k8s-gpu-mcp-server'));
    expect(own).toHaveLength(1);
    for (const server of own)
      await workstation.withServer(server, async (client) => {
        expect(await health(client)).toMatchObject({ verdict: 'ok' });
      });
  });

  it.skipIf(noContainers !== undefined)(named('with Docker', noContainers), () =>
    expectAsWritten('With Docker', /simulated/i),
  );
});
