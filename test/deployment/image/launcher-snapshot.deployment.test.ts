// Whether the launcher starts the agent from its startup snapshot: only where the snapshot is whole and this node's, and never so that the
// agent does not start at all. The snapshot is a small one of a program that stands in for the agent; node is a real one.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { writeMadeFor } from '../../../deployment/container/build/made-for.js';
import { agentFlags } from '../../../scripts/agent-flags.js';
import { named, tellMissing } from '../missing.ts';
import { tool } from '../tools/tools.ts';
import { repositoryRoot, temporaryFolder } from './built-image.ts';
import { endAll, program, snapshotProgram, startInNamespace } from './namespaced-program.ts';

/** One that can have a snapshot. */
const node = Number.parseInt(process.versions.node, 10) >= 22 ? process.execPath : tool('node-24');

const missing: string | undefined = (() => {
  if (spawnSync('cc', ['--version']).status !== 0) return 'no C compiler (cc) on this machine';
  if (node === undefined) return 'no node 22 or newer: node test/deployment/tools/install.mjs';
  const { status } = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']);
  return status === 0 ? undefined : 'a process namespace of its own needs root and unshare';
})();
tellMissing(missing);

interface Told {
  readonly isSnapshot: boolean;
  readonly pid: number;
  readonly script: string;
  readonly args: readonly string[];
  readonly flags: readonly string[];
}
const parsed = (line: string) => JSON.parse(line.replace('started ', '')) as Told;

describe.skipIf(missing !== undefined)(named('launcher and startup snapshot', missing), () => {
  let folder: string;
  const path = (name: string) => join(folder, name);
  const blob = () => path('app/agent/agent.blob');
  const madeFor = () => `${blob()}.made-for`;
  const { K8S_GPU_MCP_SNAPSHOT: _, ...environment } = process.env;

  beforeAll(() => {
    folder = temporaryFolder();
    mkdirSync(path('app/agent/dist'), { recursive: true });
    writeFileSync(path('app/agent/dist/main.js'), program);
    writeFileSync(path('snapshot.js'), snapshotProgram);
    execFileSync(node ?? '', [
      '--snapshot-blob',
      path('whole.blob'),
      '--build-snapshot',
      path('snapshot.js'),
    ]);
    // Another file that runs as well: what a node of the same version from elsewhere is.
    copyFileSync(node ?? '', path('other-node'));
    appendFileSync(path('other-node'), '\0');
    const definitions = [`-DPROGRAMS="${folder}/app"`, `-DNODES="${folder}/nowhere","${folder}/node"`];
    const source = join(repositoryRoot, 'deployment/container/launcher/launcher.c');
    execFileSync('cc', [
      '-static',
      '-Os',
      '-Wall',
      '-Wextra',
      '-Werror',
      ...definitions,
      '-o',
      path('agent'),
      source,
    ]);
  });
  beforeEach(() => {
    rmSync(path('node'), { force: true });
    symlinkSync(node ?? '', path('node'));
    copyFileSync(path('whole.blob'), blob());
    writeMadeFor(blob(), path('node'));
  });
  afterEach(endAll);
  afterAll(() => rmSync(folder, { recursive: true }));

  /** In the place of its caller, as `docker exec` and a pod with a shared process namespace have it. */
  const run = (env: NodeJS.ProcessEnv = environment, args: readonly string[] = []) =>
    spawnSync(path('agent'), args, { encoding: 'utf8', input: 'exit 0\n', env });

  const startedAsFirst = async (env: Readonly<Record<string, string>> = {}) => {
    const set = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    const running = startInNamespace(set.length > 0 ? ['env', ...set, path('agent')] : [path('agent')]);
    return { running, told: parsed(await running.line(/^started /)) };
  };

  it('is used, and the program sees what it sees without', () => {
    const { pid, stdout, stderr } = run(environment, ['--a', 'b c', '']);
    expect(stderr).toBe('');
    expect(parsed(stdout)).toMatchObject({
      isSnapshot: true,
      pid,
      script: path('app/agent/dist/main.js'),
      args: ['--a', 'b c', ''],
      flags: [...agentFlags, '--snapshot-blob', blob()],
    });
  });

  it('is used by the child of PID 1, which gets signals and whose code is ours', async () => {
    const { running, told } = await startedAsFirst();
    expect(told).toMatchObject({ isSnapshot: true });
    running.signal('SIGTERM');
    await running.line(/^got SIGTERM$/);
    running.send('exit 3');
    expect(await running.code).toBe(3);
  });

  it('is used by what is run beside PID 1', async () => {
    const { running } = await startedAsFirst();
    const { stdout, status } = running.beside([path('agent')]);
    expect(parsed(stdout)).toMatchObject({ isSnapshot: true });
    expect(status).toBe(0);
  });

  const unfit: readonly (readonly [string, () => void])[] = [
    [
      'node is another',
      () => {
        rmSync(path('node'));
        symlinkSync(path('other-node'), path('node'));
      },
    ],
    ['the snapshot is missing', () => rmSync(blob())],
    ['the snapshot is cut', () => truncateSync(blob(), 1_000_000)],
    ['the snapshot is empty', () => truncateSync(blob(), 0)],
    [
      'the snapshot is something else of its size',
      () => writeFileSync(blob(), Buffer.alloc(readFileSync(blob()).length, 1)),
    ],
    ['nothing says what it belongs to', () => rmSync(madeFor())],
    ['what says it is cut', () => truncateSync(madeFor(), 100)],
  ];
  it.each(unfit)('%s: the bundle is started instead', async (_name, damage) => {
    damage();
    const { stdout, stderr, status } = run();
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(parsed(stdout)).toMatchObject({
      isSnapshot: false,
      flags: agentFlags,
    });
    const { told } = await startedAsFirst();
    expect(told).toMatchObject({ isSnapshot: false });
  });

  it('K8S_GPU_MCP_SNAPSHOT=off: the bundle is started; another value changes nothing', async () => {
    const isSnapshot = (value: string) =>
      parsed(run({ ...environment, K8S_GPU_MCP_SNAPSHOT: value }).stdout).isSnapshot;
    expect(isSnapshot('off')).toBe(false);
    expect(isSnapshot('')).toBe(true);
    expect(isSnapshot('on')).toBe(true);
    expect((await startedAsFirst({ K8S_GPU_MCP_SNAPSHOT: 'off' })).told).toMatchObject({ isSnapshot: false });
  });

  /** A snapshot that says of itself that another version of node made it, and is on record as the right one. */
  function makeRefused(): void {
    const bytes = readFileSync(blob());
    const { stdout } = spawnSync(node ?? '', ['-p', 'process.versions.node'], { encoding: 'utf8' });
    const version = stdout.trim();
    bytes.write(
      version.replace(/\d$/, (digit) => (digit === '9' ? '8' : '9')),
      bytes.indexOf(version),
    );
    writeFileSync(blob(), bytes);
    writeMadeFor(blob(), path('node'));
  }

  it('refused by node itself: PID 1 starts the bundle, and the input is for that one', async () => {
    makeRefused();
    const running = startInNamespace([path('agent')]);
    running.send('exit 5');
    expect(parsed(await running.line(/^started /))).toMatchObject({ isSnapshot: false });
    expect(await running.code).toBe(5);
  });

  it('planted: where nobody looks after it, that refusal is the end, with the code of node', () => {
    makeRefused();
    const { status, stdout, stderr } = run();
    expect({ status, stdout }).toEqual({ status: 14, stdout: '' });
    expect(stderr).toContain('startup snapshot');
  });

  it('planted: a cut snapshot that is on record as whole ends node, so the comparison is what saves the start', () => {
    truncateSync(blob(), 1_000_000);
    writeMadeFor(blob(), path('node'));
    const { status, stdout } = run();
    expect(status).not.toBe(0);
    expect(stdout).toBe('');
  });

  it('a program without a snapshot that ends with that code is not started again', async () => {
    rmSync(blob());
    const { running } = await startedAsFirst();
    running.send('exit 14');
    expect(await running.code).toBe(14);
  });
});
