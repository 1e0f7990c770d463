import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';

const root = resolve(import.meta.dirname, '../../..');
const script = join(root, 'scripts', 'release.mjs');
const chart = 'deployment/helm/k8s-gpu-mcp-server/Chart.yaml';
const container = 'deployment/container/Containerfile';
const version = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(join(root, 'apps/agent/package.json'), 'utf8'))).version;

let copy: string;
/** What carries a version, or must agree with what does, as it is in the working tree. */
beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), 'versions-'));
  const manifests = execFileSync('git', ['ls-files', 'package.json', '*/package.json', 'package-lock.json'], {
    cwd: root,
    encoding: 'utf8',
  });
  const others = ['CHANGELOG.md', 'server.json', 'docs/configuration.md', chart, container];
  for (const file of [...manifests.trim().split('\n'), ...others])
    cpSync(join(root, file), join(copy, file), { recursive: true });
});
afterEach(() => rmSync(copy, { recursive: true, force: true }));

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args, '--root', copy], {
    encoding: 'utf8',
  });
  return { status, text: stdout + stderr };
}

function change(file: string, from: string | RegExp, to: string) {
  const path = join(copy, file);
  const before = readFileSync(path, 'utf8');
  const after = before.replace(from, to);
  expect(after, `${file} has ${from}`).not.toBe(before);
  writeFileSync(path, after);
}

describe('release.mjs --check', () => {
  it('passes as things are', () => {
    expect(run('--check')).toEqual({ status: 0, text: expect.stringContaining(`version ${version}:`) });
  });

  const name = 'io.github.k8s-gpu-mcp/k8s-gpu-mcp-server';
  const faults: [string, string, string | RegExp, string, RegExp][] = [
    [
      'a package',
      'packages/core/package.json',
      `"version": "${version}"`,
      '"version": "9.9.9"',
      /packages\/core\/package.json says 9.9.9/,
    ],
    [
      'a dependency',
      'apps/agent/package.json',
      `/nvml": "${version}"`,
      '/nvml": "9.9.9"',
      /dependency @k8s-gpu-mcp\/nvml says 9.9.9/,
    ],
    ['the chart', chart, /^version: .*/m, 'version: 9.9.9', /Chart.yaml, version says 9.9.9/],
    ["the chart's program", chart, /^appVersion: .*/m, 'appVersion: 9.9.9', /appVersion says 9.9.9/],
    ['server.json', 'server.json', `"version": "${version}"`, '"version": "9.9.9"', /server.json says 9.9.9/],
    [
      'the image in server.json',
      'server.json',
      `server:${version}`,
      'server:9.9.9',
      /package ghcr.io.* says 9.9.9/,
    ],
    ['an image tag that moves', 'server.json', `server:${version}`, 'server:latest', /latest/],
    [
      'the lockfile',
      'package-lock.json',
      /("name": "k8s-gpu-mcp-server",\s+"version": )"[^"]+"/,
      '$1"9.9.9"',
      /package-lock.json, apps\/agent says 9.9.9/,
    ],
    ['the changelog', 'CHANGELOG.md', /^## /m, '### ', /CHANGELOG.md has no section/],
    [
      'mcpName',
      'apps/agent/package.json',
      `"mcpName": "${name}"`,
      '"mcpName": "io.github.other/server"',
      /mcpName in package.json is io.github.other/,
    ],
    [
      "the image's label",
      container,
      `name="${name}"`,
      'name="io.github.other/server"',
      /label io.modelcontextprotocol.server.name is io.github.other/,
    ],
    [
      'a misspelt field',
      'server.json',
      '"runtimeHint"',
      '"runtimehint"',
      /additional properties.*runtimehint/,
    ],
    [
      'a description that is too long',
      'server.json',
      '"description": "GPU',
      `"description": "${'x'.repeat(100)} GPU`,
      /100/,
    ],
    [
      'a variable that no program reads',
      'server.json',
      'K8S_GPU_MCP_BACKEND',
      'K8S_GPU_MCP_BACKNED',
      /no program reads K8S_GPU_MCP_BACKNED/,
    ],
  ];
  it.each(faults)('refuses when %s differs', (_what, file, from, to, expected) => {
    change(file, from, to);
    const { status, text } = run('--check');
    expect(status).toBe(1);
    expect(text).toMatch(expected);
  });

  it('wants a section of the changelog for a version that is released', () => {
    const changes = join(copy, 'CHANGELOG.md');
    writeFileSync(changes, readFileSync(changes, 'utf8').replace(/^## .*/m, '## Unreleased'));
    expect(run('--check')).toMatchObject({ status: 0 });
    expect(run('--check', '--version', `v${version}`)).toMatchObject({
      status: 1,
      text: expect.stringContaining('CHANGELOG'),
    });
    change('CHANGELOG.md', '## Unreleased', `## ${version} (2026-01-01)`);
    expect(run('--check', '--version', `v${version}`)).toMatchObject({ status: 0 });
  });
});

describe('release.mjs --set-version', () => {
  it('writes one version everywhere; the lockfile is left to npm', () => {
    const { status, text } = run('--set-version', '7.8.9-rc.1');
    expect(status, text).toBe(0);
    expect(text).toContain('npm install --package-lock-only');
    const { text: left } = run('--check');
    for (const line of left.trim().split('\n')) expect(line).toMatch(/^package-lock\.json, /);
  });

  it('changes nothing but the versions', () => {
    run('--set-version', '7.8.9');
    run('--set-version', version);
    for (const file of ['server.json', chart, 'apps/agent/package.json', 'packages/nvml/package.json'])
      expect(readFileSync(join(copy, file), 'utf8'), file).toBe(readFileSync(join(root, file), 'utf8'));
  });

  it.each(['1.2', 'latest', '^1.2.3', '01.2.3'])('refuses %s', (wrong) => {
    expect(run('--set-version', wrong)).toMatchObject({
      status: 1,
      text: expect.stringContaining('semver.org'),
    });
  });
});

describe('release.mjs', () => {
  it.each([[], ['--check', '--publish'], ['--publish', '--part', 'nmp']])(
    'tells its usage for %s',
    (...args: string[]) => {
      const { status, text } = run(...args);
      expect(status).toBe(64);
      expect(text).toContain('usage: node scripts/release.mjs');
    },
  );
});
