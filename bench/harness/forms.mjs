// The forms in which the agent is shipped, made anew where the sources are newer: the bundle that npx runs, and the image's, which starts
// from a snapshot of V8's heap and the image's own Node.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { agentFlags } from '../../scripts/agent-flags.js';
import { originalEnvironment } from './environment.mjs';

const root = resolve(import.meta.dirname, '../..');
/** A folder of its own: who builds anything meanwhile takes nothing away from under the measured programs. */
const folder = join(root, 'out/bench');
const program = join(folder, 'agent/dist/main.js');
const blob = join(folder, 'agent/agent.blob');
/** Which Node and which bundle the snapshot was made of. */
const blobOrigin = `${blob}.origin`;
/** Those of the image's launcher. */
const imageVariables = ['MALLOC_MMAP_THRESHOLD_=131072', 'MALLOC_ARENA_MAX=1'];

const sourceFolders = ['apps', 'packages'].flatMap((kind) =>
  readdirSync(join(root, kind)).map((name) => join(root, kind, name, 'src')),
);

/** When the last of the sources changed. */
function newestSource() {
  const files = sourceFolders.filter(existsSync).flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  const scripts = ['bundle.mjs', 'snapshot.mjs', 'snapshot/script.cjs']
    .map((name) => join(root, 'scripts', name))
    .filter(existsSync);
  return Math.max(...[...files, ...scripts].map((file) => statSync(file).mtimeMs));
}

/** @returns what it said when it failed */
function make(...args) {
  const options = { cwd: root, encoding: 'utf8', env: originalEnvironment };
  const { status, stderr, error } = spawnSync(process.execPath, args, options);
  if (error !== undefined) throw error;
  return status === 0 ? undefined : stderr.trim().slice(-1_000);
}

const bundleScript = `import { bundle } from ${JSON.stringify(join(root, 'scripts/bundle.mjs'))};
await bundle(${JSON.stringify(folder)});`;

/** One of the bundled programs, `agent` or `gateway`, for whatever Node. */
export function bundleForm({ node = process.execPath, app = 'agent' } = {}) {
  if (!existsSync(program) || statSync(program).mtimeMs < newestSource()) {
    rmSync(folder, { recursive: true, force: true });
    const failure = make('--input-type=module', '--eval', bundleScript);
    if (failure !== undefined) throw new Error(`the bundle could not be made: ${failure}`);
  }
  return [node, join(folder, app, 'dist/main.js')];
}

/** As the image runs it: `{ command, reason }`, one of them undefined. */
export function imageForm(node24) {
  bundleForm();
  const origin = `${node24} ${statSync(program).mtimeMs}`;
  if (!existsSync(blob) || !existsSync(blobOrigin) || readFileSync(blobOrigin, 'utf8') !== origin) {
    const failure = make(join(root, 'scripts/snapshot.mjs'), '--node', node24, '--folder', folder);
    if (failure !== undefined) return { reason: `no snapshot, the image would run the bundle: ${failure}` };
    writeFileSync(blobOrigin, origin);
  }
  return { command: [...imageVariables, node24, ...agentFlags, '--snapshot-blob', blob, program] };
}
