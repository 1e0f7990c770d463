// The npm packages of the apps. Users start programs, so they get bundles, with nothing to install beside them but koffi, whose native files
// npm chooses. Each is made in a copy of its folder: the checkout keeps the form that development works with.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { componentsOf } from '../../deployment/container/build/components.js';
import { licences } from '../../deployment/container/build/documents.mjs';
import { appPrograms, bundle } from '../bundle.mjs';

/** Which program of the bundle a command starts. */
const programs = {
  'k8s-gpu-mcp-server': 'agent',
  'k8s-gpu-mcp-gateway': 'gateway',
  'k8s-gpu-mcp-bridge': 'bridge',
  'kubectl-mcp': 'kubectl-mcp',
};
const kept = 'name version description license repository engines bin mcpName'.split(' ');

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));
const writeJson = (path, value) => writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);

/** What of the app is not inside its bundle, with the versions of the package that uses it. */
function dependenciesOf(root, app) {
  const { koffi } = readJson(join(root, 'packages', 'nvml', 'package.json')).dependencies;
  return app === 'agent' ? { dependencies: { koffi } } : {};
}

/** Writes the apps as npm is to pack them into `folder`: a root of workspaces at the same paths as in the repository. */
export async function stageApps(root, folder) {
  const apps = Object.keys(appPrograms);
  for (const app of apps) await stageApp(root, app, join(folder, 'apps', app));
  writeJson(join(folder, 'package.json'), { private: true, workspaces: apps.map((app) => `apps/${app}`) });
}

async function stageApp(root, app, folder) {
  const source = join(root, 'apps', app);
  const manifest = readJson(join(source, 'package.json'));
  mkdirSync(join(folder, 'bin'), { recursive: true });
  const inside = await bundle(join(folder, 'bundle'), appPrograms[app]);
  for (const [command, path] of Object.entries(manifest.bin))
    writeFileSync(
      join(folder, path),
      `#!/usr/bin/env node\nrequire('../bundle/${programs[command]}/dist/main.js');\n`,
      { mode: 0o755 },
    );
  copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  copyFileSync(join(source, 'README.md'), join(folder, 'README.md'));
  writeFileSync(join(folder, 'LICENSES.txt'), licences(componentsOf(root, inside)));
  writeJson(join(folder, 'package.json'), {
    ...Object.fromEntries(Object.entries(manifest).filter(([field]) => kept.includes(field))),
    // Node starts it faster than ES modules.
    type: 'commonjs',
    exports: { './package.json': './package.json' },
    files: ['bin', 'bundle', 'LICENSES.txt'],
    ...dependenciesOf(root, app),
  });
}

/** What would not work once it is installed, or should not be there; `paths` are the files that npm packs out of the folder. */
export function appPackageProblems(folder, paths) {
  const { name, bin, dependencies = {} } = readJson(join(folder, 'package.json'));
  const problems = [];
  for (const dependency of Object.keys(dependencies))
    if (dependency !== 'koffi')
      problems.push(`${name} depends on ${dependency}, which belongs into its bundle`);
  const [app] = Object.keys(bin).map((command) => programs[command]);
  const entryPoints = appPrograms[app].map((entry) => `bundle/${entry}.js`);
  const wanted = [...Object.values(bin).map(posix.normalize), ...entryPoints, 'LICENSES.txt'];
  for (const path of wanted) if (!paths.includes(path)) problems.push(`${name} would ship no ${path}`);

  const scripts = paths.filter((path) => /^(?:bin|bundle)\/.*\.js$/.test(path));
  for (const path of scripts.filter((script) => existsSync(join(folder, script))))
    for (const [, , needed] of readFileSync(join(folder, path), 'utf8').matchAll(relativeRequire)) {
      const file = posix.join(posix.dirname(path), needed);
      if (!paths.includes(file)) problems.push(`${name} would ship no ${file}, which ${path} needs`);
      if (path.startsWith('bundle/') && entryPoints.includes(file))
        problems.push(`${name}: ${path} would run ${file}, a program`);
    }
  const strangers = paths.filter((path) => !/^(?:(?:bin|bundle)\/|[^/]+$)/.test(path));
  if (strangers.length > 0) problems.push(`${name} would ship ${strangers[0]}`);
  return problems;
}
const relativeRequire = /\brequire\((["'`])(\.\.?\/[^"'`]+)\1\)/g;
