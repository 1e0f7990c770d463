// Bundles the programs with esbuild, one folder each under out/bundle: `node out/bundle/gateway/dist/main.js --help`.
// koffi stays outside: it loads its native file from its own package. The parts that a program loads when it needs them stay apart.
// The image holds all programs in one folder, where they share what they have in common (`bundleTogether`).
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { build } from 'esbuild';

const root = resolve(import.meta.dirname, '..');
export const bundleFolder = join(root, 'out', 'bundle');

/** The agent's helper process is a program of its own; it is looked for beside the folder of the rest. */
const extraEntries = { agent: { '../helper/helper': 'packages/nvml/src/helper/helper.ts' } };

/** zod brings its messages in fifty languages; ours are English. */
const englishOnly = {
  name: 'english-only',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
      loader: 'js',
    }));
  },
};

/** The Kubernetes client asks with node-fetch, which brings tables of Unicode; node has a fetch of its own, and we take credentials only. */
const fetchOfNode = {
  name: 'fetch-of-node',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node-fetch$/ }, () => ({ path: 'node-fetch', namespace: 'fetch-of-node' }));
    onLoad({ filter: /.*/, namespace: 'fetch-of-node' }, () => ({
      contents: 'export default globalThis.fetch; export const { Headers, Request, Response } = globalThis;',
    }));
  },
};

/**
 * Files that look for others beside themselves, and the place below the folder of all programs where they believe to be. Whatever piece
 * esbuild puts them into lies two folders deep, and the rewritten address leads from there.
 */
const places = {
  'apps/agent/src/version.ts': 'agent/dist/version.js',
  'apps/gateway/src/version.ts': 'gateway/dist/version.js',
  'apps/bridge/src/version.ts': 'bridge/dist/version.js',
  'packages/nvml/src/executor/helper-process.ts': 'nvml/executor/helper-process.js',
};
const placesKept = {
  name: 'places-kept',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/](?:apps|packages)[\\/][^\\/]+[\\/]src[\\/].*\.ts$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8');
      if (!source.includes('import.meta.url')) return undefined;
      const place = places[relative(root, path)];
      if (place === undefined)
        return { errors: [{ text: `${path} asks where it is: give it a place here` }] };
      return {
        contents: source.replaceAll('import.meta.url', `new URL('../../${place}', import.meta.url)`),
        loader: 'ts',
      };
    });
  },
};

const common = {
  absWorkingDir: root,
  bundle: true,
  splitting: true,
  minify: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  conditions: ['@k8s-gpu-mcp/source'],
  external: ['koffi'],
  logLevel: 'warning',
  // Packages that are still CommonJS ask for node's own modules with require.
  banner: {
    js: "import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(import.meta.url);",
  },
};

export async function bundle(app) {
  const folder = join(bundleFolder, app);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(join(root, 'apps', app, 'package.json'), join(folder, 'package.json'));
  await build({
    ...common,
    entryPoints: { main: `apps/${app}/src/main.ts`, ...extraEntries[app] },
    outdir: join(folder, 'dist'),
    plugins: [englishOnly, fetchOfNode],
  });
  return join(folder, 'dist', 'main.js');
}

/**
 * All programs below `folder`: PROGRAM/dist/main.js, what they share beside them.
 * @returns the files of which something is inside, by their path from the root of the repository
 */
export async function bundleTogether(folder) {
  const { metafile } = await build({
    ...common,
    entryPoints: {
      'agent/dist/main': 'apps/agent/src/main.ts',
      'gateway/dist/main': 'apps/gateway/src/main.ts',
      'bridge/dist/main': 'apps/bridge/src/main.ts',
      'kubectl-mcp/dist/main': 'apps/bridge/src/kubectl/main.ts',
      'nvml/helper/helper': 'packages/nvml/src/helper/helper.ts',
    },
    chunkNames: 'shared/parts/[hash]',
    outdir: folder,
    plugins: [englishOnly, fetchOfNode, placesKept],
    // The licences of all that is inside are gathered in a file of their own.
    legalComments: 'none',
    metafile: true,
  });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}\n');
  // The versions are read from here.
  for (const app of ['agent', 'gateway', 'bridge']) {
    const { name, version, type } = JSON.parse(readFileSync(join(root, 'apps', app, 'package.json'), 'utf8'));
    writeFileSync(join(folder, app, 'package.json'), `${JSON.stringify({ name, version, type })}\n`);
  }
  return Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : [])),
  );
}

if (process.argv[1] === import.meta.filename) {
  for (const app of ['agent', 'gateway', 'bridge']) console.log(await bundle(app));
}
