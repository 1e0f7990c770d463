// What an image adds to its base, as files of the mounted images: `--print-payload` of build-image.mjs shows it. Needs root and podman.
import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

function* entriesBelow(root, path = '') {
  for (const { name } of readdirSync(join(root, path), { withFileTypes: true })) {
    const inside = `${path}/${name}`;
    const stat = lstatSync(join(root, inside));
    const target = stat.isSymbolicLink() ? readlinkSync(join(root, inside)) : undefined;
    yield {
      path: inside,
      bytes: stat.isFile() ? stat.size : 0,
      mode: stat.mode,
      isFolder: stat.isDirectory(),
      target,
    };
    if (stat.isDirectory()) yield* entriesBelow(root, inside);
  }
}

/** Everything in an image, sorted by path. */
export function entriesOf(image) {
  const podman = (...args) => execFileSync('podman', args, { encoding: 'utf8' }).trim();
  const root = podman('image', 'mount', image);
  try {
    return [...entriesBelow(root)].sort((a, b) => (a.path < b.path ? -1 : 1));
  } finally {
    podman('image', 'unmount', image);
  }
}

/** What is in an image and not in its base, folders left out. */
export function payloadOf(image, base) {
  const inBase = new Set(entriesOf(base).map(({ path }) => path));
  return entriesOf(image).filter(({ path, isFolder }) => !isFolder && !inBase.has(path));
}
