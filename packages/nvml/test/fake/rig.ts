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
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createNvmlProvider, type NvmlProviderOptions } from '../../src/index.ts';
import { type Generation, versionScript } from './exports.ts';

export type { Generation } from './exports.ts';

const here = dirname(fileURLToPath(import.meta.url));
const packageRoot = join(here, '../..');

/** Why tests that need a C compiler are skipped; undefined when there is one. */
export const noCompiler: string | undefined =
  spawnSync('cc', ['--version']).status === 0 ? undefined : 'no C compiler (cc) on this machine';

/** Node 20 cannot run TypeScript, so the helper process runs what the build made. Builds when that is missing or stale. */
export function ensureBuilt(): void {
  const built = join(packageRoot, 'dist/helper.js');
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

/** Compiles one of the C files beside this one into a temporary folder; the same arguments are compiled once per process. */
const compiled = new Map<string, string>();
export function compile(source: string, flags: readonly string[]): string {
  const key = [source, ...flags].join(' ');
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const output = join(mkdtempSync(join(tmpdir(), 'fake-nvml-')), source.replace(/\.c$/, '.out'));
  execFileSync('cc', ['-std=gnu11', '-O1', ...flags, '-o', output, join(here, source), '-lpthread']);
  compiled.set(key, output);
  return output;
}

/** The fake library with the exported symbols of a driver branch, less those in `without`. */
export function compileFakeLibrary(generation: Generation = 580, without: readonly string[] = []): string {
  const script = join(mkdtempSync(join(tmpdir(), 'fake-nvml-')), 'exports.map');
  const text = versionScript(generation, without);
  const known = linked.get(text);
  if (known !== undefined) return known;
  writeFileSync(script, text);
  const parts = readdirSync(here).filter((name) => /^fake_.*\.c$/.test(name));
  const output = join(dirname(script), `libnvidia-ml-${generation}.so`);
  const objects = parts.map((part) => compile(part, ['-c', '-fPIC', '-Wall', '-Werror']));
  execFileSync('cc', ['-shared', `-Wl,--version-script=${script}`, '-o', output, ...objects, '-lpthread']);
  linked.set(text, output);
  return output;
}
const linked = new Map<string, string>();

export type Values = Readonly<Record<string, string | number | null>>;

/** Readings of an idle H100 80GB HBM3 as `nvidia-smi -q` shows them, in NVML's units. */
export function h100(index: number): Values {
  return {
    name: 'NVIDIA H100 80GB HBM3',
    uuid: `GPU-00000000-1111-2222-3333-${index.toString().padStart(12, '0')}`,
    bus: `00000000:${(0x1b + index).toString(16).toUpperCase()}:00.0`,
    serial: `165412300000${index}`,
    part: '692-2G520-0200-000',
    vbios: '96.00.74.00.01',
    inforom: 'G520.0200.00.05',
    arch: 9,
    'cc.major': 9,
    'cc.minor': 0,
    minor: index,
    persistence: 1,
    'mem.total': 85_520_809_984,
    'mem.used': 1_048_576,
    'mem.free': 84_880_130_048,
    'mem.reserved': 639_631_360,
    'temp.0': 31 + index,
    'threshold.0': 95,
    'threshold.1': 92,
    'threshold.2': 95,
    'threshold.3': 87,
    margin: 56,
    'field.82': 'uint 43',
    'field.186': 'uint 71250',
    'field.193': 'sint -8',
    'field.194': 'sint -2',
    'field.230': 'uint 0',
    power: 70_500,
    'power.enforced': 700_000,
    'power.default': 700_000,
    'power.min': 200_000,
    'power.max': 700_000,
    energy: 123_456_789,
    'clock.1': 345,
    'clock.2': 2619,
    'maxclock.1': 1980,
    'maxclock.2': 2619,
    pstate: 0,
    reasons: 1,
    'util.gpu': 0,
    'util.mem': 0,
    'util.enc': 0,
    'util.dec': 0,
    'util.period': 167_000,
    'ecc.current': 1,
    'ecc.pending': 1,
    'ecc.total.0.0': 0,
    'ecc.total.1.0': 0,
    'ecc.total.0.1': 3,
    'ecc.total.1.1': 0,
    'ecc.at.1.0.7': 0,
    'ecc.at.1.1.7': 2,
    'sram.vol.parity': 0,
    'sram.vol.secded': 0,
    'sram.agg.parity': 1,
    'sram.agg.secded': 1,
    'sram.exceeded': 0,
    'rows.corr': 0,
    'rows.unc': 1,
    'rows.pending': 0,
    'rows.failure': 0,
    'pcie.gen': 5,
    'pcie.maxgen': 5,
    'pcie.width': 16,
    'pcie.maxwidth': 16,
    'pcie.replay': 0,
    'mig.current': 0,
    'mig.pending': 0,
    'mig.max': 7,
  };
}

export interface NodeConfig {
  readonly sys?: Values;
  /** One entry per GPU: what differs from `h100`; null takes a reading away. */
  readonly gpus?: readonly Values[];
  /** MIG devices by `GPU.index`. */
  readonly mig?: Readonly<Record<string, Values>>;
  /** Fault lines, see fake_nvml.c. */
  readonly faults?: readonly string[];
}

export function configText(config: NodeConfig, log: string): string {
  const gpus = config.gpus ?? [{}, {}];
  const devices: [string, Values][] = [
    ['sys', { driver: '580.95.05', nvml: '13.580.95.05', cuda: 13_000, count: gpus.length, ...config.sys }],
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
        const isHelper = command.some((part) => part.endsWith('/nvml/dist/helper.js'));
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
