import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createNvmlProvider, type NvmlProviderOptions } from '../../src/index.ts';
import { type Generation, versionScript } from './exports.ts';
import { h100 } from './h100.ts';
import type { Values } from './values.ts';

export type { Generation } from './exports.ts';
export { h100 } from './h100.ts';
export type { Values } from './values.ts';

const here = dirname(fileURLToPath(import.meta.url));
const packageRoot = join(here, '../..');

/** Why tests that need a C compiler are skipped; undefined when there is one. */
export const noCompiler: string | undefined =
  spawnSync('cc', ['--version']).status === 0 ? undefined : 'no C compiler (cc) on this machine';

/** Node 20 cannot run TypeScript, so the helper process runs what the build made. Builds when that is missing or stale. */
export function ensureBuilt(): void {
  const built = join(packageRoot, 'dist/helper/helper.js');
  const isFresh = () => existsSync(built) && statSync(built).mtimeMs >= newestSource();
  if (isFresh()) return;
  const lock = join(tmpdir(), `nvml-build-${process.getuid?.() ?? 0}.lock`);
  const deadline = Date.now() + 50_000;
  while (!tryToLock(lock)) {
    if (Date.now() > deadline) throw new Error(`another build holds ${lock}`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    if (isFresh()) return;
  }
  try {
    // --force: an unchanged output keeps its old time and would look stale for ever.
    const result = spawnSync('npx', ['tsc', '-b', '--force', packageRoot], { encoding: 'utf8' });
    const problems = result.stdout.split('\n').filter((line) => line.includes('packages/nvml/src'));
    if (!isFresh() || problems.length > 0) throw new Error(`tsc -b failed: ${result.stdout}${result.stderr}`);
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

function tryToLock(path: string): boolean {
  try {
    mkdirSync(path);
    return true;
  } catch {
    return false;
  }
}

function newestSource(): number {
  const files = readdirSync(join(packageRoot, 'src'), { recursive: true, encoding: 'utf8' });
  const sources = files.filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));
  return Math.max(...sources.map((file) => statSync(join(packageRoot, 'src', file)).mtimeMs));
}

/** What was compiled, by what it was made of: in one folder per process, where the same is compiled once. */
const compiled = new Map<string, string>();
let folderOfCompiled: string | undefined;

function compiledOnce(key: string, name: string, make: (output: string) => void): string {
  const known = compiled.get(key);
  if (known !== undefined) return known;
  folderOfCompiled ??= mkdtempSync(join(tmpdir(), 'fake-nvml-'));
  const output = join(folderOfCompiled, `${compiled.size}-${name}`);
  make(output);
  compiled.set(key, output);
  return output;
}

/** For tests whose temporary folder outlives them; the others leave it to the end of the run. */
export function removeCompiled(): void {
  if (folderOfCompiled !== undefined) rmSync(folderOfCompiled, { recursive: true });
  folderOfCompiled = undefined;
  compiled.clear();
}

/** Compiles a C file (named from this folder) into a temporary one. */
export function compile(source: string, flags: readonly string[]): string {
  return compiledOnce([source, ...flags].join(' '), basename(source).replace(/\.c$/, '.out'), (output) => {
    const input = resolve(here, source);
    execFileSync('cc', ['-std=gnu11', '-O1', `-I${here}`, ...flags, '-o', output, input, '-lpthread']);
  });
}

/** The fake library with the exported symbols of a driver branch, less those in `without`. */
export function compileFakeLibrary(generation: Generation = 580, without: readonly string[] = []): string {
  const text = versionScript(generation, without);
  const parts = readdirSync(here).filter((name) => /^fake_.*\.c$/.test(name));
  const objects = parts.map((part) => compile(part, ['-c', '-fPIC', '-Wall', '-Werror']));
  return compiledOnce(text, `libnvidia-ml-${generation}.so`, (output) => {
    const script = `${output}.map`;
    writeFileSync(script, text);
    execFileSync('cc', ['-shared', `-Wl,--version-script=${script}`, '-o', output, ...objects, '-lpthread']);
  });
}

export interface NodeConfig {
  readonly sys?: Values;
  /** One entry per GPU: what differs from `h100`; null takes a reading away. */
  readonly gpus?: readonly Values[];
  /** MIG devices by `GPU.index`. */
  readonly mig?: Readonly<Record<string, Values>>;
  /** Fault and latency lines, see fake_core.c. */
  readonly faults?: readonly string[];
}

export function configText(config: NodeConfig, log: string): string {
  const gpus = config.gpus ?? [{}, {}];
  const devices: [string, Values][] = [
    [
      'sys',
      {
        driver: '580.95.05',
        nvml: '13.580.95.05',
        cuda: 13_000,
        branch: 'r580_00',
        cc: 0,
        count: gpus.length,
        ...config.sys,
      },
    ],
    ...gpus.map((gpu, index): [string, Values] => [String(index), { ...h100(index), ...gpu }]),
    ...Object.entries(config.mig ?? {}),
  ];
  const lines = devices.flatMap(([name, values]) =>
    Object.entries(values).flatMap(([key, value]) => (value === null ? [] : [`set ${name} ${key} ${value}`])),
  );
  return [`log ${log}`, ...(config.faults ?? []), ...lines, ''].join('\n');
}

/** A provider on the fake library, with the node's state in a file that tests rewrite. */
export function createRig(
  config: NodeConfig = {},
  options: NvmlProviderOptions = {},
  generation?: Generation,
) {
  ensureBuilt();
  const folder = mkdtempSync(join(tmpdir(), 'nvml-rig-'));
  const configPath = join(folder, 'config');
  const logPath = join(folder, 'calls');
  const configure = (next: NodeConfig) => {
    // Renamed into place: the library may read at any time.
    writeFileSync(`${configPath}.new`, configText(next, logPath));
    renameSync(`${configPath}.new`, configPath);
  };
  configure(config);
  const provider = createNvmlProvider({
    library: compileFakeLibrary(generation),
    environment: { FAKE_NVML_CONFIG: configPath },
    ...options,
  });
  return {
    provider,
    configPath,
    configure,
    /** How often the library saw this function. */
    calls: (name: string) =>
      existsSync(logPath)
        ? readFileSync(logPath, 'utf8')
            .split('\n')
            .filter((line) => line.startsWith(`${name} `)).length
        : 0,
    dispose: async () => {
      await provider.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export type Rig = ReturnType<typeof createRig>;

/** Live processes whose command line runs helper.js for this parent. */
export function helperPids(parent = process.pid): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        // Of the workspace, or of a bundle.
        const isHelper = command.some((part) => /\/nvml\/(?:dist\/)?helper\/helper\.js$/.test(part));
        if (!isHelper || command.at(-2) !== String(parent)) return false;
        return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
      } catch {
        return false;
      }
    });
}

/** Waits for something outside this process, which no clock of ours moves. */
export async function until(condition: () => boolean, milliseconds = 5_000): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('it did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
