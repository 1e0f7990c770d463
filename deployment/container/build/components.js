// What is inside the image, beside its base: from what the bundler says it took and what was copied, never from what is merely installed.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Packages without a licence file of their own whose text is in another package of the same project. */
const licenceElsewhere = { '@koromix/koffi-linux-x64': 'koffi', '@koromix/koffi-linux-arm64': 'koffi' };

/** `node_modules/zod/v4/core/core.js` -> `node_modules/zod`; `packages/core/src/index.ts` -> `packages/core`. */
export function packageFolder(file) {
  const installed = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0];
  const folder = installed ?? /^(?:packages|apps)\/[^/]+(?=\/)/.exec(file)?.[0];
  if (folder === undefined) throw new Error(`${file} belongs to no package that is known`);
  return folder;
}

function licenceText(root, folder, name) {
  const own = folder.includes('node_modules/') ? join(root, folder) : root;
  const elsewhere = licenceElsewhere[name];
  for (const place of elsewhere === undefined ? [own] : [own, join(root, 'node_modules', elsewhere)]) {
    const file = readdirSync(place).find((each) => /^(?:licen[cs]e|copying)(?:\.(?:md|txt))?$/i.test(each));
    if (file !== undefined) return readFileSync(join(place, file), 'utf8').trim();
  }
  throw new Error(`${name} has no licence text: the image may not be given to anyone with it inside`);
}

/** Name, version, licence (SPDX), text of the licence and checksum of every package behind the given files, by name. */
export function componentsOf(root, files) {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const folders = [...new Set(files.filter((file) => !/^[a-z-]+:/.test(file)).map(packageFolder))];
  const components = folders.map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    if (typeof license !== 'string') throw new Error(`${name} does not name its licence`);
    return {
      name,
      version,
      licence: license,
      text: licenceText(root, folder, name),
      integrity: packages[folder]?.integrity,
    };
  });
  return components.sort((a, b) => (a.name < b.name ? -1 : 1));
}
