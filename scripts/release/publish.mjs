// Publishes what a dry run has made, so that nothing ever refers to what is not there: npm packages after their dependencies, then the
// image (pushed by buildx in the workflow, looked at here), the chart that names it, and last the entry of the MCP registry.
// What is there already with the same content is left alone, so that a release that broke off can be run again.
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { publishFlags, run, sha256 } from './archives.mjs';
import { imageLabels, mcpVersion, npmVersion, publishedChart } from './registries.mjs';
import { nameLabel } from './server-json.mjs';
import { chartFolder, chartRegistry } from './workspace.mjs';

export const parts = ['npm', 'image', 'chart', 'server-json'];
const platforms = ['linux/amd64', 'linux/arm64'];
const pathIn = (reference) => reference.split('/').slice(1).join('/');
const chartRepository = `${pathIn(chartRegistry)}/${basename(chartFolder)}`;

export async function publish(release, wanted) {
  for (const part of parts.filter((name) => wanted.includes(name))) await steps[part](release);
}

const steps = { npm: publishPackages, image: checkImage, chart: publishChart, 'server-json': publishServer };

async function publishPackages({ out, packages, registries, provenance, log }) {
  for (const { name, version, file, integrity } of packages) {
    const there = await npmVersion(registries.npm, name, version);
    if (there !== undefined) {
      if (there.dist.integrity !== integrity)
        throw new Error(`${name}@${version} is on npm with other content`);
      log(`npm: ${name}@${version} is there already`);
      continue;
    }
    const flags = [...publishFlags(version, registries.npm), ...(provenance ? ['--provenance'] : [])];
    run('npm', ['publish', join(out, file), ...flags], { cwd: out });
    log(`npm: ${name}@${version} published`);
  }
}

async function checkImage({ server, registries, log }) {
  const reference = server.packages.find(({ registryType }) => registryType === 'oci').identifier;
  const [repository, tag] = pathIn(reference).split(':');
  const labels = await imageLabels(registries.oci, repository, tag);
  if (labels === undefined)
    throw new Error(`${reference} is not there, or not public: the image comes before what names it`);
  for (const platform of platforms) {
    const found = labels.get(platform)?.[nameLabel];
    if (found !== server.name)
      throw new Error(`${reference} for ${platform}: label ${nameLabel} is ${found}, not ${server.name}`);
  }
  log(`image: ${reference} is there for ${platforms.join(' and ')}`);
}

async function publishChart(release) {
  const { out, chart, version, registries, helm, outputs, log } = release;
  await checkImage(release);
  const file = join(out, chart);
  const find = () => publishedChart(registries.oci, chartRepository, version);
  const before = await find();
  const { host, protocol } = new URL(registries.oci);
  const target = `oci://${host}/${pathIn(chartRegistry)}`;
  if (before === undefined)
    run(helm, ['push', file, target, ...(protocol === 'http:' ? ['--plain-http'] : [])]);
  const there = before ?? (await find());
  if (there === undefined)
    throw new Error(`${target} does not show chart ${version} to everybody: make it public`);
  // Also after a push: what is there now gets signed, whoever put it there.
  if (there.archiveDigest !== `sha256:${sha256(file)}` && !(await hasSameContent(file, there)))
    throw new Error(`chart ${version} is in ${chartRepository} with other content`);
  log(before === undefined ? `chart: ${version} pushed to ${target}` : `chart: ${version} is there already`);
  if (outputs !== undefined) appendFileSync(outputs, `chart-digest=${there.digest}\n`);
}

// helm writes the time into its archives, so two archives of one chart differ.
async function hasSameContent(file, { archive }) {
  const work = mkdtempSync(join(tmpdir(), 'chart-'));
  try {
    writeFileSync(join(work, 'published.tgz'), await archive());
    const [ours, theirs] = [file, join(work, 'published.tgz')].map((path, index) => {
      const folder = join(work, String(index));
      mkdirSync(folder);
      run('tar', ['-xzf', path, '-C', folder]);
      const files = readdirSync(folder, { recursive: true }).filter((name) =>
        statSync(join(folder, name)).isFile(),
      );
      return JSON.stringify(files.sort().map((name) => [name, sha256(join(folder, name))]));
    });
    return ours === theirs;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function publishServer(release) {
  const { out, server, version, registries, log } = release;
  for (const { registryType, identifier } of server.packages) {
    if (registryType !== 'npm') continue;
    const mcpName = (await npmVersion(registries.npm, identifier, version))?.mcpName;
    if (mcpName !== server.name)
      throw new Error(`${identifier}@${version} on npm says mcpName ${mcpName}, not ${server.name}`);
  }
  await checkImage(release);
  const there = await mcpVersion(registries.mcp, server.name, version);
  if (there !== undefined) {
    // The registry adds fields of its own; what a client would run must be the same.
    const essence = ({ packages }) =>
      JSON.stringify(
        packages.map((entry) => [entry.registryType, entry.identifier, entry.version, entry.fileSha256]),
      );
    if (essence(there) !== essence(server))
      throw new Error(`${server.name} ${version} is in the MCP registry with other packages`);
    log(`server.json: ${server.name} ${version} is there already`);
    return;
  }
  // Takes server.json of the folder it runs in.
  run('mcp-publisher', ['publish'], { cwd: out });
  log(`server.json: ${server.name} ${version} published`);
}

/** What a dry run has made, as `publish` wants it. */
export function readRelease(out) {
  const server = JSON.parse(readFileSync(join(out, 'server.json'), 'utf8'));
  const { packages, chart, version } = JSON.parse(readFileSync(join(out, 'release.json'), 'utf8'));
  return { out, server, packages, chart, version };
}
