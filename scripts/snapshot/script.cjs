// Runs inside `node --build-snapshot`, where node's own loader cannot be part of what is kept: `node --build-snapshot script.cjs FOLDER AT`.
// FOLDER is where the bundle lies now, AT where it will lie when it runs. Loads agent/dist/snapshot.js of it, lets it warm itself up, and
// keeps what that has loaded. Whatever is needed later is loaded from AT by node's loader, which is told of what is there already.
const { readFileSync } = require('node:fs');
const { dirname, join, posix } = require('node:path');
const { startupSnapshot } = require('node:v8');
const { runInThisContext } = require('node:vm');

const [folder, at] = process.argv.slice(-2);
/** By their path below the folder. */
const kept = new Map();
/** Node's loader, once the program runs. */
let loader;

function load(path) {
  const module = { exports: {} };
  kept.set(path, module);
  const source = readFileSync(join(folder, path), 'utf8');
  const file = join(at, path);
  const evaluate = runInThisContext(
    `(function (exports, require, module, __filename, __dirname) {${source}\n})`,
    { filename: file },
  );
  evaluate(module.exports, (id) => resolve(path, id), module, file, dirname(file));
  return module;
}

function resolve(from, id) {
  if (id.startsWith('node:')) return loader === undefined ? require(id) : process.getBuiltinModule(id);
  const path = id.startsWith('.') ? posix.join(posix.dirname(from), id) : undefined;
  if (path === undefined || !kept.has(path)) {
    if (loader !== undefined) return loader(from)(id);
    if (path === undefined) return require(id);
    return load(path).exports;
  }
  return kept.get(path).exports;
}

/** Node's loader as a file of the bundle sees it, with all that is kept already loaded. */
function nodesLoader() {
  const Module = process.getBuiltinModule('node:module');
  const { cache } = Module.createRequire(join(at, 'package.json'));
  for (const [path, { exports }] of kept) {
    const file = join(at, path);
    cache[file] = Object.assign(new Module(file), { filename: file, exports, loaded: true });
  }
  return (from) => Module.createRequire(join(at, from));
}

const { main, warmUp } = load('agent/dist/snapshot.js').exports;
// Node keeps the time at which its next timer is due. One that was cleared would be kept as due in the future, and no timer of the program
// would ever fire; one that fires at the end leaves none.
const lastTimer = () => new Promise((resolve) => setTimeout(resolve, 1));
warmUp()
  .then(lastTimer)
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
startupSnapshot.setDeserializeMainFunction(() => {
  let made;
  loader = (from) => {
    made ??= nodesLoader();
    return made(from);
  };
  main();
});
