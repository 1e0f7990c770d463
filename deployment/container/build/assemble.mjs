// Puts together what the image adds to its base: `node assemble.mjs --arch amd64 --base /base FOLDER`. The launcher is in the folder already,
// and /base has the files of the base image.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bundle } from '../../../scripts/bundle.mjs';
import { componentsOf } from './components.js';
import { billOfMaterials, licences } from './documents.mjs';
import { copyKoffi } from './koffi.js';
import { addSnapshot } from './startup-snapshot.mjs';

const root = resolve(import.meta.dirname, '../../..');

/** The launcher is linked statically, so the C library of the build image is inside. */
function cLibrary() {
  const [, version] =
    /^glibc (\S+)/.exec(execFileSync('getconf', ['GNU_LIBC_VERSION'], { encoding: 'utf8' })) ?? [];
  if (version === undefined) throw new Error('the launcher was linked with a C library that is not glibc');
  return {
    name: 'glibc',
    version,
    licence: 'LGPL-2.1-or-later',
    url: `pkg:generic/glibc@${version}`,
    text: [
      readFileSync('/usr/share/doc/libc6/copyright', 'utf8').trim(),
      readFileSync('/usr/share/common-licenses/LGPL-2.1', 'utf8').trim(),
    ].join('\n\n'),
  };
}

async function assemble(folder, { architecture, base }) {
  const programs = join(folder, 'app');
  // First what fails at once where the architecture is a wrong one.
  const koffi = copyKoffi(join(root, 'node_modules'), join(programs, 'node_modules'), architecture);
  const files = await bundle(programs);
  await addSnapshot(programs, { base, at: '/app' });
  mkdirSync(join(programs, 'healthcheck'));
  copyFileSync(
    join(root, 'deployment/container/healthcheck/healthcheck.mjs'),
    join(programs, 'healthcheck/healthcheck.mjs'),
  );
  for (const name of ['gateway', 'bridge', 'kubectl-mcp', 'healthcheck', 'pause'])
    symlinkSync('agent', join(folder, name));

  const components = [
    ...componentsOf(root, [...files, ...koffi.map((name) => `node_modules/${name}/package.json`)]),
    cLibrary(),
  ];
  const { name, version } = JSON.parse(readFileSync(join(root, 'apps/agent/package.json'), 'utf8'));
  const documents = join(folder, 'usr/share/doc', name);
  mkdirSync(documents, { recursive: true });
  const bill = billOfMaterials({ name, version, components });
  writeFileSync(join(documents, 'sbom.cdx.json'), `${JSON.stringify(bill, null, 2)}\n`);
  writeFileSync(join(documents, 'LICENSES.txt'), licences(components));
}

const { values, positionals } = parseArgs({
  options: { arch: { type: 'string' }, base: { type: 'string' } },
  allowPositionals: true,
});
const { arch: architecture, base } = values;
if (!architecture || !base || positionals.length !== 1)
  throw new Error('usage: assemble.mjs --arch amd64|arm64 --base FOLDER FOLDER');
await assemble(resolve(positionals[0]), { architecture, base });
