// A node of simulated GPUs behind a real libnvidia-ml.so.1: the C fake of packages/nvml, compiled here. Needs cc.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const sources = resolve(import.meta.dirname, '../../packages/nvml/test/fake');
const temporary = mkdtempSync(join(tmpdir(), 'fake-node-'));
process.on('exit', () => rmSync(temporary, { recursive: true, force: true }));

/** What the tests' H100 answers. Node 20 cannot load TypeScript, so its types are taken off first. */
async function loadReadings() {
  const { transformFileSync } = await import('@swc/core');
  for (const name of ['h100', 'h100-links']) {
    const { code } = transformFileSync(join(sources, `${name}.ts`), {
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
    });
    writeFileSync(join(temporary, `${name}.mjs`), code.replaceAll(/(from '\.\/[\w-]+)\.ts'/g, "$1.mjs'"));
  }
  return (await import(join(temporary, 'h100.mjs'))).h100;
}
const readingsOf = await loadReadings();

/** Compiles the library and writes its configuration. `configure` changes the faults and readings of a running node. */
export function createFakeNode(gpuCount, lines = []) {
  const folder = mkdtempSync(join(temporary, 'node-'));
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
  const base = [`set sys count ${gpuCount}`, 'set sys driver 580.95.05', 'set sys cuda 13000'];
  for (let index = 0; index < gpuCount; index += 1) {
    for (const [key, value] of Object.entries(readingsOf(index))) {
      if (value !== null) base.push(`set ${index} ${key} ${value}`);
    }
  }
  const configure = (more) => {
    // Renamed into place: the library may read at any time.
    writeFileSync(`${config}.new`, `${[...more, ...base].join('\n')}\n`);
    renameSync(`${config}.new`, config);
  };
  configure(lines);
  return { folder, library, environment: { FAKE_NVML_CONFIG: config }, configure };
}
