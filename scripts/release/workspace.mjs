// What is released and which version each file says: the publishable packages in the order in which they can be installed, the chart, the
// MCP registry entry, the lockfile, the changelog, the image's labels.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseDocument } from 'yaml';

export const chartFolder = 'deployment/helm/k8s-gpu-mcp-server';
export const containerFile = 'deployment/container/Containerfile';
export const chartRegistry = 'ghcr.io/k8s-gpu-mcp/charts';
export const serverPackage = 'k8s-gpu-mcp-server';
const semver = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;
const dependencyKinds = ['dependencies', 'devDependencies', 'peerDependencies', 'optionalDependencies'];

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));
const writeJson = (path, value) => writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);

/** Every workspace of the root package, with its manifest. */
function workspaces(root) {
  return readJson(join(root, 'package.json')).workspaces.flatMap((pattern) => {
    const folder = pattern.replace(/\/\*$/, '');
    if (!existsSync(join(root, folder))) return [];
    return readdirSync(join(root, folder))
      .map((name) => `${folder}/${name}`)
      .filter((path) => existsSync(join(root, path, 'package.json')))
      .map((path) => ({ path, manifest: readJson(join(root, path, 'package.json')) }));
  });
}

const dependenciesOf = ({ manifest }) =>
  dependencyKinds.flatMap((kind) =>
    Object.entries(manifest[kind] ?? {}).map(([name, range]) => ({ kind, name, range })),
  );

/** The packages that go to npm, each after those that it depends on. */
export function publishable(root) {
  const open = workspaces(root).filter(({ manifest }) => manifest.private !== true);
  const names = new Set(open.map(({ manifest }) => manifest.name));
  const ordered = [];
  while (open.length > 0) {
    const done = new Set(ordered.map(({ manifest }) => manifest.name));
    const isReady = (entry) =>
      dependenciesOf(entry).every(
        ({ kind, name }) => kind === 'devDependencies' || !names.has(name) || done.has(name),
      );
    const next = open.findIndex(isReady);
    if (next === -1) throw new Error(`packages depend on each other in a circle: ${open.map((o) => o.path)}`);
    ordered.push(...open.splice(next, 1));
  }
  return ordered;
}

export const packageVersion = (root) =>
  publishable(root).find(({ manifest }) => manifest.name === serverPackage).manifest.version;

/** The text under `## VERSION` of the changelog; nothing when there is no such section. */
export function changelogSection(root, title) {
  const lines = readFileSync(join(root, 'CHANGELOG.md'), 'utf8').split('\n');
  const start = lines.findIndex((line) => line === `## ${title}` || line.startsWith(`## ${title} `));
  if (start === -1) return undefined;
  const length = lines.slice(start + 1).findIndex((line) => line.startsWith('## '));
  const end = length === -1 ? lines.length : start + 1 + length;
  return lines
    .slice(start + 1, end)
    .join('\n')
    .trim();
}

/** Every place that says another version than `version`, in words; `isRelease` asks for a section of the changelog too. */
export function versionProblems(root, version, { isRelease }) {
  const problems = [];
  const expect = (place, found) => {
    if (found !== version) problems.push(`${place} says ${found ?? 'nothing'}, not ${version}`);
  };
  if (!semver.test(version)) problems.push(`${version} is not a version as semver.org has it`);

  const all = workspaces(root);
  const names = new Set(all.map(({ manifest }) => manifest.name));
  const lock = readJson(join(root, 'package-lock.json')).packages;
  for (const entry of all) {
    expect(`${entry.path}/package.json`, entry.manifest.version);
    expect(`package-lock.json, ${entry.path}`, lock[entry.path]?.version);
    for (const { name, range } of dependenciesOf(entry))
      if (names.has(name)) expect(`${entry.path}/package.json, dependency ${name}`, range);
  }

  const chart = parse(readFileSync(join(root, chartFolder, 'Chart.yaml'), 'utf8'));
  expect('Chart.yaml, version', chart.version);
  expect('Chart.yaml, appVersion', chart.appVersion);

  const server = readJson(join(root, 'server.json'));
  expect('server.json', server.version);
  for (const entry of server.packages ?? []) {
    const found = entry.registryType === 'oci' ? entry.identifier?.split(':').at(-1) : entry.version;
    expect(`server.json, package ${entry.identifier}`, found);
  }

  const notes =
    changelogSection(root, version) ?? (isRelease ? undefined : changelogSection(root, 'Unreleased'));
  if (notes === undefined || notes === '')
    problems.push(`CHANGELOG.md has no section "## ${version}" with text`);
  return problems;
}

/** Writes one version into every file that carries it. The lockfile is npm's to write. */
export function setVersion(root, version) {
  if (!semver.test(version)) throw new Error(`${version} is not a version as semver.org has it`);
  const all = workspaces(root);
  const names = new Set(all.map(({ manifest }) => manifest.name));
  for (const { path, manifest } of all) {
    manifest.version = version;
    for (const { kind, name } of dependenciesOf({ manifest }))
      if (names.has(name)) manifest[kind][name] = version;
    writeJson(join(root, path, 'package.json'), manifest);
  }

  const chartFile = join(root, chartFolder, 'Chart.yaml');
  const chart = parseDocument(readFileSync(chartFile, 'utf8'));
  chart.set('version', version);
  chart.set('appVersion', version);
  writeFileSync(chartFile, chart.toString({ lineWidth: 0, flowCollectionPadding: false }));

  // As text, so that its lines stay as they are.
  const serverFile = join(root, 'server.json');
  const text = readFileSync(serverFile, 'utf8');
  const { version: old } = JSON.parse(text);
  const renamed = text.replaceAll(`"version": "${old}"`, `"version": "${version}"`);
  writeFileSync(serverFile, renamed.replaceAll(`:${old}"`, `:${version}"`));
  return [...all.map(({ path }) => `${path}/package.json`), `${chartFolder}/Chart.yaml`, 'server.json'];
}
