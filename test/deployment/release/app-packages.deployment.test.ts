import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { appPackageProblems, stageApps } from '../../../scripts/release/app-packages.js';
import { packPackages } from '../../../scripts/release/npm-packages.js';
import { cleanEnvironment, freePort } from '../../programs/run-program.ts';

const root = resolve(import.meta.dirname, '../../..');
const execute = promisify(execFile);
const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
const packages = ['k8s-gpu-mcp-server', 'k8s-gpu-mcp-gateway', 'k8s-gpu-mcp-bridge'] as const;
type PackageName = (typeof packages)[number];
const { version } = z
  .object({ version: z.string() })
  .parse(readJson(join(root, 'apps', 'agent', 'package.json')));

let work: string;
const folderOf = (name: PackageName) => join(work, name);
const modulesOf = (name: PackageName) => join(folderOf(name), 'node_modules');

/** Each package as npm installs it into an empty folder of its own. */
beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'app-packages-'));
  await stageApps(root, join(work, 'staged'));
  const packed = packPackages(root, join(work, 'staged'), work);
  for (const name of packages) {
    const { file } = z.object({ file: z.string() }).parse(packed.find((each) => each.name === name));
    mkdirSync(folderOf(name));
    writeFileSync(join(folderOf(name), 'package.json'), '{"private":true}');
    const flags = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'];
    await execute('npm', ['install', ...flags, join(work, file)], { cwd: folderOf(name) });
  }
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** A command of a package, for a process of its own. */
const command = (name: PackageName, program: string, ...args: string[]) => ({
  command: process.execPath,
  args: [join(modulesOf(name), '.bin', program), ...args],
});

async function printed(name: PackageName, program: string, ...args: string[]): Promise<string> {
  const { command: file, args: all } = command(name, program, ...args);
  const { stdout } = await execute(file, all, { env: cleanEnvironment() });
  return stdout;
}

/** Serves over HTTP on a port of its own once it is returned. */
async function serving(name: PackageName, ...args: string[]) {
  const port = await freePort();
  const { command: file, args: all } = command(name, name, '--port', String(port), ...args);
  const child = spawn(file, all, { env: cleanEnvironment(), stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(child, 'close');
  let log = '';
  for await (const chunk of child.stderr.iterator({ destroyOnReturn: false })) {
    log += String(chunk);
    if (log.includes('http: listening')) break;
  }
  expect(log).toContain('http: listening');
  child.stderr.resume();
  return {
    origin: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      child.kill();
      await exited;
    },
  };
}

async function connected({ command: file, args }: { command: string; args: string[] }) {
  const client = new Client({ name: 'packages', version: '0' });
  await client.connect(
    new StdioClientTransport({ command: file, args, env: cleanEnvironment(), stderr: 'ignore' }),
  );
  return { client, [Symbol.asyncDispose]: () => client.close() };
}

describe('what npm installs', () => {
  it.each([
    ['k8s-gpu-mcp-server', ['k8s-gpu-mcp-server', 'koffi']],
    ['k8s-gpu-mcp-gateway', ['k8s-gpu-mcp-gateway']],
    ['k8s-gpu-mcp-bridge', ['k8s-gpu-mcp-bridge']],
  ] as const)('%s, with nothing but koffi beside it', (name, expected) => {
    // koffi's own package for this platform, which npm may put beside it or inside it.
    const installed = readdirSync(modulesOf(name)).filter((each) => !/^\.|^@koromix$/.test(each));
    expect(installed).toEqual(expected);
    expect(readdirSync(join(modulesOf(name), name)).sort()).toEqual([
      'LICENSE',
      'LICENSES.txt',
      'README.md',
      'bin',
      'bundle',
      'package.json',
    ]);
  });

  it('the licences of what is inside, and who owns the name in the MCP registry', () => {
    const folder = join(modulesOf('k8s-gpu-mcp-server'), 'k8s-gpu-mcp-server');
    expect(readFileSync(join(folder, 'LICENSES.txt'), 'utf8')).toMatch(/^zod \d.*\(MIT\)$/m);
    const { name } = z.object({ name: z.string() }).parse(readJson(join(root, 'server.json')));
    const { koffi } = z
      .object({ dependencies: z.object({ koffi: z.string() }) })
      .parse(readJson(join(root, 'packages', 'nvml', 'package.json'))).dependencies;
    expect(readJson(join(folder, 'package.json'))).toMatchObject({ mcpName: name, dependencies: { koffi } });
  });

  it.each([
    ['k8s-gpu-mcp-server', 'k8s-gpu-mcp-server'],
    ['k8s-gpu-mcp-gateway', 'k8s-gpu-mcp-gateway'],
    ['k8s-gpu-mcp-bridge', 'k8s-gpu-mcp-bridge'],
    ['k8s-gpu-mcp-bridge', 'kubectl-mcp'],
  ] as const)('%s: %s tells its version and its options', async (name, program) => {
    expect(await printed(name, program, '--version')).toContain(version);
    expect(await printed(name, program, '--help')).toContain(`Usage: ${program}`);
  });

  it('programs that npm finds by their names', async () => {
    const { stdout } = await execute('npm', ['exec', '--offline', '--', 'kubectl-mcp', 'version'], {
      cwd: folderOf('k8s-gpu-mcp-bridge'),
    });
    expect(stdout).toContain(`kubectl-mcp ${version}`);
  });

  it('an agent that answers MCP', async () => {
    await using agent = await connected(
      command('k8s-gpu-mcp-server', 'k8s-gpu-mcp-server', '--backend', 'mock', '--node-name', 'node-a'),
    );
    expect(agent.client.getServerVersion()).toMatchObject({ name: 'k8s-gpu-mcp-server', version });
    const { tools } = await agent.client.listTools();
    expect(tools.map(({ name }) => name)).toContain('explain_failure');
    const answer = await agent.client.callTool({ name: 'get_gpu_health', arguments: {} });
    expect(answer.structuredContent).toMatchObject({ node: 'node-a', verdict: 'ok' });
  });

  it('an agent whose helper process loads koffi', async () => {
    // Only koffi can say that there is no such library.
    const nowhere = ['--backend', 'nvml', '--nvml-library', '/nowhere/libnvidia-ml.so.1'];
    const { command: file, args } = command('k8s-gpu-mcp-server', 'k8s-gpu-mcp-server');
    const failed = (name: string) => execute(file, [...args, name, ...nowhere], { env: cleanEnvironment() });
    await expect(failed('inventory')).rejects.toMatchObject({
      code: 3,
      stdout: expect.stringContaining('LIBRARY_NOT_FOUND'),
    });
    await expect(failed('doctor')).rejects.toMatchObject({
      stdout: expect.stringMatching(/^ok +koffi +native code loads/m),
    });
  });

  it('a bridge that asks a gateway that asks an agent', async () => {
    await using agent = await serving('k8s-gpu-mcp-server', '--backend', 'mock', '--node-name', 'node-a');
    await using gateway = await serving('k8s-gpu-mcp-gateway', '--agents', `node-a=${agent.origin}`);
    await using bridge = await connected(
      command('k8s-gpu-mcp-bridge', 'k8s-gpu-mcp-bridge', '--gateway-url', gateway.origin),
    );
    const answer = await bridge.client.callTool({ name: 'get_gpu_health', arguments: {} });
    expect(JSON.stringify(answer.structuredContent)).toContain('"node-a"');
    const health = ['health', '--gateway-url', gateway.origin];
    expect(await printed('k8s-gpu-mcp-bridge', 'kubectl-mcp', ...health)).toContain('node-a');
  });
});

it('npm does not pack the form that development works with', async () => {
  const packed = execute('npm', ['pack', '--dry-run'], { cwd: join(root, 'apps', 'agent') });
  await expect(packed).rejects.toMatchObject({ stderr: expect.stringContaining('release.mjs --dry-run') });
});

describe('planted faults', () => {
  const installed = (name: PackageName) => join(modulesOf(name), name);
  const files = (folder: string) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((each) => each.isFile())
      .map((each) => relative(folder, join(each.parentPath, each.name)));

  it('finds none in what is installed', () => {
    for (const name of packages)
      expect(appPackageProblems(installed(name), files(installed(name)))).toEqual([]);
  });

  const part = 'bundle/shared/parts/';
  const faults: [string, RegExp, (folder: string) => void][] = [
    [
      'a package that forgot its bundle',
      /ship no bundle\/agent\/dist\/main\.js/,
      (folder) => rmSync(join(folder, 'bundle'), { recursive: true }),
    ],
    [
      'a package that forgot the helper process',
      /ship no bundle\/nvml\/helper\/helper\.js/,
      (folder) => rmSync(join(folder, 'bundle', 'nvml'), { recursive: true }),
    ],
    [
      'a bundle that lacks what its programs share',
      /ship no bundle\/shared\/parts\/.*, which bundle\//,
      (folder) => rmSync(join(folder, part), { recursive: true }),
    ],
    [
      'a package that depends on one of the workspace',
      /depends on @k8s-gpu-mcp\/core, which belongs into its bundle/,
      (folder) => editManifest(folder, { dependencies: { koffi: '3.3.4', '@k8s-gpu-mcp/core': version } }),
    ],
    [
      'a helper process that would run the agent',
      /helper\.js would run bundle\/agent\/dist\/main\.js/,
      (folder) => {
        const helper = join(folder, 'bundle', 'nvml', 'helper', 'helper.js');
        writeFileSync(helper, `require("../../agent/dist/main.js");${readFileSync(helper, 'utf8')}`);
      },
    ],
    [
      'a package without the licences of what is inside',
      /ship no LICENSES\.txt/,
      (folder) => rmSync(join(folder, 'LICENSES.txt')),
    ],
    [
      'a package that ships its sources too',
      /would ship src\/main\.ts/,
      (folder) => cpSync(join(root, 'apps/agent/src/main.ts'), join(folder, 'src/main.ts')),
    ],
  ];
  it.each(faults)('%s', (_fault, expected, plant) => {
    const folder = mkdtempSync(join(work, 'fault-'));
    cpSync(installed('k8s-gpu-mcp-server'), folder, { recursive: true });
    plant(folder);
    expect(appPackageProblems(folder, files(folder)).join('\n')).toMatch(expected);
  });

  it('no app is released from a staged folder with one of them', () => {
    const staged = mkdtempSync(join(work, 'fault-'));
    cpSync(join(work, 'staged'), staged, { recursive: true });
    rmSync(join(staged, 'apps', 'gateway', 'bundle'), { recursive: true });
    expect(() => packPackages(root, staged, staged)).toThrow(
      'k8s-gpu-mcp-gateway would ship no bundle/gateway/dist/main.js',
    );
  });
});

function editManifest(folder: string, fields: Readonly<Record<string, unknown>>) {
  const path = join(folder, 'package.json');
  writeFileSync(
    path,
    JSON.stringify({ ...z.record(z.string(), z.unknown()).parse(readJson(path)), ...fields }),
  );
}
