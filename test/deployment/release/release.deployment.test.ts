import { execFile } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { named, tellMissing } from '../missing.ts';
import { skipReason, tool } from '../tools/tools.ts';
import { startTrialRegistries, type TrialRegistries } from './trial-registries.ts';

const root = resolve(import.meta.dirname, '../../..');
const execute = promisify(execFile);
const packageJson = z.object({ name: z.string(), version: z.string(), mcpName: z.string().optional() });
const serverJson = z.object({
  name: z.string(),
  version: z.string(),
  packages: z.array(
    z.object({ registryType: z.string(), identifier: z.string(), fileSha256: z.string().optional() }),
  ),
});
const release = z.object({
  version: z.string(),
  packages: z.array(z.object({ name: z.string(), file: z.string() }).loose()),
  chart: z.string().optional(),
});
const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
const helm = tool('helm-4') ?? tool('helm-3');
const withoutHelm = helm === undefined ? skipReason('helm-4') : undefined;
tellMissing(withoutHelm);

let work: string;
let out: string;
let registries: TrialRegistries;
let printed: string;
const environment = () => ({ ...process.env, NPM_CONFIG_USERCONFIG: join(work, '.npmrc'), HOME: work });

/** Runs `node scripts/release.mjs`; what it printed, and how it ended. */
async function runRelease(...args: string[]): Promise<{ code: number; text: string }> {
  const trial = ['--npm-registry', '--oci-registry', '--mcp-registry'].flatMap((flag) => [
    flag,
    registries.url,
  ]);
  const own = helm === undefined ? [] : ['--helm', helm];
  const env = { ...environment(), PATH: `${join(work, 'bin')}:${process.env['PATH']}` };
  try {
    const { stdout, stderr } = await execute(
      process.execPath,
      ['scripts/release.mjs', ...args, ...trial, ...own],
      {
        cwd: root,
        env,
      },
    );
    return { code: 0, text: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = z
      .object({ code: z.number(), stdout: z.string(), stderr: z.string() })
      .parse(error);
    return { code, text: stdout + stderr };
  }
}

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'release-'));
  out = join(work, 'out');
  registries = await startTrialRegistries();
  writeFileSync(join(work, '.npmrc'), `//${new URL(registries.url).host}/:_authToken=trial\n`);
  const { code, text } = await runRelease('--dry-run', '--out', out);
  printed = text;
  expect(code, text).toBe(0);
});
afterAll(async () => {
  await registries[Symbol.asyncDispose]();
  rmSync(work, { recursive: true, force: true });
});

describe('a dry run', () => {
  it('publishes nothing and tells what it would publish where', () => {
    expect(registries.stored).toEqual([]);
    expect(printed).toContain(`k8s-gpu-mcp-server@${version()} from`);
    expect(printed).toContain('nothing was published');
  });

  it('packs each package after those that it needs', async () => {
    const { packages } = release.parse(readJson(join(out, 'release.json')));
    const seen = new Set<string>();
    const names = new Set(packages.map(({ name }) => name));
    for (const { name, file } of packages) {
      const manifest = await manifestIn(join(out, file));
      for (const needed of Object.keys(manifest.dependencies ?? {}).filter((other) => names.has(other)))
        expect(seen, `${name} needs ${needed}`).toContain(needed);
      seen.add(name);
    }
    expect(names.size).toBe(
      readdirSync(join(root, 'packages')).length + readdirSync(join(root, 'apps')).length,
    );
  });

  it('ships of each package the program, the licence and no tests', async () => {
    for (const { name, file } of release.parse(readJson(join(out, 'release.json'))).packages) {
      const { stdout } = await execute('tar', ['-tzf', join(out, file)]);
      const files = stdout.trim().split('\n');
      expect(files, name).toEqual(
        expect.arrayContaining([
          'package/LICENSE',
          'package/README.md',
          expect.stringMatching(/^package\/(?:bundle\/.+\/)?dist\/.+\.js$/),
        ]),
      );
      expect(
        files.filter((path) => /\.test\.|\.tsbuildinfo$|\/(test|fixtures)\//.test(path)),
        name,
      ).toEqual([]);
      const manifest = await manifestIn(join(out, file));
      expect([manifest.name, manifest.version]).toEqual([name, version()]);
    }
  });

  it('lists checksums that sha256sum finds right', async () => {
    const { stdout } = await execute('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: out });
    expect(stdout.trim().split('\n')).toHaveLength(readdirSync(out).length - 1);
  });

  it.skipIf(helm === undefined)(
    named('makes a chart that installs from its archive', withoutHelm),
    async () => {
      const { chart } = release.parse(readJson(join(out, 'release.json')));
      const archive = join(out, z.string().parse(chart));
      const { stdout } = await execute(helm ?? '', [
        'template',
        'trial',
        archive,
        '--set',
        'gpu.runtimeClass.enabled=false,gpu.mock.enabled=true',
      ]);
      expect(stdout).toContain('kind: DaemonSet');
      expect(stdout).toContain(`ghcr.io/k8s-gpu-mcp/k8s-gpu-mcp-server:${version()}`);
      const shown = await execute(helm ?? '', ['show', 'chart', archive]);
      expect(parse(shown.stdout)).toMatchObject({ version: version(), appVersion: version() });
    },
  );

  it('lists what the programs bring from npm', () => {
    const { components } = z
      .object({ bomFormat: z.literal('CycloneDX'), components: z.array(z.object({ purl: z.string() })) })
      .parse(readJson(join(out, 'sbom-npm.cdx.json')));
    const found = components.map(({ purl }) => purl);
    expect(found).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^pkg:npm\/koffi@/),
        expect.stringMatching(/^pkg:npm\/pino@/),
      ]),
    );
    expect(found.filter((purl) => purl.startsWith('pkg:npm/vitest@'))).toEqual([]);
  });

  it('makes a desktop bundle that answers MCP and loads its native library', async () => {
    const server = serverJson.parse(readJson(join(out, 'server.json')));
    const entry = server.packages.find(({ registryType }) => registryType === 'mcpb');
    const file = join(out, z.string().parse(entry?.identifier.split('/').at(-1)));
    const folder = join(work, 'mcpb');
    for (const [name, content] of Object.entries(unzipSync(readFileSync(file)))) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    const manifest = z
      .object({
        manifest_version: z.literal('0.4'),
        version: z.string(),
        server: z.object({
          type: z.literal('node'),
          entry_point: z.string(),
          mcp_config: z.object({ args: z.array(z.string()) }),
        }),
      })
      .parse(readJson(join(folder, 'manifest.json')));
    expect(manifest.version).toBe(version());
    expect(manifest.server.mcp_config.args).toEqual([`\${__dirname}/${manifest.server.entry_point}`]);
    const main = join(folder, manifest.server.entry_point);
    const { stdout } = await execute(process.execPath, [main, 'tools']);
    expect(stdout).toContain('explain_failure');
    // The helper process starts, and koffi in it loads its native file: only then can it say that there is no such library.
    const nowhere = ['inventory', '--backend', 'nvml', '--nvml-library', '/nowhere/libnvidia-ml.so.1'];
    await expect(execute(process.execPath, [main, ...nowhere])).rejects.toMatchObject({
      code: 3,
      stdout: expect.stringContaining('LIBRARY_NOT_FOUND'),
    });
  });
});

describe.skipIf(helm === undefined)(named('publishing', withoutHelm), () => {
  const names = ['@k8s-gpu-mcp/core', 'k8s-gpu-mcp-server'];
  let folder: string;
  const publish = (...parts: string[]) =>
    runRelease('--publish', '--out', folder, ...parts.flatMap((part) => ['--part', part]));

  beforeAll(async () => {
    // Two of the packages are enough to see the order; npm takes its time for each.
    folder = join(work, 'two');
    cpSync(out, folder, { recursive: true });
    const all = release.parse(readJson(join(folder, 'release.json')));
    const packages = all.packages.filter(({ name }) => names.includes(name));
    writeFileSync(join(folder, 'release.json'), JSON.stringify({ ...all, packages }));
    const { stdout } = await execute(
      'sha256sum',
      readdirSync(folder).filter((file) => file !== 'SHA256SUMS'),
      { cwd: folder },
    );
    writeFileSync(join(folder, 'SHA256SUMS'), stdout);
    // Stands in for the registry's own program, which no package registry has.
    const publisher = `#!/usr/bin/env node
      const body = require('node:fs').readFileSync('server.json');
      fetch('${registries.url}/v0.1/publish', { method: 'POST', body }).then(({ ok }) => process.exit(ok ? 0 : 1));`;
    mkdirSync(join(work, 'bin'));
    writeFileSync(join(work, 'bin', 'mcp-publisher'), publisher, { mode: 0o755 });
  });

  it('refuses a chart or an entry whose image is not there', async () => {
    for (const part of ['chart', 'server-json'])
      expect(await publish(part)).toMatchObject({
        code: 1,
        text: expect.stringMatching(/image comes before|says mcpName/),
      });
    expect(registries.stored).toEqual([]);
  });

  it('refuses an image for one platform only, or of another server', async () => {
    const label = 'io.modelcontextprotocol.server.name';
    const image = 'k8s-gpu-mcp/k8s-gpu-mcp-server';
    const name = 'io.github.k8s-gpu-mcp/k8s-gpu-mcp-server';
    registries.addImage(image, version(), ['linux/amd64'], { [label]: name });
    expect((await publish('image')).text).toMatch(/linux\/arm64: label .* is undefined/);
    registries.addImage(image, version(), ['linux/amd64', 'linux/arm64'], {
      [label]: 'io.github.other/server',
    });
    expect((await publish('image')).text).toMatch(/is io\.github\.other\/server/);
    registries.addImage(image, version(), ['linux/amd64', 'linux/arm64'], { [label]: name });
    expect(await publish('image')).toMatchObject({ code: 0 });
  });

  it('publishes in order, and a second time nothing', async () => {
    const first = await publish();
    expect(first.code, first.text).toBe(0);
    const order = [
      ...names.map((name) => `npm ${name}@${version()}`),
      // By its digest, then by its tag.
      expect.stringMatching(/^oci k8s-gpu-mcp\/charts\/k8s-gpu-mcp-server:sha256:/),
      `oci k8s-gpu-mcp/charts/k8s-gpu-mcp-server:${version()}`,
      `mcp io.github.k8s-gpu-mcp/k8s-gpu-mcp-server@${version()}`,
    ];
    expect(registries.stored).toEqual(order);
    const outputs = join(work, 'outputs');
    const second = await runRelease('--publish', '--out', folder, '--outputs', outputs);
    expect(second.code, second.text).toBe(0);
    expect(second.text.match(/is there already/g)).toHaveLength(4);
    // What is signed is the digest of the manifest, whoever pushed it.
    const [, digest] = /^chart-digest=(sha256:[0-9a-f]{64})$/m.exec(readFileSync(outputs, 'utf8')) ?? [];
    const manifest = await fetch(
      `${registries.url}/v2/k8s-gpu-mcp/charts/k8s-gpu-mcp-server/manifests/${digest}`,
    );
    expect(await manifest.json()).toMatchObject({
      annotations: { 'org.opencontainers.image.version': version() },
    });
    expect(registries.stored).toEqual(order);
  });

  it('refuses what is there with other content', async () => {
    registries.tamper('@k8s-gpu-mcp/core');
    expect(await publish('npm')).toMatchObject({
      code: 1,
      text: expect.stringContaining('is on npm with other content'),
    });
  });

  it('refuses a file that was changed after the dry run', async () => {
    appendFileSync(join(folder, 'server.json'), ' ');
    expect(await publish('npm')).toMatchObject({
      code: 1,
      text: expect.stringContaining('server.json differs from its line'),
    });
    await expect(execute('sha256sum', ['--check', 'SHA256SUMS'], { cwd: folder })).rejects.toMatchObject({
      code: 1,
    });
  });
});

function version(): string {
  return packageJson.parse(readJson(join(root, 'apps', 'agent', 'package.json'))).version;
}

async function manifestIn(archive: string) {
  const { stdout } = await execute('tar', ['-xzOf', archive, 'package/package.json']);
  return packageJson
    .extend({ dependencies: z.record(z.string(), z.string()).optional() })
    .parse(JSON.parse(stdout));
}
