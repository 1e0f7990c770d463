// Bundles the programs with rolldown into one folder, where they share what they have in common: that of the image, of the desktop bundle, or
// out/bundle, where `node out/bundle/gateway/dist/main.js --help` runs one.
// koffi stays outside: it loads its native file from its own package. The parts that a program loads when it needs them stay apart.
//
// The files are CommonJS: node starts it faster than ES modules, a startup snapshot can hold it, and `import` of node:http in an ES module
// loads node's fetch on the way.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { dieYoung } from './die-young.js';

const root = resolve(import.meta.dirname, '..');
const bundleFolder = join(root, 'out', 'bundle');

const jsonSchemaEntry = 'shared/json-schema-validator';

/** By where they are below the folder. The agent's helper process is a program of its own. */
const entryPoints = {
  'agent/dist/main': 'apps/agent/src/main.ts',
  // Part of the image's startup snapshot (scripts/snapshot.mjs).
  'agent/dist/snapshot': 'apps/agent/src/snapshot.ts',
  'gateway/dist/main': 'apps/gateway/src/main.ts',
  'bridge/dist/main': 'apps/bridge/src/main.ts',
  'kubectl-mcp/dist/main': 'apps/bridge/src/kubectl/main.ts',
  'nvml/helper/helper': 'packages/nvml/src/helper/helper.ts',
  [jsonSchemaEntry]: '@modelcontextprotocol/server/validators/ajv',
};

/** What the npm package of each app needs of them; the snapshot is the image's. */
export const appPrograms = {
  agent: ['agent/dist/main', 'nvml/helper/helper', jsonSchemaEntry],
  gateway: ['gateway/dist/main', jsonSchemaEntry],
  bridge: ['bridge/dist/main', 'kubectl-mcp/dist/main'],
};

const resolution = {
  cwd: root,
  platform: 'node',
  // rolldown adds `import` or `require` by how a module is asked for.
  resolve: { conditionNames: ['@k8s-gpu-mcp/source', 'node', 'default'] },
  external: ['koffi'],
  transform: { target: 'node20.19' },
};

/** A module's text, instead of what is in its file. */
const replaced = (name, id, load) => ({ name, load: { filter: { id }, handler: load } });

/** zod brings its messages in fifty languages; ours are English. */
const englishOnly = replaced(
  'english-only',
  /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/,
  () => "export { default as en } from './en.js';",
);

/** The Kubernetes client asks with node-fetch, which brings tables of Unicode; node has a fetch of its own, and we take credentials only. */
const fetchOfNode = {
  name: 'fetch-of-node',
  resolveId: { filter: { id: /^node-fetch$/ }, handler: () => '\0fetch-of-node' },
  load: {
    filter: { id: /^\0fetch-of-node$/ },
    handler: () =>
      'export default globalThis.fetch; export const { Headers, Request, Response } = globalThis;',
  },
};

/** What an agent offers is made here, out of its sources, so that the program need not load its tools to list them. */
const offerMade = replaced('offer-made', /[\\/]agent[\\/]src[\\/]offer\.ts$/, async () => {
  const { knownOffer, unknownNode } = await imported('apps/agent/src/offer.ts');
  const text = JSON.stringify(JSON.stringify(await knownOffer()));
  return `export const unknownNode = ${JSON.stringify(unknownNode)};
    export const knownOffer = async () => JSON.parse(${text});`;
});

/** Runs a module of the sources, here. */
async function imported(input) {
  const made = await rolldown({ ...resolution, input });
  const { output } = await made.generate({ format: 'esm', codeSplitting: false });
  return import(`data:text/javascript;base64,${Buffer.from(output[0].code).toString('base64')}`);
}

/** The SDK brings a compiler of JSON Schemas, of which a server needs one for the answers of a person only: it is loaded then. */
const validatorWhenNeeded = replaced(
  'validator-when-needed',
  /[\\/]@modelcontextprotocol[\\/]server[\\/]dist[\\/]shimsNode\.mjs$/,
  () => `
    import process from 'node:process';
    export { process };
    export class DefaultJsonSchemaValidator {
      #made;
      getValidator(schema) {
        const { createRequire } = process.getBuiltinModule('node:module');
        const load = createRequire(${twoFoldersUp});
        this.#made ??= new (load('./${jsonSchemaEntry}.js').AjvJsonSchemaValidator)();
        return this.#made.getValidator(schema);
      }
    }`,
);

/** pino can hand lines to a thread of its own; ours are written where they are made, and node's threads need not be loaded. */
const noLogThreads = replaced(
  'no-log-threads',
  /[\\/]pino[\\/]lib[\\/]transport\.js$/,
  () => "module.exports = () => { throw new Error('no transports in a bundle'); };",
);

/** commander can start a subcommand as a program of its own; ours are none, and node's part for it need not be loaded. */
const noSubcommandPrograms = {
  name: 'no-subcommand-programs',
  transform: {
    filter: { id: /[\\/]commander[\\/]lib[\\/]command\.js$/ },
    handler: (source) => source.replace("require('node:child_process')", 'undefined'),
  },
};

/**
 * For one character beyond Latin-1 V8 keeps a whole file with two bytes a character. Where one stands in a program, an escape may
 * stand in its place.
 */
const asciiOnly = {
  name: 'ascii-only',
  generateBundle(_options, files) {
    for (const file of Object.values(files)) {
      if (file.type !== 'chunk') continue;
      if (/\\[^\0-\x7f]|\braw`[^`]*[^\0-\x7f]/.test(file.code))
        this.error(`${file.fileName} has text that an escape would change`);
      file.code = file.code.replaceAll(/[^\0-\x7f]/g, escapeOf);
    }
  },
};
const escapeOf = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Whatever piece a module is put into lies two folders below that of all programs. */
const twoFoldersUp = `new URL('../../package.json', require('node:url').pathToFileURL(__filename))`;

/** Files that look for others beside themselves, and the place below the folder of all programs where they believe to be. */
const places = {
  'apps/agent/src/version.ts': 'agent/dist/version.js',
  'apps/gateway/src/version.ts': 'gateway/dist/version.js',
  'apps/bridge/src/version.ts': 'bridge/dist/version.js',
  'packages/nvml/src/executor/helper-process.ts': 'nvml/executor/helper-process.js',
};
const placesKept = {
  name: 'places-kept',
  transform: {
    filter: { id: /[\\/](?:apps|packages)[\\/][^\\/]+[\\/]src[\\/].*\.ts$/, code: 'import.meta.url' },
    handler(source, path) {
      const place = places[relative(root, path)];
      if (place === undefined) this.error(`${path} asks where it is: give it a place here`);
      return source.replaceAll('import.meta.url', `new URL('${place}', ${twoFoldersUp})`);
    },
  },
};

/**
 * The programs below `folder`: PROGRAM/dist/main.js, what they share beside them.
 * @param programs names of entry points, for fewer than all of them
 * @returns the files of which something is inside, by their path from the root of the repository
 */
export async function bundle(folder, programs = Object.keys(entryPoints)) {
  const made = await rolldown({
    ...resolution,
    input: Object.fromEntries(programs.map((name) => [name, entryPoints[name]])),
    // Else modules that programs share may come into that of one of them, and the others would run it.
    preserveEntrySignatures: 'strict',
    plugins: [
      offerMade,
      validatorWhenNeeded,
      noSubcommandPrograms,
      noLogThreads,
      englishOnly,
      fetchOfNode,
      placesKept,
      ...dieYoung,
      asciiOnly,
    ],
    // Of modules that one program needs at once and another later; both get what they ask for.
    checks: { ineffectiveDynamicImport: false },
  });
  const { output } = await made.write({
    dir: folder,
    format: 'cjs',
    entryFileNames: '[name].js',
    chunkFileNames: 'shared/parts/[hash].js',
    minify: true,
    // The licences of all that is inside are gathered in a file of their own.
    comments: { legal: false },
  });
  await made.close();
  writeFileSync(join(folder, 'package.json'), '{"type":"commonjs"}\n');
  // The versions are read from here.
  for (const app of ['agent', 'gateway', 'bridge']) {
    if (!programs.includes(`${app}/dist/main`)) continue;
    const { name, version } = JSON.parse(readFileSync(join(root, 'apps', app, 'package.json'), 'utf8'));
    writeFileSync(join(folder, app, 'package.json'), `${JSON.stringify({ name, version })}\n`);
  }
  const inside = output.flatMap(({ modules = {} }) =>
    Object.entries(modules).flatMap(([path, { renderedLength }]) => (renderedLength > 0 ? [path] : [])),
  );
  return inside.filter((path) => !path.startsWith('\0')).map((path) => relative(root, path));
}

if (process.argv[1] === import.meta.filename) {
  rmSync(bundleFolder, { recursive: true, force: true });
  await bundle(bundleFolder);
  for (const entry of Object.keys(entryPoints)) console.log(join(bundleFolder, `${entry}.js`));
}
