// What a user installs: packs every public package, lints the tarballs (publint, attw), installs them in an empty project, compiles a
// strict consumer against their types and runs it.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const run = (command, args, options = {}) =>
  execFileSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    ...options,
  });
const bin = (name) => join(root, 'node_modules', '.bin', name);

const packages = ['packages', 'apps'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .map((name) => join(root, folder, name))
    .filter((path) => existsSync(join(path, 'package.json')))
    .map((path) => ({ path, manifest: JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) }))
    .filter(({ manifest }) => !manifest.private),
);
const work = mkdtempSync(join(tmpdir(), 'consumer-'));

try {
  run('npm', ['run', '--silent', 'build']);
  const tarballs = packages.map(({ path, manifest }) => {
    const [packed] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', work], { cwd: path }));
    const tarball = join(work, packed.filename);
    run(bin('publint'), ['--strict', tarball]);
    run(bin('attw'), ['--profile', 'esm-only', tarball]);
    const unwanted = packed.files
      .map((file) => file.path)
      .filter((file) => /\.test\.|\.tsbuildinfo$|fixtures\//.test(file));
    if (unwanted.length > 0) throw new Error(`${manifest.name} ships ${unwanted[0]}`);
    console.log(
      `${manifest.name}: ${packed.files.length} files, ${Math.round(packed.size / 1024)} KiB packed`,
    );
    return tarball;
  });

  writeFileSync(join(work, 'package.json'), '{"type":"module","private":true}');
  run('npm', ['install', '--no-audit', '--no-fund', '--silent', '--ignore-scripts', ...tarballs], {
    cwd: work,
  });
  writeFileSync(join(work, 'consumer.ts'), readFileSync(join(import.meta.dirname, 'consumer.ts')));
  const strict = ['--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', 'false'];
  const target = ['--module', 'nodenext', '--target', 'es2023', '--lib', 'es2023,dom', '--types', 'node'];
  run(bin('tsc'), [...strict, ...target, '--typeRoots', join(root, 'node_modules/@types'), 'consumer.ts'], {
    cwd: work,
  });
  process.stdout.write(run(process.execPath, ['consumer.js'], { cwd: work }));
  const agent = join(work, 'node_modules', '.bin', 'k8s-gpu-mcp-server');
  process.stdout.write(run(agent, ['version'], { cwd: work }));
} finally {
  rmSync(work, { recursive: true, force: true });
}
