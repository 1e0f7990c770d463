// A node of simulated GPUs behind a real libnvidia-ml.so.1: the C fake of packages/nvml, compiled here. Needs cc.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const sources = resolve(import.meta.dirname, '../../packages/nvml/test/fake');

/** Readings that make a GPU of it, in the words of the fake's configuration. */
function readingsOf(index) {
  return {
    name: 'NVIDIA H100 80GB HBM3',
    uuid: `GPU-00000000-1111-2222-3333-${String(index).padStart(12, '0')}`,
    bus: `00000000:${(0x1b + index).toString(16).toUpperCase()}:00.0`,
    minor: index,
    'mem.total': 85_520_809_984,
    'mem.used': 1_048_576,
    'mem.free': 84_880_130_048,
    'mem.reserved': 639_631_360,
    'temp.0': 40,
    'threshold.0': 95,
    'threshold.1': 92,
    power: 70_500,
    'power.enforced': 700_000,
    'clock.1': 345,
    'clock.2': 2_619,
    'util.gpu': 0,
    'util.mem': 0,
    'ecc.current': 1,
    'ecc.pending': 1,
    'ecc.total.0.0': 0,
    'ecc.total.1.0': 0,
    'pcie.gen': 5,
    'pcie.width': 16,
  };
}

/** Compiles the library and writes its configuration. `configure` changes the faults and readings of a running node. */
export function createFakeNode(gpuCount, lines = []) {
  const folder = mkdtempSync(join(tmpdir(), 'fake-node-'));
  const library = join(folder, 'libnvidia-ml.so.1');
  const parts = readdirSync(sources).filter((name) => /^fake_.*\.c$/.test(name));
  execFileSync('cc', [
    '-shared',
    '-fPIC',
    '-O1',
    '-std=gnu11',
    '-o',
    library,
    ...parts.map((part) => join(sources, part)),
    '-lpthread',
  ]);
  const config = join(folder, 'config');
  const base = [`set sys count ${gpuCount}`, 'set sys driver 580.95.05'];
  for (let index = 0; index < gpuCount; index += 1) {
    for (const [key, value] of Object.entries(readingsOf(index))) base.push(`set ${index} ${key} ${value}`);
  }
  const configure = (more) => {
    // Renamed into place: the library may read at any time.
    writeFileSync(`${config}.new`, `${[...more, ...base].join('\n')}\n`);
    renameSync(`${config}.new`, config);
  };
  configure(lines);
  return { folder, library, environment: { FAKE_NVML_CONFIG: config }, configure };
}
