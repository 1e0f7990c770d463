// Bundles the programs with esbuild, one folder each under out/bundle: `node out/bundle/gateway/dist/main.js --help`.
// koffi stays outside: it loads its native file from its own package. The parts that a program loads when it needs them stay apart.
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
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

export async function bundle(app) {
  const folder = join(bundleFolder, app);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(join(root, 'apps', app, 'package.json'), join(folder, 'package.json'));
  await build({
    absWorkingDir: root,
    entryPoints: { main: `apps/${app}/src/main.ts`, ...extraEntries[app] },
    outdir: join(folder, 'dist'),
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    conditions: ['@k8s-gpu-mcp/source'],
    external: ['koffi'],
    plugins: [englishOnly, fetchOfNode],
    logLevel: 'warning',
    // Packages that are still CommonJS ask for node's own modules with require.
    banner: {
      js: "import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(import.meta.url);",
    },
  });
  return join(folder, 'dist', 'main.js');
}

if (process.argv[1] === import.meta.filename) {
  for (const app of ['agent', 'gateway', 'bridge']) console.log(await bundle(app));
}
