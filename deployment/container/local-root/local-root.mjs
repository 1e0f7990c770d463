// A base image and a build image from this machine, for where no registry can be reached. Both are for trying the image out, not for
// giving away: the base has a node of this machine and its shared libraries, the build image is empty and sees this machine's /usr.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { rootCertificates } from 'node:tls';

const containerfile = 'FROM scratch\nCOPY . /\nENV PATH=/usr/local/bin:/usr/bin:/bin:/nodejs/bin\n';

/** Node of the line that the real base has, where the tools of the tests brought it, so that a trial image has a startup snapshot too. */
export function usualNode() {
  const ofTests = resolve(import.meta.dirname, '../../../test/deployment/tools/bin/node-24');
  return existsSync(ofTests) ? ofTests : realpathSync(process.execPath);
}

const versionOf = (node) =>
  execFileSync(node, ['-p', 'process.version + process.arch'], { encoding: 'utf8' }).trim();

/** Installation folders of tools that are not below /usr. */
const furtherFolders = () => {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  return prefix.startsWith('/usr') ? [] : [prefix];
};

/** What RUN steps of the build stages see of this machine, read-only. */
export function buildVolumes() {
  const folders = ['/usr', '/etc/alternatives', '/etc/ssl', ...furtherFolders()];
  return folders.map((folder) => `--volume=${folder}:${folder}:ro`);
}

/** The shared libraries of node and those that libnvidia-ml.so.1 is linked against, by the path they are looked for. */
function sharedLibraries(node) {
  const listed = execFileSync('ldd', [node], { encoding: 'utf8' });
  const paths = [...listed.matchAll(/(?:=> |^\s*)(\/\S+)/gm)].map(([, path]) => path);
  const cLibrary = paths.find((path) => path.endsWith('/libc.so.6'));
  return cLibrary === undefined ? paths : [...paths, join(dirname(cLibrary), 'librt.so.1')];
}

function fillBase(folder, node) {
  const place = (path, source) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    copyFileSync(realpathSync(source), join(folder, path));
  };
  const write = (path, text) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  place('/nodejs/bin/node', node);
  for (const library of sharedLibraries(node)) place(library, library);
  // Those that node brings, not this machine's: they may hold what concerns nobody else.
  write('/etc/ssl/certs/ca-certificates.crt', `${rootCertificates.join('\n')}\n`);
  write(
    '/etc/passwd',
    'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n',
  );
  write('/etc/group', 'root:x:0:\nnonroot:x:65532:\n');
  write('/etc/nsswitch.conf', 'hosts: files dns\n');
  for (const path of ['/root', '/home/nonroot', '/tmp']) mkdirSync(join(folder, path), { recursive: true });
  chmodSync(join(folder, '/tmp'), 0o1777);
}

function fillBuild(folder) {
  for (const path of ['usr', 'etc/alternatives', 'etc/ssl', 'root', 'tmp', ...furtherFolders()])
    mkdirSync(join(folder, path), { recursive: true });
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(folder, name));
  writeFileSync(join(folder, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(folder, 'etc/group'), 'root:x:0:\n');
}

/** @returns the name of the image; made only where this machine has none of the same content yet */
function imageOf(kind, fill, node, builder) {
  const version = versionOf(node);
  const content = [version, readFileSync(import.meta.filename), ...sharedLibraries(node)];
  const digest = content.reduce((hash, part) => hash.update(part), createHash('sha256')).digest('hex');
  const name = `localhost/k8s-gpu-mcp-${kind}:node-${version.replace(/^v|[^\d.].*$/g, '')}-${digest.slice(0, 12)}`;
  if (builder.hasImage(name)) return name;
  const folder = mkdtempSync(join(tmpdir(), `k8s-gpu-mcp-${kind}-`));
  try {
    chmodSync(folder, 0o755);
    fill(folder, node);
    const file = `${folder}.Containerfile`;
    writeFileSync(file, containerfile);
    try {
      builder.build(['--tag', name, '--file', file, folder]);
    } finally {
      rmSync(file);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return name;
}

export const localBaseImage = (builder, node) => imageOf('local-base', fillBase, node, builder);
export const localBuildImage = (builder) => imageOf('local-build', fillBuild, process.execPath, builder);
