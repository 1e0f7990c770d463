// What a user installs: packs every public package, lints the tarballs (publint, attw), installs the libraries in an empty project, compiles a
// strict consumer against their types and runs it; installs each app alone and runs its programs.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { stageApps } from './release/app-packages.js';
import { packPackages } from './release/npm-packages.js';

const root = resolve(import.meta.dirname, '..');
const run = (command, args, options = {}) =>
  execFileSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    ...options,
  });
const bin = (name) => join(root, 'node_modules', '.bin', name);

const work = mkdtempSync(join(tmpdir(), 'consumer-'));
const staged = join(work, 'staged');

function install(folder, packages) {
  writeFileSync(join(folder, 'package.json'), '{"type":"module","private":true}');
  const tarballs = packages.map(({ file }) => join(work, file));
  run('npm', ['install', '--no-audit', '--no-fund', '--silent', '--ignore-scripts', ...tarballs], {
    cwd: folder,
  });
}

try {
  run('npm', ['run', '--silent', 'build']);
  await stageApps(root, staged);
  const packages = packPackages(root, staged, work);
  for (const { name, file } of packages) {
    const tarball = join(work, file);
    run(bin('publint'), ['--strict', tarball]);
    run(bin('attw'), ['--profile', 'esm-only', tarball]);
    console.log(`${name}: ${Math.round(statSync(tarball).size / 1024)} KiB packed`);
  }
  const isLibrary = ({ name }) => name.startsWith('@k8s-gpu-mcp/');

  install(work, packages.filter(isLibrary));
  writeFileSync(join(work, 'consumer.ts'), readFileSync(join(import.meta.dirname, 'consumer.ts')));
  const strict = ['--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', 'false'];
  const target = ['--module', 'nodenext', '--target', 'es2023', '--lib', 'es2023,dom', '--types', 'node'];
  run(bin('tsc'), [...strict, ...target, '--typeRoots', join(root, 'node_modules/@types'), 'consumer.ts'], {
    cwd: work,
  });
  process.stdout.write(run(process.execPath, ['consumer.js'], { cwd: work }));

  // Nothing of the libraries is beside them.
  for (const app of packages.filter((each) => !isLibrary(each))) {
    const folder = join(work, app.name);
    mkdirSync(folder);
    install(folder, [app]);
    for (const program of readdirSync(join(folder, 'node_modules', '.bin')))
      process.stdout.write(
        run(join(folder, 'node_modules', '.bin', program), ['--version'], { cwd: folder }),
      );
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
