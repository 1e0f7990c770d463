// Bundles the programs with esbuild into one folder, where they share what they have in common: that of the image, of the desktop bundle, or
// out/bundle, where `node out/bundle/gateway/dist/main.js --help` runs one.
// koffi stays outside: it loads its native file from its own package. The parts that a program loads when it needs them stay apart.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { build } from 'esbuild';

const root = resolve(import.meta.dirname, '..');
const bundleFolder = join(root, 'out', 'bundle');

/** By where they are below the folder. The agent's helper process is a program of its own. */
const entryPoints = {
  'agent/dist/main': 'apps/agent/src/main.ts',
  'gateway/dist/main': 'apps/gateway/src/main.ts',
  'bridge/dist/main': 'apps/bridge/src/main.ts',
  'kubectl-mcp/dist/main': 'apps/bridge/src/kubectl/main.ts',
  'nvml/helper/helper': 'packages/nvml/src/helper/helper.ts',
};

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

/**
 * All programs below `folder`: PROGRAM/dist/main.js, what they share beside them.
 * @returns the files of which something is inside, by their path from the root of the repository
 */
export async function bundle(folder) {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints,
    outdir: folder,
    bundle: true,
    splitting: true,
    chunkNames: 'shared/parts/[hash]',
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    conditions: ['@k8s-gpu-mcp/source'],
    external: ['koffi'],
    plugins: [englishOnly, fetchOfNode, placesKept],
    // Packages that are still CommonJS ask for node's own modules with require.
    banner: {
      js: "import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(import.meta.url);",
    },
    // The licences of all that is inside are gathered in a file of their own.
    legalComments: 'none',
    logLevel: 'warning',
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
  rmSync(bundleFolder, { recursive: true, force: true });
  await bundle(bundleFolder);
  for (const entry of Object.keys(entryPoints)) console.log(join(bundleFolder, `${entry}.js`));
}
