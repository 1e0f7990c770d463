// The tarballs that go to npm: the libraries as they are in the checkout, the apps as app-packages.js makes them.
import { join } from 'node:path';
import { appPackageProblems } from './app-packages.js';
import { publishFlags, run, selectionOf } from './archives.mjs';
import { publishable } from './workspace.mjs';

/**
 * One tarball for each publishable package, in the order in which they are published.
 * @param staged where stageApps has put the apps
 */
export function packPackages(root, staged, out) {
  const packages = publishable(root);
  const packed = inTheirRoots(root, staged, packages).flatMap(({ cwd, selection }) =>
    JSON.parse(run('npm', ['pack', '--json', '--pack-destination', out, ...selection], { cwd })),
  );
  return packages.map(({ path, manifest }) => {
    const { filename, files, integrity } = packed.find(({ name }) => name === manifest.name);
    const paths = files.map((file) => file.path);
    const unwanted = paths.find((file) => /\.test\.|\.tsbuildinfo$|(^|\/)(test|fixtures)\//.test(file));
    if (unwanted !== undefined) throw new Error(`${manifest.name} would ship ${unwanted}`);
    for (const wanted of ['LICENSE', 'package.json', 'README.md'])
      if (!paths.includes(wanted)) throw new Error(`${manifest.name} would ship no ${wanted}`);
    if (isApp(path)) {
      const problems = appPackageProblems(join(staged, path), paths);
      if (problems.length > 0) throw new Error(problems.join('\n'));
    } else if (!paths.some((file) => file.startsWith('dist/')))
      throw new Error(`${manifest.name} is not built: npm run build`);
    return { name: manifest.name, version: manifest.version, file: filename, integrity };
  });
}

const isApp = (path) => path.startsWith('apps/');

/** The libraries are packed where they are, the apps where they were staged; npm is told which of them in one go for each root. */
function inTheirRoots(root, staged, packages) {
  const [apps, libraries] = [true, false].map((wanted) =>
    packages.filter(({ path }) => isApp(path) === wanted),
  );
  return [
    { cwd: root, selection: selectionOf(libraries) },
    { cwd: staged, selection: selectionOf(apps) },
  ];
}

/** `npm publish --dry-run` of the folders that were packed: one npm for many of them, because it takes longer to start than to look. */
export function tryPublishing(root, staged, version, registry) {
  const flags = [...publishFlags(version, registry), '--dry-run', '--ignore-scripts'];
  for (const { cwd, selection } of inTheirRoots(root, staged, publishable(root)))
    run('npm', ['publish', ...flags, ...selection], { cwd });
}
