// Makes the files of a release in one folder, and the list of their checksums.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { changelogSection, chartFolder } from './workspace.mjs';

export const checksumFile = 'SHA256SUMS';
const apps = ['apps/agent', 'apps/gateway', 'apps/bridge'].map((path) => ({ path }));

/** Runs a program to its end and gives its stdout; what it says on stderr is shown when it fails. */
export function run(command, args, options = {}) {
  try {
    return execFileSync(command, args, { encoding: 'utf8', maxBuffer: 64 << 20, stdio: 'pipe', ...options });
  } catch (error) {
    const reason =
      error.code === 'ENOENT' ? `${command} is not installed` : `${error.stderr ?? ''}${error.stdout ?? ''}`;
    throw new Error(`${command} ${args.join(' ')}: ${reason.trim() || error.message}`, { cause: error });
  }
}

export const sha256 = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Names workspaces to npm. */
export const selectionOf = (workspaces) => workspaces.flatMap(({ path }) => ['--workspace', path]);

/** What `npm publish` is told of every package; a version that comes before a release is not what people get who name none. */
export const publishFlags = (version, registry) => [
  ...['--access', 'public', '--registry', registry],
  ...(version.includes('-') ? ['--tag', 'next'] : []),
];

/** `helm package`; undefined where there is no helm. The agent's npm package would have the same file name, so the chart gets one of its own. */
export function packageChart(root, out, helm, version) {
  if (helm === undefined) return undefined;
  const work = mkdtempSync(join(tmpdir(), 'chart-'));
  try {
    run(helm, ['package', join(root, chartFolder), '--destination', work]);
    const file = `${basename(chartFolder)}-chart-${version}.tgz`;
    copyFileSync(join(work, `${basename(chartFolder)}-${version}.tgz`), join(out, file));
    return file;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The image of this machine's architecture as an OCI archive that names it `reference`. */
export function archiveImage(root, out, reference) {
  const file = `k8s-gpu-mcp-server-image-linux-${process.arch === 'x64' ? 'amd64' : process.arch}.oci.tar`;
  // Not by its public name: that is for what was pulled.
  const tag = `localhost/k8s-gpu-mcp-server:${reference.split(':').at(-1)}`;
  run(process.execPath, [join(root, 'deployment', 'container', 'build-image.mjs'), '--tag', tag], {
    cwd: root,
  });
  run('buildah', ['push', tag, `oci-archive:${join(out, file)}:${reference}`]);
  return file;
}

/**
 * CycloneDX list of what the programs bring from npm, by npm itself. npm refuses a root package without a version, which ours is: it never
 * goes to a registry. So it reads a copy of the manifests that has one.
 */
export function writeSbom(root, out, version) {
  const work = mkdtempSync(join(tmpdir(), 'sbom-'));
  try {
    const folder = join(work, 'k8s-gpu-mcp');
    const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
    lock.packages[''].version = version;
    const manifest = { ...JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')), version };
    mkdirSync(folder);
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ ...lock, version }));
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
    for (const path of Object.keys(lock.packages).filter(
      (path) => path !== '' && !path.includes('node_modules'),
    )) {
      if (!existsSync(join(root, path, 'package.json'))) continue;
      mkdirSync(join(folder, path), { recursive: true });
      copyFileSync(join(root, path, 'package.json'), join(folder, path, 'package.json'));
    }
    const sbom = run(
      'npm',
      ['sbom', '--package-lock-only', '--omit', 'dev', '--sbom-format', 'cyclonedx', ...selectionOf(apps)],
      {
        cwd: folder,
      },
    );
    const file = 'sbom-npm.cdx.json';
    writeFileSync(join(out, file), sbom);
    return file;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** What the forge's release page says: the changelog's section. */
export function writeNotes(root, out, version) {
  const notes = changelogSection(root, version) ?? changelogSection(root, 'Unreleased');
  writeFileSync(join(out, 'release-notes.md'), `${notes}\n`);
}

/** A line for each file as `sha256sum` writes it, sorted by name. */
export function writeChecksums(out) {
  const files = readdirSync(out).filter((file) => file !== checksumFile);
  const lines = files.sort().map((file) => `${sha256(join(out, file))}  ${file}\n`);
  writeFileSync(join(out, checksumFile), lines.join(''));
}

/** Refuses a folder in which a file differs from its checksum, is missing, or has none. */
export function verifyChecksums(out) {
  const path = join(out, checksumFile);
  if (!existsSync(path)) throw new Error(`${out} has no ${checksumFile}: run with --dry-run first`);
  const listed = new Map(
    readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => line.split('  ').reverse()),
  );
  for (const file of readdirSync(out).filter((name) => name !== checksumFile)) {
    if (!listed.has(file)) throw new Error(`${file} is not in ${checksumFile}`);
    if (sha256(join(out, file)) !== listed.get(file))
      throw new Error(`${file} differs from its line in ${checksumFile}`);
    listed.delete(file);
  }
  if (listed.size > 0) throw new Error(`${[...listed.keys()].join(', ')} of ${checksumFile} is missing`);
}
