// What is in the image: exactly what belongs there, within its budget, said by its labels; and the checks see what does not belong.

import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { named, tellMissing } from '../missing.ts';
import {
  baseOf,
  builtImage,
  inspectImage,
  noContainers,
  podman,
  repositoryRoot,
  temporaryFolder,
  tryPodman,
} from './built-image.ts';
import { contentProblems, entriesOf, payloadBudgetBytes, payloadOf } from './contents.ts';

tellMissing(noContainers);

const manifest = JSON.parse(readFileSync(join(repositoryRoot, 'apps/agent/package.json'), 'utf8')) as {
  version: string;
  mcpName: string;
  license: string;
};

describe.skipIf(noContainers !== undefined)(named('contents of the image', noContainers), () => {
  let image: string;
  let base: string;
  const planted: string[] = [];

  beforeAll(() => {
    image = builtImage();
    base = baseOf(image);
  });
  afterAll(() => {
    for (const tag of planted) tryPodman(['rmi', '--force', tag]);
  });

  /** The image with one more file in it. */
  function withFile(path: string, bytes: number): string {
    const folder = temporaryFolder();
    const tag = `localhost/k8s-gpu-mcp-planted:${planted.length}-${process.pid}`;
    try {
      writeFileSync(join(folder, 'file'), Buffer.alloc(bytes, 1), { mode: 0o755 });
      writeFileSync(join(folder, 'Containerfile'), `FROM ${image}\nCOPY file ${path}\n`);
      planted.push(tag);
      const { status, stderr } = spawnSync('buildah', ['build', '--format', 'docker', '--tag', tag, folder], {
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(stderr);
    } finally {
      rmSync(folder, { recursive: true });
    }
    return tag;
  }

  it('holds exactly what belongs there, within the budget', () => {
    expect(contentProblems(entriesOf(image), payloadOf(image, base))).toEqual([]);
  });

  it('planted: a shell in the image is found', () => {
    const tag = withFile('/bin/sh', 100);
    const problems = contentProblems(entriesOf(tag), payloadOf(tag, base)).join('\n');
    expect(problems).toMatch(/sh has no place in the image/);
    expect(problems).toMatch(/sh is not on the list of what the image may hold/);
  });

  it('planted: a payload above its budget is found', () => {
    const tag = withFile('/app/shared/parts/PLANTED.js', payloadBudgetBytes);
    expect(contentProblems(entriesOf(tag), payloadOf(tag, base))).toEqual([
      expect.stringMatching(/^the payload is \d+ bytes, the budget \d+$/),
    ]);
  });

  it('says what it is and runs the agent as nobody in particular', () => {
    const { Config, Architecture } = inspectImage(image);
    expect(Config.Labels).toMatchObject({
      'org.opencontainers.image.title': 'k8s-gpu-mcp-server',
      'org.opencontainers.image.version': manifest.version,
      'org.opencontainers.image.licenses': manifest.license,
      'org.opencontainers.image.source': 'https://github.com/k8s-gpu-mcp/k8s-gpu-mcp-server',
      'org.opencontainers.image.revision': expect.stringMatching(/^[0-9a-f]{40}$/),
      'io.modelcontextprotocol.server.name': manifest.mcpName,
    });
    expect(Config.Labels['org.opencontainers.image.description']).toMatch(/GPU/);
    expect(Config.Labels['org.opencontainers.image.created']).toMatch(/^20\d\d-\d\d-\d\dT/);
    expect(Config.User).toBe('65532:65532');
    expect(Config.Entrypoint).toEqual(['/agent']);
    expect(Config.Cmd ?? []).toEqual([]);
    // What the container toolkit of NVIDIA reads: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit
    expect(Config.Env).toContain('NVIDIA_VISIBLE_DEVICES=all');
    expect(Config.Env).toContain('NVIDIA_DRIVER_CAPABILITIES=utility');
    expect(['amd64', 'arm64']).toContain(Architecture);
  });

  it('tells nothing of where it was built', () => {
    const registry = new URL(
      spawnSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).stdout.trim(),
    );
    const { NODE_EXTRA_CA_CERTS: certificates } = process.env;
    const traces = [registry.host, certificates, repositoryRoot].filter((trace) => trace !== undefined);
    const configuration = JSON.stringify(inspectImage(image));
    const root = podman(['image', 'mount', image]).trim();
    try {
      const files = payloadOf(image, base).filter(({ target }) => target === undefined);
      expect(files.length).toBeGreaterThan(0);
      for (const trace of traces) {
        expect(configuration).not.toContain(trace);
        const holders = files.filter(({ path }) => readFileSync(join(root, path)).includes(trace));
        expect(holders.map(({ path }) => path)).toEqual([]);
      }
    } finally {
      podman(['image', 'unmount', image]);
    }
  });
});
