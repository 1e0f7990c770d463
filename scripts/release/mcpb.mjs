// An .mcpb bundle (github.com/modelcontextprotocol/mcpb, manifest 0.4): the agent as one file that a desktop host installs. It holds the
// bundled program and, beside it, koffi with its native files for Linux on x64 and arm64: where the agent can see GPUs.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { zipSync } from 'fflate';
import { componentsOf } from '../../deployment/container/build/components.js';
import { licences } from '../../deployment/container/build/documents.mjs';
import { appPrograms, bundle } from '../bundle.mjs';
import { run, sha256 } from './archives.mjs';

const architectures = ['x64', 'arm64'];
// What koffi loads at run time; the rest of its package is source code and documentation.
const koffiFiles = /^(package\.json|LICENSE\.txt|[^/]+\.c?js|(src|lib)\/.*\.c?js)$/;
// The image and the desktop host run glibc.
const nativeFiles = /^(package\.json|index\.js|linux_(x64|arm64)\/.*)$/;
// The oldest time that a zip archive knows, so that two runs give the same bytes.
const mtime = new Date(1980, 0, 1);

/** Writes the bundle; gives its name and its entry for server.json. */
export async function writeMcpb(root, out, version) {
  const work = mkdtempSync(join(tmpdir(), 'mcpb-'));
  try {
    const programs = join(work, 'server');
    const inside = await bundle(programs, appPrograms.agent);
    const components = componentsOf(root, [...inside, 'node_modules/koffi/package.json']);
    const modules = join(root, 'node_modules');
    const koffi = JSON.parse(readFileSync(join(modules, 'koffi', 'package.json'), 'utf8'));
    const files = {
      'manifest.json': Buffer.from(`${JSON.stringify(manifest(root, version), null, 2)}\n`),
      LICENSE: readFileSync(join(root, 'LICENSE')),
      'LICENSES.txt': Buffer.from(licences(components)),
      ...filesOf(programs, 'server'),
      ...filesOf(join(modules, 'koffi'), 'server/node_modules/koffi', koffiFiles),
    };
    for (const architecture of architectures) {
      const name = `@koromix/koffi-linux-${architecture}`;
      const folder = join(modules, name);
      const found = existsSync(folder) ? folder : download(work, name, koffi.version);
      Object.assign(files, filesOf(found, `server/node_modules/${name}`, nativeFiles));
    }
    const file = `k8s-gpu-mcp-server-${version}.mcpb`;
    const sorted = Object.fromEntries(Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1)));
    writeFileSync(join(out, file), zipSync(sorted, { level: 9, mtime }));
    const { repository } = JSON.parse(readFileSync(join(root, 'server.json'), 'utf8'));
    const entry = {
      registryType: 'mcpb',
      identifier: `${repository.url}/releases/download/v${version}/${file}`,
      fileSha256: sha256(join(out, file)),
      transport: { type: 'stdio' },
    };
    return { file, entry };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** A name that the host replaces, and what follows it. */
const hostFillsIn = (name, rest = '') => `\${${name}}${rest}`;

function manifest(root, version) {
  const { name, title, description, repository, websiteUrl } = JSON.parse(
    readFileSync(join(root, 'server.json'), 'utf8'),
  );
  return {
    manifest_version: '0.4',
    name: name.split('/')[1],
    display_name: title,
    version,
    description,
    author: { name: 'k8s-gpu-mcp', url: 'https://github.com/k8s-gpu-mcp' },
    repository: { type: 'git', url: repository.url },
    homepage: websiteUrl,
    license: 'Apache-2.0',
    server: {
      type: 'node',
      entry_point: 'server/agent/dist/main.js',
      mcp_config: {
        command: 'node',
        args: [hostFillsIn('__dirname', '/server/agent/dist/main.js')],
        env: { K8S_GPU_MCP_BACKEND: hostFillsIn('user_config.backend') },
      },
    },
    tools_generated: true,
    prompts_generated: true,
    compatibility: { platforms: ['linux'], runtimes: { node: '>=20.19' } },
    user_config: {
      backend: {
        type: 'string',
        title: 'Where readings come from',
        description: 'auto: the GPUs of this machine. mock: simulated ones, and every answer says so.',
        default: 'auto',
        required: false,
      },
    },
  };
}

/** The files of a folder that match, under another name, as fflate takes them. */
function filesOf(folder, prefix, pattern = /./) {
  const names = readdirSync(folder, { recursive: true }).map((name) => name.split(sep).join('/'));
  const wanted = names.filter((name) => pattern.test(name) && statSync(join(folder, name)).isFile());
  if (wanted.length === 0)
    throw new Error(`${relative(process.cwd(), folder)} has none of the files that are wanted`);
  return Object.fromEntries(wanted.map((name) => [`${prefix}/${name}`, readFileSync(join(folder, name))]));
}

/** A package for another architecture than this one, which npm does not install. */
function download(work, name, version) {
  const [{ filename }] = JSON.parse(
    run('npm', ['pack', '--json', '--pack-destination', work, `${name}@${version}`], { cwd: work }),
  );
  run('tar', ['-xzf', join(work, filename), '-C', work]);
  return join(work, 'package');
}
