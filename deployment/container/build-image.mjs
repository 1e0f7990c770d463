// Builds the image with buildah or podman: `node deployment/container/build-image.mjs --tag localhost/k8s-gpu-mcp-server:test`.
// The last line on stdout is the tag; what was used goes to stderr. Where the base or the build image cannot be had, one is made from
// this machine, and that is said.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { findBuilder } from './local-root/builder.mjs';
import { buildVolumes, localBaseImage, localBuildImage, usualNode } from './local-root/local-root.mjs';
import { payloadOf } from './payload.mjs';

const root = resolve(import.meta.dirname, '../..');
const defaults = Object.fromEntries(
  [
    ...readFileSync(join(import.meta.dirname, 'Containerfile'), 'utf8').matchAll(/^ARG (\w+_IMAGE)=(\S+)$/gm),
  ].map(([, name, image]) => [name, image]),
);
const usage = `usage: node deployment/container/build-image.mjs --tag NAME
  --base IMAGE         the base (default ${defaults.BASE_IMAGE})
  --build-image IMAGE  has node, npm and gcc (default ${defaults.BUILD_IMAGE})
  --local-root         makes both from this machine without asking a registry
  --node FILE          the node in a base that is made so (default: test/deployment/tools/bin/node-24 where it is, else this one)
  --platform OS/ARCH   default: this machine's
  --if-changed         does nothing where the tag was made from the sources as they are
  --print-payload      lists what the image adds to its base, with sizes`;

/** Label of images built here: which sources they were made from. */
const sourcesLabel = 'io.github.k8s-gpu-mcp.sources';

/** Files and folders that the image is made from; .dockerignore lets nothing else through. */
const sources = [
  'package.json',
  'package-lock.json',
  'tsconfig.base.json',
  'LICENSE',
  'packages',
  'apps',
  'scripts/agent-flags.js',
  'scripts/bundle.mjs',
  'scripts/die-young.js',
  'scripts/snapshot.mjs',
  'scripts/snapshot',
  'deployment/container',
];
const isLeftOut = (name) => /^(?:node_modules|dist|test)$|\.test\.ts$|\.md$|\.tsbuildinfo$/.test(name);

function* filesBelow(path) {
  const entries = readdirSync(join(root, path), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (isLeftOut(entry.name)) continue;
    const inside = join(path, entry.name);
    if (entry.isDirectory()) yield* filesBelow(inside);
    else yield inside;
  }
}

/** One checksum over everything the image is made from, and what was asked for. */
function sourcesDigest(...asked) {
  const hash = createHash('sha256').update(`${JSON.stringify(asked)}\0`);
  for (const source of sources) {
    const files = /\.\w+$|^LICENSE$/.test(source) ? [source] : filesBelow(source);
    for (const file of files)
      hash
        .update(`${file}\0`)
        .update(readFileSync(join(root, file)))
        .update('\0');
  }
  return hash.digest('hex');
}

const output = (command, args) => {
  try {
    return execFileSync(command, args, {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
};

/** The registry and the certificates that npm uses here, for the stage that installs packages; neither is in the image. */
function npmArguments(isLocalBuild) {
  const registry = output('npm', ['config', 'get', 'registry']);
  const { NODE_EXTRA_CA_CERTS: own } = process.env;
  const certificates = isLocalBuild ? own : undefined;
  return [
    ...(registry ? ['--build-arg', `NPM_CONFIG_REGISTRY=${registry}`] : []),
    ...(certificates ? ['--build-arg', `NODE_EXTRA_CA_CERTS=${certificates}`] : []),
  ];
}

const architectures = { x64: 'amd64', arm64: 'arm64' };
const machinePlatform = () => `linux/${architectures[process.arch] ?? process.arch}`;

/** Which of the two images is used: the one asked for, the default where it can be had, else one made from this machine. */
function choose(asked, fallback, makeLocal, { builder, isLocalRoot, platform }) {
  if (asked !== undefined) return { image: asked, isLocal: false };
  if (!isLocalRoot && builder.canPull(fallback)) return { image: fallback, isLocal: false };
  if (platform !== machinePlatform())
    throw new Error(
      `without ${fallback} an image is made from this machine: for ${machinePlatform()}, not for ${platform}`,
    );
  return { image: makeLocal(), isLocal: true };
}

function told(what, { image, isLocal }) {
  console.error(
    `${what}: ${image}${isLocal ? ' (made from this machine: for trials, not for release)' : ''}`,
  );
}

function buildImage(builder, { tag, base, buildImage: build, isLocalRoot, node, platform, digest }) {
  const choice = { builder, isLocalRoot, platform };
  const chosenBase = choose(base, defaults.BASE_IMAGE, () => localBaseImage(builder, node), choice);
  const chosenBuild = choose(build, defaults.BUILD_IMAGE, () => localBuildImage(builder), choice);
  told('base image', chosenBase);
  told('build image', chosenBuild);
  const { version } = JSON.parse(readFileSync(join(root, 'apps/agent/package.json'), 'utf8'));
  const revision = output('git', ['rev-parse', 'HEAD']);
  const created = output('git', ['log', '-1', '--format=%cI']);
  const argument = (name, value) => (value === undefined ? [] : ['--build-arg', `${name}=${value}`]);
  builder.build([
    ...['--tag', tag, '--platform', platform, '--network', 'host'],
    ...['--file', join(import.meta.dirname, 'Containerfile'), '--ignorefile', join(root, '.dockerignore')],
    ...argument('BASE_IMAGE', chosenBase.image),
    ...argument('BUILD_IMAGE', chosenBuild.image),
    ...argument('VERSION', version),
    ...argument('REVISION', revision),
    ...argument('CREATED', created),
    ...['--label', `${sourcesLabel}=${digest}`],
    ...npmArguments(chosenBuild.isLocal),
    ...(chosenBuild.isLocal ? buildVolumes() : []),
    root,
  ]);
}

function printPayload(tag, base) {
  const files = payloadOf(tag, base);
  for (const { path, bytes, target } of files)
    console.error(`${String(bytes).padStart(9)}  ${path}${target ? ` -> ${target}` : ''}`);
  console.error(
    `${files.reduce((sum, { bytes }) => sum + bytes, 0)} bytes in ${files.length} files on ${base}`,
  );
}

function main() {
  const { values } = parseArgs({
    options: {
      tag: { type: 'string' },
      base: { type: 'string' },
      'build-image': { type: 'string' },
      'local-root': { type: 'boolean', default: false },
      node: { type: 'string', default: usualNode() },
      platform: { type: 'string', default: machinePlatform() },
      'if-changed': { type: 'boolean', default: false },
      'print-payload': { type: 'boolean', default: false },
      help: { type: 'boolean' },
    },
  });
  const { tag, node, base, 'build-image': build, 'local-root': isLocalRoot, platform } = values;
  if (values.help || tag === undefined) {
    console.error(usage);
    return values.help ? 0 : 64;
  }
  const builder = findBuilder();
  if (builder === undefined) throw new Error('neither buildah nor podman is installed');
  const digest = sourcesDigest(isLocalRoot ? output(node, ['--version']) : undefined, base, build, platform);
  if (!values['if-changed'] || builder.label(tag, sourcesLabel) !== digest) {
    buildImage(builder, {
      tag,
      base,
      buildImage: build,
      isLocalRoot,
      node,
      platform,
      digest,
    });
  }
  if (values['print-payload']) printPayload(tag, builder.label(tag, 'org.opencontainers.image.base.name'));
  console.log(tag);
  return 0;
}

try {
  process.exitCode = main();
} catch (error) {
  console.error(`build-image: ${error.message}`);
  process.exitCode = 1;
}
