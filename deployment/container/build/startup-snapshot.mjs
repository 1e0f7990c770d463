// The startup snapshot of the agent, made by the very node that will read it: that of the base image, which the build stage sees as a folder.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { snapshot } from '../../../scripts/snapshot.mjs';
import { writeMadeFor } from './made-for.js';

/** Where the launcher looks for node, in its order. */
const nodes = ['nodejs/bin/node', 'usr/local/bin/node', 'usr/bin/node'];

function nodeOf(base) {
  const node = nodes.map((path) => join(base, path)).find((path) => existsSync(path));
  if (node === undefined) throw new Error(`the base image has no node at ${nodes.join(', ')}`);
  return node;
}

/**
 * Adds the snapshot to the programs in `folder`, which will be at `at`. Without one the agent starts from its bundle, so nothing here ends
 * the build: a notice says why there is none.
 */
export async function addSnapshot(folder, { base, at }) {
  const blob = join(folder, 'agent/agent.blob');
  try {
    const node = nodeOf(base);
    await snapshot(folder, { node, at });
    writeMadeFor(blob, node);
  } catch (error) {
    for (const file of [blob, `${blob}.made-for`]) rmSync(file, { force: true });
    console.error(`NOTICE: no startup snapshot: ${error.message}`);
  }
}
