// Makes and publishes a release; docs/releasing.md tells how. Everything up to publishing runs on any machine with --dry-run.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import * as archives from './release/archives.mjs';
import { parts, publish, readRelease } from './release/publish.mjs';
import { defaultRegistries } from './release/registries.mjs';
import { serverJsonProblems } from './release/server-json.mjs';
import { chartRegistry, packageVersion, setVersion, versionProblems } from './release/workspace.mjs';

const usage = `usage: node scripts/release.mjs MODE [options]

  --check                 do all files agree on one version, and is server.json right?
  --dry-run               that, and make everything that a release consists of, publishing nothing
  --publish               publish what a dry run has made
  --set-version X.Y.Z     write that version into every file that carries it

  --version X.Y.Z         the version that is expected, as X.Y.Z or vX.Y.Z (default that of the packages)
  --out DIRECTORY         where the files of the release are (default out/release)
  --with-image            dry run: the image too, with buildah
  --part NAME             publish: ${parts.join(', ')}; repeatable (default all of them)
  --outputs FILE          publish: append chart-digest=DIGEST to this file, for the steps that sign it
  --provenance            publish: npm packages with a statement of where they were built
  --helm FILE             helm (default the one in the PATH, then that of test/deployment/tools)
  --npm-registry, --oci-registry, --mcp-registry URL   other registries, for trials
  --root DIRECTORY        another checkout`;

const { values } = readArguments();
const root = resolve(values.root ?? join(import.meta.dirname, '..'));
const out = resolve(values.out ?? join(root, 'out', 'release'));
const log = (line) => console.log(line);

try {
  if (values['set-version'] !== undefined) writeVersion(values['set-version']);
  else if (values.publish) await publishRelease();
  else {
    const version = check();
    if (values['dry-run']) await dryRun(version);
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

function readArguments() {
  const text = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  const options = {
    check: flag,
    'dry-run': flag,
    publish: flag,
    'set-version': text,
    version: text,
    out: text,
    'with-image': flag,
    part: { ...text, multiple: true, default: parts },
    provenance: flag,
    outputs: text,
    helm: text,
    'npm-registry': { ...text, default: defaultRegistries.npm },
    'oci-registry': { ...text, default: defaultRegistries.oci },
    'mcp-registry': { ...text, default: defaultRegistries.mcp },
    root: text,
  };
  try {
    const read = parseArgs({ options });
    const modes = ['check', 'dry-run', 'publish'].filter((mode) => read.values[mode]).length;
    if (modes + (read.values['set-version'] === undefined ? 0 : 1) !== 1)
      throw new Error('exactly one mode is needed');
    const stranger = read.values.part.find((part) => !parts.includes(part));
    if (stranger !== undefined) throw new Error(`--part takes ${parts.join(', ')}, not ${stranger}`);
    return read;
  } catch (error) {
    console.error(`${error.message}\n${usage}`);
    process.exit(64);
  }
}

/** The version on which everything agrees. */
function check() {
  const version = values.version?.replace(/^v/, '') ?? packageVersion(root);
  const server = JSON.parse(readFileSync(join(root, 'server.json'), 'utf8'));
  const problems = [
    ...versionProblems(root, version, { isRelease: values.version !== undefined }),
    ...serverJsonProblems(root, server),
  ];
  if (problems.length > 0) throw new Error(problems.join('\n'));
  log(`version ${version}: packages, lockfile, chart, server.json and changelog agree`);
  return version;
}

async function dryRun(version) {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const server = JSON.parse(readFileSync(join(root, 'server.json'), 'utf8'));
  const image = server.packages.find(({ registryType }) => registryType === 'oci').identifier;

  const packages = await packPackages(version);
  for (const { file, name } of packages)
    log(`npm: ${name}@${version} from ${file} to ${values['npm-registry']}`);

  if (values['with-image']) log(`image: ${image}, here from ${archives.archiveImage(root, out, image)}`);
  else log(`image: ${image}, built by the workflow; --with-image builds it here too`);

  const chart = archives.packageChart(root, out, findHelm(), version);
  if (chart === undefined) log('chart: SKIPPED, there is no helm: node test/deployment/tools/install.mjs');
  else log(`chart: ${chart} to oci://${chartRegistry}`);

  const { writeMcpb } = await import('./release/mcpb.mjs');
  const bundle = await writeMcpb(root, out, version);
  server.packages.push(bundle.entry);
  const problems = serverJsonProblems(root, server);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  writeFileSync(join(out, 'server.json'), `${JSON.stringify(server, null, 2)}\n`);
  log(`release page: ${bundle.file}, ${archives.writeSbom(root, out, version)}`);
  log(`server.json: ${server.name} ${version} to ${values['mcp-registry']}`);

  archives.writeNotes(root, out, version);
  writeFileSync(join(out, 'release.json'), `${JSON.stringify({ version, packages, chart }, null, 2)}\n`);
  archives.writeChecksums(out);
  log(`nothing was published; the files and their ${archives.checksumFile} are in ${out}`);
}

async function packPackages(version) {
  // The bundler is not loaded for what does not bundle.
  const { stageApps } = await import('./release/app-packages.js');
  const npm = await import('./release/npm-packages.js');
  const staged = mkdtempSync(join(tmpdir(), 'apps-'));
  try {
    await stageApps(root, staged);
    const packages = npm.packPackages(root, staged, out);
    npm.tryPublishing(root, staged, version, values['npm-registry']);
    return packages;
  } finally {
    rmSync(staged, { recursive: true, force: true });
  }
}

async function publishRelease() {
  archives.verifyChecksums(out);
  const release = readRelease(out);
  const wanted = values.version?.replace(/^v/, '') ?? release.version;
  if (wanted !== release.version) throw new Error(`${out} holds version ${release.version}, not ${wanted}`);
  const helm = findHelm();
  if (values.part.includes('chart') && (helm === undefined || release.chart === undefined))
    throw new Error('the chart needs helm, also in the dry run: node test/deployment/tools/install.mjs');
  const registries = {
    npm: values['npm-registry'],
    oci: values['oci-registry'],
    mcp: values['mcp-registry'],
  };
  await publish(
    { ...release, registries, helm, provenance: values.provenance, outputs: values.outputs, log },
    values.part,
  );
}

function writeVersion(version) {
  for (const file of setVersion(root, version)) log(`${file}: ${version}`);
  log(
    'now: npm install --package-lock-only; a section "## ' +
      version +
      '" in CHANGELOG.md; npm run docs; npm run check',
  );
}

function findHelm() {
  const own = ['helm-4', 'helm-3'].map((name) => join(root, 'test', 'deployment', 'tools', 'bin', name));
  const inPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'helm'));
  return values.helm ?? [...inPath, ...own].find((path) => existsSync(path));
}
