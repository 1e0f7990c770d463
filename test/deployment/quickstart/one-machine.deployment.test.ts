import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { health } from '../ask-agent.ts';
import { builtImage, noContainers, podmanCommand, runFlags } from '../image/built-image.ts';
import { named, tellMissing } from '../missing.ts';
import { createDriver, type Driver, noCompiler } from './driver.ts';
import { Reader } from './reader.ts';
import { createWorkstation, type Docker, repositoryRoot, type Workstation } from './workstation.ts';

const quickstart = readFileSync(join(repositoryRoot, 'docs/quickstart.md'), 'utf8');
tellMissing(noCompiler, noContainers);

/** The library is there and no kernel module under it: doctor says so. */
const exitCodes = { 'npx -y k8s-gpu-mcp-server doctor': 2 };

describe.skipIf(noCompiler !== undefined)(
  named('the quickstart on a machine with two GPUs', noCompiler),
  () => {
    let driver: Driver;
    let workstation: Workstation | undefined;
    beforeAll(() => {
      driver = createDriver();
    });
    afterAll(() => {
      workstation?.dispose();
      driver?.dispose();
    });

    function readerWith(docker?: Docker): { reader: Reader; at: Workstation } {
      workstation?.dispose();
      const environment = { ...driver.variables, K8S_GPU_MCP_KERNEL_LOG: `file:${driver.kernelLog}` };
      workstation = createWorkstation({ environment, docker });
      return { reader: new Reader(quickstart, workstation, { exitCodes }), at: workstation };
    }

    async function expectAnswers(at: Workstation, servers: readonly (readonly string[])[]): Promise<void> {
      expect(servers).toHaveLength(1);
      for (const server of servers)
        await at.withServer(server, async (client) => {
          expect(await health(client)).toMatchObject({ verdict: 'ok' });
        });
    }

    async function expectAsWritten(reader: Reader, heading: string): Promise<void> {
      const done = await reader.follow(heading);
      const asked = done.filter(({ text }) => text.includes('health'));
      expect(asked).toHaveLength(2);
      for (const { text, stdout } of asked)
        expect(/simulated/i.test(stdout), `${text}\n${stdout}`).toBe(text.includes('--backend mock'));
      for (const { stdout } of done.filter(({ text }) => text.includes('doctor')))
        expect(stdout).toMatch(/gpu backend +nvml: 2 GPUs/);
    }

    it('with npx', async () => {
      const { reader, at } = readerWith();
      await expectAsWritten(reader, 'With npx');
      const servers = reader.servers('In an assistant').filter((each) => each.includes('k8s-gpu-mcp-server'));
      await expectAnswers(at, servers);
    });

    it.skipIf(noContainers !== undefined)(named('with Docker', noContainers), async () => {
      const inside = '/usr/lib/nvidia-driver';
      const variables = {
        LD_LIBRARY_PATH: inside,
        FAKE_NVML_CONFIG: `${inside}/config`,
        K8S_GPU_MCP_KERNEL_LOG: `file:${inside}/kernel-log`,
      };
      const { reader, at } = readerWith({
        podman: podmanCommand,
        runFlags: [...runFlags, '--network=none'],
        image: builtImage(),
        gpuFlags: [
          `--volume=${driver.folder}:${inside}:ro`,
          ...Object.entries(variables).map(([name, value]) => `--env=${name}=${value}`),
        ],
      });
      await expectAsWritten(reader, 'With Docker');
      await expectAnswers(at, reader.servers('With Docker'));
    });
  },
);
