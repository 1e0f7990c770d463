// Each program of the image runs and finds what it needs: its version, its helper process, koffi and, where there is one, the library.

import { chmodSync, copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileFakeLibrary, configText, removeCompiled } from '../../../packages/nvml/test/fake/rig.ts';
import { named, tellMissing } from '../missing.ts';
import { noContainers, runOnce, temporaryFolder } from './built-image.ts';

tellMissing(noContainers);

interface Inventory {
  readonly gpuCount: number;
  readonly driverVersion: string;
}

describe.skipIf(noContainers !== undefined)(named('programs of the image', noContainers), () => {
  let library: string;

  beforeAll(() => {
    library = temporaryFolder();
    copyFileSync(compileFakeLibrary(), join(library, 'libnvidia-ml.so.1'));
    writeFileSync(join(library, 'config'), configText({ gpus: [{}, {}, {}] }, '/dev/null'));
    removeCompiled();
    for (const path of ['', 'libnvidia-ml.so.1', 'config']) chmodSync(join(library, path), 0o755);
  });
  afterAll(() => rmSync(library, { recursive: true }));

  it.each([
    ['/agent', 'version', /^k8s-gpu-mcp-server 0\.1\.0 \(Node\.js \d+/],
    ['/gateway', 'version', /^k8s-gpu-mcp-gateway 0\.1\.0 /],
    ['/bridge', 'version', /0\.1\.0/],
    ['/kubectl-mcp', '--help', /^Usage: kubectl-mcp /],
    ['/kubectl-mcp', 'version', /0\.1\.0/],
  ])('%s %s', (program, argument, expected) => {
    const { code, stdout, stderr } = runOnce(['--network', 'none', '--entrypoint', program], [argument]);
    expect(stderr).toBe('');
    expect(stdout).toMatch(expected);
    expect(code).toBe(0);
  });

  it('simulated GPUs are listed', () => {
    const { code, stdout } = runOnce(['--network', 'none'], ['inventory', '--backend', 'mock', '--json']);
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as Inventory).gpuCount).toBe(8);
  });

  it('without a driver the missing library is with what to do', () => {
    const { code, stdout } = runOnce(['--network', 'none'], ['inventory', '--backend', 'nvml']);
    expect(stdout).toContain('LIBRARY_NOT_FOUND');
    expect(stdout).toContain('NVIDIA_DRIVER_CAPABILITIES=utility');
    expect(code).not.toBe(0);
  });

  // Where the container toolkit of NVIDIA mounts it, and as the user of the image: helper process, koffi and dlopen are the real ones.
  it.each(['65532', '0'])('a library that is mounted is loaded, as user %s', (user) => {
    const mounts = [
      ...['-v', `${library}:/usr/local/nvidia/lib64:ro`],
      ...['-v', `${library}/config:/etc/fake-nvml.conf:ro`, '-e', 'FAKE_NVML_CONFIG=/etc/fake-nvml.conf'],
    ];
    const { stdout, stderr, code } = runOnce(
      ['--network', 'none', '--read-only', '--cap-drop', 'ALL', '--user', user, ...mounts],
      ['inventory', '--backend', 'nvml', '--json'],
    );
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ gpuCount: 3, driverVersion: '580.95.05' });
  });

  it('an unknown command ends with the code that the program gives', () => {
    const { code, stderr } = runOnce(['--network', 'none'], ['no-such-command']);
    expect(code).toBe(64);
    expect(stderr).toContain('no-such-command');
  });
});
