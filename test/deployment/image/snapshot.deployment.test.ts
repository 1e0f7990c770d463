// The image runs the agent from its startup snapshot, made by the very node that is inside; without it, and when told so, from the bundle.
import { beforeAll, describe, expect, it } from 'vitest';
import { named, tellMissing } from '../missing.ts';
import { baseOf, builtImage, noContainers, podman, runFlags, runOnce } from './built-image.ts';
import { processesIn, removeContainersAfterEach, startContainer } from './containers.ts';
import { payloadOf } from './contents.ts';

tellMissing(noContainers);

const withSnapshot = /^\s*\d+ +node .*--snapshot-blob \/app\/agent\/agent\.blob \/app\/agent\/dist\/main\.js/;
const served = ['--backend', 'mock', '--port', '8090'];

describe.skipIf(noContainers !== undefined)(named('startup snapshot of the image', noContainers), () => {
  removeContainersAfterEach();

  /** Whether the node of the image is one that has snapshots. */
  let isExpected: boolean;
  beforeAll(() => {
    const version = ['--entrypoint', '/nodejs/bin/node', builtImage(), '-p', 'process.versions.node'];
    isExpected = Number.parseInt(podman(['run', '--rm', ...runFlags, ...version]), 10) >= 22;
  });

  const runningOf = (flags: readonly string[], args: readonly string[] = served) => {
    const name = startContainer(['--network', 'none', ...flags], args);
    return { name, hasSnapshot: processesIn(name).some((line) => withSnapshot.test(line)) };
  };

  it('is there where the node of the base can have one', () => {
    const image = builtImage();
    const found = payloadOf(image, baseOf(image)).filter(({ path }) =>
      path.startsWith('/app/agent/agent.blob'),
    );
    expect(found.map(({ path }) => path)).toEqual(
      isExpected ? ['/app/agent/agent.blob', '/app/agent/agent.blob.made-for'] : [],
    );
  });

  it('is what the agent starts from, restricted as a pod is', () => {
    expect(runningOf(['--read-only', '--cap-drop', 'ALL']).hasSnapshot).toBe(isExpected);
  });

  it('is what a command beside a running agent starts from, and the health check takes it for the agent', async () => {
    const { name } = runningOf([]);
    await expect
      .poll(() => podman(['exec', name, '/healthcheck']))
      .toBe('healthy: http://127.0.0.1:8090/healthz\n');
    expect(podman(['exec', name, '/agent', 'health', '--backend', 'mock', '--json'])).toContain('"verdict"');
  });

  it('planted: the same look at an agent that was told not to use it sees that it does not', () => {
    expect(runningOf(['--env', 'K8S_GPU_MCP_SNAPSHOT=off']).hasSnapshot).toBe(false);
  });

  // The deadline of a call that hangs is a timer, and it comes after what the build of the snapshot has waited for.
  it('answers with and without it alike, also when a driver hangs', () => {
    const verdict = (flags: readonly string[]) => {
      const health = ['health', '--backend', 'mock', '--scenario', 'hung-driver', '--json'];
      const { stdout, code } = runOnce(['--network', 'none', ...flags], health);
      return { code, verdict: (JSON.parse(stdout) as { verdict: string }).verdict };
    };
    expect(verdict([])).toEqual(verdict(['--env', 'K8S_GPU_MCP_SNAPSHOT=off']));
  });
});
